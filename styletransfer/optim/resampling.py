"""An image, and what a minimiser remembers of it, at another size."""

from collections.abc import Sequence

import numpy as np


def stretched(array: np.ndarray, shape: Sequence[int], order: int = 1) -> np.ndarray:
    """Return an array, (1, C, h, w), by splines of an order at a shape (1, C, H, W)."""
    from scipy.ndimage import zoom

    rows, columns = (new / old for new, old in zip(shape[2:], array.shape[2:], strict=True))
    planes = [
        zoom(plane, (rows, columns), order=order, mode="nearest", grid_mode=True)
        for plane in array[0]
    ]
    return np.stack(planes)[np.newaxis]
