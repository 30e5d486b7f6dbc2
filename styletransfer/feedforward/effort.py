"""What running a network may take: which operators, how many steps, how much memory.

A file of a few kilobytes can ask for any amount of each. What networks that paint take in honesty
is known, and grows with the picture: bounds are for its pixels, with some room for what does not.
"""

from collections.abc import Callable, Mapping
from math import prod

import onnx

from styletransfer.errors import NetworkError
from styletransfer.objective.memory import live
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.reading import attributes, describe
from styletransfer.text import clause

MOST_NODES = 5000
"""Attention in many windows has 3000."""

# Of a tensor: numbers, and more of them for each pixel; the widest layers have a thousand channels
# where the picture is small. Of all that are held at once: four such tensors.
_MOST_ELEMENTS, _MOST_CHANNELS = 1 << 24, 1 << 11
_AT_ONCE = 4 * 4  # bytes of an element

# The largest that enlarge pictures, EDSR and HAT, take 40 to 50 million multiplications a pixel.
_MOST_STEPS, _MOST_STEPS_A_PIXEL = 1 << 33, 1 << 26
# An element that is fetched and stored takes as long as so many of a matrix product.
_FETCHED = 16

# Operators that take a few steps for each element that they read or write.
# fmt: off
_ELEMENTWISE = frozenset({
    "Abs", "Acos", "Acosh", "Add", "And", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan", "Atanh",
    "BatchNormalization", "BitShift", "Cast", "CastLike", "Ceil", "Celu", "Clip", "Concat",
    "Constant", "ConstantOfShape", "Cos", "Cosh", "CumSum", "DepthToSpace", "DequantizeLinear",
    "Div", "Dropout", "DynamicQuantizeLinear", "Elu", "Equal", "Erf", "Exp", "Expand", "EyeLike",
    "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Gelu", "GlobalAveragePool",
    "GlobalLpPool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "GridSample",
    "GroupNormalization", "HardSigmoid", "HardSwish", "Hardmax", "Identity",
    "InstanceNormalization", "IsInf", "IsNaN", "LayerNormalization", "LeakyRelu", "Less",
    "LessOrEqual", "Log", "LogSoftmax", "LpNormalization", "Max", "Mean",
    "MeanVarianceNormalization", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pad",
    "Pow", "QuantizeLinear", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike", "Range", "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum",
    "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
    "ReduceSumSquare", "Relu", "Reshape", "Resize", "Round", "ScatterElements", "ScatterND",
    "Selu", "Shape", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Size", "Slice", "Softmax",
    "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tan",
    "Tanh", "ThresholdedRelu", "Tile", "Transpose", "Trilu", "Unsqueeze", "Upsample", "Where",
    "Xor",
})
# fmt: on


def _convolution(weight: int) -> Callable[[GraphBuilder, onnx.NodeProto], int]:
    def steps(graph: GraphBuilder, node: onnx.NodeProto) -> int:
        kernel = graph.shape(node.input[weight])[1:]  # channels of a group, and sides
        # Channels by themselves are no matrix product.
        times = _FETCHED if kernel[0] == 1 else 1
        return times * prod(graph.shape(node.output[0])) * prod(kernel)

    return steps


def _transposed(graph: GraphBuilder, node: onnx.NodeProto) -> int:
    return prod(graph.shape(node.input[0])) * prod(graph.shape(node.input[1])[1:])


def _product(graph: GraphBuilder, node: onnx.NodeProto) -> int:
    shape = graph.shape(node.input[0])
    axis = 0 if attributes(node).get("transA") else -1
    return prod(graph.shape(node.output[0])) * shape[axis]


def _pool(graph: GraphBuilder, node: onnx.NodeProto) -> int:
    window = int(prod(attributes(node)["kernel_shape"]))
    return _FETCHED * prod(graph.shape(node.output[0])) * window


def _across_channels(graph: GraphBuilder, node: onnx.NodeProto) -> int:
    return _FETCHED * prod(graph.shape(node.output[0])) * int(attributes(node)["size"])


def _einsum(graph: GraphBuilder, node: onnx.NodeProto) -> int:
    """Return the sizes of all letters multiplied: one step for each choice of their values."""
    read = str(attributes(node)["equation"]).replace(" ", "").split("->")[0].split(",")
    if len(read) > 2 or "." in "".join(read):
        raise NetworkError(f"the {describe(node)} is of more than two tensors, or has an ellipsis.")
    sizes: dict[str, int] = {}
    for letters, name in zip(read, node.input, strict=True):
        sizes |= zip(letters, graph.shape(name), strict=True)
    return prod(sizes.values())


_STEPS: Mapping[str, Callable[[GraphBuilder, onnx.NodeProto], int]] = {
    "AveragePool": _pool,
    "Conv": _convolution(1),
    "ConvInteger": _convolution(1),
    "ConvTranspose": _transposed,
    "Einsum": _einsum,
    "Gemm": _product,
    "LRN": _across_channels,
    "LpPool": _pool,
    "MatMul": _product,
    "MatMulInteger": _product,
    "MaxPool": _pool,
    "QLinearConv": _convolution(3),
    "QLinearMatMul": _product,
}
"""Of the other operators: how many steps they take, beside those for what they read and write."""


def check_operators(model: onnx.ModelProto) -> None:
    """Raise NetworkError where a model has operators of which nobody knows what they will take.

    Loops and branches are among them: how often they run is known only when they do.
    """
    nodes = model.graph.node
    if len(nodes) > MOST_NODES:
        raise NetworkError(f"it has {len(nodes)} operators; {MOST_NODES} are the most.")
    for node in nodes:
        known = node.op_type in _ELEMENTWISE or node.op_type in _STEPS
        if node.domain in ("", "ai.onnx") and not known:
            raise NetworkError(
                f"it has the operator {clause(node.op_type)}, which no network needs that paints"
                " pictures, and which is not run: what it would take cannot be told before."
            )


def check(graph: GraphBuilder, pixels: int) -> None:
    """Raise NetworkError where a picture of some pixels would take too much memory or time."""
    most = _MOST_ELEMENTS + _MOST_CHANNELS * pixels
    steps = 0
    for node in graph.nodes:
        read = sum(prod(graph.shape(name)) for name in node.input if name)
        for name in filter(None, node.output):
            shape = graph.shape(name)
            _check_elements(node, prod(shape), shape, most, pixels)
            read += prod(shape)
        own = _STEPS[node.op_type](graph, node) if node.op_type in _STEPS else 0
        if node.op_type == "ConvTranspose":  # what each position gives, before it is added up
            (_, _, *places), (_, *each) = map(graph.shape, node.input[:2])
            _check_elements(node, prod(places) * prod(each), (*each, *places), most, pixels)
        steps += own + _FETCHED * read
    if steps > _MOST_STEPS + _MOST_STEPS_A_PIXEL * pixels:
        raise NetworkError(
            f"it takes {steps:.1e} multiplications for a picture of {pixels} pixels; more than"
            f" {_MOST_STEPS_A_PIXEL / 1e6:.0f} million a pixel are not run."
        )
    held = live(graph, graph.outputs)
    if held > _AT_ONCE * most:
        raise NetworkError(
            f"it holds {held / 1e6:.0f} MB at once for a picture of {pixels} pixels, which is too"
            " much."
        )


def _check_elements(
    node: onnx.NodeProto, count: int, shape: tuple[int, ...], most: int, pixels: int
) -> None:
    if count > most:
        sizes = " x ".join(map(str, shape))
        raise NetworkError(
            f"the {describe(node)} makes {sizes} numbers, which is too much for a picture of"
            f" {pixels} pixels."
        )
