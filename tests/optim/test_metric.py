"""The first matrix of L-BFGS."""

import numpy as np
import pytest

from styletransfer.optim import metric


def matrix(shape):
    """Return it as an array."""
    unit = np.eye(int(np.prod(shape)), dtype=np.float32)
    return np.stack([metric.scaled(row, shape) for row in unit])


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (1, 3, 5, 7), (1, 1, 1, 9), (1, 2, 13, 4)])
def test_it_is_symmetric_and_positive(shape):
    whole = matrix(shape)
    np.testing.assert_allclose(whole, whole.T, atol=1e-5)
    assert np.linalg.eigvalsh(whole).min() > 0.9


def test_length_is_the_product_with_itself():
    vector = np.random.default_rng(0).normal(size=3 * 21 * 34).astype(np.float32)
    product = float(vector @ metric.scaled(vector, (1, 3, 21, 34)))
    assert metric.length(vector, (1, 3, 21, 34)) == pytest.approx(product, rel=1e-5)


def test_coarse_changes_and_lightness_grow():
    """Checkerboards of lightness and of colour, of squares of 1, 2, 4 … pixels."""
    shape = (1, 3, 64, 64)
    gray, colour = np.array([1, 1, 1]), np.array([1, 0, -1])
    for level in range(6):
        row = np.arange(64) >> level & 1
        board = np.where(row[:, None] == row, 1, -1)
        for channels, factor in ((gray, metric.LIGHTNESS), (colour, 1)):
            vector = np.float32(channels[:, None, None] * board).ravel()
            wanted = factor * metric.GROWTH**level * vector
            np.testing.assert_allclose(metric.scaled(vector, shape), wanted, rtol=1e-5)
