"""Each format keeps what it is given: pixels, depth, opacity, colour profile."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from styletransfer import images
from styletransfer.errors import ImageError


def as_bytes(rgb):
    return np.rint(rgb * 255).astype(np.uint8)


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


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
def test_every_file_says_that_it_is_srgb(tmp_path, rgb, extension):
    images.save(tmp_path / f"a.{extension}", rgb)
    with Image.open(tmp_path / f"a.{extension}") as image:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
def test_the_same_picture_makes_the_same_file(tmp_path, rgb, extension):
    for name in "ab":
        images.save(tmp_path / f"{name}.{extension}", rgb, parameters={"seed": 1})
    first, second = (tmp_path / f"{name}.{extension}" for name in "ab")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("extension", ["png", "tif", "webp"])
def test_opacity_is_kept(tmp_path, rgb, extension):
    alpha = np.linspace(0.2, 1, 20, dtype=np.float32)[np.newaxis].repeat(12, axis=0)
    images.save(tmp_path / f"a.{extension}", rgb, alpha=alpha)
    back, opacity = images.load_with_alpha(tmp_path / f"a.{extension}")
    np.testing.assert_allclose(opacity, alpha, atol=0.5 / 255 + 1e-6)
    if extension != "webp":
        np.testing.assert_array_equal(back, rgb)


def test_jpeg_gets_the_picture_over_white(tmp_path):
    rgb = np.zeros((16, 16, 3), np.float32)
    images.save(tmp_path / "a.jpg", rgb, alpha=np.full((16, 16), 0.25))
    np.testing.assert_allclose(images.load(tmp_path / "a.jpg"), 0.75, atol=0.01)


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_tiffs_are_exact(tmp_path, channels):
    levels = np.random.default_rng(0).integers(0, 65536, (9, 7, channels))
    pixels = levels / 65535
    alpha = pixels[:, :, 3] if channels == 4 else None
    images.save(tmp_path / "a.tif", pixels[:, :, :3], alpha=alpha, depth=16)
    stored = tifffile.imread(tmp_path / "a.tif")
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, levels)


@pytest.mark.parametrize("extension", ["jpg", "webp"])
def test_16_bits_are_refused_where_they_do_not_fit(tmp_path, rgb, extension):
    with pytest.raises(ImageError, match=r"does not hold 16 bits .* write \.png or \.tif"):
        images.check_writable(tmp_path / f"a.{extension}", depth=16)
    with pytest.raises(ImageError, match="does not hold 16 bits"):
        images.save(tmp_path / f"a.{extension}", rgb, depth=16)
    assert not list(tmp_path.iterdir())


def test_other_depths_are_refused(tmp_path):
    with pytest.raises(ImageError, match=r"PNG does not hold 12 bits a channel, but 8 or 16\."):
        images.check_writable(tmp_path / "a.png", depth=12)
