"""Flow, what of it is trusted, and pictures that are moved by it."""

import itertools
import time

import numpy as np
import pytest
from scipy import ndimage

from styletransfer.video import flow
from tests.video.moving import FLOW, SIZE, pan

FRAMES = pan(6)


def sampled(values: np.ndarray, x: np.ndarray, y: np.ndarray, order: int = 1) -> np.ndarray:
    """Return what SciPy reads between pixels."""
    return ndimage.map_coordinates(values, [y, x], order=order, mode="nearest")


def test_the_motion_of_a_window_is_found():
    link = track(FRAMES[:2])
    (motion,) = link.earlier
    assert motion.flow.dtype == motion.trust.dtype == np.float32
    inside = motion.trust > 0
    assert inside.mean() > 0.8
    assert np.linalg.norm(motion.flow - FLOW, axis=-1)[inside].mean() < 0.1


def track(frames, **options):
    tracker = flow.Tracker(**options)
    for frame in frames:
        link = tracker.follow(frame)
    return link


def test_what_is_trusted_is_as_the_formulas_say():
    random = np.random.default_rng(3)
    shape = (60, 80)

    def field(height: float, width: float) -> np.ndarray:
        noise = random.normal(0, height, (2, *shape))
        smooth = [ndimage.gaussian_filter(part, width) for part in noise]
        return np.stack(smooth, -1).astype(np.float32)

    backward = field(150, 20)
    forward = field(8, 4) - backward
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    x, y = columns + backward[..., 0], rows + backward[..., 1]
    inside = (x >= 0) & (x <= shape[1] - 1) & (y >= 0) & (y <= shape[0] - 1)
    there = np.stack([sampled(forward[..., c], x, y) for c in range(2)], -1)
    size_f, size_b = (there**2).sum(-1), (backward**2).sum(-1)
    gone = ((there + backward) ** 2).sum(-1) >= 0.01 * (size_f + size_b) + 0.5
    slopes = [np.gradient(backward[..., c], axis=axis) for c in (0, 1) for axis in (0, 1)]
    edge = sum(slope**2 for slope in slopes) > 0.01 * size_b + 0.002
    wanted = inside & ~gone & ~edge
    assert 0.02 < wanted.mean() < 0.98
    assert (~inside).any()
    assert gone.any()
    assert edge.any()
    found = flow.trusted(forward, backward)
    assert set(np.unique(found)) == {0, 1}
    # OpenCV reads between pixels at steps of 1/32.
    assert (found != wanted).mean() < 0.01


def test_a_warp_reads_where_the_flow_points():
    picture = ndimage.gaussian_filter(np.random.default_rng(0).random((30, 40, 3)), (2, 2, 0))
    picture = picture.astype(np.float32)
    field = np.full((30, 40, 2), (2.5, -1.25), np.float32)
    rows, columns = np.mgrid[:30, :40]
    wanted = np.stack([sampled(picture[..., c], columns + 2.5, rows - 1.25) for c in range(3)], -1)
    assert np.abs(flow.warp(picture, field, kernel="linear") - wanted).max() < 1e-5

    # Keys' cubic convolution with a = -3/4, the four taps of an axis after the other.
    def along(values: np.ndarray, whole: int, part: float, axis: int) -> np.ndarray:
        distances = np.abs(np.arange(-1, 3) - part)
        inner = 1.25 * distances**3 - 2.25 * distances**2 + 1
        outer = -0.75 * (distances**3 - 5 * distances**2 + 8 * distances - 4)
        weights = np.where(distances <= 1, inner, outer)
        taps = [np.roll(values, -(whole + tap), axis) for tap in range(-1, 3)]
        return sum(w * t for w, t in zip(weights, taps, strict=True))

    cubic = along(along(picture, 2, 0.5, 1), -2, 0.75, 0)
    found = flow.warp(picture, field)
    assert np.abs(found - cubic)[5:-5, 5:-5].max() < 1e-5


@pytest.mark.parametrize("kernel", ["linear", "cubic", "lanczos"])
def test_whole_pixels_are_moved_as_they_are(kernel):
    picture = np.random.default_rng(0).random((20, 30, 3)).astype(np.float32)
    field = np.zeros((20, 30, 2), np.float32)
    assert np.array_equal(flow.warp(picture, field, kernel=kernel), picture)
    field[..., 0] = 3
    moved = flow.warp(picture, field, kernel=kernel)
    assert np.array_equal(moved[:, :-3], picture[:, 3:])
    # Outside it is as at the edge.
    assert np.allclose(moved[:, -3:], np.repeat(picture[:, -1:], 3, 1), rtol=0, atol=1e-6)


def test_lanczos_blurs_the_least():
    waves = np.fft.rfftfreq(64)
    spectrum = np.where(waves < 0.4, np.fft.rfft(np.random.default_rng(0).random((64, 64))), 0)
    picture = np.fft.irfft(spectrum, 64).astype(np.float32)
    exact = np.fft.irfft(spectrum * np.exp(1j * np.pi * waves), 64)  # by half a pixel
    field = np.full((64, 64, 2), (0.5, 0), np.float32)
    linear, cubic, lanczos = (
        np.square(flow.warp(picture, field, kernel=kernel) - exact)[:, 8:-8].mean()
        for kernel in ("linear", "cubic", "lanczos")
    )
    assert lanczos < 0.8 * cubic < 0.8 * 0.8 * linear


def test_at_another_size_the_flow_is_as_much_longer():
    motion = flow.Motion(1, np.full((20, 30, 2), (3.0, 1.0), np.float32), np.ones((20, 30)))
    larger = flow.scaled(motion, (40, 90))
    assert larger.flow.shape == (40, 90, 2)
    assert larger.trust.shape == (40, 90)
    assert np.allclose(larger.flow, (9, 2))
    assert np.allclose(larger.trust, 1)
    assert flow.scaled(motion, (20, 30)) is motion


def test_farther_frames_count_where_nearer_ones_are_not_trusted():
    near, middle, far = np.array([[[1, 0.5, 0, 0]], [[1, 1, 0.5, 0]], [[1, 1, 1, 1]]])
    found = flow.shares([near, middle, far])
    assert np.array_equal(found, [[[1, 0.5, 0, 0]], [[0, 0.5, 0.5, 0]], [[0, 0, 0.5, 1]]])


def test_a_shot_begins_at_the_first_frame_and_at_a_cut():
    tracker = flow.Tracker((1, 2, 4), anchored=True)
    assert tracker.follow(FRAMES[0]) is None
    found = [tracker.follow(frame) for frame in FRAMES[1:]]
    offsets = [[motion.offset for motion in link.earlier] for link in found]
    assert offsets == [[1], [1, 2], [1, 2], [1, 2, 4], [1, 2, 4]]
    assert [link.anchor.offset for link in found] == [1, 2, 3, 4, 5]
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    assert tracker.follow(noise) is None
    tracker.restart()
    assert tracker.follow(noise) is None
    assert tracker.follow(noise[:50]) is None  # another size
    assert len(tracker.follow(noise[:50]).earlier) == 1


def test_an_anchor_that_is_out_of_sight_is_replaced(monkeypatch):
    monkeypatch.setattr(flow, "LEAST_ANCHORED", 0.9)
    tracker = flow.Tracker(anchored=True)
    offsets = [link.anchor.offset for frame in pan(8) if (link := tracker.follow(frame))]
    assert offsets[0] == 1
    assert 1 in offsets[1:]
    assert all(b in (1, a + 1) for a, b in itertools.pairwise(offsets))


def test_what_is_remembered_stands_for_what_was_followed():
    followed = flow.Tracker((1, 2), anchored=True)
    for frame in FRAMES[:4]:
        followed.follow(frame)
    resumed = flow.Tracker((1, 2), anchored=True)
    resumed.remember(FRAMES[0], anchor=True)
    for frame in FRAMES[1:4]:
        resumed.remember(frame)
    ours, theirs = followed.follow(FRAMES[4]), resumed.follow(FRAMES[4])
    assert ours.anchor.offset == theirs.anchor.offset == 4
    for a, b in zip((*ours.earlier, ours.anchor), (*theirs.earlier, theirs.anchor), strict=True):
        assert a.offset == b.offset
        assert np.array_equal(a.flow, b.flow)
        assert np.array_equal(a.trust, b.trust)


def test_large_frames_are_reduced(monkeypatch):
    monkeypatch.setattr(flow, "LONGEST", 64)
    link = track(FRAMES[:2])
    assert link.earlier[0].trust.shape == (48, 64)


def test_the_next_item_is_made_ahead():
    made = []

    def items():
        for number in range(4):
            made.append(number)
            yield number

    found = flow.ahead(items())
    assert next(found) == 0
    until = time.monotonic() + 10
    while len(made) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert made == [0, 1]
    assert list(found) == [1, 2, 3]


def test_what_goes_wrong_ahead_is_raised_in_its_turn():
    def items():
        yield 1
        raise ValueError("broken")

    found = flow.ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="broken"):
        next(found)


def noisy(frame, seed):
    noise = np.random.default_rng(seed).normal(0, 2, frame.shape)
    return np.clip(np.rint(frame + noise), 0, 255).astype(np.uint8)


def test_a_camera_that_stands_still_is_not_moved_by_noise():
    before, now = noisy(FRAMES[0], 0), noisy(FRAMES[0], 1)
    (motion,) = track([before, now]).earlier
    assert (motion.flow == 0).all()
    assert (motion.trust == 1).all()


def test_what_moves_before_it_does_not_stand_still():
    # A patch of another place goes three pixels to the right.
    frames = [FRAMES[0].copy(), FRAMES[0].copy()]
    for frame, left in zip(frames, (40, 43), strict=True):
        frame[30:60, left : left + 40] = FRAMES[5][60:90, 80:120]
    (motion,) = track([noisy(frame, i) for i, frame in enumerate(frames)]).earlier
    inside = motion.flow[38:52, 50:75]
    assert np.abs(np.median(inside, axis=(0, 1)) - (-3, 0)).max() < 0.5
    assert (motion.flow[70:] == 0).mean() > 0.9
