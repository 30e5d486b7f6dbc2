"""What FFmpeg's writer of APNG leaves wrong: how long the last frame is seen."""

import struct
import zlib
from fractions import Fraction
from pathlib import Path

_MOST = 65535


def set_last_duration(path: Path, duration: Fraction) -> None:
    """Write into an APNG how long its last frame is seen."""
    length = duration.limit_denominator(_MOST)
    if length.numerator > _MOST:
        length = Fraction(min(round(duration), _MOST))
    with path.open("r+b") as stream:
        place = None
        stream.seek(8)
        while len(head := stream.read(8)) == 8:
            size, kind = struct.unpack(">I4s", head)
            if kind == b"fcTL":
                place = stream.tell()
            stream.seek(size + 4, 1)
        if place is None:  # a picture that does not move
            return
        stream.seek(place)
        control = bytearray(stream.read(26))
        control[20:24] = struct.pack(">HH", length.numerator, length.denominator)
        stream.seek(place)
        stream.write(control + struct.pack(">I", zlib.crc32(b"fcTL" + control)))
