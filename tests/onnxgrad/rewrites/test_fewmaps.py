"""Convolutions to few maps by columns of their kernels."""

import numpy as np
import pytest

from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.rewrites import fewmaps
from tests.conftest import relative
from tests.onnxgrad.graphs import run


def convolution(weight: tuple[int, ...], biased: bool, **attributes: object) -> GraphBuilder:
    builder = GraphBuilder()
    shapes = {"x": (2, weight[1], 14, 15), "w": weight} | ({"b": weight[:1]} if biased else {})
    names = [builder.input(name, shape) for name, shape in shapes.items()]
    builder.op("Conv", *names, output="y", **attributes)
    return builder


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("kernel", [(9, 9), (3, 5), (1, 7)])
def test_the_result_is_the_same(kernel, biased) -> None:
    builder = convolution((3, 6, *kernel), biased)
    rng = np.random.default_rng(0)
    feeds = {
        name: rng.standard_normal(builder.shape(name)).astype(np.float32) for name in builder.inputs
    }
    expected = run(builder.model(["y"]), feeds)["y"]
    assert fewmaps.rewrite(builder) == 1
    assert relative(run(builder.model(["y"]), feeds)["y"], expected) < 1e-6


@pytest.mark.parametrize(
    ("weight", "attributes"),
    [
        ((8, 6, 9, 9), {}),
        ((3, 6, 3, 3), {}),
        ((3, 6, 9, 9), {"pads": [4] * 4}),
        ((3, 6, 9, 9), {"strides": [2, 2]}),
        ((3, 6, 5, 5), {"dilations": [2, 2]}),
    ],
)
def test_other_convolutions_stay(weight, attributes) -> None:
    assert fewmaps.rewrite(convolution(weight, False, **attributes)) == 0
