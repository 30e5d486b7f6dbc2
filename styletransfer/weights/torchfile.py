"""Tensors out of a legacy (before PyTorch 1.6, not zip) ``torch.save`` file, without PyTorch.

Such a file is five pickles (a magic number, the protocol, facts about the machine that wrote it,
the object, the keys of its storages) and then each storage, raw: its count as an int64, its
elements. A tensor in the object is a call that names a storage, an offset, a shape and strides.

A pickle is a program. Nothing here runs one: what is followed are the few opcodes that such files
are made of, with four names, two of which are only markers of an element type, and every count is
held against the length of the file.
"""

import io
import math
import pickletools
import struct
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.errors import WeightsError
from styletransfer.text import clause

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STORAGE_TYPES = {"FloatStorage": np.dtype("<f4"), "ByteStorage": np.dtype("u1")}
_MOST_AXES = 8
_MOST_OPCODES = 100_000  # of a pickle; a network of 30 tensors takes a thousand


def read(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a file that holds one flat dict of contiguous float32 or uint8 tensors.

    Raises
    ------
    WeightsError
        The file is not of this format, is damaged, or asks for anything but such tensors.
    """
    try:
        return _read(path.read_bytes())
    except WeightsError:
        raise
    except Exception as error:  # what others have made can fail in any way
        reason = clause(error, 300) or type(error).__name__
        raise WeightsError(f"this is not a whole legacy torch.save file: {reason}") from None


def _read(data: bytes) -> dict[str, np.ndarray]:
    file = io.BytesIO(data)
    if _Machine(file).run() != _MAGIC or _Machine(file).run() != _PROTOCOL:
        raise WeightsError("the file does not begin like a legacy torch.save file")
    if _Machine(file).run().get("little_endian") is not True:
        raise WeightsError(
            "the file was written on a big-endian machine; only little-endian is read"
        )
    machine = _Machine(file)
    tensors = machine.run()
    keys = _Machine(file).run()
    if sorted(keys) != sorted(machine.storages):
        raise WeightsError("the file's list of storages does not fit its tensors")
    for key in keys:
        storage = machine.storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        if count != storage.size or file.readinto(storage.data.cast("B")) != storage.nbytes:
            raise WeightsError("the file is cut short, or a storage has another length than stated")
    if not isinstance(tensors, dict) or not all(
        isinstance(name, str) and isinstance(tensor, np.ndarray) for name, tensor in tensors.items()
    ):
        raise WeightsError("the file does not hold a flat dict of tensors")
    return dict(tensors)


class _Machine:
    """Follows the opcodes that pickles of tensors are made of, and refuses all others.

    Python's own unpickler takes gigabytes where ten bytes ask for that, and hashes nested tuples
    for ever. Here keys are texts and numbers.
    """

    def __init__(self, file: io.BytesIO) -> None:
        self.storages: dict[str, np.ndarray] = {}
        self._file = file
        self._room = len(file.getbuffer())
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Return the object that the pickle where the file stands makes, and go behind it."""
        for count, (opcode, argument, _) in enumerate(pickletools.genops(self._file)):
            if count > _MOST_OPCODES:
                raise WeightsError("what the file says of its tensors is too long")
            if opcode.name == "STOP":
                break
            self._step(opcode.name, argument)
        return self._stack.pop()

    def _step(self, name: str, argument: Any) -> None:
        match name:
            case "PROTO":
                pass
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINUNICODE":
                self._stack.append(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                self._stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
                self._stack.append({"D": dict, "L": list, "T": tuple}[name[6]]())
            case "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = self._stack[-1]
            case "BINGET" | "LONG_BINGET":
                self._stack.append(self._memo[argument])
            case "MARK":
                self._marks.append(len(self._stack))
            case "TUPLE":
                self._stack.append(tuple(self._above(self._marks.pop())))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self._stack.append(tuple(self._above(len(self._stack) - int(name[5]))))
            case "APPEND" | "SETITEM":
                self._fill(self._above(len(self._stack) - (1 if name == "APPEND" else 2)))
            case "APPENDS" | "SETITEMS":
                self._fill(self._above(self._marks.pop()))
            case "BUILD":  # attributes of an ordered dict, which are nothing that is needed
                self._stack.pop()
            case "GLOBAL":
                self._stack.append(_known(*argument.split(" ", 1)))
            case "BINPERSID":
                self._stack.append(self._storage(*self._stack.pop()))
            case "REDUCE":
                self._call(*self._above(len(self._stack) - 2))
            case _:
                raise WeightsError(f"the file has the opcode {name}, which tensors never need")

    def _above(self, position: int) -> list[Any]:
        """Take what is on the stack from a position on."""
        if not 0 <= position <= len(self._stack):
            raise WeightsError("the file's opcodes do not fit together")
        taken = self._stack[position:]
        del self._stack[position:]
        return taken

    def _fill(self, values: Sequence[Any]) -> None:
        """Put values into the list or the dict on the stack."""
        into = self._stack[-1]
        if type(into) is list:
            into.extend(values)
            return
        if not isinstance(into, dict) or not all(type(key) in (str, int) for key in values[::2]):
            raise WeightsError("the file holds a dict whose keys are no names")
        into.update(zip(values[::2], values[1::2], strict=True))

    def _call(self, function: object, arguments: tuple[Any, ...]) -> None:
        if function == "_rebuild_tensor_v2":
            self._stack.append(_tensor(*arguments))
        elif function == "OrderedDict" and arguments == ():
            self._stack.append(OrderedDict())
        else:
            raise WeightsError("the file makes a call that no file of weights needs")

    def _storage(
        self, kind: str, dtype: Any, key: str, _location: str, count: int, view: None
    ) -> np.ndarray:
        if kind != "storage" or view is not None or not isinstance(dtype, np.dtype):
            raise WeightsError("the file holds something other than plain storages")
        if type(key) is not str or type(count) is not int:
            raise WeightsError("a storage has no name or no length")
        if key not in self.storages:
            self._room -= count * dtype.itemsize
            if count < 0 or self._room < 0:
                raise WeightsError("the file's storages are said to be longer than the file")
            self.storages[key] = np.zeros(count, dtype)
        return self.storages[key]


def _known(module: str, name: str) -> object:
    """Return what stands for one of the four names."""
    if module == "torch" and name in _STORAGE_TYPES:
        return _STORAGE_TYPES[name]
    if (module, name) in (("torch._utils", "_rebuild_tensor_v2"), ("collections", "OrderedDict")):
        return name
    raise WeightsError(
        f"the file asks for {clause(f'{module}.{name}')}, which a file of weights never needs"
    )


def _tensor(
    storage: np.ndarray,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    _requires_grad: object,
    _hooks: object,
) -> np.ndarray:
    if len(shape) > _MOST_AXES or any(type(size) is not int for size in (*shape, offset)):
        raise WeightsError("a tensor has no shape")
    count = math.prod(shape)
    contiguous = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    if tuple(strides) != contiguous or not 0 <= offset <= offset + count <= storage.size:
        raise WeightsError("a tensor is not contiguous, or reaches beyond its storage")
    return storage[offset : offset + count].reshape(shape)
