"""Scaling and conversion against the original's, and files that appear whole or not at all."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from styletransfer import images
from styletransfer.errors import ImageError, UsageError
from tests.conftest import SHARED, golden

MEAN = np.array([104.00698793, 116.66876762, 122.67891434])


@pytest.fixture
def rgb():
    """A small picture with no symmetry, its values on the 8-bit grid."""
    y, x = np.mgrid[0:12, 0:20]
    return np.stack([x * 12, y * 20, (x * y) % 256], axis=2).astype(np.float32) / 255


@pytest.mark.golden
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


@pytest.mark.golden
def test_a_style_stretched_over_the_content_is_the_originals(rgb):
    run = golden("googlenet_400_10_mixed")
    style = images.load(SHARED / "images" / "style" / "starry_night.jpg")
    style = images.rescale(style, 1.2 * images.scale_for(style.shape, 400, 224))
    height, width = run["content_in"].shape[1:]
    style = images.preprocess(images.resize(style, (height, width)), MEAN)[0]
    mixed = 0.95 * run["content_in"] + 0.05 * style
    np.testing.assert_allclose(mixed.ravel(), run["x0"], rtol=0, atol=1e-4)


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
    for call in (images.check_writable, lambda path: images.save(path, rgb)):
        with pytest.raises(ImageError, match=r"cannot be written: .*a\.png is not a folder"):
            call(tmp_path / "a.png" / "b" / "c.png")


def test_a_folder_that_may_not_be_written_to_is_an_error(tmp_path, monkeypatch):
    # root may write anywhere, so that no mode of a folder would do
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(ImageError, match="may not be written to"):
        images.check_writable(tmp_path / "new" / "a.png")


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


def test_opacity_is_fitted_to_the_picture(tmp_path, rgb):
    alpha = np.ones((6, 10), np.float32)
    alpha[:, :5] = 0
    images.save(tmp_path / "a.png", rgb, alpha=alpha)
    opacity = images.load_with_alpha(tmp_path / "a.png")[1]
    assert opacity.shape == (12, 20)
    assert (opacity[:, :9] == 0).all()
    assert (opacity[:, 11:] == 1).all()


def test_a_row_of_pictures_is_as_high_as_the_last():
    content, style = np.zeros((20, 30, 3), np.float32), np.full((40, 40, 3), 0.5, np.float32)
    result = np.zeros((10, 15, 3), np.float32)
    row = images.side_by_side([content, style, result], gap=2)
    assert row.shape == (14, 2 + 15 + 2 + 10 + 2 + 15 + 2, 3)
    columns = np.concatenate([[1] * 2, [0] * 15, [1] * 2, [0.5] * 10, [1] * 2, [0] * 15, [1] * 2])
    np.testing.assert_allclose(row[7, :, 1], columns, atol=1e-6)
    assert (row[[0, 1, -2, -1]] == 1).all()


def test_a_row_of_pictures_is_bounded():
    strip, result = np.zeros((2, 40_000, 3), np.float32), np.zeros((2000, 2, 3), np.float32)
    with pytest.raises(ImageError, match="more than 120 million"):
        images.side_by_side([strip, result])
