"""Pictures of every kind are read, damaged and hostile ones refused in a clear sentence."""

import io
import logging
import os
import struct
import subprocess
import sys
import tracemalloc
import types
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, features

from styletransfer import images
from styletransfer.errors import ImageError
from styletransfer.images import reading


def as_bytes(rgb):
    return np.rint(rgb * 255).astype(np.uint8)


def png(width, height, *chunks):
    """A PNG's signature and header, then any chunks (type, data)."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in [(b"IHDR", header), *chunks]:
        parts.append(struct.pack(">I", len(data)) + kind + data)
        parts.append(struct.pack(">I", zlib.crc32(kind + data)))
    return b"".join(parts)


@pytest.mark.parametrize("extension", [".png", ".tif", ".tiff", ".bmp", ".PNG"])
def test_lossless_formats_are_read_exactly(tmp_path, rgb, extension):
    path = tmp_path / f"a{extension}"
    Image.fromarray(as_bytes(rgb)).save(path)
    picture = images.load(path)
    assert picture.dtype == np.float32
    np.testing.assert_array_equal(picture, rgb)


@pytest.mark.parametrize("extension", [".jpg", ".webp"])
def test_lossy_formats_are_read(tmp_path, extension):
    path = tmp_path / f"a{extension}"
    Image.new("RGB", (20, 12), (200, 100, 50)).save(path, quality=95)
    expected = np.broadcast_to(np.array([200, 100, 50]) / 255, (12, 20, 3))
    np.testing.assert_allclose(images.load(path), expected, atol=3 / 255)


def test_the_first_of_several_pictures_is_read(tmp_path):
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.png", "a.tif", "a.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
        assert (images.load(tmp_path / name)[0, 0].round(1) == [1, 0, 0]).all(), name


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "LA", "RGBA"])
def test_modes_are_converted(tmp_path, mode):
    image = Image.new("RGB", (4, 3), "white")
    image.paste("black", (0, 0, 2, 3))
    extension = "tif" if mode == "CMYK" else "png"
    image.convert(mode).save(tmp_path / f"a.{extension}")
    picture = images.load(tmp_path / f"a.{extension}")
    assert picture.shape == (3, 4, 3)
    np.testing.assert_allclose(picture[:, :2], 0, atol=1e-2)
    np.testing.assert_allclose(picture[:, 2:], 1, atol=1e-2)


def test_cmyk_jpegs_of_adobe_are_not_inverted(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg")  # red
    np.testing.assert_allclose(images.load(tmp_path / "a.jpg")[8, 8], [1, 0, 0], atol=0.02)


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_16_bit_gray_keeps_its_precision(tmp_path, extension):
    gray = np.array([[0, 1, 257, 32768, 65535]], np.uint16)
    Image.fromarray(gray).save(tmp_path / f"a.{extension}")
    picture = images.load(tmp_path / f"a.{extension}")
    np.testing.assert_allclose(picture[0, :, 1], gray[0] / 65535, atol=1e-7)


def test_transparency_is_laid_over_white(tmp_path):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0] = 255
    rgba[0, :, 3] = [0, 51, 255]
    Image.fromarray(rgba).save(tmp_path / "a.png")
    expected = [[1, 1, 1], [1, 0.8, 0.8], [1, 0, 0]]
    np.testing.assert_allclose(images.load(tmp_path / "a.png")[0], expected, atol=1e-6)


def test_a_transparent_palette_colour_is_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.gif", transparency=0)
    np.testing.assert_array_equal(images.load(tmp_path / "a.gif")[0], [[1, 1, 1], [0, 0, 1]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, rgb, orientation):
    # How each orientation's stored pixels come from the upright picture (EXIF 2.3, tag 0x0112).
    stored = {
        1: rgb,
        2: rgb[:, ::-1],
        3: rgb[::-1, ::-1],
        4: rgb[::-1],
        5: rgb.transpose(1, 0, 2),
        6: np.rot90(rgb),
        7: rgb[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(rgb, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(as_bytes(stored)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(images.load(tmp_path / "a.png"), rgb)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"There is no picture .*none\.jpg: check the path"):
        images.load(tmp_path / "none.jpg")


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(ImageError, match="is not a file"):
        images.load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_forbidden_file_is_named(tmp_path, rgb):
    images.save(tmp_path / "a.png", rgb)
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(ImageError, match="cannot be opened: Permission denied"):
        images.load(tmp_path / "a.png")


@pytest.mark.parametrize("data", [b"", b"<svg/>", b"%!PS-Adobe-3.0 EPSF-3.0\n" * 9, b"\x00" * 4096])
def test_what_is_no_picture_is_refused(tmp_path, data):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.jpg: no picture that can be read; give a JPEG"):
        images.load(tmp_path / "a.jpg")


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif", "bmp", "gif"])
def test_a_cut_file_is_refused(tmp_path, extension):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"a.{extension}"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match=rf"a\.{extension}( is damaged|: no picture)"):
        images.load(path)


@pytest.mark.parametrize("side", [11_000, 14_000, 2**31 - 1])
def test_a_hostile_size_is_refused_before_decoding(tmp_path, side):
    (tmp_path / "a.png").write_bytes(png(side, side, (b"IDAT", b"")))
    with pytest.raises(ImageError, match=r"declares more.* than the 120 million"):
        images.load(tmp_path / "a.png")


def test_a_picture_within_the_bound_raises_no_warning(tmp_path, recwarn):
    (tmp_path / "a.png").write_bytes(png(10_000, 10_000, (b"IDAT", b"")))
    with pytest.raises(ImageError, match="damaged"):
        images.load(tmp_path / "a.png")
    assert not recwarn.list


def test_32_bit_pixels_are_refused(tmp_path):
    Image.fromarray(np.ones((3, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"a\.tif: its pixels are of the kind F, .* white"):
        images.load(tmp_path / "a.tif")


def test_opacity_is_handed_out_apart(tmp_path):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0] = 255
    rgba[0, :, 3] = [0, 51, 255]
    Image.fromarray(rgba).save(tmp_path / "a.png")
    rgb, alpha = images.load_with_alpha(tmp_path / "a.png")
    np.testing.assert_allclose(alpha, [[0, 0.2, 1]], atol=1e-7)
    assert rgb.tolist() == [[[1, 1, 1], [1, 0, 0], [1, 0, 0]]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_an_opaque_picture_has_no_alpha(tmp_path, mode):
    Image.new("RGB", (4, 3), "red").convert(mode).save(tmp_path / "a.png")
    assert images.load_with_alpha(tmp_path / "a.png")[1] is None


def test_opacity_is_turned_with_the_picture(tmp_path):
    rgba = np.full((2, 3, 4), 255, np.uint8)
    rgba[0, 0, 3] = 0
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(rgba).save(tmp_path / "a.png", exif=exif)
    assert images.load_with_alpha(tmp_path / "a.png")[1].tolist() == [[1, 1, 1], [1, 1, 0]]


def test_a_name_that_is_too_long_is_named(tmp_path):
    with pytest.raises(ImageError, match="cannot be opened: File name too long"):
        images.load(tmp_path / ("a" * 300))


@pytest.mark.parametrize(
    ("name", "problem"), [("a\0.png", "null byte"), ("\ud800.png", "surrogates not allowed")]
)
def test_a_name_that_no_file_can_have_is_an_error(name, problem):
    for call in (images.load, images.read_parameters):
        with pytest.raises(ImageError, match=f"cannot be opened: .*{problem}"):
            call(name)


def tiff_with(tag, entry):
    """A TIFF in which the entry of a tag is another one."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "TIFF")
    data = bytearray(stream.getvalue())
    (directory,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, directory)
    for offset in range(directory + 2, directory + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, offset) == (tag,):
            struct.pack_into("<HHII", data, offset, *entry)
    return bytes(data)


def odd_pictures():
    """Return sound pictures of which Pillow warns, by name."""
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHII4x", 1, 271, 2, 255, 65_535)
    jpeg = io.BytesIO()
    Image.new("RGB", (16, 16)).save(jpeg, "JPEG", exif=exif)
    # The entry of the planes becomes an XMP packet that lies beyond the end of the file.
    tiff = tiff_with(284, (700, 2, 50_000, 999_999))
    rows = zlib.compress(b"\0\0\0\0")
    apng = png(1, 1, (b"acTL", struct.pack(">II", 0, 0)), (b"IDAT", rows), (b"IEND", b""))
    return {"exif.jpg": jpeg.getvalue(), "tag.tif": tiff, "frames.png": apng}


@pytest.mark.parametrize("name", odd_pictures())
def test_warnings_go_to_the_log(tmp_path, name, caplog, recwarn):
    path = tmp_path / name
    path.write_bytes(odd_pictures()[name])
    with Image.open(path) as image:
        image.getexif()
    assert recwarn.list
    recwarn.clear()
    with caplog.at_level(logging.DEBUG, "styletransfer"):
        images.load(path)
    assert not recwarn.list
    assert name in caplog.text


def test_nothing_is_said_on_the_terminal_of_an_odd_file(tmp_path):
    """Pillow logs an error of some files, which shows wherever no log is set up."""
    (tmp_path / "a.tif").write_bytes(tiff_with(277, (277, 3, 1, 100)))  # 100 channels
    code = """
import sys
import tracemalloc
from styletransfer import images
try:
    images.load(sys.argv[1])
except images.reading.ImageError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.tif"], capture_output=True, text=True
    )
    assert "a.tif" in done.stdout
    assert done.stderr == ""


def test_the_reason_of_a_decoder_is_bounded(tmp_path, monkeypatch):
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")

    def fail(image):
        raise ValueError("\x1b[2J" * 1000)

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(ImageError, match=r"damaged or cut short \(\\x1b\[2J") as caught:
        images.load(tmp_path / "a.png")
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read(tmp_path):
    image = Image.new("RGB", (32, 16), (200, 100, 50))
    image.paste((20, 30, 200), (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "a.avif", quality=95, exif=exif)
    picture = images.load(tmp_path / "a.avif")
    assert picture.shape == (16, 32, 3)
    np.testing.assert_allclose(picture[4, 8] * 255, (200, 100, 50), atol=4)
    np.testing.assert_allclose(picture[12, 24] * 255, (20, 30, 200), atol=4)
    assert images.read_parameters(tmp_path / "a.avif") is None


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_a_cut_avif_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / "a.avif"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match=r"a\.avif( is damaged|: no picture)"):
        images.load(path)


HEIC = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + bytes(40)


@pytest.mark.parametrize("start", [HEIC, HEIC.replace(b"ftypheic", b"ftypmif1")])
def test_heic_without_its_package_says_what_to_install(tmp_path, monkeypatch, start):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.jpg").write_bytes(start)
    with pytest.raises(ImageError, match=r"a\.jpg: a HEIC picture .*pip install pillow-heif, or"):
        images.load(tmp_path / "a.jpg")


def test_heic_is_read_with_its_package(tmp_path, monkeypatch):
    """Against a stand-in of the package, which Pillow is told of in the same way."""

    class File(ImageFile.ImageFile):
        format = "HEIF"

        def _open(self):
            self._size, self._mode = (5, 7), "RGB"
            self.tile = [ImageFile._Tile("raw", (0, 0, 5, 7), 24, ("RGB", 0, 1))]

    def register():
        Image.register_open("HEIF", File, lambda start: start[4:8] == b"ftyp")

    monkeypatch.setattr(Image, "ID", Image.ID.copy())
    monkeypatch.setattr(Image, "OPEN", Image.OPEN.copy())
    package = types.SimpleNamespace(register_heif_opener=register)
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    (tmp_path / "a.heic").write_bytes(HEIC[:24] + b"\xff" * 105)
    assert (images.load(tmp_path / "a.heic") == np.ones((7, 5, 3))).all()


@pytest.mark.parametrize("suffix", ["gif", "png", "tif"])
def test_what_a_picture_takes_is_the_result_and_a_band(tmp_path, suffix):
    """A small file of one colour takes no more than its pixels do: 12 bytes, and 4 of opacity."""
    side = 3000
    picture = Image.new("P" if suffix == "gif" else "RGB", (side, side))
    options = {"transparency": 0} if suffix == "gif" else {}
    picture.save(tmp_path / f"a.{suffix}", **options)
    tracemalloc.start()
    try:
        images.load(tmp_path / f"a.{suffix}")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    result = side * side * (16 if suffix == "gif" else 12)
    assert peak < result + 64 * reading._BAND_PIXELS


def test_bands_are_parts_of_the_whole(tmp_path, rgb, monkeypatch):
    pictures = [Image.fromarray((rgb * 255).round().astype(np.uint8)).convert("RGBA")]
    pictures[0].putalpha(Image.linear_gradient("L").resize(pictures[0].size))
    pictures += [pictures[0].convert(mode) for mode in ("1", "L", "LA", "P", "RGB")]
    pictures.append(Image.fromarray(np.arange(240, dtype=np.uint16).reshape(12, 20) * 200))
    for picture in pictures:
        picture.save(tmp_path / "a.png")
        whole = images.load_with_alpha(tmp_path / "a.png")
        with monkeypatch.context() as context:
            context.setattr(reading, "_BAND_PIXELS", 50)
            parts = images.load_with_alpha(tmp_path / "a.png")
        np.testing.assert_array_equal(parts[0], whole[0])
        assert (parts[1] is None) == (whole[1] is None)
        if whole[1] is not None:
            np.testing.assert_array_equal(parts[1], whole[1])


def test_a_length_in_a_file_takes_no_memory(tmp_path):
    """Pillow asks for as much as a chunk says that it has, up to 4 GB."""
    data = png(3, 2, (b"IDAT", zlib.compress(bytes(20))))
    place = data.index(b"IDAT")
    (tmp_path / "a.png").write_bytes(data[: place - 4] + b"\xff\0\0\0" + data[place:])
    tracemalloc.start()
    try:
        images.load(tmp_path / "a.png")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
