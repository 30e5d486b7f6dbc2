"""The graph under construction: names, shapes, constants, and the models it takes and makes."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from styletransfer.onnxgrad import GradientError, GraphBuilder
from tests.onnxgrad.graphs import evaluate, run


def symbolic_model(opset: int = 18, domain: str = "") -> onnx.ModelProto:
    """out = max(conv(data), c) on an image of any size, with the weight W."""
    weight = np.ones((2, 3, 3, 3), np.float32)
    nodes = [
        helper.make_node("Conv", ["data", "W"], ["features"], name="first"),
        helper.make_node("Constant", [], ["c"], value_float=2.0),
        helper.make_node("Max", ["features", "c"], ["out"], domain=domain),
    ]
    graph = helper.make_graph(
        nodes,
        "symbolic",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "W")],
    )
    opsets = [helper.make_opsetid("", opset)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_shapes_and_dtypes_are_known_as_nodes_are_added():
    builder = GraphBuilder()
    x = builder.input("x", (2, 3), np.float64)
    flat = builder.op("Reshape", x, builder.constant(np.array([-1])))
    assert builder.shape(flat) == (6,)
    assert builder.dtype(flat) == np.float64
    parts = builder.ops("Split", flat, builder.constant(np.array([2, 4])), outputs=2)
    assert [builder.shape(part) for part in parts] == [(2,), (4,)]
    assert builder.dtype(builder.op("Greater", x, x)) == np.bool_


def test_shapes_may_depend_on_a_long_constant():
    builder = GraphBuilder()
    x = builder.input("x", (300,), np.float32)
    parts = builder.ops("Split", x, builder.constant(np.ones(300, np.int64)), outputs=300)
    assert {builder.shape(part) for part in parts} == {(1,)}


def test_scopes_name_what_is_made_in_them():
    builder = GraphBuilder()
    x = builder.input("x", (2,))
    with builder.scope("style"), builder.scope("conv1"):
        first, second = builder.op("Neg", x), builder.op("Neg", x)
        chosen = builder.op("Neg", x, output="mine")
    assert [first, second, chosen] == ["style/conv1/Neg", "style/conv1/Neg_2", "mine"]
    assert builder.op("Neg", x) == "Neg"


def test_small_equal_constants_are_one():
    builder = GraphBuilder()
    assert builder.constant(np.float32(2)) == builder.constant(np.float32(2), "two")
    assert builder.constant(np.float32(2)) != builder.constant(np.float64(2))
    assert builder.constant(np.float32(2)) != builder.constant(np.full(1, 2, np.float32))
    assert builder.constant(np.float32(0.0)) != builder.constant(np.float32(-0.0))


def test_large_constants_are_neither_compared_nor_copied():
    builder = GraphBuilder()
    weight = np.zeros((100, 100), np.float32)
    first, second = builder.constant(weight, "weight"), builder.constant(weight, "weight")
    assert first != second
    assert builder.value(first) is weight
    assert builder.initializers[second] is weight
    assert builder.value(builder.input("x", (2,))) is None


def test_model_holds_what_its_outputs_need_and_no_more():
    builder = GraphBuilder()
    for name in ("unused", "b", "a"):
        builder.input(name, (2,))
    builder.op("Neg", "unused", output="n")
    builder.op("Add", "a", builder.constant(np.ones(2, np.float32), "one"), output="s")
    builder.op("Mul", "s", "b", output="p")
    model = builder.model(["p", "s"], "products")
    onnx.checker.check_model(model, full_check=True)
    assert model.graph.name == "products"
    assert [v.name for v in model.graph.input] == ["b", "a"]
    assert [v.name for v in model.graph.output] == ["p", "s"]
    assert [n.name for n in model.graph.node] == ["s", "p"]
    assert (model.opset_import[0].version, model.ir_version) == (18, 10)
    assert [v.name for v in builder.model(["s"]).graph.input] == ["a"]
    feeds = {name: np.array([1.0, 2.0], np.float32) for name in "ab"}
    np.testing.assert_array_equal(run(model, feeds)["p"], [2, 6])


def test_taking_over_a_model_of_symbolic_shape():
    builder = GraphBuilder(symbolic_model(), {"data": (1, 3, 7, 9)})
    assert builder.shape("out") == (1, 2, 5, 7)
    assert builder.outputs == ["out"]
    assert builder.producer("features").name == "first"
    assert builder.producer("data") is None
    assert builder.value("W").shape == (2, 3, 3, 3)
    assert builder.value("c") == 2
    model = builder.model(["out"])
    x = np.random.default_rng(0).standard_normal((1, 3, 7, 9)).astype(np.float32)
    expected = evaluate(symbolic_model(), {"data": x})["out"]
    np.testing.assert_allclose(evaluate(model, {"data": x})["out"], expected)


def test_taking_over_does_not_change_the_model():
    model = symbolic_model()
    before = model.SerializeToString(deterministic=True)
    builder = GraphBuilder(model, {"data": (1, 3, 7, 9)})
    builder.op("Neg", "out")
    assert model.SerializeToString(deterministic=True) == before


def test_taking_over_what_some_tensors_need():
    """The rest may not fit the shape: here the image is smaller than the kernel."""
    builder = GraphBuilder(symbolic_model(), {"data": (1, 3, 2, 2)}, ["data"])
    assert (builder.nodes, builder.initializers) == ([], {})
    assert (builder.inputs, builder.outputs) == (["data"], ["data"])
    builder = GraphBuilder(symbolic_model(), {"data": (1, 3, 7, 9)}, ["features"])
    assert [node.name for node in builder.nodes] == ["first"]
    assert list(builder.initializers) == ["W"]
    with pytest.raises(GradientError, match="no tensor 'pool9'"):
        GraphBuilder(symbolic_model(), {"data": (1, 3, 7, 9)}, ["pool9"])


def test_helpers_emit_what_is_needed_and_no_more():
    builder = GraphBuilder()
    x = builder.input("x", (4, 6), np.float64)
    assert builder.reshape(x, (4, 6)) == x
    assert builder.shape(builder.reshape(x, [2, 12])) == (2, 12)
    assert builder.slice(x, (0, 1), (0, 0), (4, 6)) == x
    part = builder.slice(x, (1, 0), (2, 0), (5, 4))
    assert builder.shape(part) == (4, 3)
    assert [node.op_type for node in builder.nodes] == ["Reshape", "Slice"]
    bounds = [builder.value(name).tolist() for name in builder.nodes[1].input[1:]]
    assert bounds == [[2], [5], [1]]
    corner = builder.slice(x, (0, 1), (1, 2), (3, 3))
    values = np.arange(24.0).reshape(4, 6)
    result = evaluate(builder.model([part, corner]), {"x": values})
    np.testing.assert_array_equal(result[part], values[:, 2:5])
    np.testing.assert_array_equal(result[corner], values[1:3, 2:3])
    assert builder.dtype(builder.integers([1, 2])) == np.int64
    number = builder.scalar(2, x)
    assert (builder.dtype(number), builder.shape(number)) == (np.float64, ())


def test_pool_whose_last_window_would_begin_in_the_padding():
    """Onnx's shape inference has one window too many there; Caffe and the runtime have not."""
    x = np.random.default_rng(0).standard_normal((1, 1, 11, 10)).astype(np.float32)
    sizes = {"kernel_shape": [3, 3], "strides": [3, 3], "pads": [1] * 4, "ceil_mode": 1}
    for op_type in ("MaxPool", "AveragePool"):
        builder = GraphBuilder()
        y = builder.op(op_type, builder.input("x", x.shape), **sizes)
        assert builder.shape(y) == (1, 1, 4, 4)
        model = builder.model([y])
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        onnx.checker.check_model(inferred, full_check=True)
        assert run(model, {"x": x})[y].shape == (1, 1, 4, 4)


# --- what is refused -----------------------------------------------------------------------------


def test_symbolic_shape_that_is_not_given():
    with pytest.raises(GradientError, match="Input 'data' of the model has a symbolic shape; give"):
        GraphBuilder(symbolic_model())


def test_shape_for_an_input_that_is_not_there():
    with pytest.raises(GradientError, match="names 'image', which is no input of the model"):
        GraphBuilder(symbolic_model(), {"image": (1, 3, 8, 8)})


@pytest.mark.parametrize("opset", [17, 22])
def test_opset_out_of_range(opset):
    with pytest.raises(GradientError, match=f"The model is of opset {opset}; convert it to 18 to"):
        GraphBuilder(symbolic_model(opset), {"data": (1, 3, 8, 8)})


def test_operators_of_another_domain():
    with pytest.raises(GradientError, match=r"uses operators of com\.microsoft; only standard"):
        GraphBuilder(symbolic_model(domain="com.microsoft"), {"data": (1, 3, 8, 8)})


def test_inputs_that_do_not_fit_an_operator():
    builder = GraphBuilder()
    a, b = builder.input("a", (2, 3)), builder.input("b", (2, 3))
    with pytest.raises(GradientError, match=r"MatMul node 'm' on 'a' \(2, 3\), 'b' \(2, 3\): .*"):
        builder.op("MatMul", a, b, output="m")
    with pytest.raises(GradientError, match=r"Nonsense node 'n' on 'a' \(2, 3\): No schema"):
        builder.op("Nonsense", a, output="n")


@pytest.mark.parametrize("shape", [(5,), (7, 1), (0, 4)])
def test_reshape_to_another_number_of_elements(shape):
    builder = GraphBuilder()
    builder.input("x", (2, 3))
    with pytest.raises(GradientError, match=r"Reshape node 'r' cannot give 'x' \(2, 3\) the shape"):
        builder.op("Reshape", "x", builder.integers(shape), output="r")


def test_shape_that_depends_on_values():
    builder = GraphBuilder()
    x, shape = builder.input("x", (6,)), builder.input("shape", (2,), np.int64)
    with pytest.raises(GradientError, match="The shape of 'r', an output of the Reshape node 'r'"):
        builder.op("Reshape", x, shape, output="r")


def test_names_are_unique_and_known():
    builder = GraphBuilder()
    builder.input("x", (6,))
    with pytest.raises(GradientError, match="has a tensor 'x' already"):
        builder.input("x", (6,))
    with pytest.raises(GradientError, match="has no tensor 'y', which the Neg node 'n' reads"):
        builder.op("Neg", "y", output="n")
    with pytest.raises(GradientError, match="has no tensor 'y'"):
        builder.model(["y"])


def test_pool_with_a_window_past_the_end():
    builder = GraphBuilder()
    x = builder.input("x", (1, 1, 11, 11))
    with pytest.raises(GradientError, match="last window of the MaxPool node 'y' lies past"):
        builder.op("MaxPool", x, output="y", kernel_shape=[1, 1], strides=[3, 3], ceil_mode=1)
