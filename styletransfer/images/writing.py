"""Writing picture files."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from styletransfer import storage
from styletransfer.errors import ImageError
from styletransfer.images import provenance, sizes
from styletransfer.images.encoders import FORMATS
from styletransfer.images.reading import over_white


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
        alpha = np.clip(sizes.resize_smoothly(alpha, rgb.shape[:2]), 0, 1)
        pixels = np.dstack([pixels, alpha]) if kind.alpha else over_white(pixels, alpha)
    levels, dtype = (255, np.uint8) if depth == 8 else (65535, np.uint16)
    text = None if parameters is None else provenance.to_text(parameters)
    try:
        with storage.replacing(path) as stream:
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
