"""What a minimiser remembers of an image, at another size."""

from collections.abc import Sequence

import numpy as np


def stretched(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return an array, (1, C, h, w), interpolated linearly to a shape (1, C, H, W)."""
    from scipy.ndimage import zoom

    factors = [new / old for new, old in zip(shape, array.shape, strict=True)]
    return zoom(array, factors, order=1, mode="nearest", grid_mode=True)
