"""Colour profiles: whatever a picture was made in becomes sRGB, and what is written says so.

Pictures without a profile are taken as sRGB, as every viewer does.
"""

import functools
import io
import logging
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

_logger = logging.getLogger(__name__)

# What each colour space of a profile means to Pillow.
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}


@functools.cache
def srgb() -> bytes:
    """Return an ICC profile of sRGB, the same bytes on every day."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes.fromhex("07e0 0001 0001 0000 0000 0000")  # made on 2016-01-01
    return bytes(profile)


def converter(pixels: str, profile: bytes) -> Callable[[Image.Image], Image.Image]:
    """Return what converts pictures of a mode from a profile's colours to sRGB, of the mode RGB.

    The mode is 1, L, P, RGB, CMYK or YCbCr. A profile that is damaged, or made for another kind of
    pixels, is passed over with a warning in the log, as viewers do; one that differs from sRGB by
    no more than rounding changes nothing.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        mode = _MODES.get(space)
        native = pixels if pixels in ("L", "CMYK") else "RGB"
        if mode is None or (mode != native and (mode, native) != ("RGB", "L")):
            raise ValueError(f"it is for {space} and the picture is {pixels}")
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        if mode != "RGB" or not _changes_nothing(transform):
            return lambda image: transform.apply(image.convert(mode))
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        _logger.warning("The colour profile is passed over (%s): sRGB is assumed.", error)
    return lambda image: image.convert("RGB")


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Return whether an RGB transform moves no colour by more than one level of 255."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    moved = np.asarray(transform.apply(Image.fromarray(colours)), np.int16)
    return bool(np.abs(moved - colours).max() <= 1)
