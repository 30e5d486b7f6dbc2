"""Pictures in and out: files to pixels, pixels to what a network sees, and back.

Pixels are sRGB in [0, 1], float32, shape (H, W, 3); only `preprocess` and `deprocess` know of a
network's BGR in 0..255 less its mean.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from styletransfer import storage as files
from styletransfer.errors import ImageError, UsageError
from styletransfer.images import provenance
from styletransfer.images.decoders import MAX_PIXELS, decode, opened
from styletransfer.images.encoders import FORMATS


def load(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a picture.

    Of a file with several pictures the first is taken; gray, palette, CMYK and 16-bit pixels are
    converted, colours are brought to sRGB from the profile that the file carries, the EXIF
    orientation is applied, and what is transparent is laid over white.

    Parameters
    ----------
    path
        A JPEG, PNG, WebP, TIFF, BMP or GIF file.

    Returns
    -------
    numpy.ndarray
        RGB in [0, 1], float32, shape (H, W, 3). 16-bit gray keeps its precision; of 16-bit colours
        the upper 8 bits are read.

    Raises
    ------
    ImageError
        If the file is missing, damaged, none of these formats, declares more than `MAX_PIXELS`, or
        has pixels of a kind without a defined white.
    """
    rgb, alpha = load_with_alpha(path)
    return rgb if alpha is None else _over_white(rgb, alpha)


def load_with_alpha(path: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """Read a picture and its transparency apart.

    Parameters
    ----------
    path
        As in `load`, which does the rest alike and raises the same.

    Returns
    -------
    rgb : numpy.ndarray
        As in `load`, but what is partly transparent keeps its own colour; what is wholly
        transparent is white.
    alpha : numpy.ndarray or None
        Opacity in [0, 1], float32, shape (H, W); None if the picture is opaque.
    """
    with opened(path) as image:
        return decode(image)


def read_parameters(path: str | os.PathLike[str]) -> dict[str, object] | None:
    """Return the parameters that `save` stored in a picture, or None if it has none.

    They come from a file that anyone may have written: check each before it is used.

    Raises
    ------
    ImageError
        As in `load`, or if the parameters are damaged.
    """
    with opened(path) as image:
        return provenance.from_image(image)


def save(
    path: str | os.PathLike[str],
    rgb: np.ndarray,
    alpha: np.ndarray | None = None,
    depth: int = 8,
    parameters: Mapping[str, object] | None = None,
) -> None:
    """Write a picture, in the format that the extension names; it appears whole or not at all.

    Parameters
    ----------
    path
        Where to; folders are made, an existing file is replaced.
    rgb
        sRGB, float, shape (H, W, 3); values beyond [0, 1] are clipped.
    alpha
        Opacity in [0, 1], shape (H, W) or any other, resized to it. JPEG, which cannot hold it,
        gets the picture over white.
    depth
        Bits a channel: 8, or 16 in PNG and TIFF.
    parameters
        What made the picture, of the kinds that JSON has, to be stored in the file.

    Raises
    ------
    ImageError
        If `check_writable` would, or the file cannot be written.
    """
    path = check_writable(path, depth)
    kind = FORMATS[path.suffix.lower()]
    if rgb.ndim != 3 or rgb.shape[2] != 3 or not np.isfinite(rgb).all():
        raise ImageError(
            f"{path} was not written: a picture is an array (H, W, 3) of finite numbers, this one"
            f" has the shape {rgb.shape} and {np.count_nonzero(~np.isfinite(rgb))} that are not."
        )
    pixels = np.clip(rgb, 0, 1)
    if alpha is not None:
        alpha = np.clip(_resize_smoothly(alpha, rgb.shape[:2]), 0, 1)
        pixels = np.dstack([pixels, alpha]) if kind.alpha else _over_white(pixels, alpha)
    levels, dtype = (255, np.uint8) if depth == 8 else (65535, np.uint16)
    text = None if parameters is None else provenance.to_text(parameters)
    try:
        with files.replacing(path) as stream:
            kind.write(stream, np.rint(pixels * levels).astype(dtype), text)
    except (OSError, ValueError) as error:  # ValueError: too large for the format
        raise ImageError(f"{path} cannot be written: {error}.") from error


def check_writable(path: str | os.PathLike[str], depth: int = 8) -> Path:
    """Return the path if `save` can write such a file; lets a long run ask before it begins.

    Parameters
    ----------
    path
        Where to.
    depth
        Bits a channel.

    Raises
    ------
    ImageError
        If no format goes by its extension, that format does not hold so many bits a channel, its
        name is too long, or its folder is none, or cannot be written to or made.
    """
    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ImageError(
            f"{path}: no picture format goes by {path.suffix or 'no extension'!r}; use one of "
            f"{', '.join(FORMATS)}."
        )
    if depth not in kind.depths:
        raise ImageError(
            f"{path}: {kind.name} does not hold {depth} bits a channel, but "
            f"{' or '.join(map(str, kind.depths))}"
            + ("." if 16 in kind.depths else "; for 16 write .png or .tif.")
        )
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise ImageError(f"{path} cannot be written: {error.strerror}; choose another.") from error
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        problem = "may not be written to" if folder.is_dir() else "is not a folder"
        raise ImageError(f"{path} cannot be written: {folder} {problem}; choose another place.")
    try:
        # Some file systems refuse what their permissions allow.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ImageError(
            f"{path} cannot be written: {error.strerror}; choose another place."
        ) from error
    return path


def side_by_side(pictures: Sequence[np.ndarray], gap: int = 12) -> np.ndarray:
    """Return pictures in a row on white, all as high as the last.

    Parameters
    ----------
    pictures
        RGB in [0, 1], each (H, W, 3) of its own size: the content, the styles, the result.
    gap
        Between and around them, in pixels.

    Raises
    ------
    ImageError
        If the row would have more than `MAX_PIXELS`.
    """
    height = pictures[-1].shape[0]
    widths = [max(round(p.shape[1] * height / p.shape[0]), 1) for p in pictures]
    shape = (height + 2 * gap, sum(widths) + gap * (len(widths) + 1))
    _check_size(pictures[-1].shape, shape)
    row = np.ones((*shape, 3), np.float32)
    left = gap
    for picture, width in zip(pictures, widths, strict=True):
        fitted = _resize_smoothly(picture, (height, width))
        row[gap : gap + height, left : left + width] = fitted
        left += width + gap
    return row


def scale_for(shape: tuple[int, ...], length: float, input_size: int) -> float:
    """Return the scale that brings a picture to a length without going below the network's input.

    The short side is never below `input_size`, so the long one may exceed `length`; small pictures
    are scaled up. A style picture is scaled by 1.2 times its own value, as in the original.

    Parameters
    ----------
    shape
        (H, W, ...) of the picture.
    length
        The wanted long side, in pixels.
    input_size
        Side of the network's nominal input, in pixels.

    Raises
    ------
    UsageError
        If `length` is not positive.
    """
    if not length > 0:
        raise UsageError(f"The length must be positive, not {length}.")
    height, width = shape[:2]
    return max(length / max(height, width), input_size / min(height, width))


def rescale(rgb: np.ndarray, scale: float) -> np.ndarray:
    """Resize by a factor: each side is rounded, and at least 1.

    Parameters
    ----------
    rgb
        Float, shape (H, W, C).
    scale
        The factor of both sides.

    Returns
    -------
    numpy.ndarray
        Shape (H', W', C), the same dtype.

    Raises
    ------
    ImageError
        As in `resize`.
    """
    height, width = (max(round(scale * side), 1) for side in rgb.shape[:2])
    return resize(rgb, (height, width))


def resize(rgb: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Stretch a picture to a shape exactly as the scikit-image of 2015 did.

    That is bilinear, without a low-pass filter, clipped to the range of the input. The modern
    defaults smooth first and differ by up to 0.4.

    Parameters
    ----------
    rgb
        Float, shape (H, W, C).
    shape
        Height and width wanted.

    Returns
    -------
    numpy.ndarray
        Shape (*shape, C), the same dtype.

    Raises
    ------
    ImageError
        If the result would have more than `MAX_PIXELS` pixels.
    """
    # Imported here because it takes longer than --help may.
    from skimage.transform import resize as skimage_resize

    _check_size(rgb.shape, shape)
    return skimage_resize(rgb, shape, order=1, mode="constant", anti_aliasing=False)


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
    """Return black and white as a network sees them, each (1, 3, 1, 1)."""
    black = -np.asarray(mean).reshape(1, 3, 1, 1)
    return black, 255 + black


def _over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Lay a picture (H, W, 3) of opacity (H, W) over white."""
    return 1 + (rgb - 1) * alpha[:, :, np.newaxis]


def _resize_smoothly(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Resize (H, W) or (H, W, C) as one should: with a low-pass filter, and edges as they are."""
    from skimage.transform import resize as skimage_resize

    return skimage_resize(array, shape, order=1, mode="edge", anti_aliasing=True)


def _check_size(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    if after[0] * after[1] > MAX_PIXELS:
        raise ImageError(
            f"A picture of {before[1]}x{before[0]} pixels would become {after[1]}x{after[0]}, more"
            f" than {MAX_PIXELS // 10**6} million: crop it, or ask for a smaller length."
        )
