"""How each format is written: its depth, its alpha, its colour profile and its text."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, PngImagePlugin

from styletransfer.images import png16, profiles, provenance


@dataclass(frozen=True)
class Format:
    """One format: its usual name, whether it holds alpha, and the bits a channel that it holds.

    `write` takes uint8 or uint16 RGB or RGBA, (H, W, 3 or 4), in sRGB, and a text or None.
    """

    name: str
    alpha: bool
    depths: tuple[int, ...]
    write: Callable[[BinaryIO, np.ndarray, str | None], None]


def _write_png(stream: BinaryIO, pixels: np.ndarray, text: str | None) -> None:
    if pixels.dtype == np.uint16:
        texts = {} if text is None else {provenance.KEYWORD: text}
        png16.write(stream, pixels, profiles.srgb(), texts)
        return
    info = PngImagePlugin.PngInfo()
    if text is not None:
        info.add_text(provenance.KEYWORD, text)
    image = Image.fromarray(pixels)
    image.save(stream, format="PNG", icc_profile=profiles.srgb(), pnginfo=info)


def _write_tiff(stream: BinaryIO, pixels: np.ndarray, text: str | None) -> None:
    # Pillow writes no TIFF of three 16-bit channels. Imported here for the sake of --help.
    import tifffile

    tifffile.imwrite(
        stream,
        pixels,
        photometric="rgb",
        extrasamples=["unassalpha"] if pixels.shape[2] == 4 else None,
        compression="zlib",
        predictor=True,
        iccprofile=profiles.srgb(),
        description=text,
        metadata=None,
        software=False,
    )


def _write_with_exif(
    stream: BinaryIO, pixels: np.ndarray, text: str | None, **options: Any
) -> None:
    if text is not None:
        options["exif"] = provenance.to_exif(text)
    Image.fromarray(pixels).save(stream, icc_profile=profiles.srgb(), **options)


_write_jpeg = functools.partial(_write_with_exif, format="JPEG", quality=95, subsampling="4:4:4")
_write_webp = functools.partial(_write_with_exif, format="WEBP", quality=95)

_JPEG = Format("JPEG", False, (8,), _write_jpeg)
_TIFF = Format("TIFF", True, (8, 16), _write_tiff)
FORMATS = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".png": Format("PNG", True, (8, 16), _write_png),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": Format("WebP", True, (8,), _write_webp),
}
