"""The parameters that made a picture, as the text that travels in its file.

PNG keeps it in a text chunk, TIFF in its ImageDescription, JPEG and WebP in EXIF's UserComment. The
text is one JSON object under the program's name, so that other programs' comments are told apart.
"""

import json
from collections.abc import Mapping

from PIL import Image, PngImagePlugin, TiffImagePlugin

from styletransfer.errors import ImageError

KEYWORD = "styletransfer"  # of the PNG text chunk, and the key in the JSON

# JPEG gives all of EXIF 64 KiB.
_LONGEST = 60_000

_EXIF_IFD, _USER_COMMENT, _IMAGE_DESCRIPTION = 0x8769, 0x9286, 270
_ASCII = b"ASCII\0\0\0"


def to_text(parameters: Mapping[str, object]) -> str:
    """Return parameters as ASCII text.

    Raises
    ------
    ImageError
        If they do not fit into a picture.
    TypeError, ValueError
        If they are not made of what JSON has.
    """
    text = json.dumps({KEYWORD: dict(parameters)}, ensure_ascii=True, allow_nan=False)
    if len(text) > _LONGEST:
        raise ImageError(
            f"The parameters take {len(text)} characters, and a picture can carry {_LONGEST}."
        )
    return text


def to_exif(text: str) -> Image.Exif:
    """Return EXIF data with a text as its UserComment."""
    exif = Image.Exif()
    exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = _ASCII + text.encode("ascii")
    return exif


def from_image(image: Image.Image) -> dict[str, object] | None:
    """Return the parameters in an opened picture; None if it carries none of ours.

    Raises
    ------
    ImageError
        If it carries ours, damaged.
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
