"""Protobuf's wire format, walked before protobuf itself parses.

A field takes two bytes in a file and a hundred or more in memory, so that 30 MB become gigabytes.
What others have made is counted here first, on its bytes, and its nesting measured.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

MOST_FIELDS = 200_000
"""Of a message and all that are in it; networks of a hundred layers have a few thousand."""

_MOST_NUMBERS = 1 << 22  # in lists of integers, of which one takes 1 byte in a file and 8 in memory
_DEEPEST = 50
# Kinds of lists (bytes and floating-point numbers) that take no more in memory than in a file.
_AS_LONG = frozenset(
    {
        FieldDescriptor.CPPTYPE_STRING,
        FieldDescriptor.CPPTYPE_FLOAT,
        FieldDescriptor.CPPTYPE_DOUBLE,
    }
)

# The ways in which protobuf writes a field: a number of variable length, of 8 bytes, of 4 bytes,
# or a block that begins with its length.
_VARINT, _FIXED64, _BLOCK, _FIXED32 = 0, 1, 2, 5


def check(message: memoryview | bytes, descriptor: Any, most: int = MOST_FIELDS) -> int:
    """Return how many fields a serialised message has, those of the messages in it included.

    Parameters
    ----------
    message : memoryview or bytes
        What is serialised.
    descriptor : google.protobuf.descriptor.Descriptor
        Of its type: it tells which fields are messages.
    most : int
        How many fields it may have.

    Raises
    ------
    google.protobuf.message.DecodeError
        If it is damaged, has more, or is nested too deep.
    """
    left = [most, _MOST_NUMBERS]
    _walk(memoryview(message), descriptor, left, _DEEPEST)
    return most - left[0]


def parse(message: memoryview | bytes, kind: Any, most: int = MOST_FIELDS) -> Any:
    """Return a message of a type, whose fields are counted first; errors are those of `check`."""
    check(message, kind.DESCRIPTOR, most)
    return kind.FromString(message)


def _walk(message: memoryview, descriptor: Any, left: list[int], depth: int) -> None:
    """Take the fields of a message, and the numbers of its lists, from what is left of each."""
    if not depth:
        raise DecodeError("the message is nested too deep")
    for number, block in fields(message):
        left[0] -= 1
        field = descriptor.fields_by_number.get(number)
        if block is not None and field is not None:
            if field.message_type is not None:
                _walk(block, field.message_type, left, depth - 1)
            elif field.is_repeated and field.cpp_type not in _AS_LONG:
                left[1] -= int(np.count_nonzero(np.frombuffer(block, np.uint8) < 0x80))
        if min(left) < 0:
            raise DecodeError("the message has too many fields")


def fields(message: memoryview) -> Iterator[tuple[int, memoryview | None]]:
    """Yield the number and the content of a message's fields; None for that of a single number.

    Raises
    ------
    google.protobuf.message.DecodeError
        Where the message is damaged.
    """
    position, end = 0, len(message)
    while position < end:
        tag, position = _varint(message, position)
        kind, block = tag & 7, None
        if kind == _VARINT:
            _, position = _varint(message, position)
        elif kind in (_FIXED64, _FIXED32):
            position += 8 if kind == _FIXED64 else 4
        elif kind == _BLOCK:
            length, start = _varint(message, position)
            position = start + length
            block = message[start:position]
        else:
            raise DecodeError("unknown kind of field")
        if position > end:
            raise DecodeError("the message ends in a field")
        yield tag >> 3, block


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return a number of variable length, and the position after it."""
    value = 0
    for i, byte in enumerate(message[position : position + 10]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, position + i + 1
    raise DecodeError("the message ends in a number")
