"""Arrays that somebody hands in, checked: which are pictures, and which are masks."""

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from styletransfer.errors import UsageError
from styletransfer.images.reading import MODES, decode, load, over_white
from styletransfer.text import printable

Picture = np.ndarray | Image.Image | str | os.PathLike[str]
"""What stands for a picture or a mask, see `as_rgb` and `as_mask`."""

PROPORTIONS = 0.02
"""How much the proportions of a mask may differ from those of the content."""

_KINDS = "float in [0, 1], uint8 or uint16"


def as_rgb(image: object) -> np.ndarray:
    """Return an image as float RGB in [0, 1], (H, W, 3).

    It may be a path, a PIL image, or an array: uint8, uint16 or float in [0, 1], gray (H, W) or
    (H, W, 1), RGB, or RGBA, which is laid over white. Files and PIL images have their orientation
    and colour profile applied. Raises UsageError if it is anything else, ImageError if a file
    cannot be read.
    """
    if isinstance(image, str | os.PathLike):
        return load(image)
    if isinstance(image, Image.Image):
        if image.mode not in MODES:
            raise UsageError(
                f"a PIL image of the mode {image.mode} has no defined white; convert it to RGB"
            )
        rgb, alpha = decode(image)
        return rgb if alpha is None else over_white(rgb, alpha)
    array = _numbers(image, "an image", "uif")
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise UsageError(
            f"an image has the shape (height, width, 3), or (height, width) in gray, not"
            f" {array.shape}"
        )
    array = _unit(array, "an image")
    if array.shape[2] == 1:
        return array.repeat(3, axis=2)
    return array if array.shape[2] == 3 else over_white(array[:, :, :3], array[:, :, 3])


def as_mask(mask: object, shape: Sequence[int]) -> np.ndarray:
    """Return a mask as float in [0, 1], (H, W), of the proportions of a content (H, W, ...).

    It may be bool, uint8, uint16 or float in [0, 1], (H, W) or (H, W, 1); or a path or a PIL image,
    whose colours are averaged. Raises UsageError if it is anything else, has other proportions, or
    is black all over.
    """
    if isinstance(mask, str | os.PathLike | Image.Image):
        mask = as_rgb(mask).mean(axis=2)
    array = _numbers(mask, "a mask", "buif")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 or 0 in array.shape:
        raise UsageError(f"a mask has the shape (height, width), not {array.shape}")
    stretch = (array.shape[1] / array.shape[0]) / (shape[1] / shape[0])
    if abs(np.log(stretch)) > PROPORTIONS:
        raise UsageError(
            f"a mask of {array.shape[1]} x {array.shape[0]} pixels does not fit a content image of"
            f" {shape[1]} x {shape[0]}; give one of the same proportions"
        )
    array = _unit(array, "a mask")
    if not array.max() > 0:
        raise UsageError("the mask is black all over, so that nothing would count; paint a part")
    return array


def _numbers(values: object, what: str, kinds: str) -> np.ndarray:
    """Return an array of one of NumPy's kinds of numbers."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):  # rows of several lengths, an array on another device
        raise UsageError(f"{what} is an array, not {type(values).__name__}") from None
    if array.dtype.kind not in kinds:
        raise UsageError(f"{what} is {_KINDS}; this one is {printable(str(array.dtype), 50)}")
    return array


def _unit(array: np.ndarray, what: str) -> np.ndarray:
    """Return an array of numbers as float in [0, 1]."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "b":
        return array.astype(np.float32)
    if kind == "u" and size <= 2:
        return array / np.float32(255 if size == 1 else 65535)
    if kind != "f" or not (array.min() >= 0 and array.max() <= 1):
        raise UsageError(
            f"{what} is {_KINDS}; this one is {array.dtype} from {array.min()} to {array.max()}"
        )
    # What follows computes in either of these, and in no other.
    wanted = np.float64 if size == 8 else np.float32
    return array.astype(wanted, copy=False)
