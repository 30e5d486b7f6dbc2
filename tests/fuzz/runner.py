"""Feeds a reader with changed files, within bounds of time and memory; tells what escapes.

``python -m tests.fuzz.runner READER --inputs N --seconds S --seed K`` prints one line of JSON.
S are seconds of the processor, so that a loaded machine reads as many files as a quiet one.
"""

import argparse
import contextlib
import json
import logging
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from styletransfer.errors import StyleTransferError
from tests.conftest import ROOT
from tests.fuzz.readers import READERS, good

SECONDS = 10
"""That one file may take."""

MOST_FINDINGS = 20
_LONGEST = 3000  # characters of an error


class HangError(BaseException):
    """A file takes too long; no reader catches this."""


class ForbiddenError(BaseException):
    """A file makes something happen that reading does not need; no reader catches this."""


def run(name: str, inputs: int, seconds: float, seed: int, folder: Path) -> dict[str, Any]:
    """Return how many files a reader was fed, and what escaped it, with the file as hexadecimal."""
    reader = READERS[name]
    (folder / "good").mkdir()
    originals = good(name, folder / "good")
    begun = time.process_time()
    findings: list[dict[str, str]] = []
    accepted = count = 0
    work = folder / "work"
    work.mkdir()
    for data in originals:
        path = work / f"file{reader.suffixes[0]}"
        path.write_bytes(data)
        with contextlib.suppress(StyleTransferError):
            reader.read(path)  # so that what it loads is loaded
    _bound_memory(reader.memory)
    guard = _Guard(work)
    sys.addaudithook(guard)
    while count < inputs and time.process_time() - begun < seconds:
        count += 1
        rng = random.Random(f"{name} {seed} {count}")
        data = reader.change(rng, rng.choice(originals))
        path = work / f"file{rng.choice(reader.suffixes)}"
        path.write_bytes(data)
        problem = None
        try:
            with _within(SECONDS), guard:
                reader.read(path)
            accepted += 1
        except StyleTransferError as error:
            problem = _wrong_with(error)
        except BaseException:
            problem = traceback.format_exc(limit=-8)
        if problem is None and guard.seen:
            problem = guard.seen
        guard.seen = ""
        if problem is not None:
            findings.append({"input": str(count), "problem": problem, "data": data.hex()[:20_000]})
            if len(findings) >= MOST_FINDINGS:
                break
    taken = time.process_time() - begun
    return {
        "reader": name,
        "seed": seed,
        "inputs": count,
        "accepted": accepted,
        "seconds": round(taken, 1),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "findings": findings,
    }


def _wrong_with(error: StyleTransferError) -> str | None:
    """Say what is wrong with an error of ours: too long, raw, or one that hides lack of memory."""
    text = str(error)
    if len(text) > _LONGEST:
        return f"an error of {len(text)} characters: {text[:200]}"
    if any(ord(letter) < 32 and letter != "\n" for letter in text):
        return f"control characters in {text!r}"[:500]
    # ONNX Runtime and NumPy tell lack of memory so, whatever it is wrapped in. HDF5 asks for what
    # a length in a file says, of which it uses no more than there is: that is left to it.
    if re.search(r"(?i)bad_alloc|(unable|failed) to allocate", text):
        return f"memory: {text[:500]}"
    cause: BaseException | None = error
    while cause is not None:
        # So does FFmpeg.
        if isinstance(cause, MemoryError) and not type(cause).__module__.startswith("av."):
            return f"memory: {traceback.format_exc(limit=-8)}"
        cause = cause.__cause__ or cause.__context__
    return None


def _bound_memory(more: int) -> None:
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise HangError(f"more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Guard:
    """Sees what is executed, and what is written or read outside a folder, while it is entered."""

    _EXECUTES = ("subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn")
    _TOUCHES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink")

    def __init__(self, folder: Path) -> None:
        self.seen = ""
        self._on = False
        self._inside = str(folder)
        places = (folder, ROOT, sys.prefix, sys.base_prefix, "/usr", "/proc")
        self._readable = tuple(map(str, places))

    def __enter__(self) -> None:
        self._on = True

    def __exit__(self, *_: object) -> None:
        self._on = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        bad = event.startswith(self._EXECUTES) or event in ("socket.connect", "pickle.find_class")
        if event.startswith(self._TOUCHES):
            bad = not str(arguments[0]).startswith(self._inside)
        if event == "open" and isinstance(arguments[0], str | bytes):
            path = arguments[0] if isinstance(arguments[0], str) else arguments[0].decode()
            mode = str(arguments[1])
            writes = set(mode) & set("wax+") if mode != "None" else arguments[2] & 3
            allowed = self._inside if writes else self._readable
            bad = not path.startswith(allowed) and path != "/dev/null"
        if bad:
            self.seen = f"{event} {arguments!r}"[:500]
            raise ForbiddenError(self.seen)


def main() -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    logging.disable()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        result = run(options.reader, options.inputs, options.seconds, options.seed, folder)
        print(json.dumps(result))


if __name__ == "__main__":
    main()
