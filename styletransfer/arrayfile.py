"""Files of arrays by name, NumPy's .npz, and of facts about them: written whole, read with care.

What is read may be damaged, or made by anyone: no pickles, nothing compressed, no more than is
expected, and no array that says it is larger than its file.
"""

import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from styletransfer import storage

_FACTS = "facts"
_LONGEST = 1 << 20  # letters of the facts
_MOST_ARRAYS = 1000
_HEADER = 1 << 14  # bytes before an array's numbers, at most


def write(path: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, object]) -> None:
    """Write arrays, and facts that JSON can hold; raise OSError if that cannot be done."""
    members: dict[str, Any] = {_FACTS: np.array(json.dumps(facts)), **arrays}
    with storage.replacing(path) as stream:
        np.savez(stream, **members)


def read_facts(path: Path) -> dict[str, Any]:
    """Return the facts in a file, none where there are none.

    Raises FileNotFoundError, or ValueError for a file that `write` has not made, or a damaged one.
    """
    return _opened(path, None)[0]


def read(path: Path, most: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return facts and arrays of a file of at most so many bytes; raise as `read_facts` does."""
    return _opened(path, most)


def _opened(path: Path, most: int | None) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {m.filename.removesuffix(".npy"): m for m in archive.infolist()}
            _check(archive.infolist(), members, most)
            facts = members.pop(_FACTS, None)
            said = {} if facts is None else _parsed(_array(archive, facts))
            if most is None:
                return said, {}
            return said, {name: _array(archive, member) for name, member in members.items()}
    except (FileNotFoundError, ValueError):
        raise
    except Exception as error:  # what NumPy and zipfile raise for damaged files is manifold
        raise ValueError(str(error) or type(error).__name__) from error


def _check(
    listed: list[zipfile.ZipInfo], members: Mapping[str, zipfile.ZipInfo], most: int | None
) -> None:
    """Raise ValueError for an archive that holds something else, or too much."""
    if len(members) < len(listed) or any(not m.filename.endswith(".npy") for m in listed):
        raise ValueError("it has members that are no arrays")
    if len(listed) > _MOST_ARRAYS:
        raise ValueError("it is too large")
    sizes = [max(m.file_size - _HEADER, 0) for name, m in members.items() if name != _FACTS]
    if most is not None and sum(sizes) > most:
        raise ValueError("it is too large")
    if any(m.compress_type != zipfile.ZIP_STORED for m in listed):
        raise ValueError("it is compressed, which no checkpoint is")
    if _FACTS in members and members[_FACTS].file_size > 4 * _LONGEST:
        raise ValueError("it says too much of itself")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Return a member, whose header is compared with its size before memory is taken for it."""
    with archive.open(member) as stream:
        dtype, shape = _header(stream)
        if dtype.hasobject:
            raise ValueError("it has objects, which no checkpoint has")
        size = dtype.itemsize * math.prod(shape)
        if min(shape, default=0) < 0 or stream.tell() + size != member.file_size:
            raise ValueError("an array is not of the size that it says")
    with archive.open(member) as stream:
        array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _header(stream: IO[bytes]) -> tuple[np.dtype, tuple[int, ...]]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        read = np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return dtype, shape


def _parsed(text: np.ndarray) -> dict[str, Any]:
    # NumPy itself makes letters of numbers that are none.
    letters = text.tobytes().decode("utf-32-le") if text.dtype.str[:2] == "<U" else "{}"
    try:
        facts = json.loads(letters.rstrip("\0"))
    except RecursionError:
        raise ValueError("what it says of itself is damaged") from None
    if not isinstance(facts, dict):
        raise ValueError("what it says of itself is damaged")
    return facts
