"""Networks of other types of numbers as ones of float32."""

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

_SMALLER = (TensorProto.FLOAT16, TensorProto.BFLOAT16)


def of_32_bits(model: onnx.ModelProto) -> None:
    """Make floats of 16 bits in a model floats of 32, and pictures of bytes that go in floats.

    A picture of bytes has the same numbers as floats, and is cast to floats before it is computed
    with: that cast has nothing to do then.
    """
    for value in model.graph.input:
        tensor = value.type.tensor_type
        if tensor.elem_type in (*_SMALLER, TensorProto.UINT8):
            tensor.elem_type = TensorProto.FLOAT
    for value in model.graph.output:
        if value.type.tensor_type.elem_type in _SMALLER:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for tensor in model.graph.initializer:
        _enlarge(tensor)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _enlarge(attribute.t)
            elif attribute.name in ("to", "dtype") and attribute.i in _SMALLER:
                attribute.i = TensorProto.FLOAT


def _enlarge(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in _SMALLER:
        values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
