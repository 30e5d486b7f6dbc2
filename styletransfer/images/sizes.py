"""Sizes of pictures: what is wanted, what is allowed, and how they are resampled."""

import numpy as np

from styletransfer.errors import UsageError

MAX_PIXELS = 120_000_000
"""The most pixels of a picture: room for the largest cameras; reading one takes 2 GB."""

MOST_STRETCHED = 32
"""The most times that the long side may be as long as the short one where this must be enlarged.

With an input of 224 pixels that is 7168 x 224; the longest scroll paintings have 25 to 1.
"""


def scale_for(shape: tuple[int, ...], length: float, input_size: int) -> float:
    """Return the scale that brings a picture to a length without going below the network's input.

    The short side is never below `input_size`, so the long one may exceed `length`; small pictures
    are scaled up. A style picture is scaled by 1.2 times its own value, as in the original.

    Parameters
    ----------
    shape
        (H, W, ...) of the picture.
    length
        The wanted long side, in pixels.
    input_size
        Side of the network's nominal input, in pixels.

    Raises
    ------
    UsageError
        If `length` is not positive, or the long side would exceed it with proportions beyond
        `MOST_STRETCHED`.
    """
    if not length > 0:
        raise UsageError(f"The length must be positive, not {length}.")
    height, width = shape[:2]
    short, long = sorted((height, width))
    least = input_size / short
    if least * long > length and long > MOST_STRETCHED * short:
        raise UsageError(
            f"A picture of {width}x{height} pixels would become {round(width * least)}x"
            f"{round(height * least)}, as the network needs {input_size} on the short side: its"
            f" proportions are beyond {MOST_STRETCHED} to 1, and no smaller length helps; crop it."
        )
    return max(length / long, least)


def rescale(rgb: np.ndarray, scale: float) -> np.ndarray:
    """Resize by a factor: each side is rounded, and at least 1.

    Parameters
    ----------
    rgb
        Float, shape (H, W, C).
    scale
        The factor of both sides.

    Returns
    -------
    numpy.ndarray
        Shape (H', W', C), the same dtype.

    Raises
    ------
    UsageError
        As in `resize`.
    """
    return resize(rgb, scaled(rgb.shape, scale))


def scaled(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Return height and width of a picture (H, W, ...) that `rescale` has resized."""
    height, width = (max(round(scale * side), 1) for side in shape[:2])
    return height, width


def resize(rgb: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Stretch a picture to a shape exactly as the scikit-image of 2015 did.

    That is bilinear, without a low-pass filter, clipped to the range of the input. The modern
    defaults smooth first and differ by up to 0.4.

    Parameters
    ----------
    rgb
        Float, shape (H, W, C).
    shape
        Height and width wanted.

    Returns
    -------
    numpy.ndarray
        Shape (*shape, C), the same dtype.

    Raises
    ------
    UsageError
        If the result would have more than `MAX_PIXELS` pixels.
    """
    # What scikit-image's resize comes down to, with the same rounding; but to import that takes
    # longer than to resize. Imported here because it takes longer than --help may.
    from scipy.ndimage import zoom

    check(rgb.shape, shape)
    factors = (shape[0] / rgb.shape[0], shape[1] / rgb.shape[1], 1)
    resized = zoom(rgb, factors, order=1, mode="grid-constant", grid_mode=True)
    return np.clip(resized, rgb.min(), rgb.max(), out=resized)


def resize_smoothly(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Resize (H, W) or (H, W, C) as one should: with a low-pass filter, and edges as they are."""
    # Imported here because it takes longer than --help may.
    from skimage.transform import resize as skimage_resize

    return skimage_resize(array, shape, order=1, mode="edge", anti_aliasing=True)


def check(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    """Raise UsageError where a picture of one shape would become one of too many pixels."""
    if after[0] * after[1] > MAX_PIXELS:
        raise UsageError(
            f"A picture of {before[1]}x{before[0]} pixels would become {after[1]}x{after[0]}, more"
            f" than {MAX_PIXELS // 10**6} million: crop it, or ask for a smaller length."
        )
