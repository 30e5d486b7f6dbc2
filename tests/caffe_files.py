"""Caffe's files, written for tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from styletransfer.caffe_schema import BlobProto, NetParameter


def blob(array: np.ndarray, legacy: bool = False) -> BlobProto:
    """Return an array as a blob; `legacy` states its shape by four numbers, as V1 does."""
    array = np.asarray(array)
    message = BlobProto()
    if array.dtype == np.float64:
        message.double_data.append(array.astype("<f8").tobytes())
    else:
        message.data.append(array.astype("<f4").tobytes())
    if legacy:
        shape = (1,) * (4 - array.ndim) + array.shape
        message.num, message.channels, message.height, message.width = shape
    else:
        message.shape.dim.extend(array.shape)
    return message


def write_caffemodel(
    path: Path, weights: Mapping[str, Sequence[np.ndarray]], v1: bool = False
) -> Path:
    """Write layers of the given names with the given blobs, in either format."""
    net = NetParameter(name="test")
    for name, arrays in weights.items():
        layer = (net.layers if v1 else net.layer).add(name=name)
        layer.blobs.extend(blob(array, legacy=v1) for array in arrays)
    path.write_bytes(net.SerializeToString())
    return path
