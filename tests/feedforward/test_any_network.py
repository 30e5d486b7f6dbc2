"""Networks as other programs write them: each paints at any size as it does at its own."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from styletransfer.errors import UsageError
from styletransfer.feedforward import Stylizer, painter
from tests.feedforward.conftest import planes, run
from tests.feedforward.networks import Maker, candy, channels_last

OWN = np.random.default_rng(1).random((64, 64, 3), np.float32)
OTHER = np.random.default_rng(2).random((45, 70, 3), np.float32)


def zoo(scales: str = "initializer", size: int = 64) -> onnx.ModelProto:
    """A network as the model zoo's candy-9.onnx: IR version 3, weights among the inputs."""
    model = candy(size, counted=scales == "counted")
    model.ir_version = 3
    model.graph.input.extend(
        helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in model.graph.initializer
    )
    if scales == "constant":
        of = {t.name: t for t in model.graph.initializer}
        nodes = []
        for node in model.graph.node:
            if node.op_type == "Upsample":
                value = of[node.input[1]]
                nodes.append(helper.make_node("Constant", [], [f"{value.name}/c"], value=value))
                node.input[1] = f"{value.name}/c"
            nodes.append(node)
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def opened(model: onnx.ModelProto, **given: object) -> Stylizer:
    return Stylizer(model.SerializeToString(), **given)


@pytest.mark.parametrize("scales", ["initializer", "constant", "counted"])
def test_the_model_zoo_s(scales):
    model = zoo(scales)
    stylizer = opened(model)
    expected = run(model, input1=255 * planes(OWN))[0].transpose(1, 2, 0) / 255
    np.testing.assert_allclose(stylizer.stylize(OWN), np.clip(expected, 0, 1), atol=1e-5)
    wide = run(zoo(size=128), input1=255 * planes(np.tile(OWN, (2, 2, 1))))[0]
    expected = np.clip(wide.transpose(1, 2, 0) / 255, 0, 1)
    np.testing.assert_allclose(stylizer.stylize(np.tile(OWN, (2, 2, 1))), expected, atol=1e-5)
    assert stylizer.stylize(OTHER).shape == OTHER.shape


def small(
    opset: int = 13,
    shape: tuple[object, ...] = (1, 3, "h", "w"),
    last: Callable[[Maker, str], str] = lambda maker, x: maker.op("Sigmoid", x),
    weight: tuple[float, ...] = (1.0, 1.0, 1.0),
    names: tuple[str, str] = ("input1", "output1"),
) -> onnx.ModelProto:
    """A network of a factor for each channel, and of what comes last."""
    maker = Maker()
    factors = maker.constant(np.reshape(weight, (1, 3, 1, 1)) / 1)
    result = last(maker, maker.op("Mul", names[0], factors))
    maker.op("Identity", result, output=names[1])
    return maker.model(opset, list(shape), names)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_channels_last():
    for size in (64, "h"):
        model = channels_last(size)
        expected = run(model, input1=OWN[np.newaxis])[0]
        stylizer = opened(model)
        np.testing.assert_allclose(stylizer.stylize(OWN), expected, atol=1e-5)
        assert stylizer.stylize(OTHER).shape == OTHER.shape


def test_channels_last_of_an_old_opset():
    maker = Maker()
    x = maker.op("Transpose", "input1", perm=[0, 3, 1, 2])
    x = maker.op("Upsample", x, maker.constant([1.0, 1.0, 2.0, 2.0]), mode="linear")
    x = maker.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    maker.op("Transpose", maker.op("Sigmoid", x), perm=[0, 2, 3, 1], output="output1")
    model = maker.model(9, [1, 64, 64, 3])
    expected = run(model, input1=OWN[np.newaxis])[0]
    stylizer = opened(model)
    np.testing.assert_allclose(stylizer.stylize(OWN), expected, atol=1e-5)
    assert stylizer.stylize(OTHER).shape == OTHER.shape


def test_blue_first():
    model = small(weight=(1, 2, 3))
    result = opened(model, order="BGR").stylize(OTHER)
    np.testing.assert_allclose(result, sigmoid(OTHER * [3, 2, 1]), atol=1e-5)


def test_from_minus_one_to_one():
    model = small(last=lambda maker, x: maker.op("Tanh", x), weight=(1, 2, 3))
    expected = (np.tanh((2 * OTHER - 1) * [1, 2, 3]) + 1) / 2
    for given in ({}, {"takes": (-1, 1), "gives": (-1, 1)}):
        np.testing.assert_allclose(opened(model, **given).stylize(OTHER), expected, atol=1e-5)


@pytest.mark.parametrize(
    "shape",
    [
        (1, 3, "h", "w"),
        ("batch", 3, "h", "w"),
        (1, 3, 64, 64),
        (1, 3, 64, "w"),
        (4, 3, 64, 64),
        ("batch", "channels", "h", "w"),
        (None, None, None, None),
        (1, 1, 1, 1, "unranked"),
    ],
)
def test_axes_of_any_kind(shape):
    model = small(shape=shape if "unranked" not in shape else (1, 3, "h", "w"))
    if "unranked" in shape:
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.ClearField("shape")
    np.testing.assert_allclose(opened(model).stylize(OTHER), sigmoid(OTHER), atol=1e-5)


def test_a_size_that_the_graph_depends_on_is_the_only_one(monkeypatch):
    def reshaped(maker: Maker, x: str) -> str:
        flat = maker.op("Reshape", x, maker.constant(np.array([1, 3, 64 * 64])))
        turned = maker.op("Reshape", flat, maker.constant(np.array([1, 3, 64, 64])))
        return maker.op("Sigmoid", turned)

    monkeypatch.setattr(painter, "WHOLE_BYTES", 0)  # nothing is painted in tiles all the same
    stylizer = opened(small(shape=(1, 3, 64, 64), last=reshaped))
    square = np.random.default_rng(0).random((64, 64, 3), np.float32)
    np.testing.assert_allclose(stylizer.stylize(square), sigmoid(square), atol=1e-5)
    with pytest.raises(UsageError, match="pictures of 64 x 64 pixels alone, and this one has 70 x"):
        stylizer.stylize(np.zeros((64, 70, 3)))


def test_the_picture_among_several_outputs(monkeypatch):
    """Features, a mask of one channel and a small picture are not what is painted."""
    model = small()
    nodes = [
        helper.make_node("GlobalAveragePool", ["output1"], ["mean"]),
        helper.make_node("ReduceMax", ["output1"], ["mask"], axes=[1], keepdims=1),
        helper.make_node(
            "AveragePool", ["output1"], ["little"], kernel_shape=[2, 2], strides=[2, 2]
        ),
    ]
    model.graph.node.extend(nodes)
    for name in ("mean", "mask", "little"):
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        model.graph.output.insert(0, value)
    np.testing.assert_allclose(opened(model).stylize(OTHER), sigmoid(OTHER), atol=1e-5)
    monkeypatch.setattr(painter, "WHOLE_BYTES", 0)  # in tiles, too
    np.testing.assert_allclose(opened(model).stylize(OTHER), sigmoid(OTHER), atol=1e-5)


def test_two_pictures_of_one_size_are_told_apart_by_their_order():
    model = small()
    model.graph.node.append(helper.make_node("Neg", ["output1"], ["second"]))
    model.graph.output.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, None))
    np.testing.assert_allclose(opened(model).stylize(OTHER), sigmoid(OTHER), atol=1e-5)


@pytest.mark.parametrize("names", [("0", "1"), ("input:0", "out/put:0"), ("ä b", "x" * 300)])
def test_names_of_any_kind(names):
    np.testing.assert_allclose(opened(small(names=names)).stylize(OTHER), sigmoid(OTHER), atol=1e-5)


@pytest.mark.parametrize("opset", [7, 8, 9, 10, 11, 13, 15, 17, 18, 19, 20, 21])
def test_opsets(opset):
    maker = Maker()
    x = maker.op("Relu", "input1")
    weight = maker.constant(np.eye(3).reshape(3, 3, 1, 1))
    x = maker.op(
        "InstanceNormalization",
        maker.op("Conv", x, weight),
        *map(maker.constant, (np.ones(3), np.zeros(3))),
    )
    maker.op("Sigmoid", x, output="output1")
    model = maker.model(opset, [1, 3, 64, 64])
    expected = run(model, input1=planes(OWN))[0].transpose(1, 2, 0)
    np.testing.assert_allclose(opened(model).stylize(OWN), expected, atol=1e-5)


def test_sixteen_bits_throughout():
    maker = Maker()
    weight = numpy_helper.from_array(np.full((1, 3, 1, 1), 2, np.float16), "w")
    maker.weights.append(weight)
    maker.op("Sigmoid", maker.op("Mul", "input1", "w"), output="output1")
    model = maker.model(13, [1, 3, "h", "w"])
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    np.testing.assert_allclose(opened(model).stylize(OTHER), sigmoid(2 * OTHER), atol=2e-3)


def test_bytes_in_and_out():
    maker = Maker()
    x = maker.op("Cast", "input1", to=TensorProto.FLOAT)
    x = maker.op("Sub", maker.constant(255.0), x)
    maker.op("Cast", x, to=TensorProto.UINT8, output="output1")
    model = maker.model(13, [1, "h", "w", 3])
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.UINT8
    np.testing.assert_allclose(opened(model).stylize(OTHER), 1 - OTHER, atol=1.01 / 255)
