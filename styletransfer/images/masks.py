"""Masks: which parts of a picture count, at the size of each layer."""

from collections.abc import Sequence

import numpy as np


def resize(mask: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Average a mask (H, W) over the area that each position of a layer of some size stands for.

    The mask is what `arrays.as_mask` returns. The averages are float32 in [0, 1], and above 0
    wherever the area touches a part that counts.
    """
    rows, columns = map(_shares, mask.shape, size)
    # Rounding may leave the mean of ones a little above one.
    return np.minimum(rows @ mask @ columns.T, 1).astype(np.float32)


def _shares(length: int, cells: int) -> np.ndarray:
    """Return what share of each cell each pixel of an axis makes up, (cells, length)."""
    edges = np.linspace(0, length, cells + 1)
    pixels = np.arange(length)
    start = np.maximum(edges[:-1, np.newaxis], pixels)
    end = np.minimum(edges[1:, np.newaxis], pixels + 1)
    return np.maximum(end - start, 0) * (cells / length)
