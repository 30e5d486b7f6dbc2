"""PNG files of 16 bits a channel.

Pillow writes no colour deeper than 8 bits; the libraries that do are large (OpenCV, imagecodecs) or
no longer kept up (pypng), and the format is a few chunks round one zlib stream (ISO/IEC 15948).
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import numpy as np

_COLOUR_TYPES = {3: 2, 4: 6}  # RGB, RGBA
_UP = 2  # the filter that subtracts the row above


def write(
    stream: BinaryIO,
    pixels: np.ndarray,
    profile: bytes,
    texts: Mapping[str, str] | None = None,
    level: int = 6,
) -> None:
    """Write RGB or RGBA, uint16, (H, W, 3 or 4), with its ICC profile, and texts by keyword.

    The texts are ASCII; so are the keywords, of 1 to 79 characters. `level` is zlib's.
    """
    stream.write(b"\x89PNG\r\n\x1a\n")
    for kind, data in _chunks(pixels, profile, texts or {}, level):
        stream.write(struct.pack(">I", len(data)) + kind + data)
        stream.write(struct.pack(">I", zlib.crc32(kind + data)))


def _chunks(
    pixels: np.ndarray, profile: bytes, texts: Mapping[str, str], level: int
) -> Iterator[tuple[bytes, bytes]]:
    height, width, channels = pixels.shape
    yield b"IHDR", struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0)
    yield b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)
    for keyword, text in texts.items():
        yield b"tEXt", keyword.encode("ascii") + b"\0" + text.encode("ascii")
    rows = np.ascontiguousarray(pixels, ">u2").view(np.uint8).reshape(height, -1)
    lines = np.empty((height, 1 + rows.shape[1]), np.uint8)
    lines[:, 0] = _UP
    lines[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=lines[1:, 1:])  # modulo 256
    yield b"IDAT", zlib.compress(lines.data, level)
    yield b"IEND", b""
