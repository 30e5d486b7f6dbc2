"""The pictures that a run begins with, checked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from styletransfer import images
from styletransfer.errors import UsageError
from styletransfer.images import colour
from styletransfer.images.arrays import as_mask, as_rgb
from styletransfer.settings import Settings, is_picture


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
    content : ndarray
        As `as_rgb` takes it.
    styles : ndarray or sequence of ndarray
        As the content, each of its own size; at least one.
    style_masks : sequence of ndarray, optional
        As `as_mask` takes them; as many as styles.
    content_mask : ndarray, shape (H, W), optional
        As the others.
    init : ndarray or None
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
    masks = tuple(
        as_mask(mask, content.shape) for mask in (() if style_masks is None else style_masks)
    )
    if masks and len(masks) != len(styles):
        raise UsageError(
            f"there are {len(masks)} style masks for {len(styles)} style images; give one each"
        )
    if content_mask is not None:
        content_mask = as_mask(content_mask, content.shape)
    method, when = settings.preserve_colors or ("", "")
    if when == "before":
        styles = tuple(colour.match(style, content, method) for style in styles)
    start = settings.init if init is None else as_rgb(init)
    if isinstance(start, str) and is_picture(start):
        start = images.load(start)
    return Inputs(content, styles, masks, content_mask, start)
