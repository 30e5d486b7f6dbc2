"""The first matrix of L-BFGS for pictures: how far coarse and fine changes should go.

A network's losses bend far more along some patterns than along others, so that a step along the
gradient changes those and leaves the rest behind. The matrix here multiplies changes by *gains*:
one for each size of pattern, apart for lightness and for colour. The patterns are Haar's wavelets:
it takes a few additions a pixel. The gains are learnt from the steps made.
"""

from collections.abc import Sequence

import numpy as np

LEVELS = 6
"""Patterns of 1 to 2**6 pixels a side."""

RATE = 0.3
"""How much a new step counts beside those before."""

LARGEST = 2.5
"""The natural logarithm of the largest gain."""


def first(shape: Sequence[int]) -> np.ndarray:
    """Return the logarithms of gains, (levels, 2), that nothing is known of."""
    levels = min(LEVELS, min(shape[2:]).bit_length() - 1)
    return np.zeros((levels + 1, 2))


def learnt(gains: np.ndarray, step: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """Return gains with what a step and the gradient's difference there say of them.

    Of both the `energies` are given. The gain of a pattern is the length of its part of the step
    over that of the difference's. All are in relation to each other: their logarithms add up to
    nothing.
    """
    told = np.log(step / difference) / 2
    told -= told.mean()
    mixed: np.ndarray = gains + RATE * (told - gains) if gains.any() else told
    clipped: np.ndarray = np.clip(mixed, -LARGEST, LARGEST)
    return clipped


def energies(vector: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return the squares of a flat image's patterns, (levels, 2): lightness, colour; none is 0.

    The first are the finest; the last is what is left, the means over the largest squares.
    """
    found = []
    for level, mean in enumerate(_means(vector, shape)):
        light = mean.sum(axis=0)
        of_light = float(np.vdot(light, light)) / len(mean)
        found.append((4.0**level * of_light, 4.0**level * (float(np.vdot(mean, mean)) - of_light)))
    sums = np.array(found)
    sums[:-1] -= sums[1:]
    positive: np.ndarray = np.maximum(sums, LEAST)
    return positive


LEAST = 1e-30
"""For patterns that are not there: a ratio of two is 1."""


def scaled(vector: np.ndarray, shape: Sequence[int], gains: np.ndarray) -> np.ndarray:
    """Return the matrix times a flat image of a shape (1, C, H, W)."""
    powers = np.exp(gains)
    # Means over squares of a size have all the patterns of larger sizes.
    weights = np.diff(powers, axis=0, prepend=0.0).astype(np.float32)
    total: np.ndarray | None = None
    for mean, (of_light, of_colour) in zip(_means(vector, shape)[::-1], weights[::-1], strict=True):
        light = mean.sum(axis=0)
        light *= (of_light - of_colour) / np.float32(len(mean))
        finer = of_colour * mean
        finer += light
        if total is not None:
            _add_doubled(finer, total)
        total = finer
    assert total is not None
    return total.ravel()


def _means(vector: np.ndarray, shape: Sequence[int]) -> list[np.ndarray]:
    """Return a flat image as (C, H, W) and its means over squares, each twice as large as before.

    Outside it is zero.
    """
    means = [vector.reshape(shape[1:])]
    for _ in range(len(first(shape)) - 1):
        finer = means[-1]
        below, right = (side % 2 for side in finer.shape[1:])
        if below or right:
            finer = np.pad(finer, ((0, 0), (0, below), (0, right)))
        # Sums of whole rows first: they lie together.
        rows = finer[:, ::2] + finer[:, 1::2]
        mean = rows[..., ::2] + rows[..., 1::2]
        mean *= np.float32(0.25)
        means.append(mean)
    return means


def _add_doubled(image: np.ndarray, half: np.ndarray) -> None:
    """Add to (C, H, W) one of half its size, each pixel of which stands for four."""
    channels, height, width = image.shape
    wide = np.empty((channels, half.shape[1], width), image.dtype)
    wide[..., ::2] = half
    wide[..., 1::2] = half[..., : width // 2]
    image[:, ::2] += wide
    image[:, 1::2] += wide[:, : height // 2]
