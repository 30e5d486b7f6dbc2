"""Caffe's files become ONNX models.

Both generations of the format are read: V1 (field ``layers``, types as enums) and V2 (``layer``,
types as strings). Files are parsed by protobuf, bounded in size and never executed.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import onnx

from styletransfer.caffe import layers
from styletransfer.caffe.caffemodel import read_caffemodel
from styletransfer.caffe.prototxt import MAX_MESSAGE, MAX_SIZE, read_prototxt
from styletransfer.errors import NetworkError
from styletransfer.text import printable

__all__ = ["convert"]


def convert(
    prototxt: str | PathLike[str],
    caffemodel: str | PathLike[str],
    input_shape: Sequence[int | str] | None = None,
) -> onnx.ModelProto:
    """Convert a Caffe network into an ONNX model of its forward pass.

    Parameters
    ----------
    prototxt : path
        The network's description in protobuf's text format, V1 or V2. Layers that only training
        uses (data, losses, accuracy, phase TRAIN) are left out.
    caffemodel : path
        Its weights in protobuf's binary format, V1 or V2.
    input_shape : sequence of int or str, optional
        (batch, channels, height, width); strings name symbolic sizes. By default what the
        prototxt says.

    Returns
    -------
    onnx.ModelProto
        float32; input ``data``, every blob an output of its own name. A blob that layers rewrite
        in place, such as a convolution with its ReLU, has its last value. Layers at the end of
        the network that the caffemodel has no weights for are left out.

    Raises
    ------
    NetworkError
        A file cannot be read, the two do not fit together, or a layer is not supported.
    """
    description = read_prototxt(Path(prototxt))
    input_shape = input_shape or description.input_shape
    if input_shape is None:
        raise NetworkError(f"{prototxt} does not give its input a shape; pass input_shape")
    if len(input_shape) != 4 or not all(
        isinstance(size, str) or 0 < size <= MAX_SIZE for size in input_shape
    ):
        shape = printable(str(tuple(input_shape)), 200)
        raise NetworkError(
            f"the input shape {shape} is not (batch, channels, height, width) "
            f"with names or sizes from 1 to {MAX_SIZE}"
        )
    if isinstance(input_shape[1], str):
        raise NetworkError(f"the number of channels is {input_shape[1]!r}; it must be a number")
    weights = read_caffemodel(caffemodel)
    try:
        return layers.to_onnx(
            description.layers, weights, input_shape, description.input_name, description.name
        )
    except NetworkError as error:
        message = printable(str(error), MAX_MESSAGE)
        raise NetworkError(f"{prototxt} with {caffemodel}: {message}") from None
