"""Standard input and output in the place of files."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from styletransfer.errors import UsageError

LARGEST = 1 << 29
"""Bytes that are read from standard input: more than any picture that is accepted."""

STREAM = "-"

USUAL_FORMAT = "jpg"
"""The format of pictures if nothing says another."""


@contextmanager
def redirected(options: argparse.Namespace) -> Iterator[argparse.Namespace]:
    """Give arguments files where they name a stream: what comes in is read, what is made written.

    While the result goes to standard output, what is said goes to standard error. The arguments say
    which file came from standard input (`stdin`), and whether the result is `streamed`.
    """
    contents = [str(path) for path in options.content_img or []]
    reads, writes = contents.count(STREAM), options.output == STREAM
    if reads > 1:
        raise UsageError("standard input is one picture; give - once")
    changed = argparse.Namespace(**vars(options) | {"stdin": None, "streamed": writes})
    if not (reads or writes):
        yield changed
        return
    with tempfile.TemporaryDirectory(prefix="styletransfer-") as folder:
        if reads:
            changed.stdin = read(Path(folder) / "stdin")
            changed.content_img = [
                changed.stdin if text == STREAM else Path(text) for text in contents
            ]
        if not writes:
            yield changed
            return
        result = Path(folder) / f"stdout.{options.format or USUAL_FORMAT}"
        changed.output = str(result)
        try:
            with redirect_stdout(sys.stderr):
                yield changed
        finally:  # a run that fails may have made a picture all the same
            if result.exists():
                write(result)


def check_one(options: argparse.Namespace, batch: bool) -> None:
    """Raise UsageError if several pictures are to go to standard output."""
    if options.streamed and batch:
        raise UsageError("several pictures need a folder, and not standard output; give another -o")


def read(path: Path) -> Path:
    """Write what comes from standard input into a file."""
    data = sys.stdin.buffer.read(LARGEST + 1)
    if not data:
        raise UsageError("nothing comes from standard input; give a picture there, or a file")
    if len(data) > LARGEST:
        raise UsageError(f"more than {LARGEST >> 20} MB come from standard input; give a file")
    path.write_bytes(data)
    return path


def write(path: Path) -> None:
    """Write a file to standard output."""
    with path.open("rb") as stream:
        shutil.copyfileobj(stream, sys.stdout.buffer)
    sys.stdout.buffer.flush()
