"""Quantised networks as float ones: constants of 8 bits become the numbers they stand for."""

import numpy as np
import onnx
from onnx import numpy_helper

from styletransfer.onnxgrad.reading import attributes


def dequantise_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model in which what DequantizeLinear makes of constants is float constants.

    A constant q stands for (q − zero point) · scale, of its channel where there is one each.
    """
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            values, scale, *zero = (constants[name] for name in node.input)
            axis = attributes(node).get("axis", 1)
            array = _numbers(values, scale, zero[0] if zero else np.zeros((), np.int32), axis)
            result.graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
        else:
            result.graph.node.append(node)
    return result


def without_quantised_activations(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose activations are the float numbers that were rounded to 8 bits."""
    constants = {t.name for t in model.graph.initializer}
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for node in result.graph.node:
        quantises = node.op_type in ("QuantizeLinear", "DequantizeLinear")
        if quantises and node.input[0] not in constants:
            node.op_type = "Identity"
            del node.input[1:], node.attribute[:]
    return result


def _numbers(values: np.ndarray, scale: np.ndarray, zero: np.ndarray, axis: int) -> np.ndarray:
    if scale.size > 1:
        shape = [1] * values.ndim
        shape[axis] = -1
        scale, zero = scale.reshape(shape), np.reshape(zero, shape)
    difference = values.astype(np.int32) - np.asarray(zero, np.int32)
    numbers: np.ndarray = difference.astype(np.float32) * scale
    return numbers.reshape(values.shape)
