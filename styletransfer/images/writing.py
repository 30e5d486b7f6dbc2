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
        What made the picture, of the kinds that JSON has, to be stored in the file; shortened
        where a file cannot hold so much.

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
        raise ImageError(f"{path} cannot be written: {_reason(error)}.") from error


def save_somewhere(
    path: str | os.PathLike[str],
    rgb: np.ndarray,
    alpha: np.ndarray | None = None,
    depth: int = 8,
    parameters: Mapping[str, object] | None = None,
) -> Path:
    """Write a picture that must not be lost: where its place fails, into the temporary folder.

    Parameters
    ----------
    path, rgb, alpha, depth, parameters
        As in `save`.

    Returns
    -------
    Path
        Where it is: `path`, or a file of that name in a new folder for temporary files, as when
        the disk is full, the folder is gone or may not be written to any more.

    Raises
    ------
    ImageError
        What `save` raises of `path`, if the picture cannot be written elsewhere either.
    """
    try:
        save(path, rgb, alpha, depth, parameters)
        return Path(path)
    except ImageError as error:
        elsewhere = None
        try:
            elsewhere = Path(tempfile.mkdtemp(prefix="styletransfer-"), Path(path).name)
            save(elsewhere, rgb, alpha, depth, parameters)
        except (OSError, ImageError):
            if elsewhere:
                elsewhere.parent.rmdir()
            raise error from None
        return elsewhere


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
        If no format goes by its extension, that format does not hold so many bits a channel, no
        file can have its name, it is something else than a file, or its folder is none, or cannot
        be written to or made.
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
        _check_place(storage.target(path))
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        raise ImageError(
            f"{path} cannot be written: {_reason(error)}; choose another place."
        ) from error
    return path


def _check_place(path: Path) -> None:
    """Raise OSError if a file cannot be made."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise OSError(f"{folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(f"{folder} may not be written to")
    # Some file systems refuse what their permissions allow.
    with tempfile.TemporaryFile(dir=folder):
        pass


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
