"""Convolutions with a large kernel to a few maps, as ones of a column of it to more maps.

The runtime multiplies matrices of as many rows as there are maps, and with three rows it is slow.
A convolution of each column of the kernel for itself gives as many times more maps as there are
columns; these, each shifted by its column, add up to the result.
"""

import onnx

from styletransfer.onnxgrad.builder import GraphBuilder
from styletransfer.onnxgrad.window import Window

FEW_MAPS, MANY_COLUMNS = 4, 5


def rewrite(builder: GraphBuilder) -> int:
    """Replace such convolutions in a graph; return how many were.

    They are those of two axes, single steps, one group and no padding.
    """
    replaced = 0

    def replace(node: onnx.NodeProto) -> bool:
        nonlocal replaced
        if not _is_meant(builder, node):
            return False
        with builder.scope(f"{node.output[0]}/columns"):
            _emit(builder, node)
        replaced += 1
        return True

    builder.rebuild(replace)
    return replaced


def _is_meant(builder: GraphBuilder, node: onnx.NodeProto) -> bool:
    if node.op_type != "Conv":
        return False
    channels = builder.shape(node.input[0])[1]
    maps, inputs, *kernel = builder.shape(node.input[1])
    window = Window.of(node, kernel)
    if window is None or len(kernel) != 2 or inputs != channels or any(window.pads):
        return False
    return window.single_steps and window.dense and maps <= FEW_MAPS and kernel[1] >= MANY_COLUMNS


def _emit(builder: GraphBuilder, node: onnx.NodeProto) -> None:
    x, w, *bias = node.input
    maps, channels, height, width = builder.shape(w)
    columns = builder.op("Transpose", w, perm=[3, 0, 1, 2])
    columns = builder.reshape(columns, (width * maps, channels, height, 1))
    parts = builder.op("Conv", x, columns)
    across = builder.shape(x)[3] - width + 1
    shifted = [
        builder.slice(parts, (1, 3), (i * maps, i), ((i + 1) * maps, i + across))
        for i in range(width)
    ]
    if bias:
        shifted.append(builder.reshape(bias[0], (1, maps, 1, 1)))
    builder.op("Sum", *shifted, output=node.output[0])
