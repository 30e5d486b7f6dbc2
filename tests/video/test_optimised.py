"""Films by optimisation."""

from dataclasses import replace

import numpy as np
import pytest

from styletransfer import StyleTransfer, images
from styletransfer.settings import Settings
from styletransfer.transfer import Expected, inputs
from styletransfer.transfer.problem import ProblemMaker
from styletransfer.transfer.stages import plan
from styletransfer.video import flow, optimised
from styletransfer.video.optimised import OptimisingPainter
from styletransfer.video.painter import floats
from tests.conftest import ROOT
from tests.video.moving import SIZE, pan, warping_error

FRAMES = pan(4)
WAVE = images.load(str(ROOT / "images" / "style" / "wave.jpg"))
OPTIONS = {"length": 128, "any_size": True, "ratio": 1e4, "init": "content", "optimizer": "lbfgs"}


@pytest.fixture(scope="module")
def transfer(quick_network):
    name, folder = quick_network
    return StyleTransfer(name, use_pbar=False, gpu_id=-1, models=folder)


def film(painter, frames, coherent=True):
    """Return the pictures, the state after each, and the facts."""
    tracker = flow.Tracker(painter.offsets, anchored=painter.anchored)
    state, made = painter.begin(), []
    for frame in frames:
        link = tracker.follow(frame) if coherent else None
        made.append(painter.paint(frame, state, link))
        state = made[-1][1]
    return tuple(zip(*made, strict=True))


@pytest.fixture(scope="module")
def painter(transfer):
    return OptimisingPainter(transfer, [WAVE], OPTIONS | {"n_iter": 12}, next_iters=5)


@pytest.fixture(scope="module")
def painted(painter):
    return film(painter, FRAMES)


def alone(transfer, frame, **options):
    transfer.transfer_style([WAVE], frame, **OPTIONS | {"n_iter": 12} | options)
    return transfer.get_generated()


def test_the_first_frame_is_as_if_it_were_alone(transfer, painter, painted):
    assert np.array_equal(painted[0][0], alone(transfer, FRAMES[0]))
    picture, _, _ = painter.paint(FRAMES[2], painted[1][1], None)
    assert np.array_equal(picture, alone(transfer, FRAMES[2]))


def test_also_with_many_terms_and_from_coarse_to_fine(transfer):
    # The sum of eight terms is added up in another order than that of seven.
    layers = [f"inception_{name}/output" for name in ("3a", "3b", "4a", "4b", "4c", "4d")]
    more = {"style_layers": layers, "n_iter": 4, "scales": 2}
    painter = OptimisingPainter(transfer, [WAVE], OPTIONS | more, next_iters=2)
    picture, _, _ = painter.paint(FRAMES[0], painter.begin(), None)
    assert np.array_equal(picture, alone(transfer, FRAMES[0], **more))


def test_it_holds_together_at_half_of_the_evaluations(painter, painted):
    pictures, _, facts = painted
    apart, _, others = film(painter, FRAMES, coherent=False)
    assert warping_error(pictures) < 0.25 * warping_error(apart)
    assert sum(f.evaluations for f in facts[1:]) < 0.6 * sum(f.evaluations for f in others[1:])
    assert facts[1].terms["temporal/data"] > 0
    assert facts[0].terms["temporal/data"] == 0


def test_one_session_serves_all_first_frames_and_one_the_others(transfer, painter):
    transfer.transfer_style([WAVE], FRAMES[0], **OPTIONS | {"n_iter": 1})
    painter.paint(FRAMES[0], painter.begin(), None)
    kept = list(transfer._problems._kept.values())
    painter.paint(FRAMES[1], painter.begin(), None)
    assert list(transfer._problems._kept.values()) == kept
    # Frames that follow have another, in which some pixels count more than others.
    linked = []
    tracker, state = flow.Tracker(painter.offsets, anchored=True), painter.begin()
    for frame in FRAMES[:3]:
        _, state, _ = painter.paint(frame, state, tracker.follow(frame))
        linked.append(list(transfer._problems._kept.values())[-1])
    assert linked[1] is linked[2] is not linked[0] is kept[-1]


def test_a_stored_state_goes_on_with_the_same_bits(painter, painted, tmp_path):
    pictures, states, _ = painted
    np.savez(tmp_path / "state.npz", **states[2].to_arrays())
    with np.load(tmp_path / "state.npz") as arrays:
        state = painter.restore(dict(arrays))
    tracker = flow.Tracker(painter.offsets, anchored=True)
    for frame in FRAMES[:3]:
        tracker.remember(frame)
    picture, after, _ = painter.paint(FRAMES[3], state, tracker.follow(FRAMES[3]))
    assert np.array_equal(picture, pictures[3])
    ours, theirs = after.to_arrays(), states[3].to_arrays()
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_the_state_holds_no_more_than_is_needed(painter, painted):
    _, states, _ = painted
    assert len(states[-1].results) == 4
    five = replace(states[-1], results=(states[-1].results[0],) * 4)
    tracker = flow.Tracker()
    tracker.remember(FRAMES[2])
    _, after, _ = painter.paint(FRAMES[3], five, tracker.follow(FRAMES[3]))
    assert len(after.results) == 4
    assert all(kept.dtype == np.uint16 for kept in states[-1].results)
    assert np.array_equal(states[-1].anchor, states[0].results[0])


def test_pixels_grow_old_where_they_are_found_again(painter, painted):
    _, states, _ = painted
    ages = [state.results[0][..., 3] / 65535 for state in states]
    assert (ages[0] == 1).all()
    assert (ages[1][:-8, :-8] == 1).mean() > 0.9
    young = 1 / optimised.GROWN
    assert np.allclose(ages[1][:, -1], young, atol=1e-4)  # the window moves to the right
    assert np.allclose(ages[3][:, -1], young, atol=1e-4)
    assert 1.5 * young < np.median(ages[3][:-8, -5]) < 2.5 * young


def test_what_comes_into_view_is_painted_as_the_rest(transfer, painter, painted, monkeypatch):
    def strip(picture):
        """How much detail the right edge has."""
        return np.abs(np.diff(picture[:, -9:], axis=0)).mean()

    monkeypatch.setattr(optimised, "YOUNG", 0.0)
    monkeypatch.setattr(optimised, "GROWN", 1)
    before = film(painter, FRAMES)[0][-1]
    wanted = strip(alone(transfer, FRAMES[-1]))
    assert abs(strip(painted[0][-1]) - wanted) < abs(strip(before) - wanted)


def test_the_style_of_a_frame_is_that_of_one_painted_alone(painter, painted):
    def style(facts, prefix):
        return sum(v for name, v in facts.terms.items() if name.startswith(prefix))

    _, _, apart = painter.paint(FRAMES[-1], painter.begin(), None)
    assert 0 < style(painted[2][-1], "style 1/") < 1.2 * style(apart, "style/")


def test_young_pixels_are_asked_for_each_style_as_much_as_there_are_of_them():
    young = np.zeros((8, 10), np.float32)
    young[:, -1] = 1
    options = {"style_weights": (1.0, 3.0), "style_scale": (0.5, 1.5)}
    found = optimised._with_young(options, 2, young)
    share = 0.1 * optimised.YOUNG
    assert np.allclose(found["style_weights"], (1, 3, share, 3 * share))
    assert found["style_scale"] == (0.5, 1.5) * 2
    assert [mask.mean() for mask in found["style_masks"]] == pytest.approx([1, 1, 0.1, 0.1])


def test_where_none_is_young_nothing_is_asked_by_itself():
    found = optimised._with_young({}, 1, np.full((8, 10), 1e-7, np.float32))
    assert found["style_weights"] == (1, 0)
    assert "style_scale" not in found
    assert all((mask == 1).all() for mask in found["style_masks"])  # none is black


def test_styles_get_the_colours_of_the_first_frame(transfer, tmp_path):
    options = OPTIONS | {"n_iter": 2, "preserve_colors": ("covariance", "before")}
    painter = OptimisingPainter(transfer, [WAVE], options, next_iters=2)
    pictures, states, _ = film(painter, FRAMES[:2])
    assert np.array_equal(
        pictures[0], alone(transfer, FRAMES[0], n_iter=2, preserve_colors=("covariance", "before"))
    )
    statistics = transfer._problems._styles
    known = set(statistics)
    np.savez(tmp_path / "state.npz", **states[0].to_arrays())
    with np.load(tmp_path / "state.npz") as arrays:
        state = painter.restore(dict(arrays))
    tracker = flow.Tracker(painter.offsets, anchored=True)
    tracker.remember(FRAMES[0])
    dark = (FRAMES[1] * 0.8).astype(np.uint8)
    painter.paint(dark, state, tracker.follow(dark))
    assert set(statistics) == known  # of the same style as before


def test_a_new_anchor_is_the_frame_before(painter, painted):
    _, states, _ = painted
    motion = flow.Motion(1, np.zeros((*SIZE, 2), np.float32), np.ones(SIZE, np.float32))
    _, after, _ = painter.paint(FRAMES[3], states[2], flow.Link((motion,), motion))
    assert np.array_equal(after.anchor, states[2].results[0])


def test_further_passes_bring_them_nearer(painter, painted):
    pictures, states, _ = painted
    kept = [state.results[0][..., :3] for state in states]
    loss = states[-1].loss
    for order in ([3, 2, 1, 0], [0, 1, 2, 3]):
        tracker, first = flow.Tracker(), order[0]
        tracker.follow(FRAMES[first])
        state = painter.again(FRAMES[first], kept[first], loss)
        for i in order[1:]:
            link = tracker.follow(FRAMES[i])
            _, state, _ = painter.repaint(FRAMES[i], kept[i], state, link)
            kept[i] = state.results[0][..., :3]
    assert warping_error([floats(one) for one in kept]) < warping_error(list(pictures))


def test_the_temporal_term_and_its_gradient(transfer):
    random = np.random.default_rng(0)
    near = random.random((48, 64, 3)).astype(np.float32)
    trust = random.random((48, 64)).astype(np.float32)
    settings = Settings(length=64, any_size=True)
    frame = images.resize(WAVE, (48, 64))
    network, values = transfer.network, []
    image = images.preprocess(random.random((48, 64, 3)), network.mean)
    for weight in (0.0, 3.0):
        given = inputs.check(settings, frame, WAVE, None, None, None, Expected(near, trust, weight))
        stage = plan(settings, frame.shape, network.input_size)[-1]
        objective = ProblemMaker(transfer.device).make(settings, network, given, stage).objective
        values.append(objective.evaluate(image))
    target = images.preprocess(near, network.mean)
    loss = 3 * (trust * np.square(image - target)).mean()
    gradient = 6 * trust * (image - target) / image.size
    assert np.isclose(values[1].terms["temporal/data"], loss, rtol=1e-5)
    assert np.isclose(values[1].loss - values[0].loss, loss, rtol=1e-3)
    difference = values[1].gradient - values[0].gradient
    scale = np.abs(values[0].gradient).max()
    assert np.allclose(difference, gradient, rtol=1e-3, atol=1e-5 * scale)


def test_the_first_image_is_what_is_expected_elsewhere_the_frame_in_its_colours():
    near = np.random.default_rng(0).random((*SIZE, 3)).astype(np.float32)
    trust = np.zeros(SIZE, np.float32)
    trust[:, :64] = 1
    start = optimised.begun(FRAMES[0], near, trust)
    assert np.allclose(start[:, :64], near[:, :64], atol=1e-6)
    whole = optimised.begun(FRAMES[0], near, np.zeros(SIZE, np.float32))
    assert np.allclose(whole.mean((0, 1)), near.mean((0, 1)), atol=0.02)


def test_the_last_of_several_stages_is_that_of_the_frames_that_follow(transfer):
    stages = [{"length": 0.5, "ratio": 1.0}, {"length": 1.0, "ratio": 2.0, "n_iter": 0.5}]
    options = OPTIONS | {"stages": stages, "n_iter": 4}
    painter = OptimisingPainter(transfer, [WAVE], options, next_iters=2)
    pictures, _, facts = film(painter, FRAMES[:2])
    assert pictures[0].shape == pictures[1].shape
    assert facts[1].iterations <= 2
