"""What the tests of pictures share."""

import numpy as np
import pytest


@pytest.fixture
def rgb():
    """A small picture with no symmetry, its values on the 8-bit grid."""
    y, x = np.mgrid[0:12, 0:20]
    return np.stack([x * 12, y * 20, (x * y) % 256], axis=2).astype(np.float32) / 255
