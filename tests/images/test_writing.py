"""Files that appear whole or not at all, and refusals before a long run."""

import dataclasses
import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from styletransfer import images
from styletransfer.errors import ImageError
from styletransfer.images import encoders


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


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("folder.png", "it is a folder"),
        ("pipe.png", "it is no regular file"),
        ("a\0.png", "embedded null byte"),
        ("n" * 300 + ".png", os.strerror(errno.ENAMETOOLONG)),
    ],
)
def test_a_place_that_no_picture_can_take_is_an_error(tmp_path, rgb, name, problem):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    for call in (images.check_writable, lambda path: images.save(path, rgb)):
        with pytest.raises(ImageError, match=f"cannot be written: {problem}; choose another"):
            call(tmp_path / name)


def test_a_link_is_followed_to_a_folder_that_is_written_to(tmp_path, rgb):
    (tmp_path / "a.png").symlink_to(tmp_path / "new" / "b.png")
    images.check_writable(tmp_path / "a.png")
    images.save(tmp_path / "a.png", rgb)
    np.testing.assert_array_equal(images.load(tmp_path / "new" / "b.png"), rgb)
    (tmp_path / "c.png").symlink_to(tmp_path / "new" / "b.png" / "d.png")
    with pytest.raises(ImageError, match=r"c\.png cannot be written: .*b\.png is not a folder"):
        images.check_writable(tmp_path / "c.png")


def test_a_working_folder_that_is_gone_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ImageError, match=r"a\.png cannot be written: No such file"):
        images.check_writable("a.png")


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files, an empty one."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def fill(monkeypatch, *folders: Path) -> None:
    """Make writing a PNG into these folders fail as on a full disk, in the middle of the file."""
    usual = encoders.FORMATS[".png"]

    def write(stream, pixels, text):
        if any(folder in Path(stream.name).parents for folder in folders):
            stream.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        usual.write(stream, pixels, text)

    monkeypatch.setitem(encoders.FORMATS, ".png", dataclasses.replace(usual, write=write))


def test_a_picture_goes_where_it_should(tmp_path, rgb, temporary):
    assert images.save_somewhere(tmp_path / "a.png", rgb) == tmp_path / "a.png"
    np.testing.assert_array_equal(images.load(tmp_path / "a.png"), rgb)
    assert not list(temporary.iterdir())


def test_a_picture_is_not_lost_on_a_full_disk(tmp_path, rgb, temporary, monkeypatch):
    path = tmp_path / "results" / "a.png"
    images.save(path, rgb * 0)
    fill(monkeypatch, path.parent)
    found = images.save_somewhere(path, rgb, np.ones((2, 2)), 16, {"seed": 1})
    assert found.name == "a.png"
    assert found.parent.parent == temporary
    np.testing.assert_allclose(images.load(found), rgb, atol=1e-6)
    assert images.read_parameters(found) == {"seed": 1}
    assert (images.load(path) == 0).all()
    assert os.listdir(path.parent) == ["a.png"]


def test_a_picture_is_not_lost_where_its_folder_became_something_else(tmp_path, rgb, temporary):
    (tmp_path / "results").write_text("no folder any more")
    found = images.save_somewhere(tmp_path / "results" / "a.jpg", rgb)
    assert found.parent.parent == temporary
    assert images.load(found).shape == rgb.shape


def test_a_picture_is_not_lost_where_its_folder_is_read_only(tmp_path, rgb, temporary, monkeypatch):
    # root may write anywhere, so that no mode of a folder would do
    monkeypatch.setattr(os, "access", lambda path, mode: temporary in Path(path, "a").parents)
    found = images.save_somewhere(tmp_path / "a.png", rgb)
    assert found.parent.parent == temporary
    np.testing.assert_array_equal(images.load(found), rgb)


def test_where_all_is_full_the_first_error_is_told(tmp_path, rgb, temporary, monkeypatch):
    path = tmp_path / "results" / "a.png"
    fill(monkeypatch, tmp_path)
    with pytest.raises(ImageError, match=r"results.a\.png cannot be written: No space left"):
        images.save_somewhere(path, rgb)
    assert not list(temporary.iterdir())


def test_where_there_is_no_temporary_folder_the_first_error_is_told(tmp_path, rgb, temporary):
    temporary.rmdir()
    (tmp_path / "results").write_text("no folder any more")
    with pytest.raises(ImageError, match=r"results is not a folder"):
        images.save_somewhere(tmp_path / "results" / "a.png", rgb)


def test_what_no_place_can_help_is_an_error(tmp_path, rgb, temporary):
    with pytest.raises(ImageError, match="no picture format"):
        images.save_somewhere(tmp_path / "a.xyz", rgb)
    with pytest.raises(ImageError, match="finite"):
        images.save_somewhere(tmp_path / "a.png", rgb * np.nan)
    assert not list(temporary.iterdir())
