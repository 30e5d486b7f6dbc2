"""Which sources have failed lately, so that not every run waits for each of them again.

A small file beside the network's weights, ``{origin: seconds since 1970}``. It is no more than a
hint: one that cannot be read or written, or is damaged, is as good as none.
"""

import contextlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

from styletransfer import storage
from styletransfer.weights.sources import Source

LATELY_SECONDS = 3600.0
_NAME = ".failures.json"
_MAX_BYTES = 1 << 16


def lately(folder: Path, sources: Sequence[Source]) -> list[Source]:
    """Return those of the sources that failed within the last hour."""
    times = _read(folder)
    now = time.time()
    return [s for s in sources if 0 <= now - times.get(str(s.origin), -1.0) < LATELY_SECONDS]


def remember(folder: Path, source: Source) -> None:
    """Note that a source has failed just now."""
    times = _read(folder)
    now = time.time()
    times = {origin: t for origin, t in times.items() if 0 <= now - t < LATELY_SECONDS}
    times[str(source.origin)] = now
    with contextlib.suppress(OSError), storage.replacing(folder / _NAME) as stream:
        stream.write(json.dumps(times).encode())


def forget(folder: Path) -> None:
    """Forget all failures."""
    with contextlib.suppress(OSError):
        (folder / _NAME).unlink()


def _read(folder: Path) -> dict[str, float]:
    try:
        with (folder / _NAME).open("rb") as stream:
            data = json.loads(stream.read(_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {}
    return {origin: float(t) for origin, t in data.items() if isinstance(t, float)}
