"""What there is to read: films, animated pictures, folders of frames."""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from styletransfer.errors import FilmError, UsageError
from styletransfer.video import animations, apart, folders
from styletransfer.video.facts import DEFAULT_RATE, Colour, Source
from styletransfer.video.frame import Frame
from styletransfer.video.ranges import Place, Range

__all__ = ["DEFAULT_RATE", "Colour", "Source", "empty", "probe", "read"]

_STILLS = (b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")
_STILL_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"mif1"}


def probe(path: str | os.PathLike[str], rate: Fraction | int = DEFAULT_RATE) -> Source:
    """Look at a film without reading it.

    Parameters
    ----------
    path
        A film in a container that FFmpeg reads; a GIF, APNG or animated WebP; a folder of pictures,
        or a pattern in place of their name (`frames/%05d.png`, `frames/*.png`). A single picture is
        a film of one frame.
    rate
        Frames a second of a folder, which does not say.

    Returns
    -------
    Source
        What it says of itself, and its first frame shows.

    Raises
    ------
    FilmError
        If there is nothing there, no pictures in it, or none that can be read.
    UsageError
        If packages are missing.
    """
    path = Path(path)
    try:
        start = _start(path)
    except FileNotFoundError:
        if folders.is_pattern(path):
            return folders.probe(path, Fraction(rate))
        raise FilmError(f"There is no film {path}: check the path.") from None
    except OSError as error:
        raise FilmError(f"{path} cannot be opened: {error.strerror}.") from None
    except ValueError as error:  # a NUL
        raise FilmError(f"{path} cannot be opened: {error}.") from None
    if start is None:
        return folders.probe(path, Fraction(rate))
    if animations.recognised(start):
        source = animations.probe(path)
        return source if (source.frames or 1) > 1 else folders.probe(path, Fraction(rate))
    still = start.startswith(_STILLS) or (start[4:8] == b"ftyp" and start[8:12] in _STILL_BRANDS)
    if still and path.suffix.lower() not in (".mjpeg", ".mjpg"):
        return folders.probe(path, Fraction(rate))
    return apart.probe(path)


def _start(path: Path) -> bytes | None:
    """Return how a file begins, None of a folder."""
    if path.is_dir():
        return None
    if path.exists() and not path.is_file():
        raise FilmError(f"{path} is neither a file nor a folder: give the path of a film.")
    with path.open("rb") as stream:
        return stream.read(16)


def read(source: Source, begin: Place | None = None, end: Place | None = None) -> Iterator[Frame]:
    """Yield the frames of a film, in constant memory.

    Parameters
    ----------
    source
        What `probe` has found.
    begin, end
        The first frame, and the one up to which, without it, is read: an int is a frame's number, a
        Fraction a time in seconds. None is the film's own.

    Yields
    ------
    Frame
        In order; numbers count from the film's first frame, whatever the range.

    Raises
    ------
    DamagedFilmError
        Behind the last frame, if the film is damaged or cut short: what could be read was handed
        out before.
    FilmError
        If there is no frame that can be read.
    UsageError
        If there is no frame in the range.
    """
    part = Range(begin, end)
    reader = {"container": apart, "animation": animations, "folder": folders}[source.kind]
    found = False
    for frame in reader.read(source, part):
        found = True
        yield frame
    if not found:
        raise empty(source, begin, end)


def empty(
    source: Source, begin: Place | None, end: Place | None, damage: str | None = None
) -> UsageError:
    """Return the error that a film has no frame in a range, or why."""
    return UsageError(
        damage or f"{source.path} has no frame from {Range(begin, end)}: it is not so long"
    )
