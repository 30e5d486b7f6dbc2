"""The detail and the colours of one picture as strong as another's, scale by scale.

Moving a painting and mixing it with another wears off what is fine, and colours lag behind. At
each scale the differences of colours have a covariance, which is what style losses see of them
first; it is brought back by one map of colours for the whole picture, so that nothing flickers.
The scales are those of a Laplacian pyramid (Burt and Adelson 1983), whose upper levels are cheap.
"""

import numpy as np

from styletransfer.video import extra

STEPS = (4, 2)
"""For each scale but the coarsest, the finest first: of every so many rows one is measured."""

MOST = 1.3
"""How much stronger, or weaker, a scale becomes at most."""

_LEAST_VARIANCE = 1e-7  # of colours in [0, 1]: a twelfth of a grey level


def restored(picture: np.ndarray, like: np.ndarray, most: float = MOST) -> np.ndarray:
    """Return a picture with the covariance of colours, at each scale, of another.

    Parameters
    ----------
    picture, like : ndarray, shape (H, W, 3)
        Float32 in [0, 1].
    most : float
        How much stronger, or weaker, a scale becomes at most, from 1.
    """
    cv2 = extra.cv2()
    cv2.setNumThreads(1)
    levels = []
    for step in STEPS:
        smaller, smaller_like = _halved(picture), _halved(like)
        own, wanted = (
            _covariance(p[::step] - _enlarged(s, p)[::step])
            for p, s in ((picture, smaller), (like, smaller_like))
        )
        levels.append((picture, _map(own, wanted, most)))
        picture, like = smaller, smaller_like
    mean, mean_like = (np.float32(cv2.mean(p)[:3]) for p in (picture, like))
    change = _map(_covariance(picture - mean), _covariance(like - mean_like), most)
    result = cv2.transform(picture - mean, change)
    result += mean_like
    smaller = picture
    # map(p - enlarged(s)) + enlarged(result), the maps being linear.
    for picture, change in reversed(levels):
        result -= cv2.transform(smaller, change)
        result = _enlarged(result, picture)
        result += cv2.transform(picture, change)
        smaller = picture
    return np.clip(result, 0, 1, out=result)


def _map(covariance: np.ndarray, like: np.ndarray, most: float) -> np.ndarray:
    """Return the map, (3, 3) float32, of values of a covariance to such of another.

    The map A⁻¹ (A B² A)^½ A⁻¹, A and B being the roots of the covariances, is the one that
    changes the values least.
    """
    root = _root(covariance)
    inverse = np.linalg.inv(root)
    change = inverse @ _root(root @ like @ root) @ inverse
    factors, axes = np.linalg.eigh(change)
    change = (axes * np.clip(factors, 1 / most, most)) @ axes.T
    return np.asarray(change, np.float32)


def _covariance(values: np.ndarray) -> np.ndarray:
    pixels = values.reshape(-1, 3)
    found = (pixels.T @ pixels).astype(np.float64) / len(pixels)
    return np.asarray(found + _LEAST_VARIANCE * np.eye(3))


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def _halved(picture: np.ndarray) -> np.ndarray:
    cv2 = extra.cv2()
    height, width = picture.shape[:2]
    size = (-(-width // 2), -(-height // 2))
    smaller: np.ndarray = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return smaller


def _enlarged(smaller: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return a picture at the size of another."""
    larger: np.ndarray = extra.cv2().resize(smaller, (like.shape[1], like.shape[0]))
    return larger
