"""The pictures that a run begins with, checked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from styletransfer import images
from styletransfer.errors import UsageError
from styletransfer.images import colour
from styletransfer.images.arrays import Picture, as_mask, as_rgb
from styletransfer.settings import Settings, is_picture
from styletransfer.transfer.temporal import Expected


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
    expected : Expected or None
        What the result should be near to, of a frame of a film.
    """

    content: np.ndarray
    styles: tuple[np.ndarray, ...]
    style_masks: tuple[np.ndarray, ...]
    content_mask: np.ndarray | None
    init: str | np.ndarray
    expected: Expected | None = None


def check(
    settings: Settings,
    content: Picture,
    styles: Picture | Sequence[Picture],
    style_masks: Sequence[Picture] | None,
    content_mask: Picture | None,
    init: Picture | None,
    expected: Expected | None = None,
) -> Inputs:
    """Return the pictures of a run as `Inputs`, having checked them.

    Parameters
    ----------
    settings : Settings
        Its first image, and whether the styles take on the content's colours.
    content : ndarray, PIL image or path
        As `as_rgb` takes it.
    styles : such a picture, or a sequence of them
        As the content, each of its own size; at least one.
    style_masks : sequence of such pictures, optional
        As `as_mask` takes them; as many as styles.
    content_mask : such a picture, optional
        As the others.
    init : such a picture, or None
        A first image that is given as such, and not by the settings.
    expected : Expected, optional
        What the result should be near to.

    Raises
    ------
    UsageError
        If an array is no picture or no mask, or masks and styles are not as many.
    ImageError
        If the settings' first image is a file that cannot be read.
    """
    rgb = as_rgb(content)
    pictures = tuple(as_rgb(style) for style in _listed(styles))
    if not pictures:
        raise UsageError("there is no style image; give at least one")
    if isinstance(style_masks, str):
        style_masks = [style_masks]
    try:
        listed = list(() if style_masks is None else style_masks)
    except TypeError:
        raise UsageError(
            f"style_masks is a list of masks, one a style, not {type(style_masks).__name__}"
        ) from None
    masks = tuple(as_mask(mask, rgb.shape) for mask in listed)
    if masks and len(masks) != len(pictures):
        raise UsageError(
            f"there are {len(masks)} style masks for {len(pictures)} style images; give one each"
        )
    where = None if content_mask is None else as_mask(content_mask, rgb.shape)
    method, when = settings.preserve_colors or ("", "")
    if when == "before":
        pictures = tuple(colour.match(picture, rgb, method) for picture in pictures)
    start = settings.init if init is None else as_rgb(init)
    if isinstance(start, str) and is_picture(start):
        start = images.load(start)
    return Inputs(rgb, pictures, masks, where, start, expected)


def _listed(pictures: Picture | Sequence[Picture]) -> Sequence[Picture]:
    """Return a list of pictures, of one if there is a single one; a path is one, too."""
    if isinstance(pictures, Sequence) and not isinstance(pictures, str):
        return pictures
    return [pictures]
