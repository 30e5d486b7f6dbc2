"""Files changed at random: bytes, words, fields of protobuf, members of archives, JSON."""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

Mutation = Callable[[random.Random, bytes], bytes]

NUMBERS = (
    *(0, 1, 2, 3, 4, 8, 31, 100, 255, 256, 1 << 15, 1 << 16, 1 << 24, (1 << 31) - 1, 1 << 31),
    *((1 << 32) - 1, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1),
)
WORDS = (
    *(b"", b"\x00", b"\xff", b"\xff\xfe", "ä€😀".encode()),
    *(b"\x1b[31m\n", b"../../x", b"nan", b"-1"),
)
TEXTS = ("", "\0", "\x1b[31m\n", "ä€😀", "\ud800", "/etc/passwd", "-x", "x" * 5000)
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 10**30, 1e308, [], {}, [[]], {"a": {}}, [["a", "b"]]),
    *TEXTS,
)


def of_bytes(words: Sequence[bytes] = ()) -> Mutation:
    """Return what changes a few bytes, or puts in words of a format."""
    known = (*WORDS, *words)

    def mutation(rng: random.Random, data: bytes) -> bytes:
        result = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 4, 8))):
            start = rng.randrange(len(result) + 1)
            end = min(start + rng.choice((0, 1, 1, 2, 4, 8, 64)), len(result))
            match rng.randrange(7):
                case 0:
                    result[start:end] = rng.randbytes(end - start)
                case 1:
                    del result[start:end]
                case 2:
                    result[start:end] = rng.choice(known)
                case 3:
                    result[start:start] = result[start:end] * rng.choice((1, 2, 100))
                case 4:
                    size, order = rng.choice("BHIQ"), rng.choice("<>")
                    number = rng.choice(NUMBERS) % (1 << 8 * struct.calcsize(size))
                    packed = struct.pack(order + size, number)
                    result[start : start + len(packed)] = packed
                case 5 if start < len(result):
                    result[start] ^= 1 << rng.randrange(8)
                case 6 if rng.random() < 0.3:
                    del result[start:]
        return bytes(result)

    return mutation


def of_protobuf(descriptor: Any, words: Sequence[bytes] = ()) -> Mutation:
    """Return what changes fields of a message, at any depth, so that all around them stays."""
    raw = of_bytes(words)

    def changed(rng: random.Random, data: bytes, kind: Any) -> bytes:
        try:
            parts = _parts(data)
        except (IndexError, ValueError):
            return raw(rng, data)
        if not parts or rng.random() < 0.03:
            return raw(rng, data)
        place = rng.randrange(len(parts))
        number, way, value = parts[place]
        field = kind.fields_by_number.get(number) if kind else None
        below = field.message_type if field else None
        choice = rng.random()
        # An earlier change may have left a number where a message belongs.
        if below and way == 2 and choice < 0.75:
            parts[place] = (number, way, changed(rng, value, below))
        elif choice < 0.8:
            del parts[place]
        elif choice < 0.85:
            parts[place:place] = [parts[place]] * rng.choice((1, 2, 50))
        elif choice < 0.88:
            parts.insert(place, rng.choice(parts))
        elif way == 0:
            parts[place] = (number, way, rng.choice(NUMBERS))
        elif choice < 0.94 and words:
            parts[place] = (number, way, rng.choice(words))
        else:
            parts[place] = (number, way, raw(rng, value))
        return b"".join(map(_written, parts))

    def mutation(rng: random.Random, data: bytes) -> bytes:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            data = changed(rng, data, descriptor)
        return data if rng.random() < 0.9 else raw(rng, data)

    return mutation


def of_zip(inner: Mutation) -> Mutation:
    """Return what changes a member of an archive, or the archive itself."""
    outer = of_bytes([b"PK\1\2", b"PK\3\4", b"PK\5\6"])

    def mutation(rng: random.Random, data: bytes) -> bytes:
        if rng.random() < 0.4:
            return outer(rng, data)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
        place = rng.randrange(len(members))
        name, content = members[place]
        members[place] = (rng.choice((name, name, name, "../../x", "a.npy")), inner(rng, content))
        result = io.BytesIO()
        with zipfile.ZipFile(result, "w", rng.choice((0, 0, 0, 8, 12, 14))) as archive:
            for name, content in members:
                archive.writestr(zipfile.ZipInfo(name), content, archive.compression)
        return result.getvalue() if rng.random() < 0.9 else outer(rng, result.getvalue())

    return mutation


def of_pictures(rng: random.Random, data: bytes) -> bytes:
    """Change a picture; a PNG's checks are made to fit again, or nothing else would be reached."""
    data = of_bytes()(rng, data)
    return _png(data) if data[1:4] == b"PNG" and rng.random() < 0.8 else data


def of_json(rng: random.Random, value: Any) -> Any:
    """Return a value of JSON that differs somewhere."""
    if isinstance(value, dict | list) and value and rng.random() < 0.85:
        place = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        result: Any = value.copy()
        match rng.randrange(8):
            case 0:
                del result[place]
            case 1 if isinstance(result, dict):
                result[rng.choice(TEXTS)] = value[place]
            case 1:
                result *= 300
            case _:
                result[place] = of_json(rng, value[place])
        return result
    return rng.choice(VALUES)


def _parts(message: bytes) -> list[tuple[int, int, Any]]:
    parts: list[tuple[int, int, Any]] = []
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        number, way = tag >> 3, tag & 7
        if way == 0:
            value: Any
            value, place = _varint(message, place)
        elif way == 2:
            length, place = _varint(message, place)
            value, place = message[place : place + length], place + length
        elif way in (1, 5):
            length = 8 if way == 1 else 4
            value, place = message[place : place + length], place + length
        else:
            raise ValueError
        parts.append((number, way, value))
    return parts


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while message[place] > 127:
        value |= (message[place] & 127) << shift
        place, shift = place + 1, shift + 7
    return value | message[place] << shift, place + 1


def _number(value: int) -> bytes:
    result = bytearray()
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    return bytes([*result, value])


def _written(part: tuple[int, int, Any]) -> bytes:
    number, way, value = part
    head = _number(number << 3 | way)
    if way == 0:
        return head + _number(value)
    return head + (_number(len(value)) if way == 2 else b"") + value


def _png(data: bytes) -> bytes:
    result, place = bytearray(data), 8
    while place + 12 <= len(result):
        length = int.from_bytes(result[place : place + 4], "big")
        end = place + 8 + length
        if end + 4 > len(result):
            break
        check = zlib.crc32(result[place + 4 : end])
        result[end : end + 4] = check.to_bytes(4, "big")
        place = end + 4
    return bytes(result)
