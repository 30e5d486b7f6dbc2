"""The pictures that a run begins with, checked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from styletransfer import images
from styletransfer.errors import UsageError
from styletransfer.images import colour
from styletransfer.settings import Settings, is_picture

PROPORTIONS = 0.02
"""How much the proportions of a mask may differ from those of the content."""


@dataclass(frozen=True)
class Inputs:
    """What a run begins with.

    Attributes
    ----------
    content : ndarray, shape (H, W, 3)
        RGB, float in [0, 1].
    styles : tuple of ndarray
        Each of its own size.
    style_masks : tuple of ndarray, shape (H, W)
        Where in the result each style applies, from 0 to 1; none, or as many as styles.
    content_mask : ndarray or None
        Where in the result the content counts.
    init : str or ndarray
        A word, the exponent of a noise, or a picture.
    """

    content: np.ndarray
    styles: tuple[np.ndarray, ...]
    style_masks: tuple[np.ndarray, ...]
    content_mask: np.ndarray | None
    init: str | np.ndarray


def check(
    settings: Settings,
    content: np.ndarray,
    styles: np.ndarray | Sequence[np.ndarray],
    style_masks: Sequence[np.ndarray] | None,
    content_mask: np.ndarray | None,
    init: np.ndarray | None,
) -> Inputs:
    """Return the pictures of a run as `Inputs`, having checked them.

    Parameters
    ----------
    settings : Settings
        Its first image, and whether the styles take on the content's colours.
    content : ndarray, shape (H, W, 3)
        RGB, float in [0, 1] or uint8.
    styles : ndarray or sequence of ndarray
        As the content, each of its own size; at least one.
    style_masks : sequence of ndarray, shape (H, W), optional
        From 0 to 1 or uint8, of the content's proportions; as many as styles.
    content_mask : ndarray, shape (H, W), optional
        As the others.
    init : ndarray, shape (H, W, 3), or None
        A first image that is given as such, and not by the settings.

    Raises
    ------
    UsageError
        If an array is no picture or no mask, or masks and styles are not as many.
    ImageError
        If the settings' first image is a file that cannot be read.
    """
    content = as_rgb(content)
    several = isinstance(styles, Sequence)
    styles = tuple(as_rgb(style) for style in (styles if several else [styles]))
    if not styles:
        raise UsageError("there is no style image; give at least one")
    masks = tuple(_as_mask(mask, content.shape) for mask in style_masks or ())
    if masks and len(masks) != len(styles):
        raise UsageError(
            f"there are {len(masks)} style masks for {len(styles)} style images; give one each"
        )
    if content_mask is not None:
        content_mask = _as_mask(content_mask, content.shape)
    method, when = settings.preserve_colors or (None, None)
    if when == "before":
        styles = tuple(colour.match(style, content, method) for style in styles)
    start = settings.init if init is None else as_rgb(init)
    if isinstance(start, str) and is_picture(start):
        start = images.load(start)
    return Inputs(content, styles, masks, content_mask, start)


def as_rgb(image: np.ndarray) -> np.ndarray:
    """Return an image as float RGB, having checked it."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise UsageError(f"an image has the shape (height, width, 3), not {image.shape}")
    if image.dtype == np.uint8:
        return image / np.float32(255)
    if image.dtype.kind != "f" or not (image.min() >= 0 and image.max() <= 1):
        raise UsageError(
            f"an image is float in [0, 1] or uint8; this one is {image.dtype}"
            f" from {image.min()} to {image.max()}"
        )
    return image


def _as_mask(mask: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return a mask (H, W), having checked that it has the content's proportions."""
    mask = np.asarray(mask)
    if mask.dtype == np.uint8:
        mask = mask / np.float32(255)
    if mask.ndim != 2 or 0 in mask.shape:
        raise UsageError(f"a mask has the shape (height, width), not {mask.shape}")
    stretch = (mask.shape[1] / mask.shape[0]) / (shape[1] / shape[0])
    if abs(np.log(stretch)) > PROPORTIONS:
        raise UsageError(
            f"a mask of {mask.shape[1]} x {mask.shape[0]} pixels does not fit a content image of"
            f" {shape[1]} x {shape[0]}; give one of the same proportions"
        )
    return mask
