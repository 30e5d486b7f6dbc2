"""Caffe's files become ONNX models.

Both generations of the format are read: V1 (field ``layers``, types as enums) and V2 (``layer``,
types as strings). Files are parsed by protobuf, bounded in size and never executed.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import onnx

from styletransfer import layers
from styletransfer.caffe.caffemodel import read_caffemodel, read_mean
from styletransfer.caffe.prototxt import MAX_SIZE, Description, read_prototxt
from styletransfer.errors import NetworkError
from styletransfer.networks import MEAN

__all__ = ["convert", "load_folder", "read_caffemodel", "read_mean"]


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
    return _convert(description, prototxt, caffemodel, input_shape or description.input_shape)


def load_folder(folder: str | PathLike[str]) -> tuple[onnx.ModelProto, np.ndarray, int]:
    """Load any Caffe network from a folder that holds its files.

    Parameters
    ----------
    folder : path
        Holds one ``.prototxt``, one ``.caffemodel`` and at most one mean file (``.npy`` or
        ``.binaryproto``).

    Returns
    -------
    model : onnx.ModelProto
        As `convert` gives it, for one image of any height and width.
    mean : ndarray of shape (3,)
        Per channel, in the order BGR and the range 0 to 255; without a mean file that of
        ILSVRC 2012.
    input_size : int
        The shorter side of the network's input, in pixels.

    Raises
    ------
    NetworkError
        A file is missing, or there are several of a kind, or as in `convert`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NetworkError(f"{folder} is not a folder with a Caffe network")
    prototxt = _only(folder, ".prototxt")
    caffemodel = _only(folder, ".caffemodel")
    mean_file = _only(folder, ".npy", ".binaryproto", required=False)
    description = read_prototxt(prototxt)
    shape = description.input_shape
    if shape is None or shape[1] != 3:
        raise NetworkError(
            f"{prototxt} gives its input the shape {shape}; "
            "style transfer needs (1, 3, height, width)"
        )
    model = _convert(description, prototxt, caffemodel, (1, 3, "height", "width"))
    return model, MEAN if mean_file is None else read_mean(mean_file), min(shape[2:])


def _convert(
    description: Description,
    prototxt: str | PathLike[str],
    caffemodel: str | PathLike[str],
    input_shape: Sequence[int | str] | None,
) -> onnx.ModelProto:
    if input_shape is None:
        raise NetworkError(f"{prototxt} does not give its input a shape; pass input_shape")
    if len(input_shape) != 4 or not all(
        isinstance(size, str) or 0 < size <= MAX_SIZE for size in input_shape
    ):
        raise NetworkError(
            f"the input shape {tuple(input_shape)} is not (batch, channels, height, width) "
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
        raise NetworkError(f"{prototxt} with {caffemodel}: {error}") from None


def _only(folder: Path, *suffixes: str, required: bool = True) -> Path | None:
    found = sorted(path for path in folder.iterdir() if path.suffix in suffixes)
    if len(found) > 1 or (required and not found):
        names = ", ".join(path.name for path in found) or "none"
        raise NetworkError(f"{folder} must hold one {' or '.join(suffixes)} file; it has {names}")
    return found[0] if found else None
