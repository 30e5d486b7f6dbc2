"""Pictures in and out, against the original's inputs and against files made to be difficult."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from styletransfer import images
from styletransfer.errors import ImageError, UsageError
from tests.conftest import SHARED, golden, needs_shared

MEAN = np.array([104.00698793, 116.66876762, 122.67891434])


@pytest.fixture
def rgb():
    """A small picture with no symmetry, its values on the 8-bit grid."""
    y, x = np.mgrid[0:12, 0:20]
    return np.stack([x * 12, y * 20, (x * y) % 256], axis=2).astype(np.float32) / 255


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


@needs_shared
@pytest.mark.parametrize(
    ("name", "length", "input_size"),
    [
        ("caffenet_256_10_noise", 256, 227),
        ("caffenet_256_20", 256, 227),
        ("googlenet_256_20", 256, 224),
        ("googlenet_400_10_mixed", 400, 224),
        ("vgg16_256_20", 256, 224),
        ("vgg19_256_20", 256, 224),
    ],
)
def test_networks_see_what_the_original_saw(name, length, input_size):
    run = golden(name)
    for key, file, factor in [
        ("content_in", "content/nanjing.jpg", 1),
        ("style_in", "style/starry_night.jpg", 1.2),
    ]:
        picture = images.load(SHARED / "images" / file)
        scale = factor * images.scale_for(picture.shape, length, input_size)
        data = images.preprocess(images.rescale(picture, scale), MEAN)
        assert data.dtype == np.float32
        np.testing.assert_allclose(data[0], run[key], rtol=0, atol=1e-4)


@needs_shared
def test_a_style_stretched_over_the_content_is_the_originals(rgb):
    run = golden("googlenet_400_10_mixed")
    style = images.load(SHARED / "images" / "style" / "starry_night.jpg")
    style = images.rescale(style, 1.2 * images.scale_for(style.shape, 400, 224))
    height, width = run["content_in"].shape[1:]
    style = images.preprocess(images.resize(style, (height, width)), MEAN)[0]
    mixed = 0.95 * run["content_in"] + 0.05 * style
    np.testing.assert_allclose(mixed.ravel(), run["x0"], rtol=0, atol=1e-4)


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


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LA", "RGBA"])
def test_modes_are_converted(tmp_path, mode):
    image = Image.new("RGB", (4, 3), "white")
    image.paste("black", (0, 0, 2, 3))
    extension = "tif" if mode in ("CMYK", "YCbCr") else "png"
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
    with pytest.raises(ImageError, match=r"a\.jpg is no picture that can be read: give a JPEG"):
        images.load(tmp_path / "a.jpg")


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif", "bmp", "gif"])
def test_a_cut_file_is_refused(tmp_path, extension):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"a.{extension}"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match=rf"a\.{extension} (is damaged|is no picture)"):
        images.load(path)


@pytest.mark.parametrize("side", [11_000, 14_000, 2**31 - 1])
def test_a_hostile_size_is_refused_before_decoding(tmp_path, side):
    (tmp_path / "a.png").write_bytes(png(side, side, (b"IDAT", b"")))
    with pytest.raises(ImageError, match=r"declares .* the 120 million"):
        images.load(tmp_path / "a.png")


def test_a_picture_within_the_bound_raises_no_warning(tmp_path, recwarn):
    (tmp_path / "a.png").write_bytes(png(10_000, 10_000, (b"IDAT", b"")))
    with pytest.raises(ImageError, match="damaged"):
        images.load(tmp_path / "a.png")
    assert not recwarn.list


def test_32_bit_pixels_are_refused(tmp_path):
    Image.fromarray(np.ones((3, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"a\.tif has 32-bit pixels"):
        images.load(tmp_path / "a.tif")


@pytest.mark.parametrize("extension", ["png", "tif", "tiff", "TIFF"])
def test_lossless_formats_come_back_exactly(tmp_path, rgb, extension):
    images.save(tmp_path / f"a.{extension}", rgb)
    np.testing.assert_array_equal(images.load(tmp_path / f"a.{extension}"), rgb)


@pytest.mark.parametrize(
    ("extension", "name"), [("jpg", "JPEG"), ("jpeg", "JPEG"), ("JPG", "JPEG"), ("webp", "WEBP")]
)
def test_lossy_formats_come_back_nearly(tmp_path, rgb, extension, name):
    smooth = np.kron(rgb[:3, :5], np.ones((16, 16, 1), np.float32))
    images.save(tmp_path / f"a.{extension}", smooth)
    with Image.open(tmp_path / f"a.{extension}") as image:
        assert image.format == name
    assert abs(images.load(tmp_path / f"a.{extension}") - smooth).mean() < 0.01


def test_jpegs_are_written_with_quality_95(tmp_path, rgb):
    images.save(tmp_path / "a.jpg", rgb)
    Image.fromarray(as_bytes(rgb)).save(tmp_path / "b.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as ours, Image.open(tmp_path / "b.jpg") as expected:
        assert ours.quantization == expected.quantization


def test_saving_rounds_and_clips(tmp_path):
    images.save(tmp_path / "a.png", np.array([[[-1, 0.499 / 255, 0.501 / 255], [1.5, 1, 0.998]]]))
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image).tolist() == [[[0, 0, 1], [255, 255, 254]]]


def test_saving_makes_folders_replaces_files_and_leaves_nothing_else(tmp_path, rgb):
    path = tmp_path / "x" / "y" / "a.png"
    images.save(path, rgb * 0)
    images.save(path, rgb)
    assert os.listdir(path.parent) == ["a.png"]
    np.testing.assert_array_equal(images.load(path), rgb)


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.gif", ".jpg"])
def test_an_unknown_extension_is_refused(tmp_path, rgb, name):
    for call in (images.check_writable, lambda path: images.save(path, rgb)):
        with pytest.raises(ImageError, match=r"no picture format goes by .* use one of \.jpg"):
            call(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_not_written(tmp_path, rgb, value):
    rgb[3, 4, 1] = value
    with pytest.raises(ImageError, match="finite"):
        images.save(tmp_path / "a.png", rgb)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path, rgb):
    path = tmp_path / "a.webp"
    images.save(path, rgb)
    before = path.read_bytes()
    with pytest.raises(ImageError, match=r"a\.webp cannot be written"):
        images.save(path, np.zeros((1, 16_384, 3), np.float32))  # WebP ends at 16383
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.webp"]


def test_a_folder_that_is_a_file_is_an_error(tmp_path, rgb):
    images.save(tmp_path / "a.png", rgb)
    with pytest.raises(ImageError, match="cannot be written"):
        images.save(tmp_path / "a.png" / "b.png", rgb)


@pytest.mark.parametrize(
    ("shape", "length", "size", "scale"),
    [
        ((427, 640, 3), 512, 224, 0.8),
        ((427, 640, 3), 256, 224, 224 / 427),
        ((100, 50), 512, 224, 5.12),
        ((1000, 50), 512, 224, 4.48),
    ],
)
def test_scale_never_goes_below_the_networks_input(shape, length, size, scale):
    assert images.scale_for(shape, length, size) == pytest.approx(scale)


@pytest.mark.parametrize("length", [0, -3, float("nan")])
def test_a_length_must_be_positive(length):
    with pytest.raises(UsageError, match=f"positive, not {length}"):
        images.scale_for((4, 4), length, 224)


def test_rescaling_is_the_libraries_with_the_old_settings(rgb):
    from skimage.transform import rescale

    for scale in (0.02, 0.37, 1, 2.6):
        expected = rescale(
            rgb, scale, order=1, mode="constant", anti_aliasing=False, channel_axis=2
        )
        result = images.rescale(rgb, scale)
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, expected)


def test_rescaling_is_bounded():
    strip = np.zeros((1, 10_000, 3), np.float32)
    with pytest.raises(ImageError, match="10000x1 pixels would become 2240000x224"):
        images.rescale(strip, images.scale_for(strip.shape, 512, 224))


def test_preprocessing_is_bgr_less_the_mean(rgb):
    data = images.preprocess(rgb, MEAN)
    assert data.shape == (1, 3, 12, 20)
    assert data.dtype == np.float32
    assert data.flags.c_contiguous
    np.testing.assert_allclose(data[0, 0], rgb[:, :, 2] * 255 - MEAN[0], atol=1e-4)
    np.testing.assert_allclose(data[0, 2], rgb[:, :, 0] * 255 - MEAN[2], atol=1e-4)


def test_deprocessing_is_its_inverse_clipped(rgb):
    data = images.preprocess(rgb, MEAN)
    back = images.deprocess(data, MEAN)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, rgb, atol=1e-6)
    data[0, :, 0, 0] = [-105, 0, 300]
    assert images.deprocess(data, MEAN)[0, 0].tolist() == pytest.approx([1, MEAN[1] / 255, 0])
