"""Pictures side by side."""

import numpy as np
import pytest

from styletransfer import images
from styletransfer.errors import UsageError


def test_a_row_of_pictures_is_as_high_as_the_last():
    content, style = np.zeros((20, 30, 3), np.float32), np.full((40, 40, 3), 0.5, np.float32)
    result = np.zeros((10, 15, 3), np.float32)
    row = images.side_by_side([content, style, result], gap=2)
    assert row.shape == (14, 2 + 15 + 2 + 10 + 2 + 15 + 2, 3)
    columns = np.concatenate([[1] * 2, [0] * 15, [1] * 2, [0.5] * 10, [1] * 2, [0] * 15, [1] * 2])
    np.testing.assert_allclose(row[7, :, 1], columns, atol=1e-6)
    assert (row[[0, 1, -2, -1]] == 1).all()


def test_a_row_of_pictures_is_bounded():
    strip, result = np.zeros((2, 40_000, 3), np.float32), np.zeros((2000, 2, 3), np.float32)
    with pytest.raises(UsageError, match="more than 120 million"):
        images.side_by_side([strip, result])
