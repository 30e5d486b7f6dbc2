"""Networks that enlarge, and what they learn from."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator
from PIL import Image

from styletransfer.errors import UsageError
from styletransfer.feedforward import (
    Stylizer,
    Trainer,
    configuration,
    losses,
    step,
    superresolution,
    trained,
)
from styletransfer.feedforward.training import train
from styletransfer.onnxgrad import GraphBuilder
from tests.feedforward.pictures import picture
from tests.onnxgrad.graphs import evaluate

pytest_plugins = ["tests.feedforward.trainings"]

RNG = np.random.default_rng(0)


def resized(make, planes: np.ndarray, times: int) -> np.ndarray:
    graph = GraphBuilder()
    name = graph.input("x", planes.shape, np.float64)
    graph.op("Identity", make(graph, name, times), output="y")
    return evaluate(graph.model(["y"]), {"x": planes})["y"]


@pytest.mark.parametrize("times", [2, 4])
def test_pictures_are_made_smaller_where_they_are(times):
    rows, columns = np.mgrid[:32, :24]
    ramp = (rows + 3.0 * columns)[None, None].repeat(3, axis=1)
    small = resized(superresolution.reduced, ramp, times)
    # A pixel stands where the block stands that it is made of; at the edges they are reflected.
    blocks = ramp.reshape(1, 3, 32 // times, times, 24 // times, times).mean(axis=(3, 5))
    np.testing.assert_allclose(small[..., 1:-1, 1:-1], blocks[..., 1:-1, 1:-1])
    np.testing.assert_allclose(resized(superresolution.reduced, ramp * 0 + 7, times), 7)
    # What it cannot hold is gone, rather than seen as something else.
    stripes = np.tile([0.0, 1.0], 16)[None, None, None].repeat(3, 1).repeat(32, 2)
    assert np.ptp(resized(superresolution.reduced, stripes, times)) < 0.2


@pytest.mark.parametrize("times", [2, 4])
def test_pictures_are_enlarged_as_elsewhere(times):
    planes = RNG.random((1, 3, 9, 7))
    expected = np.stack(
        [
            Image.fromarray(plane.astype(np.float32)).resize(
                (7 * times, 9 * times), Image.Resampling.BICUBIC
            )
            for plane in planes[0]
        ]
    )
    found = resized(superresolution.enlarged, planes, times)[0]
    inner = (..., slice(2 * times, -2 * times), slice(2 * times, -2 * times))
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-6)


def test_what_is_compared_by_default():
    settings = configuration.read({"arch": "sr4"})
    assert settings.content_layers == {"conv2_2": 1}
    assert not settings.style_layers
    layers = {"arch": "sr2", "style_layers": ["conv1_2"], "content_layers": ["conv3_3"]}
    assert configuration.read(layers).style_layers == {"conv1_2": 1}


def test_without_styles_there_is_nothing_to_give(loss_network):
    config = {"arch": "sr2", "width": 2, "loss_model": str(loss_network)}
    with pytest.raises(UsageError, match="there are 0 styles; give one"):
        Trainer(config | {"style_layers": ["conv1_2"]}, ())
    batch = RNG.integers(0, 256, (1, 12, 9, 3), np.uint8)
    with pytest.raises(UsageError, match="multiples of 2"):
        Trainer(config, ()).step(batch)


@pytest.mark.parametrize("arch", ["sr2", "sr4"])
def test_the_gradient_is_that_of_the_loss(arch, loss_network):
    config = {"arch": arch, "width": 2, "loss_model": str(loss_network), "tv_weight": 1e-3}
    training = Trainer(config, ())
    plan = replace(training._plan, dtype=np.float64, choose=lambda _: False)
    batch = RNG.uniform(0, 255, (2, 3, 16, 24))
    vector = step.joined(training.weights).astype(float)
    weights = np.array(list(losses.terms(training.settings).values()))

    def run(model, vector):
        evaluator = ReferenceEvaluator(model)
        feeds = {step.BATCH: batch, step.PARAMETERS: vector, step.WEIGHTS: weights}
        values = evaluator.run(None, {name: feeds[name] for name in evaluator.input_names})
        return dict(zip(evaluator.output_names, values, strict=True))

    gradient = run(step.evaluation(plan, batch.shape), vector)[step.GRADIENT]
    direction = np.random.default_rng(2).standard_normal(vector.shape) * np.abs(vector).mean()
    model, by = step.values(plan, batch.shape), 1e-6
    ends = [run(model, vector + s * by * direction)[step.TERMS] @ weights for s in (1, -1)]
    assert (ends[0] - ends[1]) / (2 * by) == pytest.approx(float(gradient @ direction), rel=1e-5)


@pytest.mark.parametrize(("arch", "times"), [("sr2", 2), ("sr4", 4)])
def test_a_training_makes_a_file_that_enlarges(training, arch, times):
    keys = {"arch": arch, "style_image": None, "steps": 3, "width": 3, "learning_rate": 1e-3}
    task = training(keys | {"content_layers": ["conv2_2"], "style_layers": []})
    told = []
    result = train(task, told.append)
    assert told[0].terms["style"] == 0
    assert (
        (task.place / "losses.csv")
        .read_text()
        .startswith("step,seconds,learning_rate,loss,content,style,content/conv2_2,tv")
    )
    photo = picture(3, (21, 34))
    painting = Stylizer(result.network).stylize(photo)
    assert painting.shape == (21 * times, 34 * times, 3)
    # After so few steps it is the photo, enlarged.
    wanted = Image.fromarray(np.uint8(255 * photo + 0.5)).resize(
        (34 * times, 21 * times), Image.Resampling.BICUBIC
    )
    assert np.abs(painting - np.asarray(wanted) / 255).mean() < 0.02
    found = trained.read(result.network)
    assert found.network.times == times
    assert trained.metadata(found)["styletransfer.enlargement"] == str(times)
    fixed = task.place / "fixed.onnx"
    trained.save(fixed, found, size=(21, 34), half=True)
    session = onnxruntime.InferenceSession(fixed)
    planes = np.ascontiguousarray(photo.transpose(2, 0, 1)[np.newaxis], np.float32)
    (fixed_size,) = session.run(None, {"image": planes})
    assert np.abs(fixed_size[0].transpose(1, 2, 0) - painting).max() < 0.01


def test_training_makes_it_better_than_cubic_interpolation(loss_network):
    config = {"arch": "sr2", "width": 4, "loss_model": str(loss_network)}
    batch = np.stack([np.uint8(255 * picture(i, (32, 32))) for i in range(2)])
    training = Trainer(config, ())
    # A last convolution of zeros leaves the enlarged picture.
    nothing = [*training.weights[:-2], *(np.zeros_like(w) for w in training.weights[-2:])]
    cubic = Trainer(config, (), nothing).evaluate(batch)[0]["content"]
    for _ in range(60):
        training.step(batch)
    assert training.evaluate(batch)[0]["content"] < 0.95 * cubic
