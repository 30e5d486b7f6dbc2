"""The parameters that made a picture, as the text that travels in its file.

PNG keeps it in a text chunk, TIFF in its ImageDescription, JPEG and WebP in EXIF's UserComment. The
text is one JSON object under the program's name, so that other programs' comments are told apart.
"""

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from PIL import Image, PngImagePlugin, TiffImagePlugin

from styletransfer.errors import ImageError

KEYWORD = "styletransfer"  # of the PNG text chunk, and the key in the JSON

FILES = "files"
"""The parameter with the files that went in: by kind, a list of [path, digest]."""

MOST_FILES = 256
"""The most files of one kind that are stored, and believed."""

SHORTENED = "shortened"
"""The parameter with the names of the kinds of files, and of parameters, that were left out."""

# JPEG gives all of EXIF 64 KiB.
_LONGEST = 60_000

_EXIF_IFD, _USER_COMMENT, _IMAGE_DESCRIPTION = 0x8769, 0x9286, 270
_ASCII = b"ASCII\0\0\0"


def to_text(parameters: Mapping[str, object]) -> str:
    """Return parameters as ASCII text, short enough for a picture.

    Where they are too long, files lose their folders; if that is not enough, the longest list of
    files is left out, and so on, and then the longest parameter. `SHORTENED` says which. Raises
    TypeError or ValueError if they are not made of what JSON has.
    """
    for kind, entries in _files(parameters).items():
        if len(entries) > MOST_FILES:
            parameters = _without_files(parameters, kind)
    text = _dumped(parameters)
    if len(text) > _LONGEST:
        parameters = _without_folders(parameters)
        text = _dumped(parameters)
    while len(text) > _LONGEST:
        parameters = _without_longest(parameters)
        text = _dumped(parameters)
    return text


def _dumped(parameters: Mapping[str, object]) -> str:
    return json.dumps({KEYWORD: dict(parameters)}, ensure_ascii=True, allow_nan=False)


def _files(parameters: Mapping[str, Any]) -> dict[str, list]:
    return dict(parameters.get(FILES, {}))


def _without_folders(parameters: Mapping[str, object]) -> dict[str, object]:
    if FILES not in parameters:
        return dict(parameters)
    names = {
        kind: [[PurePath(path).name, *rest] for path, *rest in entries]
        for kind, entries in _files(parameters).items()
    }
    return {**parameters, FILES: names}


def _without_longest(parameters: Mapping[str, Any]) -> dict[str, object]:
    """Leave out the longest list of files; where there is none, the longest parameter."""
    lists = {kind: entries for kind, entries in _files(parameters).items() if entries}
    if lists:
        return _without_files(parameters, _longest(lists))
    rest = {name: value for name, value in parameters.items() if name != SHORTENED}
    name = _longest(rest)
    del rest[name]
    return {**rest, SHORTENED: [*parameters.get(SHORTENED, []), name]}


def _longest(values: Mapping[str, object]) -> str:
    return max(values, key=lambda name: len(json.dumps(values[name])))


def _without_files(parameters: Mapping[str, Any], kind: str) -> dict[str, object]:
    files = {**_files(parameters), kind: []}
    return {**parameters, FILES: files, SHORTENED: [*parameters.get(SHORTENED, []), kind]}


def to_exif(text: str) -> Image.Exif:
    """Return EXIF data with a text as its UserComment."""
    exif = Image.Exif()
    exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = _ASCII + text.encode("ascii")
    return exif


def from_image(image: Image.Image) -> dict[str, object] | None:
    """Return the parameters in an opened picture; None if it carries none of ours.

    Raises ImageError if it carries ours, damaged.
    """
    text = _find(image)
    if text is None or not text.startswith(f'{{"{KEYWORD}":'):
        return None
    try:
        if len(text) > _LONGEST:
            raise ValueError(f"{len(text)} characters are too many")
        document = json.loads(text, parse_constant=_refuse)
        parameters = document[KEYWORD]
        if not isinstance(parameters, dict):
            raise ValueError("they are not an object")
    except (ValueError, RecursionError) as error:
        raise ImageError(f"the parameters stored in it are damaged ({error})") from None
    return parameters


def _find(image: Image.Image) -> str | None:
    if isinstance(image, PngImagePlugin.PngImageFile):
        return image.info.get(KEYWORD)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        text = image.tag_v2.get(_IMAGE_DESCRIPTION)
        return text if isinstance(text, str) else None
    comment = image.getexif().get_ifd(_EXIF_IFD).get(_USER_COMMENT)
    if not isinstance(comment, bytes) or not comment.startswith(_ASCII):
        return None
    return comment.removeprefix(_ASCII).decode("ascii", "replace").rstrip("\0")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")
