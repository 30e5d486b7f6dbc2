"""Spelled-out instance normalisation is found, and nothing else taken for it."""

import numpy as np
import onnx
import pytest

from styletransfer.feedforward import norms
from styletransfer.feedforward.static import static_graph
from tests.feedforward.conftest import run
from tests.feedforward.networks import Maker

SHAPE = (1, 3, 9, 11)


def spelled(kind: str, wrong: str = "") -> onnx.ModelProto:
    """A normalisation in one of the two ways, or one that is wrong in something."""
    maker = Maker()
    one = maker.constant(np.array([0.7, -1.2, 2.0]).reshape(1, 3, 1, 1))
    two = maker.constant(np.array([0.1, 0.2, -0.3]).reshape(1, 3, 1, 1))
    axes = maker.constant(np.array([-1, 2] if wrong != "axes" else [2]))
    x = "input1"
    mean = maker.op("ReduceMean", x, axes)
    difference = maker.op("Sub", x, mean)
    squares = maker.op("Pow", difference, maker.constant(3.0 if wrong == "power" else 2.0))
    variance = maker.op("ReduceMean", squares, axes)
    root = maker.op("Sqrt", maker.op("Add", maker.constant(1e-3), variance))
    if kind == "centred":
        over = maker.constant(2.0 if wrong == "numerator" else 1.0)
        scaled = maker.op("Mul", difference, maker.op("Div", over, root))
        maker.op("Add", maker.op("Mul", one, scaled), two, output="output1")
    else:
        factor = maker.op("Mul", one, maker.op("Reciprocal", root))
        other = maker.op("Neg", x) if wrong == "other" else x
        shift = maker.op("Sub", two, maker.op("Mul", factor, mean))
        maker.op("Add", shift, maker.op("Mul", other, factor), output="output1")
    return maker.model(18, list(SHAPE))


@pytest.mark.parametrize("kind", ["centred", "affine"])
def test_both_ways_become_one_node(kind):
    model = spelled(kind)
    graph = static_graph(model, {"input1": SHAPE})
    assert norms.join(graph) == 1
    joined = graph.model(graph.outputs)
    assert [node.op_type for node in joined.graph.node].count("InstanceNormalization") == 1
    assert len(joined.graph.node) <= 3
    x = 3 + np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    np.testing.assert_allclose(run(joined, input1=x), run(model, input1=x), atol=2e-6)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("centred", "axes"),
        ("centred", "power"),
        ("centred", "numerator"),
        ("affine", "power"),
        ("affine", "other"),
    ],
)
def test_what_only_looks_like_it_stays(kind, wrong):
    model = spelled(kind, wrong)
    graph = static_graph(model, {"input1": SHAPE})
    assert norms.join(graph) == 0
