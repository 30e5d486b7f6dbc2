"""Files that appear whole or not at all."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write; what was written takes the path's place when the block ends well.

    Parameters
    ----------
    path : Path
        Its folder is made if need be. On an error it is left as it was.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not longer than the path's name may be.
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as stream:
            yield stream
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the hexadecimal digest of a file, by an algorithm that hashlib knows."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()
