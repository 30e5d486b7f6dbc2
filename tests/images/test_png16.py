"""16-bit PNGs, read back by Pillow and by a decoder of the format's own rules."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from styletransfer import images
from styletransfer.images import png16


def chunks(data):
    """Return the chunks (type, data) of a PNG, their checksums proved."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        assert checksum == zlib.crc32(kind + body)
        found.append((kind, body))
        at += 12 + length
    return found


def decoded(data):
    """Return the pixels of a PNG with 16 bits whose lines are filtered by Up or not at all."""
    found = dict(chunks(data))
    width, height, depth, colour_type, *rest = struct.unpack(">IIBBBBB", found[b"IHDR"])
    assert (depth, rest) == (16, [0, 0, 0])
    channels = {2: 3, 6: 4}[colour_type]
    lines = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(height, -1)
    above = np.zeros(lines.shape[1] - 1, np.uint8)
    rows = []
    for line in lines:
        assert line[0] in (0, 2)
        above = line[1:] + above if line[0] == 2 else line[1:]
        rows.append(above)
    return np.stack(rows).view(">u2").reshape(height, width, channels)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("shape", [(9, 7), (1, 5), (5, 1)])
def test_pixels_come_back_exactly(shape, channels):
    pixels = np.random.default_rng(0).integers(0, 65536, (*shape, channels), np.uint16)
    stream = io.BytesIO()
    png16.write(stream, pixels, b"profile", {"key": "text"})
    np.testing.assert_array_equal(decoded(stream.getvalue()), pixels)
    with Image.open(stream) as image:
        assert image.info["icc_profile"] == b"profile"
        assert image.text == {"key": "text"}
        np.testing.assert_array_equal(np.asarray(image), pixels >> 8)  # Pillow reads the upper byte


def test_saving_with_depth_16_writes_one(tmp_path):
    levels = np.random.default_rng(1).integers(0, 65536, (6, 8, 4))
    pixels = levels / 65535
    path = tmp_path / "a.png"
    images.save(path, pixels[:, :, :3], alpha=pixels[:, :, 3], depth=16, parameters={"a": 1})
    np.testing.assert_array_equal(decoded(path.read_bytes()), levels)
    assert images.read_parameters(path) == {"a": 1}
    kinds = [kind for kind, _ in chunks(path.read_bytes())]
    assert kinds == [b"IHDR", b"iCCP", b"tEXt", b"IDAT", b"IEND"]
