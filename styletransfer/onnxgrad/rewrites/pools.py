"""Average pools without ceil_mode, with which the runtime is slow."""

from dataclasses import replace

from onnx import helper

from styletransfer.onnxgrad.builder import GraphBuilder
from styletransfer.onnxgrad.reading import attributes
from styletransfer.onnxgrad.window import Window


def rewrite(builder: GraphBuilder) -> None:
    """Take ceil_mode from the average pools of a graph that can do without.

    Windows that end where the input or its padding ends need none. Where there is no padding, an
    overhang of the last windows is the same as padding that does not count.
    """
    for node in builder.nodes:
        if node.op_type != "AveragePool":
            continue
        window = Window.of(node)
        if window is None or not window.ceil or not window.dense:
            continue
        size, outputs = (builder.shape(name)[2:] for name in (node.input[0], node.output[0]))
        rows = list(zip(window.axes, size, outputs, strict=True))
        over = [max(axis.length(count) - length, 0) for axis, length, count in rows]
        counts = attributes(node).get("count_include_pad", 0)
        if not any(window.pads):
            axes = zip(window.axes, over, strict=True)
            window, counts = Window(tuple(replace(axis, after=n) for axis, n in axes)), 0
        elif any(over):
            continue
        plain = window.attributes | {"count_include_pad": counts}
        node.CopyFrom(helper.make_node("AveragePool", node.input, node.output, node.name, **plain))
