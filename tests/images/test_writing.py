"""Files that appear whole or not at all, and refusals before a long run."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from styletransfer import images
from styletransfer.errors import ImageError


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


def test_opacity_is_fitted_to_the_picture(tmp_path, rgb):
    alpha = np.ones((6, 10), np.float32)
    alpha[:, :5] = 0
    images.save(tmp_path / "a.png", rgb, alpha=alpha)
    opacity = images.load_with_alpha(tmp_path / "a.png")[1]
    assert opacity.shape == (12, 20)
    assert (opacity[:, :9] == 0).all()
    assert (opacity[:, 11:] == 1).all()
