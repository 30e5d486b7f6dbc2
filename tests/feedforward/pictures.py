"""Pictures made up for tests."""

import numpy as np

from styletransfer import images


def picture(seed: int, shape: tuple[int, int]) -> np.ndarray:
    """Return soft noise, (*shape, 3) in [0, 1]."""
    coarse = np.random.default_rng(seed).random((6, 6, 3), np.float32)
    return images.resize(coarse, shape)
