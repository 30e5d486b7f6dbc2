"""Caffe's files (prototxt, caffemodel, mean) become ONNX models and NumPy arrays.

Both generations of the format are read: V1 (field ``layers``, types as enums) and V2 (``layer``,
types as strings). Files are parsed by protobuf, bounded in size and never executed.
"""

import math
import mmap
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError, Message

from styletransfer import layers
from styletransfer.caffe_schema import BlobProto, NetParameter
from styletransfer.errors import NetworkError
from styletransfer.networks import MEAN
from styletransfer.prototxt import MAX_SIZE, Description, check_size
from styletransfer.prototxt import read as read_prototxt

MAX_CAFFEMODEL = (2 << 30) - 1  # bytes; protobuf itself reads no more
MAX_MEAN = 64 << 20  # bytes


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


def read_caffemodel(path: str | PathLike[str]) -> dict[str, list[np.ndarray]]:
    """Read the weights of a caffemodel, V1 or V2.

    Parameters
    ----------
    path : path
        The file, of at most 2 GiB.

    Returns
    -------
    dict of str to list of ndarray
        Each layer's weight blobs, float32 and read-only, by the layer's name in the file's order.
        Shapes are those of the file: in V1 they have four axes, (1, 1, 1, n) for a bias.

    Raises
    ------
    NetworkError
        The file cannot be read, is no caffemodel, or is damaged.
    """
    path = Path(path)
    net = NetParameter()
    _parse(net, path, MAX_CAFFEMODEL, "caffemodel")
    if not net.layers and not net.layer:
        raise NetworkError(f"{path} holds no layers, so it is not a caffemodel; get it again")
    weights: dict[str, list[np.ndarray]] = {}
    for layer in (*net.layers, *net.layer):
        if layer.name in weights:
            raise NetworkError(f"{path}: two layers with weights are called {layer.name!r}")
        if layer.blobs:
            weights[layer.name] = [_array(blob, f"{path}: {layer.name!r}") for blob in layer.blobs]
    return weights


def read_mean(path: str | PathLike[str]) -> np.ndarray:
    """Read the mean of a training set.

    Parameters
    ----------
    path : path
        ``.npy`` or ``.binaryproto``: an image (3, H, W), BGR, range 0 to 255, or its mean (3,).

    Returns
    -------
    ndarray of shape (3,), float64
        The mean over all positions, per channel, BGR.

    Raises
    ------
    NetworkError
        The file cannot be read or holds no such mean.
    """
    path = Path(path)
    if path.suffix == ".npy":
        check_size(path, MAX_MEAN)
        try:
            # Mapping checks the size in the header against the file's; nothing is unpickled.
            image = np.lib.format.open_memmap(path, mode="r")
        except Exception as error:  # a damaged header fails in ways that NumPy does not sum up
            raise NetworkError(f"{path} is not a NumPy array: {error}") from None
    else:
        blob = BlobProto()
        _parse(blob, path, MAX_MEAN, "mean file")
        image = _array(blob, str(path))
    if image.ndim == 4 and image.shape[0] == 1:
        image = image[0]
    if image.ndim not in (1, 3) or image.shape[0] != 3 or image.dtype.kind not in "fui":
        raise NetworkError(
            f"{path} holds an array of shape {image.shape} and type {image.dtype}; "
            "a mean has the shape (3,) or (3, height, width)"
        )
    mean = np.asarray(image, np.float64).reshape(3, -1).mean(axis=1)
    if not np.isfinite(mean).all():
        raise NetworkError(f"{path}: the mean {mean} is not finite; the file is damaged")
    return mean


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


def _parse(message: Message, path: Path, limit: int, what: str) -> None:
    check_size(path, limit)
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
            memoryview(data) as view,
        ):
            message.MergeFromString(view)
    except OSError as error:
        raise NetworkError(f"cannot read {path}: {error.strerror}") from None
    except DecodeError:
        raise NetworkError(f"{path} is not a {what}, or only a part of one; get it again") from None


def _array(blob: Message, where: str) -> np.ndarray:
    """Return a blob's numbers in the shape that it states."""
    if blob.HasField("shape"):
        shape = tuple(blob.shape.dim)
    else:
        shape = (blob.num, blob.channels, blob.height, blob.width)
    raw, dtype = (blob.double_data, "<f8") if blob.double_data else (blob.data, "<f4")
    data = b"".join(raw)
    count = math.prod(shape)
    if min(shape, default=1) < 1 or len(data) != count * np.dtype(dtype).itemsize:
        raise NetworkError(
            f"{where} has a blob of shape {shape} with {len(data)} bytes of numbers, "
            "which do not fit together; the file is damaged"
        )
    return np.frombuffer(data, dtype).astype(np.float32, copy=False).reshape(shape)


def _only(folder: Path, *suffixes: str, required: bool = True) -> Path | None:
    found = sorted(path for path in folder.iterdir() if path.suffix in suffixes)
    if len(found) > 1 or (required and not found):
        names = ", ".join(path.name for path in found) or "none"
        raise NetworkError(f"{folder} must hold one {' or '.join(suffixes)} file; it has {names}")
    return found[0] if found else None
