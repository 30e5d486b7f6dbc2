"""Keeping the colours of the content: the style gives strokes and shapes only.

References
----------
Gatys, Bethge, Hertzmann, Shechtman: Preserving Color in Neural Artistic Style Transfer (2016).
"""

import warnings

import numpy as np

from styletransfer.errors import UsageError
from styletransfer.images import sizes
from styletransfer.settings.choices import COLOUR_METHODS

METHODS = tuple(COLOUR_METHODS)

LINEAR = tuple(name for name, times in COLOUR_METHODS.items() if "before" in times)
"""Methods that move all colours by one affine map, so that mean and covariance become others; the
rest keep the luminance of a picture and replace what else its pixels have."""

# The least variance that a colour axis counts with: a tenth of a grey level, squared.
_LEAST_VARIANCE = (0.1 / 255) ** 2


def match(picture: np.ndarray, reference: np.ndarray, method: str) -> np.ndarray:
    """Return a picture (H, W, 3) with the colour distribution of another, clipped, float32.

    Applied to the style before a run, so that it brings the content's colours along; or to the
    result afterwards. ``"covariance"`` maps by the symmetric roots of the covariances, which turns
    colours least; ``"cholesky"`` by their triangular ones. Any other method is a UsageError.
    """
    if method not in LINEAR:
        raise UsageError(
            f"colours cannot be matched by {method!r} before the run; choose one of"
            f" {', '.join(LINEAR)}, or keep the luminance of the result afterwards"
        )
    root = _symmetric_root if method == "covariance" else np.linalg.cholesky
    mean, covariance = _moments(picture)
    wanted_mean, wanted_covariance = _moments(reference)
    linear = root(wanted_covariance) @ np.linalg.inv(root(covariance))
    matched = (picture - mean) @ linear.T + wanted_mean
    return np.clip(matched, 0, 1, dtype=np.float32)


def restore(result: np.ndarray, content: np.ndarray, method: str) -> np.ndarray:
    """Return a result (H, W, 3) with the colours of the content, clipped, float32.

    ``"luminance"`` and ``"lab"`` keep the result's luminance, Y of YUV or L of CIELAB, and take the
    chroma pixel by pixel from the content, stretched to its size; for the others see `match`. A
    method that is not one of `METHODS` is a UsageError.
    """
    if method not in METHODS:
        raise UsageError(f"colours cannot be kept by {method!r}; choose {', '.join(METHODS)}")
    if method in LINEAR:
        return match(result, content, method)
    from skimage import color

    to, back = (
        (color.rgb2yuv, color.yuv2rgb) if method == "luminance" else (color.rgb2lab, color.lab2rgb)
    )
    mixed = to(sizes.resize(content, result.shape[:2]))
    mixed[..., 0] = to(result)[..., 0]
    with warnings.catch_warnings():
        # Out-of-gamut colours are clipped.
        warnings.filterwarnings("ignore", "Conversion from CIE-LAB", UserWarning)
        return np.clip(back(mixed), 0, 1, dtype=np.float32)


def _moments(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of a picture's colours, (3,) and (3, 3), float64.

    A picture of few colours, gray say, has a covariance without an inverse, so that each axis is
    given a variance below what can be seen.
    """
    pixels = picture.reshape(-1, 3).astype(np.float64)
    return pixels.mean(axis=0), np.cov(pixels.T, bias=True) + _LEAST_VARIANCE * np.eye(3)


def _symmetric_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values)) @ vectors.T
