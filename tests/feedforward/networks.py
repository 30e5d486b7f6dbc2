"""Small networks that paint, made on the spot: as the model zoo's and as converters write them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Maker:
    """Collects nodes and weights."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(seed)
        self.count = 0

    def op(self, op_type: str, *inputs: str, output: str = "", **attributes: object) -> str:
        self.count += 1
        output = output or f"t{self.count}"
        self.nodes.append(helper.make_node(op_type, inputs, [output], **attributes))
        return output

    def constant(self, values: object) -> str:
        self.count += 1
        array = np.asarray(values)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        self.weights.append(numpy_helper.from_array(array, f"w{self.count}"))
        return f"w{self.count}"

    def convolution(self, x: str, inputs: int, maps: int, kernel: int, stride: int = 1) -> str:
        """Reflection padding (as an attribute, opset 9) and a convolution with a bias."""
        pad = kernel // 2
        x = self.op("Pad", x, mode="reflect", pads=[0, 0, pad, pad, 0, 0, pad, pad])
        scale = 1.5 / np.sqrt(inputs * kernel**2)
        weight = self.constant(scale * self.random.standard_normal((maps, inputs, kernel, kernel)))
        bias = self.constant(0.1 * self.random.standard_normal(maps))
        sides = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2}
        return self.op("Conv", x, weight, bias, **sides)

    def norm(self, x: str, channels: int) -> str:
        scale = self.constant(1 + 0.2 * self.random.standard_normal(channels))
        shift = self.constant(0.2 * self.random.standard_normal(channels))
        return self.op("InstanceNormalization", x, scale, shift, epsilon=1e-5)

    def model(
        self,
        opset: int,
        shape: list[object],
        names: tuple[str, str] = ("input1", "output1"),
        more: tuple[onnx.ValueInfoProto, ...] = (),
    ) -> onnx.ModelProto:
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]
        graph = helper.make_graph(self.nodes, "net", [values[0], *more], [values[1]], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        model.ir_version = 8
        return model


def candy(
    size: int = 224, width: int = 4, counted: bool = False, blocks: int = 1
) -> onnx.ModelProto:
    """A network as the model zoo's candy-9: opset 9, fixed size, 0 to 255, upsampled by Upsample.

    With `counted` the sizes are computed from shapes, as exporters of that time did.
    """
    maker = Maker()
    x, channels = "input1", 3
    for maps, kernel, stride in ((width, 9, 1), (2 * width, 3, 2), (4 * width, 3, 2)):
        x = maker.convolution(x, channels, maps, kernel, stride)
        x, channels = maker.op("Relu", maker.norm(x, maps)), maps
    for _ in range(blocks):
        y = maker.op("Relu", maker.norm(maker.convolution(x, channels, channels, 3), channels))
        y = maker.norm(maker.convolution(y, channels, channels, 3), channels)
        x = maker.op("Add", y, x)
    for maps in (2 * width, width):
        x = maker.op("Upsample", x, _scales(maker, x, counted), mode="nearest")
        x = maker.op("Relu", maker.norm(maker.convolution(x, channels, maps, 3), maps))
        channels = maps
    x = maker.convolution(x, channels, 3, 9)
    # A picture, and not only noise: 0 to 255 about the middle.
    maker.op(
        "Add", maker.op("Mul", x, maker.constant(50.0)), maker.constant(127.0), output="output1"
    )
    return maker.model(9, [1, 3, size, size])


def _scales(maker: Maker, x: str, counted: bool) -> str:
    if not counted:
        return maker.constant([1.0, 1.0, 2.0, 2.0])
    shape = maker.op("Shape", x)
    parts = []
    for axis in (2, 3):
        side = maker.op("Gather", shape, maker.constant(np.int64(axis)), axis=0)
        wanted = maker.op("Mul", maker.op("Cast", side, to=1), maker.constant(2.0))
        ratio = maker.op("Div", maker.op("Floor", wanted), maker.op("Cast", side, to=1))
        parts.append(maker.op("Unsqueeze", ratio, axes=[0]))
    return maker.op("Concat", maker.constant([1.0, 1.0]), *parts, axis=0)


def channels_last(size: object = "h") -> onnx.ModelProto:
    """A network as TensorFlow's: channels last, 0 to 1, one normalisation spelled out."""
    maker = Maker()
    pads = maker.constant(np.array([0, 1, 1, 0, 0, 1, 1, 0]))
    x = maker.op("Pad", maker.op("Sub", "input1", maker.constant(0.5)), pads, mode="reflect")
    x = maker.op("Transpose", x, perm=[0, 3, 1, 2])
    weight = maker.constant(maker.random.standard_normal((3, 3, 3, 3)) / 4)
    x = maker.op("Conv", x, weight, kernel_shape=[3, 3])
    mean = maker.op("GlobalAveragePool", x)
    difference = maker.op("Sub", x, mean)
    variance = maker.op("GlobalAveragePool", maker.op("Mul", difference, difference))
    root = maker.op("Sqrt", maker.op("Add", variance, maker.constant(1e-5)))
    scale = maker.constant(np.array([1.0, 0.5, 2.0]).reshape(1, 3, 1, 1))
    factor = maker.op("Mul", maker.op("Reciprocal", root), scale)
    shift = maker.op(
        "Sub", maker.constant(np.full((1, 3, 1, 1), 0.1)), maker.op("Mul", mean, factor)
    )
    x = maker.op("Sigmoid", maker.op("Add", maker.op("Mul", x, factor), shift))
    maker.op("Transpose", x, perm=[0, 2, 3, 1], output="output1")
    return maker.model(13, [1, size, size, 3])
