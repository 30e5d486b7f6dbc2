"""Films by a network."""

import numpy as np
import pytest

from styletransfer.feedforward import Stylizer
from styletransfer.video import flow
from styletransfer.video.networked import NetworkPainter, State, distortion
from styletransfer.video.painter import floats, rounded
from tests.feedforward.networks import candy
from tests.video.moving import pan, warping_error

FRAMES = pan(5)


@pytest.fixture(scope="module")
def stylizer():
    return Stylizer(candy(32, width=8).SerializeToString())


def film(painter, frames):
    """Return the pictures, and the state after each."""
    tracker = flow.Tracker(painter.offsets, anchored=painter.anchored)
    state, pictures, states = painter.begin(), [], []
    for frame in frames:
        link = tracker.follow(frame)
        picture, state, _ = painter.paint(frame, state, link)
        pictures.append(picture)
        states.append(state)
    return pictures, states


def sharpness(pictures):
    return np.mean([np.abs(np.diff(picture, axis=1)).mean() for picture in pictures])


def test_it_holds_together_and_stays_sharp(stylizer):
    pictures, _ = film(NetworkPainter(stylizer), FRAMES)
    alone = [stylizer.stylize(frame) for frame in FRAMES]
    assert np.array_equal(pictures[0], alone[0])
    assert warping_error(pictures) < 0.25 * warping_error(alone)
    assert sharpness(pictures) > 0.9 * sharpness(alone)


def test_a_frame_without_a_link_is_painted_alone(stylizer):
    painter = NetworkPainter(stylizer)
    _, states = film(painter, FRAMES[:2])
    picture, _, _ = painter.paint(FRAMES[2], states[-1], None)
    assert np.array_equal(picture, stylizer.stylize(FRAMES[2]))


def test_nothing_is_remembered_of_frames_that_none_goes_on_from(stylizer):
    painter = NetworkPainter(stylizer, remembers=False)
    picture, state, _ = painter.paint(FRAMES[1], painter.begin(), None)
    assert np.array_equal(picture, stylizer.stylize(FRAMES[1]))
    assert state.to_arrays() == {}


def test_a_stored_state_goes_on_with_the_same_bits(stylizer, tmp_path):
    painter = NetworkPainter(stylizer)
    pictures, states = film(painter, FRAMES[:3])
    np.savez(tmp_path / "state.npz", **states[1].to_arrays())
    with np.load(tmp_path / "state.npz") as arrays:
        state = NetworkPainter(stylizer).restore(dict(arrays))
    tracker = flow.Tracker()
    tracker.remember(FRAMES[1])
    picture, after, _ = painter.paint(FRAMES[2], state, tracker.follow(FRAMES[2]))
    assert np.array_equal(picture, pictures[2])
    ours, theirs = after.to_arrays(), states[2].to_arrays()
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert State.from_arrays(State().to_arrays()).painting is None


def test_the_mixture_is_as_the_formula_says(stylizer):
    painter = NetworkPainter(stylizer, blend=0.5)
    _, states = film(painter, FRAMES[:1])
    motion = flow.Motion(1, np.zeros((96, 128, 2), np.float32), np.ones((96, 128), np.float32))
    motion.trust[:, :64] = 0
    picture, _, _ = painter.paint(FRAMES[0], states[0], flow.Link((motion,)))
    # The same frame again: the paintings are the same, but for the rounding of the one before.
    assert np.abs(picture - floats(states[0].painting)).max() < 1e-4


@pytest.mark.parametrize(
    ("matrix", "wanted"),
    [
        ([[0.02, 0], [0, 0.02]], 0.02),  # a zoom
        ([[0, -0.03], [0.03, 0]], 0.03),  # a turn
        ([[0.05, 0], [0, 0]], 0.05),
        ([[0, 0], [0, 0]], 0),
    ],
)
def test_distortion_is_the_norm_of_the_slopes(matrix, wanted):
    rows, columns = np.mgrid[:90, :130].astype(np.float32)
    places = np.stack([columns, rows], axis=-1)
    field = places @ np.array(matrix, np.float32).T + np.float32(3)
    trust = np.ones((90, 130), np.float32)
    field[:40, :40], trust[:40, :40] = 100, 0
    assert distortion(flow.Motion(1, field, trust)) == pytest.approx(wanted, abs=1e-3)
    assert distortion(flow.Motion(1, field, np.zeros_like(trust))) == 0


def test_less_is_kept_of_what_is_stretched(stylizer):
    painter = NetworkPainter(stylizer)
    _, states = film(painter, FRAMES[:1])
    kept = []
    for zoom in (0, 0.2):
        rows, columns = np.mgrid[:96, :128].astype(np.float32)
        field = zoom * np.stack([columns - 64, rows - 48], axis=-1)
        motion = flow.Motion(1, field, np.ones((96, 128), np.float32))
        picture, _, _ = painter.paint(FRAMES[3], states[0], flow.Link((motion,)))
        kept.append(np.abs(picture - stylizer.stylize(FRAMES[3]))[44:52, 60:68].mean())
    assert kept[1] < 0.5 * kept[0]


def test_kept_pictures_have_16_bits():
    picture = np.linspace(0, 1, 30, dtype=np.float32).reshape(2, 5, 3)
    kept = rounded(picture)
    assert kept.dtype == np.uint16
    assert np.array_equal(rounded(floats(kept)), kept)
    assert np.abs(floats(kept) - picture).max() < 1 / 65535
