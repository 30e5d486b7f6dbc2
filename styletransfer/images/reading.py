"""Reading picture files that anyone may have made.

Pillow is the reader, chosen by name and not through a search for plugins: what decodes a file must
not depend on what else is installed, the formats can be limited to those wanted, and the size is
known before anything is decoded.
"""

import contextlib
import functools
import io
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError, features

from styletransfer.errors import ImageError
from styletransfer.images import profiles, provenance
from styletransfer.images.sizes import MAX_PIXELS
from styletransfer.text import printable

_logger = logging.getLogger(__name__)
# What a logger without a handler has to say of an odd file would go to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# Pillow reads some forty more, a few of them by starting other programs.
_READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
# What a file with pictures in HEVC says that it is (ISO/IEC 23008-12, annex B.4).
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I;16", "I;16B")

_BAND_PIXELS = 1 << 20  # which are converted at a time

_TOO_LARGE = (
    f"it declares more{{}} than the {MAX_PIXELS // 10**6} million pixels that are accepted; make it"
    " smaller first"
)


def load(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a picture.

    Of a file with several pictures the first is taken; gray, palette, CMYK and 16-bit pixels are
    converted, colours are brought to sRGB from the profile that the file carries, the EXIF
    orientation is applied, and what is transparent is laid over white.

    Parameters
    ----------
    path
        A JPEG, PNG, WebP, TIFF, BMP or GIF file; AVIF where Pillow can, HEIC with pillow-heif.

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
    return rgb if alpha is None else over_white(rgb, alpha, out=rgb)


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
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            _logger.info("%s has %d pictures in it: the first is taken", path, frames)
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


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """Open a picture that is safe to decode; what fails in the block becomes an ImageError."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise ImageError(f"{path} is not a file: give the path of a picture.")
        stream = _Stream(io.FileIO(path))
    except FileNotFoundError:
        raise ImageError(f"There is no picture {path}: check the path.") from None
    except OSError as error:
        raise ImageError(f"{path} cannot be opened: {error.strerror}.") from error
    except ValueError as error:  # a NUL, or what the file system's encoding lacks
        raise ImageError(f"{path} cannot be opened: {error}.") from error
    with stream, _warnings_logged(path):
        try:
            with _header(stream) as image:
                yield image
        except ImageError as error:
            raise ImageError(f"{path}: {error}.") from None
        except MemoryError:
            raise ImageError(f"{path} needs more memory than there is: make it smaller.") from None
        except Exception as error:  # decoders of damaged data raise nearly anything
            reason = printable(str(error), 200)
            message = f"{path} is damaged or cut short ({reason}): get a whole copy."
            raise ImageError(message) from error


class _Stream(io.BufferedReader):
    """A file of which no more is asked for than is there: Python makes room for it first.

    Lengths in a file may say 4 GB.
    """

    def __init__(self, file: io.FileIO) -> None:
        super().__init__(file)
        self._size = os.fstat(file.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _BAND_PIXELS:
            size = min(size, max(self._size - self.tell(), 0))
        return super().read(size)


@contextlib.contextmanager
def _warnings_logged(path: Path) -> Iterator[None]:
    """Log what Pillow warns of (odd metadata, large sizes), which would go to stderr."""
    caught: list[warnings.WarningMessage] = []
    with _catching.shared(caught):
        yield
    for warning in caught:
        _logger.debug("%s: %s", path, warning.message)


class _Catching:
    """Catches warnings while threads read pictures.

    Where warnings go is one setting of the whole process: the first thread changes it, and the last
    one, which gets all that was caught, changes it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = 0
        self._catch: Any = None
        self._caught: list[warnings.WarningMessage] = []

    @contextlib.contextmanager
    def shared(self, caught: list[warnings.WarningMessage]) -> Iterator[None]:
        """Catch warnings for as long as the block lasts."""
        with self._lock:
            if not self._threads:
                self._catch = warnings.catch_warnings(record=True)
                self._caught = self._catch.__enter__()
                warnings.simplefilter("always")
            self._threads += 1
        try:
            yield
        finally:
            with self._lock:
                self._threads -= 1
                if not self._threads:
                    self._catch.__exit__(None, None, None)
                    caught += self._caught


_catching = _Catching()


def _header(stream: BinaryIO) -> Image.Image:
    """Read a picture's header, and refuse what should not be decoded."""
    start = stream.read(64)
    formats = _heic() if _is_heic(start) else _readable()
    try:
        image = Image.open(stream, formats=formats)
    except UnidentifiedImageError:
        *names, last = ("WebP" if name == "WEBP" else name for name in _readable())
        raise ImageError(
            f"no picture that can be read; give a {', '.join(names)} or {last} file"
        ) from None
    except Image.DecompressionBombError:
        raise ImageError(_TOO_LARGE.format("")) from None
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(_TOO_LARGE.format(f", {width}x{height},"))
    if image.mode not in MODES:
        raise ImageError(
            f"its pixels are of the kind {image.mode}, whose white is not defined; save it as RGB"
            " with 8 or 16 bits a channel"
        )
    return image


@functools.cache
def _readable() -> tuple[str, ...]:
    """Return the formats that are read here, as Pillow calls them."""
    # Older Pillows do not know of AVIF.
    return (
        *_READABLE,
        *(["AVIF"] if "avif" in features.modules and features.check("avif") else []),
    )


def _is_heic(start: bytes) -> bool:
    """Whether a file that begins so is a HEIC picture."""
    end = min(int.from_bytes(start[:4], "big"), len(start))
    brands = {start[i : i + 4] for i in range(8, end, 4)}
    return start[4:8] == b"ftyp" and not brands.isdisjoint(_HEIC_BRANDS)


def _heic() -> tuple[str, ...]:
    """Have Pillow read HEIC, which it cannot by itself, and return its name of the format."""
    try:
        import pillow_heif
    except ImportError:
        raise ImageError(
            "a HEIC picture takes the package pillow-heif: pip install pillow-heif, or save the"
            " picture as JPEG"
        ) from None
    pillow_heif.register_heif_opener()
    return ("HEIF",)


def decode(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return an opened picture's colours and opacity, as `images.load_with_alpha` does.

    It is converted in bands: in memory are its pixels as the file has them, and the result.
    """
    image.load()
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    deep = image.mode.startswith("I;16")
    transparent = image.has_transparency_data and not deep
    mode = "L" if deep or image.mode == "LA" else "RGB" if transparent else image.mode
    profile = image.info.get("icc_profile")
    convert = profiles.converter(mode, profile) if profile else None
    width, height = image.size
    rgb = np.empty((height, width, 3), np.float32)
    alpha = np.empty((height, width), np.float32) if transparent else None
    rows = max(_BAND_PIXELS // width, 1)
    for top in range(0, height, rows):
        part = slice(top, min(top + rows, height))
        band = image.crop((0, part.start, width, part.stop))
        if deep:
            gray = np.asarray(band).astype(np.uint16)
            if convert is None:
                rgb[part] = gray[:, :, np.newaxis] / np.float32(65535)
                continue
            band = Image.fromarray((gray >> 8).astype(np.uint8))  # profiles convert 8 bits only
        if alpha is not None:
            rgba = band.convert("RGBA")
            alpha[part] = np.asarray(rgba.getchannel("A"), np.float32) / np.float32(255)
            band = band.convert("L") if mode == "L" else rgba.convert("RGB")
        band = convert(band) if convert else band.convert("RGB")
        np.divide(np.asarray(band), np.float32(255), out=rgb[part], dtype=np.float32)
        if alpha is not None:
            rgb[part][alpha[part] == 0] = 1
    return rgb, None if alpha is None or alpha.min() == 1 else alpha


def over_white(rgb: np.ndarray, alpha: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Lay a picture (H, W, 3) of opacity (H, W) over white, in a new array or one that is there."""
    result = np.subtract(rgb, 1, out=out)
    result *= alpha[:, :, np.newaxis]
    result += 1
    return result
