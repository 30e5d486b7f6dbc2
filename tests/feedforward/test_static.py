"""Graphs at one size compute what the model computes, at the model's own size and at any other."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from styletransfer.errors import NetworkError
from styletransfer.feedforward import architecture, inference, network, static
from styletransfer.feedforward.static import static_graph
from tests.feedforward.conftest import run
from tests.feedforward.networks import Maker, candy, channels_last


def graph_of(model: onnx.ModelProto, height: int, width: int) -> onnx.ModelProto:
    graph = network.read(model.SerializeToString()).graph(height, width)
    return graph.model(graph.outputs)


@pytest.mark.parametrize("counted", [False, True])
def test_old_network_of_a_fixed_size(counted):
    original = candy(64, counted=counted)
    onnx.checker.check_model(original)
    picture = 255 * np.random.default_rng(1).random((1, 3, 64, 64), np.float32)
    expected = run(original, input1=picture)
    made = graph_of(original, 64, 64)
    np.testing.assert_allclose(run(made, input1=picture), expected, atol=1e-3)
    # Nothing is left of how sizes were computed, nor of the size itself.
    kinds = {node.op_type for node in made.graph.node}
    assert kinds == {"Pad", "Conv", "InstanceNormalization", "Relu", "Add", "Resize", "Mul"}
    wide = 255 * np.random.default_rng(1).random((1, 3, 40, 92), np.float32)
    assert run(graph_of(original, 40, 92), input1=wide).shape == (1, 3, 40, 92)


def test_size_computed_from_shapes_is_the_same_at_any_size():
    picture = 255 * np.random.default_rng(2).random((1, 3, 48, 72), np.float32)
    plain = run(graph_of(candy(64), 48, 72), input1=picture)
    counted = run(graph_of(candy(64, counted=True), 48, 72), input1=picture)
    assert plain.shape == (1, 3, 48, 72)
    np.testing.assert_array_equal(counted, plain)


def test_channels_last_become_first():
    original = channels_last()
    picture = np.random.default_rng(3).random((1, 30, 44, 3), np.float32)
    made = graph_of(original, 30, 44)
    result = run(made, input1=picture.transpose(0, 3, 1, 2))
    expected = run(original, input1=picture)
    np.testing.assert_allclose(result, expected.transpose(0, 3, 1, 2), atol=1e-6)
    assert "Transpose" not in {node.op_type for node in made.graph.node}


def model_of(maker: Maker, opset: int = 18) -> onnx.ModelProto:
    return maker.model(opset, [1, 3, "h", "w"])


def test_constants_that_would_be_huge_are_refused():
    maker = Maker()
    shape = maker.constant(np.array([1 << 20, 1 << 20]))
    huge = maker.op("ConstantOfShape", shape)
    maker.op("Add", "input1", huge, output="output1")
    with pytest.raises(NetworkError, match=r"has 1.1e\+12 elements"):
        static_graph(model_of(maker), {"input1": (1, 3, 8, 8)})


@pytest.mark.parametrize("kind", ["Add", "MatMul", "Gather"])
def test_constants_whose_joint_size_would_be_huge_are_refused(kind):
    maker = Maker()
    column, row = np.ones((1 << 14, 1)), np.ones((1, 1 << 14))
    huge = maker.op(kind, maker.constant(column), maker.constant(row))
    if kind == "Gather":
        maker.nodes[-1].input[1] = maker.constant(np.zeros(1 << 14, np.int64))
    maker.op("Add", "input1", huge, output="output1")
    with pytest.raises(NetworkError, match=r"has 2.68e\+08 elements"):
        static_graph(model_of(maker), {"input1": (1, 3, 8, 8)})


def test_what_is_made_of_weights_is_computed_once(monkeypatch):
    of = architecture.architecture("small", 4)
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(e.shape) for e in architecture.parameters(of)]
    model = inference.network(of, weights, {}, half=True)
    made = static_graph(model, {"image": (1, 3, 32, 44)})
    kinds = {node.op_type for node in made.nodes}
    assert not kinds & {"MatMul", "Reshape", "Transpose", "Cast"}
    picture = rng.random((1, 3, 32, 44), np.float32)
    result = run(made.model(made.outputs), image=picture)
    np.testing.assert_allclose(result, run(model, image=picture), atol=1e-5)
    monkeypatch.setattr(static, "MOST_COMPUTED", 100)
    with pytest.raises(NetworkError, match="constants have more than 100 elements"):
        static_graph(model, {"image": (1, 3, 32, 44)})


def test_branches_and_foreign_operators_are_refused():
    branch = helper.make_graph([], "b", [], [])
    value = helper.make_tensor_value_info("input1", TensorProto.FLOAT, [1, 3, 8, 8])
    result = helper.make_tensor_value_info("output1", TensorProto.FLOAT, None)
    node = helper.make_node(
        "If", ["input1"], ["output1"], name="x", then_branch=branch, else_branch=branch
    )
    for nodes, message in (
        ([node], "branches are not known"),
        ([helper.make_node("Relu", ["input1"], ["output1"], domain="my\x1b.own")], r"of my\\x1b"),
    ):
        graph = helper.make_graph(nodes, "g", [value], [result])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        with pytest.raises(NetworkError, match=message):
            static_graph(model, {"input1": (1, 3, 8, 8)})


def test_a_node_that_does_not_fit_is_named():
    maker = Maker()
    maker.op("Add", "input1", maker.constant(np.zeros((5, 7))), output="output1")
    with pytest.raises(NetworkError, match="Add node"):
        static_graph(model_of(maker), {"input1": (1, 3, 8, 8)})
