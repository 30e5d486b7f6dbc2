"""The detail and the colours of one picture as strong as another's, scale by scale.

Moving a painting and mixing it with another wears off what is fine, and colours lag behind. At
each scale the differences of colours have a covariance, which is what style losses see of them
first; it is brought back by one map of colours for the whole picture, so that nothing flickers.
"""

import numpy as np

from styletransfer.video import extra

SCALES = (0.7, 1.4, 2.8)
"""Standard deviations, in pixels, of the blurs whose differences are the scales: octaves."""

MOST = 1.6
"""How much stronger, or weaker, a scale becomes at most."""

_LEAST_VARIANCE = 1e-7  # of colours in [0, 1]: a twelfth of a grey level


def restored(picture: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return a picture with the covariance of colours, at each scale, of another.

    Parameters
    ----------
    picture, like : ndarray, shape (H, W, 3)
        Float32 in [0, 1].
    """
    result = np.zeros_like(picture)
    for scale in SCALES:
        smooth, smooth_like = _smoothed(picture, scale), _smoothed(like, scale)
        result += _mapped(picture - smooth, like - smooth_like)
        picture, like = smooth, smooth_like
    mean, mean_like = (p.mean(axis=(0, 1), dtype=np.float64) for p in (picture, like))
    result += _mapped(picture - np.float32(mean), like - np.float32(mean_like))
    result += np.float32(mean_like)
    return np.clip(result, 0, 1, out=result)


def _mapped(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return values, (H, W, 3), mapped so that their covariance is that of others.

    The map A⁻¹ (A B² A)^½ A⁻¹, A and B being the roots of the covariances, is the one that
    changes the values least.
    """
    root = _root(_covariance(values))
    inverse = np.linalg.inv(root)
    change = inverse @ _root(root @ _covariance(like) @ root) @ inverse
    factors, axes = np.linalg.eigh(change)
    change = (axes * np.clip(factors, 1 / MOST, MOST)) @ axes.T
    mapped: np.ndarray = values @ change.astype(np.float32)
    return mapped


def _covariance(values: np.ndarray) -> np.ndarray:
    pixels = values.reshape(-1, 3)
    found = (pixels.T @ pixels).astype(np.float64) / len(pixels)
    return np.asarray(found + _LEAST_VARIANCE * np.eye(3))


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def _smoothed(picture: np.ndarray, scale: float) -> np.ndarray:
    cv2 = extra.cv2()
    cv2.setNumThreads(1)
    smooth: np.ndarray = cv2.GaussianBlur(picture, (0, 0), scale)
    return smooth
