"""Caffe's binary files become arrays: the weights in a caffemodel, the mean of a training set."""

import math
import mmap
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError, Message

from styletransfer import wire
from styletransfer.caffe.prototxt import MAX_LAYERS, MAX_NAME, check_size
from styletransfer.caffe.schema import BlobProto, LayerParameter, V1LayerParameter
from styletransfer.errors import NetworkError
from styletransfer.text import printable

MAX_CAFFEMODEL = (2 << 30) - 1  # bytes; protobuf itself reads no more
MAX_MEAN = 64 << 20  # bytes
MAX_FIELDS = 1000  # of one layer, with all that is in it
MAX_AXES = 8  # of a blob; those of weights have 4 at most

# The fields of NetParameter that hold layers, with their type.
_LAYERS = {2: V1LayerParameter, 100: LayerParameter}


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
    weights: dict[str, list[np.ndarray]] = {}
    count = 0
    try:
        for layer in _layers(_open(path, MAX_CAFFEMODEL)):
            count += 1
            name = layer.name[:MAX_NAME]
            if not isinstance(name, str):
                raise NetworkError(f"{path}: the name {name!r} is not text; it is damaged")
            if layer.name in weights:
                raise NetworkError(f"{path}: two layers with weights are called {name!r}")
            if layer.blobs:
                where = f"{path}: layer {name!r}"
                weights[layer.name] = [_array(blob, where) for blob in layer.blobs]
    except DecodeError:
        raise NetworkError(
            f"{path} is not a caffemodel, or only a part of one; get it again"
        ) from None
    if not count:
        raise NetworkError(f"{path} holds no layers, so it is not a caffemodel; get it again")
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
            with path.open("rb") as stream:
                version = np.lib.format.read_magic(stream)
            if version > (1, 0):
                # Memory would be taken for as long a header as the file says, up to 4 GB.
                raise ValueError(f"version {version[0]}, which no plain numbers need")
            # Mapping checks the size in the header against the file's; nothing is unpickled.
            image: np.ndarray = np.lib.format.open_memmap(path, mode="r")
        except Exception as error:  # a damaged header fails in ways that NumPy does not sum up
            raise NetworkError(
                f"{path} is not a NumPy array: {printable(str(error), 200)}"
            ) from None
    else:
        try:
            blob = wire.parse(_open(path, MAX_MEAN), BlobProto, MAX_FIELDS)
        except DecodeError:
            raise NetworkError(f"{path} is not a mean file, or only a part of one") from None
        image = _array(blob, str(path))
    if image.ndim == 4 and image.shape[0] == 1:
        image = image[0]
    shaped = image.ndim in (1, 3) and image.shape[0] == 3 and image.size
    if not shaped or image.dtype.kind not in "fui":
        dtype = printable(str(image.dtype), 50)
        raise NetworkError(
            f"{path} holds an array of shape {image.shape} and type {dtype}; "
            "a mean has the shape (3,) or (3, height, width)"
        )
    # One after the other: it takes up to eight times the memory of the file's own numbers.
    mean = np.array([np.asarray(c, np.float64).mean() for c in image.reshape(3, -1)])
    if not np.isfinite(mean).all():
        raise NetworkError(f"{path}: the mean {mean} is not finite; the file is damaged")
    return mean


def _open(path: Path, limit: int) -> memoryview:
    """Return the content of a file, mapped into memory, if it is not longer than `limit`."""
    check_size(path, limit)
    try:
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise NetworkError(f"cannot read {path}: {error.strerror}") from None


def _layers(net: memoryview) -> Iterator[Message]:
    """Yield the layers of a serialised NetParameter.

    One layer is in memory at a time, and protobuf gets to see only what has a sensible number of
    fields.
    """
    for count, (number, layer) in enumerate(wire.fields(net)):
        if count == MAX_LAYERS:
            raise DecodeError("too many fields")
        if layer is not None and number in _LAYERS:
            yield wire.parse(layer, _LAYERS[number], MAX_FIELDS)


def _array(blob: Message, where: str) -> np.ndarray:
    """Return a blob's numbers in the shape that it states."""
    if len(blob.shape.dim) > MAX_AXES:
        axes = len(blob.shape.dim)
        raise NetworkError(f"{where} has a blob with {axes} axes; {MAX_AXES} is the most")
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
    with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite, and is refused
        return np.frombuffer(data, dtype).astype(np.float32, copy=False).reshape(shape)
