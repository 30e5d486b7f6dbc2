"""Reading folders of frames, and patterns that name them."""

import fnmatch
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.errors import FilmError, ImageError
from styletransfer.images import profiles
from styletransfer.images.reading import decode, opened
from styletransfer.text import printable
from styletransfer.video import extra
from styletransfer.video.facts import Colour, Source
from styletransfer.video.frame import Frame
from styletransfer.video.ranges import Range

_PICTURES = {
    ".avif", ".bmp", ".gif", ".heic", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp",
}  # fmt: skip
COUNTER = re.compile(r"%(0?)(\d{0,2})d")


def is_pattern(path: Path) -> bool:
    """Whether a path names many files: `%05d` in its last part, or `*`, `?`, `[`."""
    return bool(COUNTER.search(path.name)) or any(sign in path.name for sign in "*?[")


def files(path: Path) -> tuple[Path, ...]:
    """Return the pictures of a folder or pattern in natural order, 2 before 10."""
    folder = path if path.is_dir() else path.parent
    try:
        entries = [p for p in folder.iterdir() if not p.name.startswith(".")]
    except OSError as error:
        raise FilmError(f"{folder} cannot be read: {error.strerror}.") from None
    if folder == path:
        entries = [p for p in entries if p.suffix.lower() in _PICTURES]
    elif COUNTER.search(path.name):
        wanted = matcher(path.name)
        entries = [p for p in entries if wanted.fullmatch(p.name)]
    else:
        entries = [p for p in entries if fnmatch.fnmatchcase(p.name, path.name)]
    return tuple(sorted((p for p in entries if p.is_file()), key=_natural))


def matcher(pattern: str) -> re.Pattern[str]:
    """Return what matches the names that printf makes of a pattern."""
    counter = COUNTER.search(pattern)
    assert counter is not None
    before, behind = pattern[: counter.start()], pattern[counter.end() :]
    width = int(counter[2] or 1)
    if behind.count("%") - 2 * behind.count("%%") or before.count("%") - 2 * before.count("%%"):
        raise FilmError(f"{printable(pattern, 100)} has more than one counter: give one, as %05d.")
    number = rf"\d{{{width},}}" if counter[1] else r"\d+"
    parts = (re.escape(part.replace("%%", "%")) for part in (before, behind))
    return re.compile(number.join(parts))


def named(path: Path, number: int) -> Path:
    """Return the name of a frame in a folder or pattern."""
    if is_pattern(path):
        return path.with_name(path.name % number)
    return path / f"{number:05d}.png"


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Return what sorts names as people count: digits as the numbers that they are."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(p), "") if p.isdigit() and p.isascii() else (0, p) for p in parts], path.name


def probe(path: Path, rate: Fraction) -> Source:
    """Return what the first of some pictures, or of a folder of them, says."""
    many = path.is_dir() or (is_pattern(path) and not path.is_file())
    found = files(path) if many else (path,)
    if not found:
        raise FilmError(f"There are no pictures {path}: check the path.")
    pixels, alpha = read_picture(found[0])
    return Source(
        path=path,
        kind="folder",
        format=found[0].suffix[1:].lower(),
        width=pixels.shape[1],
        height=pixels.shape[0],
        frames=len(found),
        rate=rate,
        time_base=1 / rate,
        duration=len(found) / rate,
        depth=pixels.dtype.itemsize * 8,
        alpha=alpha is not None,
        colour=Colour(0, 1, 13, True, "rgb24"),
        files=found,
    )


def read(source: Source, part: Range) -> Iterator[Frame]:
    """Yield the pictures of a part of a folder; all have the first one's size and depth."""
    duration = source.time_base
    for number, path in enumerate(source.files):
        time = number * duration
        if part.after(number, time):
            return
        if part.before(number, time):
            continue
        pixels, alpha = read_picture(path)
        if pixels.shape[:2] != (source.height, source.width):
            raise FilmError(
                f"{path} has {pixels.shape[1]}x{pixels.shape[0]} pixels, the pictures before"
                f" {source.width}x{source.height}: all frames of a film have one size."
            )
        deep = source.depth == 16
        yield Frame(
            number,
            time,
            duration,
            _depth(pixels, deep),
            None if alpha is None else _depth(alpha, deep),
        )


def _depth(values: np.ndarray, deep: bool) -> np.ndarray:
    """Return values of 8 or 16 bits in 8 or 16 bits."""
    if (values.dtype == np.uint16) == deep:
        return values
    return values.astype(np.uint16) * 257 if deep else np.rint(values / 257).astype(np.uint8)


def read_picture(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a picture file's sRGB (H, W, 3) and opacity (H, W) as uint8, or uint16 where it is.

    Of colours only a PNG in sRGB keeps its 16 bits. Raises ImageError if it cannot be read.
    """
    with opened(path) as image:
        deep = image.format == "PNG" and _deep(path, image.info.get("icc_profile"))
        gray = image.mode.startswith("I;16")
        if not deep:
            rgb, alpha = decode(image)
    if deep:
        return _read_deep(path)
    dtype = np.uint16 if gray else np.uint8
    return _whole(rgb, dtype), None if alpha is None else _whole(alpha, dtype)


def _whole(values: np.ndarray, dtype: Any) -> np.ndarray:
    """Return float in [0, 1] as whole numbers; it is overwritten, as the largest take gigabytes."""
    values *= np.iinfo(dtype).max
    return np.rint(values, out=values).astype(dtype)


def _deep(path: Path, profile: bytes | None) -> bool:
    """Whether a PNG has 16 bits a channel, colours, and no profile that would need conversion."""
    with path.open("rb") as stream:
        start = stream.read(26)
    return start[24] == 16 and start[25] in (2, 6) and (not profile or profile == profiles.srgb())


def _read_deep(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Read a PNG of 16 bits, of which Pillow would return 8; its header is checked already."""
    cv2 = extra.cv2()
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error):
        pixels = None
    if pixels is None or pixels.dtype != np.uint16:
        raise ImageError(f"{path} is damaged or cut short: get a whole copy.")
    alpha = np.ascontiguousarray(pixels[:, :, 3]) if pixels.shape[2] == 4 else None
    return np.ascontiguousarray(pixels[:, :, 2::-1]), alpha
