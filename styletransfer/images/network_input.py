"""Pictures as a network sees them, BGR in 0..255 less the mean of its training pictures."""

import numpy as np


def preprocess(rgb: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Turn a picture into a network's input.

    Parameters
    ----------
    rgb
        RGB in [0, 1], shape (H, W, 3).
    mean
        Mean of the training pictures, BGR in 0..255, shape (3,).

    Returns
    -------
    numpy.ndarray
        BGR in 0..255 less the mean, float32, shape (1, 3, H, W), contiguous.
    """
    bgr = rgb[:, :, ::-1] * np.float32(255) - np.asarray(mean, np.float32)
    return np.ascontiguousarray(bgr.transpose(2, 0, 1)[np.newaxis], np.float32)


def deprocess(data: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Turn a network's input back into a picture: the inverse of `preprocess`, clipped.

    Parameters
    ----------
    data
        BGR less the mean, shape (1, 3, H, W).
    mean
        As in `preprocess`.

    Returns
    -------
    numpy.ndarray
        RGB in [0, 1], float32, shape (H, W, 3).
    """
    bgr = data[0].transpose(1, 2, 0) + np.asarray(mean, np.float32)
    # Rounding alone leaves values such as -1e-8.
    return np.clip(bgr[:, :, ::-1] / np.float32(255), 0, 1, dtype=np.float32)


def bounds(mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return black and white as a network sees them, each of shape (1, 3, 1, 1)."""
    black = -np.asarray(mean).reshape(1, 3, 1, 1)
    return black, 255 + black
