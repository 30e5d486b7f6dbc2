"""What is read from a model: attributes, constants, types, and which nodes are needed."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from styletransfer.errors import GradientError

OLDEST_OPSET, NEWEST_OPSET = 18, 21


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes of a node as plain Python values (strings decoded)."""
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}


def describe(node: onnx.NodeProto) -> str:
    """Return a phrase that lets a reader find the node: its operator and its name."""
    return f"{node.op_type} node {node.name or node.output[0]!r}"


def needed(
    nodes: Sequence[onnx.NodeProto], outputs: Iterable[str]
) -> tuple[list[onnx.NodeProto], set[str]]:
    """Return the nodes that some tensors need, in their order, and all the tensors that they read.

    The tensors asked for are among those returned.
    """
    names = set(outputs)
    kept = []
    for node in reversed(nodes):
        if not names.isdisjoint(node.output):
            kept.append(node)
            names.update(node.input)
    return kept[::-1], names


def opset(model: onnx.ModelProto) -> int:
    """Return the version of the standard operators that a model is written in."""
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    version = int(opsets.pop("ai.onnx", 0))
    if opsets:
        raise GradientError(
            f"The model uses operators of {', '.join(opsets)}; only standard ONNX ones are known."
        )
    if not OLDEST_OPSET <= version <= NEWEST_OPSET:
        raise GradientError(
            f"The model is of opset {version}; convert it to {OLDEST_OPSET} to {NEWEST_OPSET} "
            "with onnx.version_converter."
        )
    return version


def static_type(proto: onnx.TypeProto) -> tuple[tuple[int, ...] | None, np.dtype]:
    """Return the shape of a tensor, None where it is not known in numbers, and its dtype."""
    tensor = proto.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    known = tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim)
    return tuple(d.dim_value for d in tensor.shape.dim) if known else None, dtype


def constant_value(node: onnx.NodeProto) -> np.ndarray:
    """Return what a node of the operator Constant holds."""
    (kind, value), *_ = attributes(node).items()
    if kind == "value":
        return numpy_helper.to_array(value)
    if kind in ("value_float", "value_floats"):
        return np.asarray(value, np.float32)
    if kind in ("value_int", "value_ints"):
        return np.asarray(value, np.int64)
    raise GradientError(
        f"The {describe(node)} holds a {kind}; only tensors and numbers are supported."
    )
