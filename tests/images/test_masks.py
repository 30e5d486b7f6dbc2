import numpy as np
import pytest

from styletransfer.images import masks


def test_average_over_areas():
    mask = np.arange(24).reshape(4, 6) / 24
    expected = mask.reshape(2, 2, 3, 2).mean(axis=(1, 3))
    result = masks.resize(mask, (2, 3))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (7, 5), (13, 20)])
def test_mean_and_range_are_kept(size):
    """The mean is that of the mask, whatever the sizes; ones stay ones."""
    mask = np.random.default_rng(0).uniform(0, 1, (7, 10))
    result = masks.resize(mask, size)
    assert result.shape == size
    assert result.mean() == pytest.approx(mask.mean(), rel=1e-6)
    np.testing.assert_allclose(masks.resize(np.ones((7, 10)), size), 1, rtol=1e-6)
    assert masks.resize(np.ones((7, 10)), size).max() <= 1


def test_one_pixel_counts_exactly_where_it_lies():
    mask = np.zeros((9, 9))
    mask[4, 8] = 1
    result = masks.resize(mask, (2, 3))
    assert np.argwhere(result > 0).tolist() == [[0, 2], [1, 2]]  # row 4 lies on both sides
