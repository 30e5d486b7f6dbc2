"""Files that appear whole or not at all."""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# A file under way, and the age at which it is one that a killed process left: nothing is written
# for so long.
_PART = re.compile(r"\.[0-9a-f]{16}\.part")
_ABANDONED = 24 * 60 * 60  # seconds


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write; what was written takes the path's place when the block ends well.

    Its folder is made if need be; a link is followed, and what it points to replaced. A file that
    was there lends its mode, and stays as it was on an error. Raises OSError if the file cannot be
    written, or `target` refuses it.
    """
    path = target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, _ABANDONED)
    temporary = _unused(path.parent)
    try:
        with temporary.open("xb") as stream:
            _take_mode(temporary, path)
            yield stream
            # A full disk may show only here.
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _settle(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _settle(folder: Path) -> None:
    """Have a folder's names on the disk: before, a power cut may bring back the file replaced.

    Windows has no such call, and some file systems refuse it.
    """
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def target(path: Path) -> Path:
    """Return the file that is replaced where a path is written to: a link is followed.

    Raises OSError if that is a folder, or a device, say.
    """
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    try:
        facts = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    problem = None
    if stat.S_ISDIR(facts.st_mode):
        problem = "it is a folder"
    elif not stat.S_ISREG(facts.st_mode):
        problem = "it is no regular file"
    if problem:
        raise OSError(problem)
    return path


def _take_mode(temporary: Path, path: Path) -> None:
    """Give a new file the mode of the one that it replaces, where the file system has modes."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode != stat.S_IMODE(temporary.stat().st_mode):
            temporary.chmod(mode)


@contextlib.contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Make a folder in another one, for as long as the block lasts."""
    temporary = _unused(folder)
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path, age: float = 0) -> None:
    """Delete what killed processes have left in a folder in `replacing` or `scratch`.

    Where others may be writing, only what is older than `age`, in seconds.
    """
    before = time.time() - age
    parts = []
    with contextlib.suppress(OSError):  # one may write to a folder without reading it
        parts = [path for path in folder.iterdir() if _PART.fullmatch(path.name)]
    for path in parts:
        with contextlib.suppress(OSError):
            facts = path.lstat()
            if facts.st_mtime > before and age:
                continue
            if stat.S_ISDIR(facts.st_mode):
                shutil.rmtree(path)
            elif stat.S_ISREG(facts.st_mode):
                path.unlink()


def _unused(folder: Path) -> Path:
    """Return a name for a while, not longer than the names of files may be."""
    return folder / f".{secrets.token_hex(8)}.part"


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the hexadecimal digest of a file, by an algorithm that hashlib knows."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()
