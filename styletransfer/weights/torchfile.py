"""Tensors out of a legacy (before PyTorch 1.6, not zip) ``torch.save`` file, without PyTorch.

Such a file is five pickles (a magic number, the protocol, facts about the machine that wrote it,
the object, the keys of its storages) and then each storage, raw: its count as an int64, its
elements. A tensor in the object is a call that names a storage, an offset, a shape and strides.

A pickle is a program. Nothing here runs one: the unpickler knows four names, two of which are only
markers of an element type, and every count is held against the length of the file.
"""

import math
import pickle
import struct
from collections import OrderedDict
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from styletransfer.errors import WeightsError
from styletransfer.text import clause

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STORAGE_TYPES = {"FloatStorage": np.dtype("<f4"), "ByteStorage": np.dtype("u1")}


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a file that holds one flat dict of contiguous float32 or uint8 tensors.

    Raises
    ------
    WeightsError
        The file is not of this format, is damaged, or asks for anything but such tensors.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            return _read(file, size)
        except WeightsError:
            raise
        except Exception as error:  # a pickle made by others can fail in any way
            reason = clause(error, 300) or type(error).__name__
            raise WeightsError(f"this is not a whole legacy torch.save file: {reason}") from None


def _read(file: BufferedReader, size: int) -> dict[str, np.ndarray]:
    unpickler = _Unpickler(file, size)
    if unpickler.load() != _MAGIC or _Unpickler(file, size).load() != _PROTOCOL:
        raise WeightsError("the file does not begin like a legacy torch.save file")
    if _Unpickler(file, size).load().get("little_endian") is not True:
        raise WeightsError(
            "the file was written on a big-endian machine; only little-endian is read"
        )
    unpickler = _Unpickler(file, size)
    tensors = unpickler.load()
    keys = _Unpickler(file, size).load()
    if sorted(keys) != sorted(unpickler.storages):
        raise WeightsError("the file's list of storages does not fit its tensors")
    for key in keys:
        storage = unpickler.storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        if count != storage.size or file.readinto(storage.data.cast("B")) != storage.nbytes:
            raise WeightsError("the file is cut short, or a storage has another length than stated")
    if not isinstance(tensors, dict) or not all(
        isinstance(name, str) and isinstance(tensor, np.ndarray) for name, tensor in tensors.items()
    ):
        raise WeightsError("the file does not hold a flat dict of tensors")
    return dict(tensors)


class _Unpickler(pickle.Unpickler):
    """Knows tensors and their storages, and refuses every other name."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__(file)
        self.storages: dict[str, np.ndarray] = {}
        self._room = size

    def find_class(self, module: str, name: str) -> object:
        if module == "torch" and name in _STORAGE_TYPES:
            return _STORAGE_TYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise WeightsError(
            f"the file asks for {clause(f'{module}.{name}')}, which a file of weights never needs"
        )

    def persistent_load(self, pid: Any) -> np.ndarray:
        kind, dtype, key, _location, count, view = pid
        if kind != "storage" or view is not None or not isinstance(dtype, np.dtype):
            raise WeightsError("the file holds something other than plain storages")
        if key not in self.storages:
            self._room -= count * dtype.itemsize
            if count < 0 or self._room < 0:
                raise WeightsError("the file's storages are said to be longer than the file")
            self.storages[key] = np.zeros(count, dtype)
        return self.storages[key]

    def _tensor(
        self,
        storage: np.ndarray,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        _requires_grad: object,
        _hooks: object,
    ) -> np.ndarray:
        count = math.prod(shape)
        contiguous = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
        if tuple(strides) != contiguous or not 0 <= offset <= offset + count <= storage.size:
            raise WeightsError("a tensor is not contiguous, or reaches beyond its storage")
        return storage[offset : offset + count].reshape(shape)
