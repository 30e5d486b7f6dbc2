"""Files that ask for any amount of time or memory are refused, and honest ones are not."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from styletransfer.errors import NetworkError
from styletransfer.feedforward import effort, network, static
from styletransfer.feedforward.network import Network
from tests.feedforward.networks import Maker

SHAPE = [1, 3, "h", "w"]


def loop(steps: int) -> Maker:
    """A network that adds nothing to its picture, as often as it is told."""
    maker = Maker()
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Identity", ["before"], ["after"]),
        ],
        "body",
        [
            value("i", TensorProto.INT64, []),
            value("go", TensorProto.BOOL, []),
            value("before", TensorProto.FLOAT, None),
        ],
        [value("on", TensorProto.BOOL, []), value("after", TensorProto.FLOAT, None)],
    )
    times, go = maker.constant(np.int64(steps)), maker.constant(np.bool_(True))
    maker.op("Loop", times, go, "input1", output="output1", body=body)
    return maker


@pytest.mark.parametrize("operator", ["Loop", "If", "Scan", "LSTM", "DFT", "SequenceMap"])
def test_operators_whose_time_is_not_known_are_refused(operator):
    maker = loop(1 << 60)
    maker.nodes[-1].op_type = operator
    with pytest.raises(NetworkError, match=f"it has the operator {operator}, which no network"):
        network.read(maker.model(18, SHAPE).SerializeToString())


def test_operators_are_counted(monkeypatch):
    monkeypatch.setattr(effort, "MOST_NODES", 2)
    maker = Maker()
    x = maker.op("Relu", maker.op("Relu", "input1"))
    maker.op("Relu", x, output="output1")
    with pytest.raises(NetworkError, match="it has 3 operators; 2 are the most"):
        network.read(maker.model(18, SHAPE).SerializeToString())


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def wide_of(maker: Maker) -> str:
    return maker.constant(np.array([1, 1200]))


def large(maker: Maker, how: str) -> str:
    """Append what takes long, and return its result; no tensor of it is large."""
    x = "input1"
    match how:
        case "window":
            for _ in range(9):
                window = {"kernel_shape": [901, 901], "pads": [450] * 4}
                x = maker.op("AveragePool", x, count_include_pad=1, **window)
        case "product":
            row = maker.op("Reshape", x, maker.constant(np.array([1, -1])))
            column = maker.op("Reshape", x, maker.constant(np.array([-1, 1])))
            for _ in range(40):
                wide = maker.op("Expand", row, maker.constant(np.array([1200, 1])))
                wide = maker.op("MatMul", wide, maker.op("Expand", column, wide_of(maker)))
                row = maker.op("Mul", row, maker.op("ReduceMean", wide))
            return row
        case "norm":
            wide = maker.op("Tile", x, maker.constant(np.array([1, 600, 1, 1])))
            for _ in range(1500):
                wide = maker.op("Softmax", wide)
            return wide
    return x


@pytest.mark.parametrize("how", ["window", "product", "norm"])
def test_small_files_take_no_more_time_than_pictures_need(how):
    maker = Maker()
    mean = maker.op("ReduceMean", large(maker, how), keepdims=0)
    maker.op("Add", "input1", mean, output="output1")
    model = maker.model(18, SHAPE).SerializeToString()
    with pytest.raises(NetworkError, match=r"it takes [\d.e+]+ multiplications for a picture of"):
        network.read(model)


def test_products_of_any_axes_are_counted():
    maker = Maker()
    maker.op("Einsum", "input1", "input1", equation="abcd,aefg->abcd", output="output1")
    paints = Network(maker.model(18, SHAPE), "input1", "NCHW")
    paints.graph(8, 8)
    with pytest.raises(NetworkError, match="multiplications for a picture of 16000000 pixels"):
        paints.graph(4000, 4000)
    maker.nodes[-1].attribute[0].s = b"...,..."
    with pytest.raises(NetworkError, match="more than two tensors, or has an ellipsis"):
        Network(maker.model(18, SHAPE), "input1", "NCHW").graph(8, 8)


def test_what_a_transposed_convolution_adds_up_is_counted():
    maker = Maker()
    weight = maker.constant(ones(3, 3, 90, 90))
    sides = {"pads": [44, 44, 45, 45], "strides": [1, 1]}
    maker.op("ConvTranspose", "input1", weight, output="output1", **sides)
    paints = Network(maker.model(18, SHAPE), "input1", "NCHW")
    paints.graph(16, 16)
    with pytest.raises(NetworkError, match="makes 3 x 90 x 90 x 300 x 300 numbers"):
        paints.graph(300, 300)


def test_what_is_held_at_once_is_counted():
    maker = Maker()
    parts = [
        maker.op("Tile", "input1", maker.constant(np.array([1, 600, 1, 1 + i % 2])))
        for i in range(9)
    ]
    means = [maker.op("ReduceMean", part, keepdims=0) for part in reversed(parts)]
    x = "input1"
    for mean in means:
        x = maker.op("Add", x, mean)
    maker.op("Relu", x, output="output1")
    with pytest.raises(NetworkError, match="MB at once for a picture of"):
        network.read(maker.model(18, SHAPE).SerializeToString())


def test_steps_for_constants_are_counted(monkeypatch):
    monkeypatch.setattr(static, "MOST_STEPS", 50_000)
    maker = Maker()
    square = maker.constant(ones(30, 30))
    for _ in range(2):
        square = maker.op("MatMul", square, square)
    mean = maker.op("ReduceMean", maker.op("Add", "input1", maker.op("ReduceSum", square)))
    maker.op("Add", "input1", mean, output="output1")
    with pytest.raises(NetworkError, match="Its constants take more than 50000 steps"):
        network.read(maker.model(18, SHAPE).SerializeToString())
