"""The first matrix of L-BFGS."""

import numpy as np
import pytest

from styletransfer.optim import metric

RANDOM = np.random.default_rng(0)


def gains_for(shape):
    return RANDOM.normal(size=metric.first(shape).shape)


def matrix(shape, gains):
    """Return it as an array."""
    unit = np.eye(int(np.prod(shape)), dtype=np.float32)
    return np.stack([metric.scaled(row, shape, gains) for row in unit])


def boards():
    """Yield checkerboards of lightness and of colour, of squares of 1, 2, 4 … pixels."""
    for level in range(metric.LEVELS):
        row = np.arange(64) >> level & 1
        board = np.where(row[:, None] == row, 1, -1)
        for kind, channels in enumerate(([1, 1, 1], [1, 0, -1])):
            yield (level, kind), np.float32(np.multiply.outer(channels, board)).ravel()


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (1, 3, 5, 7), (1, 1, 1, 9), (1, 2, 13, 4)])
def test_it_is_symmetric_and_positive(shape):
    gains = gains_for(shape)
    whole = matrix(shape, gains)
    np.testing.assert_allclose(whole, whole.T, atol=1e-5)
    assert np.linalg.eigvalsh(whole).min() > 0.9 * np.exp(gains.min())


def test_without_gains_it_changes_nothing():
    vector = RANDOM.normal(size=3 * 21 * 34).astype(np.float32)
    shape = (1, 3, 21, 34)
    np.testing.assert_allclose(metric.scaled(vector, shape, metric.first(shape)), vector, atol=1e-6)


def test_energies_are_those_of_the_matrix():
    shape = (1, 3, 21, 34)
    vector = RANDOM.normal(size=3 * 21 * 34).astype(np.float32)
    gains = gains_for(shape)
    product = float(vector @ metric.scaled(vector, shape, gains))
    energies = metric.energies(vector, shape)
    assert energies.sum() == pytest.approx(float(vector @ vector), rel=1e-5)
    assert np.sum(np.exp(gains) * energies) == pytest.approx(product, rel=1e-5)


def test_each_pattern_has_its_gain():
    shape = (1, 3, 64, 64)
    gains = gains_for(shape)
    for place, board in boards():
        wanted = np.exp(gains[place]) * board
        np.testing.assert_allclose(metric.scaled(board, shape, gains), wanted, rtol=1e-4)


def test_gains_are_learnt():
    """Of a function that bends four times as much along the fine patterns of colour."""
    shape = (1, 3, 64, 64)
    step = RANDOM.normal(size=3 * 64 * 64).astype(np.float32)
    bends = np.zeros((metric.LEVELS + 1, 2))
    bends[0, 1] = np.log(4)
    gains = metric.first(shape)
    for _ in range(3):
        difference = metric.scaled(step, shape, bends)
        gains = metric.learnt(
            gains, metric.energies(step, shape), metric.energies(difference, shape)
        )
    others = np.delete(gains.ravel(), 1)
    assert np.ptp(others) < 1e-3
    assert others[0] - gains[0, 1] == pytest.approx(np.log(4), rel=1e-3)
