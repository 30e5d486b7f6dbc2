"""Training with a small network of random weights to compare with."""

from dataclasses import replace

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from styletransfer.errors import NetworkError, UsageError
from styletransfer.feedforward import Trainer, step, trainer
from styletransfer.weights.loading import LoadedNetwork
from tests.conftest import relative
from tests.test_neural_style import network

MEAN = np.array([104.0, 117.0, 123.0])
CONFIG = {
    "arch": "c5s1-4,d8,R8x1,u4,c5s1-3",
    "width": 2,
    "content_layers": ["conv2_1"],
    "style_layers": ["relu1_1", "relu3_1"],
    "style_weight": 50,
    "tv_weight": 1e-4,
    "learning_rate": 1e-2,
}
STYLE = np.random.default_rng(1).integers(0, 256, (24, 20, 3), np.uint8)
BATCH = np.random.default_rng(2).integers(0, 256, (2, 16, 12, 3), np.uint8)


@pytest.fixture(autouse=True)
def small_loss_network(monkeypatch):
    loaded = LoadedNetwork(network(), MEAN, 224, {}, {})
    monkeypatch.setattr(trainer, "load_network", lambda *_: loaded)


@pytest.mark.parametrize("arch", ["tf", "pytorch", "multi"])
def test_the_gradient_is_that_of_the_loss(arch):
    """In float64: what a network paints at first lies near to kinks of the loss."""
    styles = [STYLE, STYLE[:16]] if arch == "multi" else STYLE
    training = Trainer(CONFIG | {"arch": arch}, styles)
    terms, gradients = training.evaluate(BATCH)
    assert [g.shape for g in gradients] == [w.shape for w in training.weights]
    assert terms["loss"] == pytest.approx(
        terms["content"] + 50 * terms["style"] + 1e-4 * terms["tv"]
    )
    plan = replace(training._plan, dtype=np.float64)
    feeds = training._inputs(BATCH) | training._targets
    feeds = {name: array.astype(float) for name, array in feeds.items()}
    model = ReferenceEvaluator(step.values(plan, feeds[step.BATCH].shape))
    weights = np.array(list(training.weights_of_terms.values()))
    vector, gradient = (
        step.joined(arrays).astype(float) for arrays in (training.weights, gradients)
    )
    direction = gradient / np.linalg.norm(gradient)
    by = 1e-7
    ends = []
    for sign in (1, -1):
        (values,) = model.run(None, feeds | {step.PARAMETERS: vector + sign * by * direction})
        ends.append(values @ weights)
    slope = (ends[0] - ends[1]) / (2 * by)
    assert slope == pytest.approx(np.linalg.norm(gradient), rel=1e-3)


def test_steps_lower_the_loss_and_evaluation_makes_none():
    training = Trainer(CONFIG, STYLE)
    before = training.weights
    first, _ = training.evaluate(BATCH)
    assert all(np.array_equal(a, b) for a, b in zip(before, training.weights, strict=True))
    course = [training.step(BATCH) for _ in range(20)]
    assert course[0]["loss"] == pytest.approx(first["loss"], rel=1e-6)
    assert training.evaluate(BATCH)[0]["loss"] < 0.95 * first["loss"]
    assert training.steps == 20


def test_a_step_is_adam_s():
    """The first moves each number by the learning rate against the sign of its gradient."""
    training = Trainer(CONFIG, STYLE)
    before, (_, gradients) = training.weights, training.evaluate(BATCH)
    training.step(BATCH)
    for old, new, gradient in zip(before, training.weights, gradients, strict=True):
        clear = np.abs(gradient) > 1e-2 * np.abs(gradient).max()
        np.testing.assert_allclose((new - old)[clear], -1e-2 * np.sign(gradient)[clear], rtol=1e-3)
        assert clear.any() or not gradient.any()
    # The learning rate counts from the next step on.
    training.learning_rate, before = 0.0, training.weights
    training.step(BATCH)
    assert all(np.array_equal(a, b) for a, b in zip(before, training.weights, strict=True))


def test_training_goes_on_from_weights():
    training = Trainer(CONFIG, STYLE)
    training.step(BATCH)
    again = Trainer(CONFIG, STYLE, training.weights)
    assert again.evaluate(BATCH)[0] == training.evaluate(BATCH)[0]


def test_floats_are_taken_like_bytes():
    plain, _ = Trainer(CONFIG, STYLE).evaluate(BATCH)
    scaled, _ = Trainer(CONFIG, STYLE / 255).evaluate(BATCH / 255)
    assert scaled["loss"] == pytest.approx(plain["loss"], rel=1e-5)


def test_automatic_weights_make_layers_equal_at_the_start():
    training = Trainer(CONFIG | {"style_weight": "auto", "tv_weight": 0}, STYLE)
    terms, _ = training.evaluate(BATCH)
    assert terms["loss"] == pytest.approx(3)  # one for each layer of content and style
    training.step(BATCH)
    assert training.step(BATCH)["loss"] < 3


def test_several_styles_take_turns():
    training = Trainer(CONFIG | {"arch": "multi"}, [STYLE, 255 - STYLE, STYLE // 2])
    _, first = training.evaluate(BATCH)
    scale = first[2]
    assert scale.shape == (3, 2)  # of so many styles and channels
    assert [bool(row.any()) for row in scale] == [True, True, False]
    training.step(BATCH)
    _, second = training.evaluate(BATCH)
    assert [bool(row.any()) for row in second[2]] == [True, False, True]


def test_gradients_do_not_depend_on_how_convolutions_are_computed():
    plain, fast = Trainer(CONFIG, STYLE), Trainer(CONFIG, STYLE)
    fast._plan = replace(fast._plan, choose=lambda _: True)
    for a, b in zip(plain.evaluate(BATCH)[1], fast.evaluate(BATCH)[1], strict=True):
        assert relative(b, a) < 1e-2 if a.any() else not b.any()


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        (BATCH[0], "the batch has the shape (16, 12, 3)"),
        (BATCH.astype(int), "holds int64"),
        (BATCH[:, :13], "multiples of 2"),
        (BATCH[:1], "the first one had another"),
    ],
)
def test_batches_that_cannot_be(batch, reason):
    training = Trainer(CONFIG, STYLE)
    if "first" in reason:
        training.evaluate(BATCH)
    with pytest.raises(UsageError) as caught:
        training.evaluate(batch)
    assert reason in str(caught.value)


def test_arrays_and_styles_that_do_not_fit():
    weights = Trainer(CONFIG, STYLE).weights
    with pytest.raises(UsageError, match="21 arrays of weights; the network has 22"):
        Trainer(CONFIG, STYLE, weights[1:])
    with pytest.raises(UsageError, match="array 1 of the weights has the shape"):
        Trainer(CONFIG, STYLE, [weights[0], weights[0], *weights[2:]])
    with pytest.raises(UsageError, match="2 styles"):
        Trainer(CONFIG, [STYLE, STYLE])
    with pytest.raises(UsageError, match="a style has the shape"):
        Trainer(CONFIG, STYLE[..., 0])
    with pytest.raises(NetworkError, match="no layer 'conv9_9'"):
        Trainer(CONFIG | {"style_layers": ["conv9_9"]}, STYLE)
