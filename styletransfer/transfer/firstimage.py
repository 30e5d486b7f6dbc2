"""The image that an optimisation starts from."""

from collections.abc import Callable, Sequence

import numpy as np

from styletransfer import images
from styletransfer.images import colour
from styletransfer.images.sizes import resize_smoothly
from styletransfer.transfer.inputs import Inputs

CONTENT_SHARE = 0.95
"""How much of the first image is the content with ``init="mixed"``; the rest is the style."""


def first_image(
    init: str | np.ndarray,
    content: np.ndarray,
    style: np.ndarray,
    mean: np.ndarray,
    seed: int | None = None,
) -> np.ndarray:
    """Return the image that the optimisation starts from.

    Parameters
    ----------
    init : str or ndarray, shape (H, W, 3)
        ``"content"``; ``"mixed"``, 95 % content and 5 % style; the exponent of a noise; or a
        picture, RGB in [0, 1], which is stretched to the content's shape.
    content, style : ndarray, shape (1, 3, H, W)
        Preprocessed; each of its own size.
    mean : ndarray, shape (3,)
        The network's mean, BGR.
    seed : int, optional
        Seed of the noise.

    Returns
    -------
    ndarray
        Preprocessed, of the content's shape, inside the bounds.
    """
    size = content.shape[2:]
    if isinstance(init, np.ndarray):
        return images.preprocess(images.resize(init, size), mean)
    if init == "content":
        return content
    if init == "mixed":
        stretched = images.preprocess(images.resize(images.deprocess(style, mean), size), mean)
        return CONTENT_SHARE * content + (1 - CONTENT_SHARE) * stretched
    return images.preprocess(_noise(size, float(init), np.random.default_rng(seed)), mean)


def coloured(given: Inputs, weights: Sequence[float], size: tuple[int, int]) -> np.ndarray:
    """Return the content in the colours of the styles, float RGB in [0, 1], of a height and width.

    Its mean and covariance become theirs. Several styles are blended by their weights; with masks
    each is where its mask is, and the content where none is.
    """
    content = resize_smoothly(given.content, size)

    def restyle(style: np.ndarray) -> np.ndarray:
        return colour.match(content, style, "covariance")

    if given.style_masks:
        return by_masks(restyle, content, given, weights).astype(np.float32)
    matched = [restyle(style) for style in given.styles]
    return np.average(matched, axis=0, weights=weights).astype(np.float32)


def by_masks(
    restyle: Callable[[np.ndarray], np.ndarray],
    content: np.ndarray,
    given: Inputs,
    shares: Sequence[float],
) -> np.ndarray:
    """Return the content (H, W, 3) as `restyle` makes it of each style, where its mask is."""
    total, painting = np.zeros(content.shape[:2]), np.zeros(content.shape)
    for style, mask, share in zip(given.styles, given.style_masks, shares, strict=True):
        counts = share * resize_smoothly(mask, content.shape[:2])
        painting += counts[..., np.newaxis] * restyle(style)
        total += counts
    mean = painting / np.where(total > 0, total, 1)[..., np.newaxis]
    # Where masks fade out, so does the painting.
    faded = np.minimum(total / max(shares), 1)[..., np.newaxis]
    blended: np.ndarray = content + faded * (mean - content)
    return blended


def _noise(size: tuple[int, int], exponent: float, random: np.random.Generator) -> np.ndarray:
    """Return noise whose amplitude goes with a power of the frequency, (H, W, 3) in [0, 1].

    The distance is from the grid's centre, though the transform has its zero frequency in a
    corner, and the phases' sine and cosine are drawn apart: the original's noise is so.
    """
    from scipy.fft import ifftn

    rows, columns = np.ogrid[: size[0], : size[1]]
    distance = np.hypot(rows - (size[0] - 1) / 2, columns - (size[1] - 1) / 2)
    distance[distance == 0] = 1
    a, b = random.standard_normal((2, *size, 3))
    spectrum = np.cos(2 * np.pi * a) + 1j * np.sin(2 * np.pi * b)
    noise = np.abs(ifftn(distance[..., np.newaxis] ** exponent * spectrum))
    noise -= noise.min()
    return noise / noise.max()
