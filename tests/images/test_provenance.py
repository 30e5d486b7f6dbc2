"""Parameters travel in a picture, and nothing odd in a file does harm."""

import json

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from styletransfer import images
from styletransfer.errors import ImageError
from styletransfer.images import provenance

PARAMETERS = {
    "style": ["Große Welle.jpg", "b.png"],
    "ratio": 1e4,
    "seed": 7,
    "quiet": False,
    "init": None,
    "layers": {"conv1_1": 0.2},
    "versions": {"styletransfer": "1.0"},
}
EXTENSIONS = ["jpg", "png", "webp", "tif"]
GRAY = np.full((8, 9, 3), 0.5, np.float32)


def png_with(path, text, keyword=provenance.KEYWORD):
    info = PngImagePlugin.PngInfo()
    info.add_text(keyword, text)
    Image.new("RGB", (4, 3)).save(path, pnginfo=info)
    return path


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_parameters_come_back(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    images.save(path, GRAY, parameters=PARAMETERS)
    assert images.read_parameters(path) == PARAMETERS
    assert images.load(path).shape == GRAY.shape


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_picture_without_parameters_has_none(tmp_path, extension):
    images.save(tmp_path / f"a.{extension}", GRAY)
    assert images.read_parameters(tmp_path / f"a.{extension}") is None


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_long_parameters_come_back(tmp_path, extension):
    parameters = {"words": "x" * 59_000}
    images.save(tmp_path / f"a.{extension}", GRAY, parameters=parameters)
    assert images.read_parameters(tmp_path / f"a.{extension}") == parameters


def recipe(**counts):
    """Parameters with files of long paths, by kind."""
    digest = "0123456789abcdef" * 4
    return {
        "settings": {"ratio": 1e4},
        "files": {
            kind: [[f"/{'folder/' * 300}{kind}{i}.jpg", digest] for i in range(count)]
            for kind, count in counts.items()
        },
        "threads": 2,
    }


def test_files_lose_their_folders_where_the_text_is_too_long(tmp_path):
    wanted = recipe(content=1, styles=30)
    path = tmp_path / "a.jpg"
    images.save(path, GRAY, parameters=wanted)
    stored = images.read_parameters(path)
    names = [f"styles{i}.jpg" for i in range(30)]
    assert [name for name, _ in stored["files"]["styles"]] == names
    assert stored["files"]["content"] == [["content0.jpg", wanted["files"]["content"][0][1]]]
    rest = ("settings", "threads")
    assert {key: stored[key] for key in rest} == {key: wanted[key] for key in rest}
    assert provenance.SHORTENED not in stored


def test_paths_are_kept_where_there_is_room(tmp_path):
    images.save(tmp_path / "a.jpg", GRAY, parameters=recipe(content=1, styles=20))
    assert images.read_parameters(tmp_path / "a.jpg") == recipe(content=1, styles=20)


def test_the_longest_list_of_files_goes_first():
    wanted = recipe(content=1, styles=256, style_masks=255, init=1)
    for kind in ("styles", "style_masks"):
        for entry in wanted["files"][kind]:
            entry[0] = "n" * 250
    stored = json.loads(provenance.to_text(wanted))[provenance.KEYWORD]
    assert stored[provenance.SHORTENED] == ["styles", "style_masks"]
    assert {kind: len(entries) for kind, entries in stored["files"].items()} == {
        "content": 1,
        "styles": 0,
        "style_masks": 0,
        "init": 1,
    }
    assert stored["settings"] == wanted["settings"]


@pytest.mark.parametrize(("count", "left"), [(256, 256), (257, 0)])
def test_no_more_files_are_stored_than_are_believed(count, left):
    files = {"styles": [["a.jpg", "0"]] * count}
    stored = json.loads(provenance.to_text({"files": files}))[provenance.KEYWORD]
    assert len(stored["files"]["styles"]) == left
    assert stored.get(provenance.SHORTENED) == (None if left else ["styles"])


def test_a_parameter_that_is_too_long_is_left_out(tmp_path):
    path = tmp_path / "a.png"
    images.save(path, GRAY, parameters={"a": "x" * 70_000, "b": 1, "c": "y" * 80_000})
    assert images.read_parameters(path) == {"b": 1, "shortened": ["c", "a"]}


def test_what_json_does_not_have_is_refused(tmp_path):
    for value in (float("nan"), object()):
        with pytest.raises((TypeError, ValueError)):
            images.save(tmp_path / "a.png", GRAY, parameters={"a": value})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "comment", [b"ASCII\0\0\0a holiday", b"UNICODE\0a\0b", b"", b"ASCII\0\0\0\xff\xfe", b'{"a": 1}']
)
def test_comments_of_others_are_not_ours(tmp_path, comment):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=exif)
    assert images.read_parameters(tmp_path / "a.jpg") is None


def test_texts_of_others_are_not_ours(tmp_path):
    path = png_with(tmp_path / "a.png", '{"styletransfer": {}}', keyword="Comment")
    assert images.read_parameters(path) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"styletransfer": {"a": 1}',
        '{"styletransfer": [1, 2]}',
        '{"styletransfer": {"a": NaN}}',
        '{"styletransfer": {"a": -Infinity}}',
        '{"styletransfer": ' + '{"a":' * 10_000,
        '{"styletransfer": {"a": "' + "x" * 60_000 + '"}}',
        '{"styletransfer": {"a": ' + "9" * 10_000 + "}}",
    ],
)
def test_damaged_parameters_are_refused(tmp_path, text):
    path = png_with(tmp_path / "a.png", text)
    with pytest.raises(ImageError, match=r"a\.png: the parameters stored in it are damaged \("):
        images.read_parameters(path)
    assert images.load(path).shape == (3, 4, 3)  # the picture itself is sound


def test_a_file_that_is_no_picture_is_refused(tmp_path):
    (tmp_path / "a.png").write_text('{"styletransfer": {}}')
    with pytest.raises(ImageError, match="no picture that can be read"):
        images.read_parameters(tmp_path / "a.png")
