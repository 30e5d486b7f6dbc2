"""The first matrix of L-BFGS for pictures: how far coarse and fine changes should go.

The losses of a network's features bend most along fine patterns of colour, so that a step along
the gradient changes these and leaves large shapes and light behind. The matrix here makes coarser
changes larger by the root of their size, and changes of lightness by a factor. It is diagonal in
the basis of Haar's wavelets: a few additions a pixel.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

LEVELS = 6
"""Squares of 1 to 2**6 pixels a side."""

GROWTH = np.sqrt(2.0)
"""How much larger changes become from one size of squares to that of twice the side."""

LIGHTNESS = 3.0
"""The factor of changes that are the same in all channels."""


def scaled(vector: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return the matrix times a flat image of a shape (1, C, H, W)."""
    *_, height, width = shape
    means = _means(_lightened(vector, shape))
    weights = _weights(len(means))
    total = np.float32(weights[-1]) * means[-1]
    for mean, weight in zip(means[-2::-1], weights[-2::-1], strict=True):
        finer = np.float32(weight) * mean
        for corner in _corners(finer):
            corner += total
        total = finer
    return np.ascontiguousarray(total[:, :height, :width]).ravel()


def length(vector: np.ndarray, shape: Sequence[int]) -> float:
    """Return the inner product of a flat image with the matrix times itself."""
    total = 0.0
    means = _means(vector.reshape(shape)[0])
    for level, (mean, weight) in enumerate(zip(means, _weights(len(means)), strict=True)):
        light = mean.sum(axis=0)
        more = (LIGHTNESS - 1) / len(mean) * float(np.vdot(light, light))
        total += weight * 4**level * (float(np.vdot(mean, mean)) + more)
    return total


def _lightened(vector: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return an image (C, H, W) whose mean over the channels is so many times as large."""
    image = vector.reshape(shape)[0]
    light = image.sum(axis=0)
    light *= np.float32((LIGHTNESS - 1) / len(image))
    lightened: np.ndarray = image + light
    return lightened


def _means(image: np.ndarray) -> list[np.ndarray]:
    """Return an image (C, H, W) and its means over squares, each twice as large as before.

    Outside it is zero, up to a whole number of the largest squares.
    """
    *_, height, width = image.shape
    levels = min(LEVELS, min(height, width).bit_length() - 1)
    below, right = -height % 2**levels, -width % 2**levels
    if below or right:
        image = np.pad(image, ((0, 0), (0, below), (0, right)))
    means = [image]
    for _ in range(levels):
        a, b, c, d = _corners(means[-1])
        mean = a + b
        mean += c
        mean += d
        mean *= np.float32(0.25)
        means.append(mean)
    return means


def _corners(image: np.ndarray) -> list[np.ndarray]:
    """Return views of the four pixels of each square of 2×2."""
    return [image[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]


def _weights(number: int) -> list[float]:
    """Return what the means of each size count, the finest first: sums to the growth's powers."""
    powers = [float(GROWTH**level) for level in range(number)]
    return [1.0, *(b - a for a, b in pairwise(powers))]
