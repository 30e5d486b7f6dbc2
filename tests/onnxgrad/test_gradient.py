"""The reverse walk: whole losses against independent gradients, and what it refuses."""

import numpy as np
import onnx
import onnx_ad
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from styletransfer import networks
from styletransfer.errors import StyleTransferError, explain
from styletransfer.onnxgrad import GradientError, GraphBuilder, backward, value_and_gradient, vjp
from styletransfer.onnxgrad.rule import EMITTED, NO_GRADIENT, RULES, Site, rule
from tests.onnxgrad.graphs import check_vjp, evaluate, run

RNG = np.random.default_rng(7)


def convolution(builder, x, maps, kernel, **attributes):
    """Append a convolution of random weights and its ReLU."""
    channels = builder.shape(x)[1]
    weight = RNG.normal(0, (2 / (channels * kernel**2)) ** 0.5, (maps, channels, kernel, kernel))
    names = builder.constant(weight, "weight"), builder.constant(RNG.normal(0, 0.1, maps), "bias")
    pads = [kernel // 2] * 4
    return builder.op("Relu", builder.op("Conv", x, *names, pads=pads, **attributes))


def pool(builder, x, ceil_mode, kernel, stride, margin=0):
    sizes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [margin] * 4}
    return builder.op("AveragePool", x, ceil_mode=ceil_mode, count_include_pad=1, **sizes)


def style_loss(builder, layers, content):
    """Append the sum of squared differences of Gram matrices and of one layer's features."""
    total = difference_of(builder, content)
    for layer in layers:
        flat = builder.op(
            "Reshape", layer, builder.constant(np.array([builder.shape(layer)[1], -1]))
        )
        gram = builder.op("Gemm", flat, flat, transB=1)
        total = builder.op("Add", total, difference_of(builder, gram))
    return builder.op("Identity", total, output="loss")


def difference_of(builder, name):
    target = builder.constant(RNG.normal(0, 1, builder.shape(name)), "target")
    difference = builder.op("Sub", name, target)
    return builder.op("ReduceSumSquare", difference, keepdims=0)


def vgg_like(ceil_mode):
    builder = GraphBuilder()
    x = builder.input("data", (1, 3, 13, 10), np.float64)
    a = convolution(builder, convolution(builder, x, 6, 3), 6, 3)
    b = convolution(builder, pool(builder, a, ceil_mode, 2, 2), 8, 3)
    c = convolution(builder, pool(builder, b, ceil_mode, 2, 2), 8, 3)
    style_loss(builder, [a, b, c], b)
    return builder.model(["loss"])


def inception_like(ceil_mode):
    builder = GraphBuilder()
    x = builder.input("data", (1, 3, 21, 18), np.float64)
    a = convolution(builder, x, 8, 7, strides=[2, 2])
    a = pool(builder, a, ceil_mode, 3, 2)
    branches = [
        convolution(builder, a, 3, 1),
        convolution(builder, convolution(builder, a, 5, 1), 4, 3),
        convolution(builder, convolution(builder, a, 2, 1), 3, 5),
        convolution(builder, pool(builder, a, ceil_mode, 3, 1, 1), 2, 1),
    ]
    b = builder.op("Concat", *branches, axis=1)
    c = convolution(builder, pool(builder, b, ceil_mode, 3, 2), 6, 3)
    style_loss(builder, [a, b, c], b)
    return builder.model(["loss"])


LOSSES = pytest.mark.parametrize("make", [vgg_like, inception_like])


def image_for(model: onnx.ModelProto) -> np.ndarray:
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    return np.random.default_rng(3).standard_normal(shape)


@LOSSES
def test_gradient_agrees_with_finite_differences(make):
    model = make(ceil_mode=1)
    x = image_for(model)
    result = evaluate(value_and_gradient(model, "loss", ["data"]), {"data": x})
    assert result["loss"] == evaluate(model, {"data": x})["loss"]
    gradient = result["gradient/data"]
    rng = np.random.default_rng(5)
    for _ in range(10):
        v = rng.standard_normal(x.shape)
        ahead, behind = (evaluate(model, {"data": x + s * v})["loss"] for s in (1e-7, -1e-7))
        error = np.vdot(gradient, v) - float(ahead - behind) / 2e-7
        assert abs(error) <= 1e-6 * np.linalg.norm(gradient) * np.linalg.norm(v)


@LOSSES
def test_gradient_agrees_with_onnx_ad(make):
    model = make(ceil_mode=0)  # onnx-ad knows no windows that overhang
    x = image_for(model)
    gradient = evaluate(value_and_gradient(model, "loss", ["data"]), {"data": x})["gradient/data"]
    theirs = onnx_ad.reverse(model, inputs=["data"], outputs=["loss"], layout="onnx")
    (expected,) = ReferenceEvaluator(theirs).run(["adj_data"], {"data": x, "adj_loss": np.ones(1)})
    expected = expected[..., 0]
    error = np.abs(gradient - expected).max()
    assert error <= 1e-11 * np.abs(expected).max()


def learning_network() -> onnx.ModelProto:
    """What networks in training have, but for padding by reflection, which onnx-ad refuses."""
    builder = GraphBuilder()
    x = builder.input("data", (2, 4, 9, 8), np.float64)
    shapes = {"w": (6, 4, 3, 3), "bias": (6,), "scale": (6,), "shift": (6,), "v": (3, 6, 5, 5)}
    names = {name: builder.input(name, shape, np.float64) for name, shape in shapes.items()}
    y = builder.op("Conv", x, names["w"], names["bias"], strides=[2, 2], pads=[1] * 4)
    y = builder.op("InstanceNormalization", y, names["scale"], names["shift"])
    y = builder.op("Relu", y)
    y = builder.op(
        "Resize",
        y,
        "",
        builder.constant(np.array([1, 1, 2, 2], np.float32)),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    y = builder.op("Conv", y, names["v"], pads=[2] * 4)
    builder.op("ReduceSum", builder.op("Mul", y, y), keepdims=0, output="loss")
    return builder.model(["loss"])


def test_gradients_of_parameters_agree_with_onnx_ad():
    model = learning_network()
    rng = np.random.default_rng(4)
    feeds = {
        value.name: rng.standard_normal([d.dim_value for d in value.type.tensor_type.shape.dim])
        for value in model.graph.input
    }
    ours = evaluate(value_and_gradient(model, "loss", list(feeds)), feeds)
    theirs = onnx_ad.reverse(model, inputs=list(feeds), outputs=["loss"], layout="onnx")
    adjoints = [f"adj_{name}" for name in feeds]
    expected = ReferenceEvaluator(theirs).run(adjoints, {**feeds, "adj_loss": np.ones(1)})
    largest = max(np.abs(value).max() for value in expected)
    for name, value in zip(feeds, expected, strict=True):
        error = np.abs(ours[f"gradient/{name}"] - value[..., 0]).max()
        # That of the bias is zero, but for rounding.
        assert error <= 1e-11 * max(np.abs(value).max(), 1e-2 * largest), name


@LOSSES
def test_the_runtime_computes_the_same_gradient_in_float32(make):
    model = make(ceil_mode=1)
    x = image_for(model)
    exact = evaluate(value_and_gradient(model, "loss", ["data"]), {"data": x})["gradient/data"]
    single = run(
        value_and_gradient(in_float32(model), "loss", ["data"]), {"data": x.astype(np.float32)}
    )["gradient/data"]
    assert np.linalg.norm(single - exact) <= 1e-5 * np.linalg.norm(exact)


def in_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for tensor in result.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float64:
            tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float32), tensor.name))
    for value in [*result.graph.input, *result.graph.output]:
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return result


def square_of_product() -> GraphBuilder:
    """y = (a · b)², z = a + a."""
    builder = GraphBuilder()
    a, b = (builder.input(name, (2,), np.float64) for name in "ab")
    builder.op("Pow", builder.op("Mul", a, b), builder.constant(np.array(2.0)), output="y")
    builder.op("Add", a, a, output="z")
    return builder


def test_contributions_of_several_outputs_and_of_one_tensor_used_twice_add_up():
    model = square_of_product().model(["y", "z"])
    a, b = np.array([2.0, 3.0]), np.array([5.0, 7.0])
    feeds = {"a": a, "b": b, "cotangent/y": np.ones(2), "cotangent/z": np.ones(2)}
    result = evaluate(vjp(model, ["y", "z"], ["a", "b"]), feeds)
    np.testing.assert_allclose(result["gradient/a"], 2 * a * b**2 + 2)
    np.testing.assert_allclose(result["gradient/b"], 2 * b * a**2)


def test_gradient_for_a_tensor_inside_the_graph():
    """Also where its own cotangent is given: both ways count."""
    builder = GraphBuilder()
    x = builder.input("x", (2,), np.float64)
    builder.op("Exp", builder.op("Neg", x, output="inner"), output="y")
    result = vjp(builder.model(["y"]), ["y", "inner"], ["inner", "x"])
    seeds = {"cotangent/y": np.ones(2), "cotangent/inner": np.full(2, 10.0)}
    values = evaluate(result, {"x": np.zeros(2), **seeds})
    np.testing.assert_array_equal(values["gradient/inner"], [11, 11])
    np.testing.assert_array_equal(values["gradient/x"], [-11, -11])


def test_vjp_keeps_the_model_and_names_what_it_adds():
    model = vjp(square_of_product().model(["y", "z"]), ["y"], ["b"])
    assert [v.name for v in model.graph.input] == ["a", "b", "cotangent/y"]
    assert [v.name for v in model.graph.output] == ["y", "z", "gradient/b"]
    onnx.checker.check_model(model, full_check=True)


def test_value_and_gradient_leaves_out_what_the_loss_does_not_need():
    builder = square_of_product()
    builder.op("ReduceSum", "z", output="loss", keepdims=0)
    model = value_and_gradient(builder.model(["loss", "y"]), "loss", ["a"])
    assert [v.name for v in model.graph.input] == ["a"]
    assert [v.name for v in model.graph.output] == ["loss", "gradient/a"]
    onnx.checker.check_model(model, full_check=True)


def test_nothing_is_emitted_for_constants_or_unneeded_inputs():
    builder = GraphBuilder()
    x = builder.input("x", (2,), np.float64)
    for i in range(3):
        x = builder.op("Mul", x, builder.constant(np.array([i + 2.0, 1.0])))
    before = len(builder.nodes)
    backward(builder, {x: builder.constant(np.ones(2))}, ["x"])
    assert [node.op_type for node in builder.nodes[before:]] == ["Mul"] * 3


def test_no_gradient_is_none_and_not_zeros():
    builder = square_of_product()
    step = builder.op("Sign", "y")
    assert backward(builder, {step: builder.constant(np.ones(2))}, ["a"]) == {"a": None}
    assert backward(builder, {"z": builder.constant(np.ones(2))}, ["a", "b"])["b"] is None


def test_gradient_flows_around_an_operator_that_has_none_by_nature():
    """d/dx (x · sign x) with sign constant, as it is almost everywhere."""
    builder = GraphBuilder()
    x = builder.input("x", (3,), np.float64)
    builder.op("Mul", x, builder.op("Sign", x), output="y")
    check_vjp(builder.model(["y"]), {"x": np.array([-2.0, 1.0, 3.0])})


def test_gradient_can_be_differentiated_again():
    """The Hessian of (a b)² by a, from the graph of its gradient."""
    builder = square_of_product()
    ones = builder.constant(np.ones(2))
    first = backward(builder, {"y": ones}, ["a"])["a"]
    second = backward(builder, {first: ones}, ["a"])["a"]
    b = np.array([5.0, 7.0])
    result = evaluate(builder.model([second]), {"a": np.array([2.0, 3.0]), "b": b})
    np.testing.assert_allclose(result[second], 2 * b**2)


# --- completeness --------------------------------------------------------------------------------


@pytest.mark.parametrize("network", networks.NETWORKS.values(), ids=networks.NETWORKS)
def test_every_operator_of_the_networks_has_a_rule(network):
    weights = {
        layer: (np.zeros(shape, np.float32), np.zeros(bias, np.float32))
        for layer, (shape, bias) in networks.weight_shapes(network).items()
    }
    model = networks.to_onnx(network, weights)
    assert {node.op_type for node in model.graph.node} - set(RULES) == set()


def test_rules_are_documented_and_of_operators_that_exist():
    for op_type, function in RULES.items():
        assert function.__doc__, op_type
        assert onnx.defs.has(op_type), op_type
    for op_type in NO_GRADIENT | EMITTED:
        assert onnx.defs.has(op_type), op_type
    assert not NO_GRADIENT & set(RULES)


def test_emitted_operators_are_pinned():
    """What a gradient may consist of: widening it is a decision, not an accident."""
    pointwise = {"Add", "Div", "HardSigmoid", "Log", "Mul", "Neg", "Pow", "Sign", "Sqrt", "Sub"}
    choices = {"Equal", "Greater", "Where"}
    windows = {"AveragePool", "Conv", "ConvTranspose", "MaxPool"}
    sums = {"Gemm", "MatMul", "ReduceSum", "ReduceSumSquare"}
    moves = {"Concat", "Expand", "Pad", "Reshape", "Resize", "Slice", "Split", "Transpose"}
    blocks = {"DepthToSpace", "SpaceToDepth", "ScatterElements"}
    assert pointwise | choices | windows | sums | moves | blocks == EMITTED


def test_rule_cannot_emit_another_operator():
    builder = square_of_product()
    with pytest.raises(ValueError, match="emits Exp, which is not in EMITTED"):
        Site(builder, builder.nodes[0], (True, True)).op("Exp", "a")


def test_operator_cannot_get_a_second_rule():
    with pytest.raises(ValueError, match="Relu has a rule already"):
        rule("Relu")(lambda site, dy: [dy])
    with pytest.raises(ValueError, match="Shape has a rule already, or is known to need none"):
        rule("Shape")(lambda site, dy: [dy])


# --- what is refused -----------------------------------------------------------------------------


def refusal(op_type: str, *shapes: tuple[int, ...], constants=(), **attributes: object) -> str:
    """Return the message with which the gradient of one node is refused."""
    builder = GraphBuilder()
    names = [builder.input(f"x{i}", shape, np.float64) for i, shape in enumerate(shapes)]
    held = [builder.constant(np.asarray(c)) for c in constants]
    builder.op(op_type, *names, *held, output="y", **attributes)
    with pytest.raises(GradientError) as caught:
        vjp(builder.model(["y"]), ["y"], [f"x{i}" for i in range(len(shapes))])
    return str(caught.value)


def test_operator_without_rule_is_named_with_those_that_have_one():
    message = refusal("Erf", (2, 3))
    assert message.startswith("No gradient is known for the Erf node 'y'; ")
    assert message.endswith(", ".join(sorted(RULES)) + ".")


IMAGE, WEIGHT = (1, 4, 6, 6), (4, 4, 3, 3)
REFUSED = [
    ("auto_pad is SAME_UPPER", "Conv", [IMAGE, WEIGHT], {"auto_pad": "SAME_UPPER"}),
    ("it has an output_shape", "ConvTranspose", [IMAGE, WEIGHT], {"output_shape": [8, 8]}),
    ("an operand is a vector", "MatMul", [(2, 3), (3,)], {}),
    ("its input has 3 axes", "LRN", [(1, 4, 6)], {"size": 3}),
    ("storage_order", "MaxPool", [IMAGE], {"kernel_shape": [2, 2], "storage_order": 1}),
    ("only the gradient for its first input", "Clip", [(2,), ()], {}),
]


@pytest.mark.parametrize(("reason", "op_type", "shapes", "attributes"), REFUSED)
def test_case_that_a_rule_does_not_cover(reason, op_type, shapes, attributes):
    message = refusal(op_type, *shapes, **attributes)
    assert message.startswith(f"The gradient of the {op_type} node 'y' is not known:")
    assert reason in message


def refusal_of_several_outputs(
    op_type: str, inputs: list[tuple[int, ...]], outputs: int, **attributes: object
) -> str:
    builder = GraphBuilder()
    names = [builder.input(f"x{i}", shape, np.float64) for i, shape in enumerate(inputs)]
    y, *_ = builder.ops(op_type, *names, outputs=outputs, **attributes)
    with pytest.raises(GradientError) as caught:
        backward(builder, {y: builder.constant(np.ones(builder.shape(y)))}, ["x0"])
    return str(caught.value)


def test_outputs_that_a_rule_does_not_cover(monkeypatch):
    message = refusal_of_several_outputs("MaxPool", [IMAGE], 2, kernel_shape=[2, 2])
    assert "it gives indices too" in message
    statistics = [IMAGE, (4,), (4,), (4,), (4,)]
    message = refusal_of_several_outputs("BatchNormalization", statistics, 3, training_mode=1)
    assert "it is in training mode" in message
    monkeypatch.setitem(RULES, "LSTM", lambda site, dy: [dy, None, None])
    sizes = [(2, 1, 3), (1, 16, 3), (1, 16, 4)]
    message = refusal_of_several_outputs("LSTM", sizes, 3, hidden_size=4)
    assert message.startswith(
        "The gradient of the LSTM node 'LSTM/0' is not known: it has 3 output"
    )


def test_outputs_that_are_absent_are_none():
    builder = GraphBuilder()
    x = builder.input("x", IMAGE)
    builder.op("MaxPool", x, output="y", kernel_shape=[2, 2], strides=[2, 2])
    builder.nodes[0].output.append("")
    check_vjp(builder.model(["y"]), {"x": np.float32(normal_image())}, run, 0.01, 1e-3)


def normal_image() -> np.ndarray:
    return np.random.default_rng(3).permutation(np.prod(IMAGE)).reshape(IMAGE)


def test_constants_that_a_rule_does_not_cover():
    assert "steps of [2]" in refusal("Slice", (6,), constants=[[0], [6], [0], [2]])
    assert "it crops" in refusal("Pad", (6,), constants=[[1, -1]], mode="reflect")
    cubic = [np.zeros(0, np.float32), np.array([2], np.float32)]
    assert "only nearest and linear" in refusal("Resize", (6,), constants=cubic, mode="cubic")


def test_errors_are_among_those_that_a_user_sees_as_sentences():
    assert issubclass(GradientError, StyleTransferError)
    assert explain(GradientError("No gradient is known.")) == "No gradient is known."


def test_names_that_are_not_in_the_graph():
    model = square_of_product().model(["y"])
    with pytest.raises(GradientError, match="The graph has no tensor 'w'"):
        vjp(model, ["y"], ["w"])
    with pytest.raises(GradientError, match="The graph has no tensor 'w'"):
        vjp(model, ["w"], ["a"])


def test_loss_of_several_numbers():
    with pytest.raises(GradientError, match=r"The loss 'y' has shape \(2,\)"):
        value_and_gradient(square_of_product().model(["y"]), "y", ["a"])


def test_wrt_that_nothing_depends_on():
    model = square_of_product().model(["y", "z"])
    with pytest.raises(GradientError, match="None of the outputs depends on 'b'"):
        vjp(model, ["z"], ["b"])


def test_wrt_of_integers():
    builder = GraphBuilder()
    builder.op("Identity", builder.input("n", (2,), np.int64), output="y")
    with pytest.raises(GradientError, match="No gradient for 'n': it holds int64"):
        vjp(builder.model(["y"]), ["y"], ["n"])


def test_cotangent_of_another_shape():
    builder = square_of_product()
    with pytest.raises(GradientError, match=r"is float64 of shape \(3,\), but 'y' is .*\(2,\)"):
        backward(builder, {"y": builder.constant(np.ones(3))}, ["a"])


def test_rule_that_gives_a_wrong_cotangent(monkeypatch):
    model = square_of_product().model(["z"])
    monkeypatch.setitem(RULES, "Add", lambda site, dy: [dy])
    with pytest.raises(GradientError, match="rule of Add gave 1 cotangents for the 2 inputs"):
        vjp(model, ["z"], ["a"])
    monkeypatch.setitem(RULES, "Add", lambda site, dy: [site.number(1), dy])
    with pytest.raises(GradientError, match=r"rule of Add gave is float64 of shape \(\), but 'a'"):
        vjp(model, ["z"], ["a"])
