"""Pictures side by side."""

from collections.abc import Sequence

import numpy as np

from styletransfer.images import sizes


def side_by_side(pictures: Sequence[np.ndarray], gap: int = 12) -> np.ndarray:
    """Return pictures in a row on white, all as high as the last.

    Parameters
    ----------
    pictures
        RGB in [0, 1], each (H, W, 3) of its own size: the content, the styles, the result.
    gap
        Between and around them, in pixels.

    Raises
    ------
    ImageError
        If the row would have more than `MAX_PIXELS`.
    """
    height = pictures[-1].shape[0]
    widths = [max(round(p.shape[1] * height / p.shape[0]), 1) for p in pictures]
    shape = (height + 2 * gap, sum(widths) + gap * (len(widths) + 1))
    sizes.check(pictures[-1].shape, shape)
    row = np.ones((*shape, 3), np.float32)
    left = gap
    for picture, width in zip(pictures, widths, strict=True):
        fitted = sizes.resize_smoothly(picture, (height, width))
        row[gap : gap + height, left : left + width] = fitted
        left += width + gap
    return row
