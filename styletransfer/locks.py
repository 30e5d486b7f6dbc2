"""Locks between processes."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_POLL_SECONDS = 0.1  # how often a lock that another holds is tried


@contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[bool]:
    """Hold the lock that a file stands for, which one process, and one thread in it, has at a time.

    Parameters
    ----------
    path : Path
        The file, in a folder that exists; it is there for as long as the block lasts.
    waiting : callable
        Called once if another holds the lock.

    Yields
    ------
    bool
        Whether there is a lock: not every file system has them, and in a folder that cannot be
        written there can be none.
    """
    stream = _lock_file(path, waiting)
    try:
        yield stream is not None
    finally:
        if stream is not None:
            with contextlib.suppress(OSError):  # Windows removes no open file
                path.unlink()
            stream.close()


def _lock_file(path: Path, waiting: Callable[[], None]) -> BinaryIO | None:
    """Return the open, locked file; None where there are no locks."""
    told = False
    while True:
        try:
            stream = path.open("ab")
        except OSError:
            return None
        with contextlib.ExitStack() as opened:
            opened.enter_context(stream)
            try:
                got = _try_to_lock(stream)
            except OSError:
                path.unlink(missing_ok=True)
                return None
            # Who held the lock before has removed the file, and others may have made it anew.
            if got and _is_at(path, stream):
                opened.pop_all()
                return stream
        if not got:
            if not told:
                waiting()
                told = True
            time.sleep(_POLL_SECONDS)


def _is_at(path: Path, stream: BinaryIO) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _try_to_lock(stream: BinaryIO) -> bool:
    """Lock an open file unless somebody else has; OSError where that is not possible at all."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
