"""Convolutions in faster forms give the same image."""

import numpy as np
import onnx
import pytest

from styletransfer.feedforward import fast
from styletransfer.feedforward.static import static_graph
from tests.feedforward.conftest import run
from tests.feedforward.networks import Maker


def enlarged(
    times: int, stride: int = 1, mode: str = "reflect", pad: int = 1, maps: int = 5, **resize: str
) -> onnx.ModelProto:
    maker = Maker()
    modes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} | resize
    scales = maker.constant([1.0, 1.0, times, times])
    x = maker.op("Resize", "input1", "", scales, mode="nearest", **modes)
    pads = maker.constant(np.array([0, 0, pad, pad, 0, 0, pad, pad]))
    x = maker.op("Pad", x, pads, mode=mode)
    weight = maker.constant(maker.random.standard_normal((maps, 3, 3, 3)))
    bias = maker.constant(maker.random.standard_normal(maps))
    maker.op("Conv", x, weight, bias, strides=[stride] * 2, output="output1")
    return maker.model(18, [1, 3, 7, 10])


def large(maps: int, kernel: int) -> onnx.ModelProto:
    maker = Maker()
    weight = maker.constant(maker.random.standard_normal((maps, 3, kernel, kernel)))
    maker.op("Conv", "input1", weight, output="output1")
    return maker.model(18, [1, 3, 20, 26])


def compare(model: onnx.ModelProto, shape: tuple[int, ...], replaced: int) -> None:
    graph = static_graph(model, {"input1": shape})
    assert fast.rewrite(graph) == replaced
    x = np.random.default_rng(0).random(shape, np.float32)
    result = run(graph.model(graph.outputs), input1=x)
    np.testing.assert_allclose(result, run(model, input1=x), atol=2e-5)


@pytest.mark.parametrize(
    "model",
    [
        enlarged(2),
        enlarged(2, maps=20),
        enlarged(2, mode="edge"),
        enlarged(4, stride=2),
        enlarged(2, coordinate_transformation_mode="half_pixel", nearest_mode="round_prefer_floor"),
    ],
)
def test_after_enlarging(model):
    compare(model, (1, 3, 7, 10), 1)


@pytest.mark.parametrize(
    "model", [enlarged(2, stride=2), enlarged(3, stride=2), enlarged(2, pad=2)]
)
def test_other_enlargements_stay(model):
    compare(model, (1, 3, 7, 10), 0)


@pytest.mark.parametrize("kernel", [5, 7, 9])
def test_few_maps(kernel):
    compare(large(3, kernel), (1, 3, 20, 26), 1)


def test_other_convolutions_stay():
    compare(large(8, 9), (1, 3, 20, 26), 0)
    compare(large(3, 3), (1, 3, 20, 26), 0)
