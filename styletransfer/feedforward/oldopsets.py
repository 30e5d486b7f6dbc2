"""Trained networks in the operators of earlier versions of ONNX, for programs that know no others.

onnx's converter goes up, and stops on the way down at Pad: these are the few operators that
`inference` uses and that have changed since opset 7.
"""

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from styletransfer.errors import UsageError
from styletransfer.onnxgrad.reading import attributes

UNCHANGED = 15
"""Since this opset all that is used is as it is now."""

OLDEST = 11
"""The first that can pad by what is computed from a picture's size, as networks of any size do."""

OLDEST_OF_ONE_SIZE = 7
"""The first whose arithmetic is that of now."""

Constants = Mapping[str, np.ndarray]


def lower(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Return a model of `UNCHANGED` or later in an earlier opset.

    Raises
    ------
    UsageError
        If it cannot be said in that.
    """
    given = {t.name: t for t in model.graph.initializer}
    constants = {
        name: numpy_helper.to_array(t)
        for name, t in given.items()
        if t.data_type == onnx.TensorProto.INT64 or not t.dims
    }
    added: dict[str, np.ndarray] = {}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        since, change = _CHANGES.get(node.op_type, (0, _same))
        nodes += change(node, constants, added) if opset < since else [node]
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    graph.initializer.extend(t for name, t in given.items() if name in read)
    graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in added.items())
    result.opset_import[0].version = opset
    # Before version 4 weights are inputs, too, which would only confuse.
    result.ir_version = max(helper.find_min_ir_version_for(list(result.opset_import)), 4)
    return result


def _same(
    node: onnx.NodeProto, constants: Constants, added: dict[str, np.ndarray]
) -> list[onnx.NodeProto]:
    return [node]


def _whole_shape(
    node: onnx.NodeProto, constants: Constants, added: dict[str, np.ndarray]
) -> list[onnx.NodeProto]:
    """A part of a shape is cut out of the whole."""
    (output,), given = node.output, attributes(node)
    whole = f"{output}/whole"
    bounds = [f"{output}/{name}" for name in ("start", "end")]
    added |= {
        name: np.array([given[key]], np.int64)
        for name, key in zip(bounds, ("start", "end"), strict=True)
    }
    return [
        helper.make_node("Shape", node.input, [whole], whole),
        helper.make_node("Slice", [whole, *bounds], [output], output),
    ]


def _with_attributes(*names: str) -> Callable[..., list[onnx.NodeProto]]:
    """Return a change that makes attributes of a node's inputs after the first."""

    def change(
        node: onnx.NodeProto, constants: Constants, added: dict[str, np.ndarray]
    ) -> list[onnx.NodeProto]:
        values = {
            name: constants[key].tolist() for name, key in zip(names, node.input[1:], strict=True)
        }
        kept = attributes(node) | values
        return [helper.make_node(node.op_type, node.input[:1], node.output, node.name, **kept)]

    return change


_CHANGES: Mapping[str, tuple[int, Callable[..., list[onnx.NodeProto]]]] = {
    "Shape": (15, _whole_shape),
    "Split": (13, _with_attributes("split")),
    "Pad": (11, _with_attributes("pads")),
    "Clip": (11, _with_attributes("min", "max")),
    "Slice": (10, _with_attributes("starts", "ends", "axes")),
}
"""The opset since which an operator is as it is now, and what it was before."""


def check(opset: int, newest: int, any_size: bool) -> None:
    """Raise UsageError if a network cannot be written in an opset."""
    oldest = OLDEST if any_size else OLDEST_OF_ONE_SIZE
    if oldest <= opset <= newest:
        return
    if any_size and OLDEST_OF_ONE_SIZE <= opset < OLDEST:
        raise UsageError(
            f"in opset {opset} a network cannot pad pictures of any size: {OLDEST} is the lowest"
            f" for that; give a size (--size) for {OLDEST_OF_ONE_SIZE} and more"
        )
    raise UsageError(
        f"the opset is {opset}; give one from {OLDEST} to {newest}, or with a size (--size) from"
        f" {OLDEST_OF_ONE_SIZE}"
    )
