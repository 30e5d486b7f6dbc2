"""Terms that ask for the same painting of a picture that has changed a little."""

from dataclasses import replace

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from styletransfer.errors import UsageError
from styletransfer.feedforward import Trainer, architecture, losses, steadiness, step, trainer
from styletransfer.feedforward.steadiness import COLUMNS, NOISE, ROWS
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.weights.loading import LoadedNetwork
from tests.test_neural_style import network

CONFIG = {
    "arch": "c3s1-4,d6,R6x1,u4,c3s1-3",
    "content_layers": ["conv2_1"],
    "style_layers": ["relu1_1", "relu3_1"],
    "style_weight": 50,
    "tv_weight": 1e-4,
    "stability": 20,
    "shift": 7,
    "learning_rate": 1e-2,
}
RNG = np.random.default_rng(1)
STYLE = RNG.integers(0, 256, (24, 20, 3), np.uint8)
BATCH = RNG.integers(0, 256, (2, 28, 24, 3), np.uint8)


@pytest.fixture(autouse=True)
def small_loss_network(monkeypatch):
    loaded = LoadedNetwork(network(), np.array([104.0, 117.0, 123.0]), 224, {}, {})
    monkeypatch.setattr(trainer, "load_network", lambda *_: loaded)


def inputs(training: Trainer, steps: int = 0) -> dict[str, np.ndarray]:
    """What a step in float64 takes."""
    planes = np.float64(BATCH.transpose(0, 3, 1, 2))
    drawn = steadiness.inputs(training.settings, training.network, planes.shape, steps)
    floats = {n: a.astype(float) if a.dtype.kind == "f" else a for n, a in drawn.items()}
    targets = {n: a.astype(float) for n, a in training._targets.items()}
    weights = np.array(list(losses.terms(training.settings).values()))
    return {step.BATCH: planes, step.WEIGHTS: weights, **targets, **floats}


def painter(of: architecture.Architecture, shape: tuple[int, ...]):
    """Return the function from pictures and what was learnt to paintings, in float64."""
    graph = GraphBuilder()
    picture = graph.input("picture", shape, np.float64)
    names = [graph.input(name, shape, np.float64) for name, shape in architecture.parameters(of)]
    painted = architecture.append(graph, of, picture, names)
    model = ReferenceEvaluator(graph.model([graph.op("Identity", painted, output="painted")]))

    def paint(picture: np.ndarray, vector: np.ndarray) -> np.ndarray:
        arrays = dict(zip(names, step.parted(vector, of), strict=True))
        feeds = {name: arrays.get(name, picture) for name in model.input_names}
        return model.run(None, feeds)[0]

    return paint


def test_terms_and_gradient():
    """Beside differences of a loss whose targets stay as they were painted."""
    training = Trainer(CONFIG, STYLE)
    of, (height, width) = training.network, BATCH.shape[1:3]
    plan = replace(training._plan, dtype=np.float64, choose=lambda _: False)
    vector = step.joined(training.weights).astype(float)
    feeds = inputs(training)
    shape = feeds[step.BATCH].shape
    whole = ReferenceEvaluator(step.evaluation(plan, shape))
    found = dict(
        zip(whole.output_names, whole.run(None, feeds | {step.PARAMETERS: vector}), strict=True)
    )
    terms = step.named(found[step.TERMS], training.settings)

    plain = replace(plan, settings=replace(plan.settings, stability=0.0, shift=0.0))
    rest = ReferenceEvaluator(step.values(plain, shape))
    picture = feeds[step.BATCH]
    noisy, moved = painter(of, shape), painter(of, (*shape[:2], height - 8, width - 8))
    still = noisy(picture, vector)
    (down,), (across,) = feeds[ROWS], feeds[COLUMNS]
    box = (..., slice(down, down + height - 8), slice(across, across + width - 8))

    def steady(vector: np.ndarray) -> np.ndarray:
        values = (
            noisy(picture + feeds[NOISE], vector) - still,
            moved(picture[box], vector) - still[box],
        )
        return np.array([np.square(value).mean() for value in values])

    def loss(vector: np.ndarray) -> float:
        named = {n: feeds[n] for n in rest.input_names if n != step.PARAMETERS}
        (values,) = rest.run(None, named | {step.PARAMETERS: vector})
        weights = list(losses.terms(plain.settings).values())
        return float(values @ weights + steady(vector) @ [20, 7])

    np.testing.assert_allclose([terms["stability"], terms["shift"]], steady(vector), rtol=1e-10)
    gradient = found[step.GRADIENT]
    direction = np.random.default_rng(2).standard_normal(vector.shape) * np.abs(vector).mean()
    by = 1e-6
    slope = (loss(vector + by * direction) - loss(vector - by * direction)) / (2 * by)
    assert slope == pytest.approx(float(gradient @ direction), rel=1e-5)


def test_what_is_drawn_follows_from_the_seed_and_the_step_alone():
    training = Trainer(CONFIG, STYLE)
    shape = (64, 3, 32, 32)

    def drawn(steps: int, **keys) -> dict[str, np.ndarray]:
        settings = replace(training.settings, **keys)
        return steadiness.inputs(settings, training.network, shape, steps)

    first, again, later = drawn(5), drawn(5), drawn(6)
    for name, values in first.items():
        assert np.array_equal(values, again[name])
    assert not np.array_equal(first[NOISE], later[NOISE])
    assert not np.array_equal(first[NOISE], drawn(5, seed=1)[NOISE])
    # One of five elements, of 0.35 of what ImageNet's pictures spread by, at most 1 of it.
    noise = first[NOISE] / (255 * np.reshape([0.229, 0.224, 0.225], (3, 1, 1)))
    assert np.mean(noise != 0) == pytest.approx(0.2, abs=0.01)
    assert noise[noise != 0].std() == pytest.approx(0.345, abs=0.01)
    assert np.abs(noise).max() == pytest.approx(1)
    shifts = np.array([[drawn(i)[name][0] for name in (ROWS, COLUMNS)] for i in range(200)])
    assert [shifts.min(), shifts.max()] == [0, 8]
    assert drawn(5, stability=0.0).keys() == {ROWS, COLUMNS}
    assert not drawn(5, stability=0.0, shift=0.0)


def test_terms_are_told_before_their_weights():
    training = Trainer(CONFIG, STYLE)
    told = training.step(BATCH)
    plain = Trainer(CONFIG | {"stability": 0, "shift": 0}, STYLE).step(BATCH)
    assert told.keys() - plain.keys() == {"stability", "shift"}
    assert told["loss"] == pytest.approx(
        plain["loss"] + 20 * told["stability"] + 7 * told["shift"], rel=1e-5
    )
    assert {name: told[name] for name in plain if name != "loss"} == pytest.approx(
        {name: value for name, value in plain.items() if name != "loss"}, rel=1e-5
    )


def test_training_for_them_lowers_them():
    keys = {"content_weight": 0, "style_weight": 0, "tv_weight": 0}
    training = Trainer(CONFIG | keys, STYLE)
    first = training.step(BATCH)
    for _ in range(40):
        last = training.step(BATCH)
    assert last["stability"] < 0.8 * first["stability"]
    assert last["shift"] < 0.8 * first["shift"]


def test_automatic_weights_take_the_content_s_unit():
    training = Trainer(CONFIG | {"style_weight": "auto"}, STYLE)
    terms, _ = training.evaluate(BATCH)
    found = training.weights_of_terms
    assert found["stability"] == pytest.approx(20 / terms["content"], rel=1e-5)
    assert found["shift"] == pytest.approx(7 / terms["content"], rel=1e-5)


def test_pictures_that_are_too_small_are_told():
    with pytest.raises(UsageError, match="16×24 is too small for that: give an image_size of 24"):
        Trainer(CONFIG, STYLE).step(BATCH[:, :16])
