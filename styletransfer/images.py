"""Pictures in and out: files to pixels, pixels to what a network sees, and back.

Pixels are RGB in [0, 1], float32, shape (H, W, 3); only `preprocess` and `deprocess` know of a
network's BGR in 0..255 less its mean. Pillow is the reader and the writer, chosen by name and not
through a search for plugins: what decodes a file must not depend on what else is installed, the
formats can be limited to those wanted, and the size is known before anything is decoded.
"""

import os
import secrets
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from styletransfer.errors import ImageError, UsageError

# Room for the largest cameras (108 megapixels); decoding one takes some 2 GB.
MAX_PIXELS = 120_000_000

# Pillow reads some forty more, a few of them by starting other programs.
_READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")

_JPEG = {"format": "JPEG", "quality": 95, "subsampling": "4:4:4"}
_TIFF = {"format": "TIFF", "compression": "tiff_adobe_deflate"}
_WRITERS = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".png": {"format": "PNG"},
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": {"format": "WEBP", "quality": 95},
}


def load(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a picture.

    Of a file with several pictures the first is taken; gray, palette, CMYK and 16-bit pixels are
    converted, the EXIF orientation is applied, and what is transparent is laid over white.

    Parameters
    ----------
    path
        A JPEG, PNG, WebP, TIFF, BMP or GIF file.

    Returns
    -------
    numpy.ndarray
        RGB in [0, 1], float32, shape (H, W, 3).

    Raises
    ------
    ImageError
        If the file is missing, damaged, none of these formats, or declares more than `MAX_PIXELS`.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise ImageError(f"{path} is not a file: give the path of a picture.")
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise ImageError(f"There is no picture {path}: check the path.") from None
    except OSError as error:
        raise ImageError(f"{path} cannot be opened: {error.strerror}.") from error
    with stream:
        image = _open(stream, path)
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ImageError(
                f"{path} declares {width}x{height} pixels, more than the"
                f" {MAX_PIXELS // 10**6} million that are accepted: make it smaller first."
            )
        if image.mode in ("I", "F"):
            raise ImageError(
                f"{path} has 32-bit pixels, whose white is not defined: save it with 8 or 16 bits."
            )
        try:
            return _to_rgb(ImageOps.exif_transpose(image))
        except Exception as error:  # decoders of damaged data raise nearly anything
            raise ImageError(
                f"{path} is damaged or cut short ({error}): get a whole copy."
            ) from error


def save(path: str | os.PathLike[str], rgb: np.ndarray) -> None:
    """Write a picture, in the format that the extension names; it appears whole or not at all.

    Parameters
    ----------
    path
        Where to; folders are made, an existing file is replaced.
    rgb
        RGB, float, shape (H, W, 3); values beyond [0, 1] are clipped, then rounded to 8 bits.

    Raises
    ------
    ImageError
        If the extension is none of those of `check_writable`, or the file cannot be written.
    """
    path = check_writable(path)
    if rgb.ndim != 3 or rgb.shape[2] != 3 or not np.isfinite(rgb).all():
        raise ImageError(
            f"{path} was not written: a picture is an array (H, W, 3) of finite numbers, this one"
            f" has the shape {rgb.shape} and {np.count_nonzero(~np.isfinite(rgb))} that are not."
        )
    image = Image.fromarray(np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            image.save(temporary, **_WRITERS[path.suffix.lower()])
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as error:  # ValueError: too large for the format
        raise ImageError(f"{path} cannot be written: {error}.") from error


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Return the path if `save` knows its extension; lets a long run ask before it begins.

    Raises
    ------
    ImageError
        If it does not.
    """
    path = Path(path)
    if path.suffix.lower() not in _WRITERS:
        raise ImageError(
            f"{path}: no picture format goes by {path.suffix or 'no extension'!r}; use one of "
            f"{', '.join(_WRITERS)}."
        )
    return path


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
    """Resize by a factor: each side is rounded, and at least 1. See `resize`."""
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

    height, width = shape
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"A picture of {rgb.shape[1]}x{rgb.shape[0]} pixels would become {width}x{height}, more"
            f" than {MAX_PIXELS // 10**6} million: crop it, or ask for a smaller length."
        )
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


def _open(stream: BinaryIO, path: Path) -> Image.Image:
    """Read a picture's header."""
    try:
        with warnings.catch_warnings():
            # Pillow begins to warn below our own bound, and raises above it.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(stream, formats=_READABLE)
    except UnidentifiedImageError:
        raise ImageError(
            f"{path} is no picture that can be read: give a JPEG, PNG, WebP, TIFF, BMP or GIF file."
        ) from None
    except Image.DecompressionBombError:
        raise ImageError(
            f"{path} declares more than the {MAX_PIXELS // 10**6} million pixels that are accepted:"
            " make it smaller first."
        ) from None
    except Exception as error:  # as in load
        raise ImageError(f"{path} is damaged or cut short ({error}): get a whole copy.") from error


def _to_rgb(image: Image.Image) -> np.ndarray:
    """Decode and convert any mode but I and F to (H, W, 3) float32."""
    if image.mode.startswith("I;16"):
        gray = np.asarray(image).astype(np.float32) / np.float32(65535)
        return np.repeat(gray[:, :, np.newaxis], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB"), np.float32) / np.float32(255)
