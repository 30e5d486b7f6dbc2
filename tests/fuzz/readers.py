"""What is fuzzed: each reader with good files, made on the spot, and a way to change them."""

import functools
from pathlib import Path

from tests.fuzz import inputfiles, madefiles, weightfiles

READERS = weightfiles.READERS | madefiles.READERS | inputfiles.READERS


@functools.cache
def good(name: str, folder: Path) -> tuple[bytes, ...]:
    """Return the good files of a reader."""
    return tuple(READERS[name].good(folder))
