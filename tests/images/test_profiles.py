"""Colours of other spaces are brought to sRGB, against the arithmetic of their primaries."""

import struct

import numpy as np
import pytest
from PIL import Image

from styletransfer import images
from styletransfer.images import profiles
from tests.conftest import ROOT

# Columns are red, green and blue in XYZ, adapted to D50.
ADOBE = np.array(
    [
        [0.60974, 0.20528, 0.14919],
        [0.31111, 0.62567, 0.06322],
        [0.01947, 0.06087, 0.74457],
    ]
)
SRGB = np.array(
    [
        [0.43607, 0.38515, 0.14307],
        [0.22249, 0.71687, 0.06061],
        [0.01392, 0.09708, 0.71410],
    ]
)
D50 = (0.96420, 1.0, 0.82491)


def fixed(*numbers):
    return struct.pack(f">{len(numbers)}i", *(round(n * 65536) for n in numbers))


def profile(space, curve, primaries=None):
    """An ICC profile, version 2, of a gamma or a table, and of primaries (columns) if in colour."""
    entries = [round(curve * 256)] if np.isscalar(curve) else np.rint(curve * 65535).astype(int)
    curve = b"curv\0\0\0\0" + struct.pack(f">I{len(entries)}H", len(entries), *entries)
    curve += bytes(-len(curve) % 4)
    tags = {b"wtpt": b"XYZ \0\0\0\0" + fixed(*D50)}
    if primaries is None:
        tags[b"kTRC"] = curve
    else:
        for letter, column in zip((b"r", b"g", b"b"), primaries.T, strict=True):
            tags[letter + b"XYZ"] = b"XYZ \0\0\0\0" + fixed(*column)
            tags[letter + b"TRC"] = curve
    table, body = struct.pack(">I", len(tags)), b""
    offset = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    header = struct.pack(
        ">I4sI4s4s4s", offset + len(body), b"", 0x02400000, b"mntr", space, b"XYZ "
    )
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + fixed(*D50)
    return header.ljust(128, b"\0") + table + body


def encoded(linear):
    """Linear light as sRGB."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("extension", ["png", "jpg", "tif", "webp"])
def test_wide_colours_become_srgb(tmp_path, extension):
    colours = np.array([[90, 140, 80], [200, 120, 60], [60, 70, 150], [255, 255, 255], [0, 0, 0]])
    patches = colours.astype(np.uint8)[np.newaxis].repeat(16, axis=0).repeat(16, axis=1)
    path = tmp_path / f"a.{extension}"
    options = {"quality": 100} if extension in ("jpg", "webp") else {}
    Image.fromarray(patches).save(path, icc_profile=profile(b"RGB ", 563 / 256, ADOBE), **options)
    expected = encoded((colours / 255) ** (563 / 256) @ (np.linalg.inv(SRGB) @ ADOBE).T)
    np.testing.assert_allclose(images.load(path)[8, 8::16], expected, atol=3 / 255)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_linear_gray_becomes_srgb(tmp_path, dtype):
    top = np.iinfo(dtype).max
    gray = (np.linspace(0.1, 1, 10)[np.newaxis] * top).astype(dtype)
    Image.fromarray(gray).save(tmp_path / "a.png", icc_profile=profile(b"GRAY", 1.0))
    expected = encoded(gray[0] / top)
    np.testing.assert_allclose(images.load(tmp_path / "a.png")[0, :, 1], expected, atol=1.5 / 255)


def test_opacity_is_left_alone(tmp_path):
    rgba = np.array([[[90, 140, 80, 100], [200, 120, 60, 200]]], np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png", icc_profile=profile(b"RGB ", 563 / 256, ADOBE))
    rgb, alpha = images.load_with_alpha(tmp_path / "a.png")
    np.testing.assert_allclose(alpha, [[100 / 255, 200 / 255]], atol=1e-6)
    assert abs(rgb - rgba[:, :, :3] / 255).max() > 0.03


def test_gray_pixels_with_a_profile_of_colours_are_converted(tmp_path):
    Image.new("L", (2, 2), 100).save(tmp_path / "a.png", icc_profile=profile(b"RGB ", 1.0, SRGB))
    np.testing.assert_allclose(images.load(tmp_path / "a.png"), encoded(100 / 255), atol=1.5 / 255)


def decoded(values):
    """The inverse of `encoded`."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def test_a_profile_of_srgb_changes_nothing(tmp_path):
    """Not even where a coarse table for its curve rounds a tenth of the levels otherwise."""
    pixels = np.asarray(Image.open(ROOT / "images" / "content" / "cat.jpg"))
    own = profile(b"RGB ", decoded(np.linspace(0, 1, 17)), SRGB)
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=own)
    expected = np.float32(pixels) / np.float32(255)
    np.testing.assert_array_equal(images.load(tmp_path / "a.png"), expected)


@pytest.mark.parametrize(
    "data", [b"nonsense", profile(b"GRAY", 2.2), profile(b"RGB ", 2.2, ADOBE)[:200]]
)
def test_a_useless_profile_is_passed_over_with_a_warning(tmp_path, caplog, data):
    Image.new("RGB", (2, 2), (10, 20, 30)).save(tmp_path / "a.png", icc_profile=data)
    picture = images.load(tmp_path / "a.png")
    np.testing.assert_allclose(picture[0, 0], np.array([10, 20, 30]) / 255, atol=1e-6)
    assert "colour profile is passed over" in caplog.text


def test_the_profile_written_does_not_know_the_day():
    assert profiles.srgb()[24:36] == struct.pack(">6H", 2016, 1, 1, 0, 0, 0)
    assert profiles.srgb()[36:40] == b"acsp"
