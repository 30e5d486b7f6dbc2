"""Files that a picture names as what it was made of; anyone may have written the names."""

import os
import stat
from pathlib import Path, PureWindowsPath

from styletransfer.errors import ImageError, UsageError
from styletransfer.images import provenance
from styletransfer.storage import digest
from styletransfer.text import clause

_LONGEST_PATH = 4096
_MOST_BYTES = 1 << 30  # the largest picture that is read, with 16 bits a channel, has less
_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
    | {".avif", ".heic", ".heif"}
)
STDIN = "-"
"""What a content that came from standard input is called, as on the command line."""
_SYSTEM = ("/proc/", "/sys/", "/dev/")


def find(entries: object, kind: str, picture: Path) -> tuple[Path, ...]:
    """Return the files of one kind, having checked that they are the same as then.

    Raises
    ------
    ImageError
        If the entries are not what a picture says.
    UsageError
        If a file is not to be found, is another one by now, or should not be opened.
    """
    damaged = ImageError(f"{picture}: what it says of its {kind} is damaged")
    if not isinstance(entries, list) or len(entries) > provenance.MOST_FILES:
        raise damaged
    found = []
    for entry in entries:
        if not (isinstance(entry, list) and len(entry) == 2 and all(map(is_text, entry))):
            raise damaged
        if kind == "content" and entry[0] == STDIN:
            raise UsageError(f"{picture} was made of what came from standard input; give -c anew")
        found.append(_same(Path(entry[0]), entry[1], picture))
    return tuple(found)


def seen(path: Path) -> str | None:
    """Return a file's digest; None of one that is not there or cannot be read."""
    try:
        return digest(path) if os.path.isfile(path) else None
    except OSError:
        return None


def _same(path: Path, expected: str, picture: Path) -> Path:
    """Return the file of a name, where it was then or beside the picture."""
    if path.suffix.lower() not in _SUFFIXES or _is_remote(path):
        raise UsageError(
            f"{picture} was made with {clause(path, 200)}, which is no name of a picture on this"
            " machine, and not opened; give it anew by its flag"
        )
    here = [place for place in (path, picture.parent / path.name) if _can_be_a_picture(place)]
    if not here:
        raise UsageError(
            f"{picture} was made with {path}, which is not here; put it there or give it anew"
        )
    same = [place for place in here if seen(place) == expected]
    if not same:
        raise UsageError(
            f"{here[0]} is not the file that {picture} was made with; put that there, or give"
            " this anew by its flag"
        )
    return same[0]


def _is_remote(path: Path) -> bool:
    """Whether a path is of a server, which would get to know of it, or of the system's own."""
    server = PureWindowsPath(str(path)).drive.startswith("\\\\")
    return server or f"/{os.path.abspath(path).lstrip('/')}".startswith(_SYSTEM)


def _can_be_a_picture(path: Path) -> bool:
    """Whether there is a regular file of a picture's size; what /proc makes up has none."""
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(facts.st_mode) and 0 < facts.st_size <= _MOST_BYTES


def is_text(value: object) -> bool:
    """Whether a value can be the name of a file, or a digest."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_PATH and "\0" not in value
