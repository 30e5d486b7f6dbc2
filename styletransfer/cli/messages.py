"""What is printed: one place where text from outside is made fit for a terminal."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from styletransfer.errors import StyleTransferError, UsageError, explain
from styletransfer.settings import Painting, Settings, by_flags
from styletransfer.text import counted, encodable, printable

FRAMES = "styletransfer.frames"
"""The log of single frames of a film, which goes into a file only."""

_COLOURS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31"}  # of a terminal: yellow, red


def say(line: str, limit: int = 2000) -> None:
    """Print a line to stdout, whatever characters it can encode, and at most so long."""
    print(encodable(printable(line, limit), sys.stdout.encoding), flush=True)


def complain(error: Exception, about: str = "") -> None:
    """Print what went wrong to stderr: a sentence, and its details in lines of their own."""
    text = f"{about}: {explain(error)}" if about else explain(error)
    _to_stderr(f"error: {printable(_by_flags(text))}")
    for detail in error.details if isinstance(error, StyleTransferError) else ():
        _to_stderr(f"  {printable(detail)}")


def tally(asked: int, made: int, there: int, failed: int, *, again: bool = True) -> None:
    """Say what became of several pictures.

    Where some were not begun it says that the same command, given `again`, makes those.
    """
    left = asked - made - there - failed
    counts = {"there already": there, "failed": failed, "not begun": left}
    rest = "".join(f", {count} {what}" for what, count in counts.items() if count)
    further = "; the same command goes on with the rest" if left and again else ""
    say(f"{made} of {counted(asked, 'picture')} made{rest}{further}")


def warn(line: str) -> None:
    """Print a warning to stderr."""
    _to_stderr(f"warning: {printable(line)}")


@contextmanager
def logging_to_stderr(quiet: bool) -> Iterator[None]:
    """Send the package's log to stderr for a while; quietly, warnings and errors only."""
    logger = logging.getLogger("styletransfer")
    level, propagate, handlers = logger.level, logger.propagate, logger.handlers
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.handlers, logger.propagate = [handler], False
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.handlers, logger.propagate = handlers, propagate


@contextmanager
def logging_to_file(path: Path | None) -> Iterator[None]:
    """Append the package's log to a file, too, for a while: time, level, message."""
    if path is None:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}; give another --log"
        ) from None
    handler.setFormatter(_FileFormatter("%(asctime)s %(levelname)s %(message)s"))
    logger, frames = logging.getLogger("styletransfer"), logging.getLogger(FRAMES)
    before = logger.handlers, frames.handlers, frames.level, frames.propagate
    logger.handlers = [*logger.handlers, handler]
    frames.handlers, frames.propagate = [handler], False
    frames.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.handlers, frames.handlers, frames.level, frames.propagate = before
        handler.close()


class _FileFormatter(logging.Formatter):
    """Lines fit for a terminal: a log is read on one."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), 10_000)


class _Formatter(logging.Formatter):
    """Plain lines, those that warn marked so."""

    def format(self, record: logging.LogRecord) -> str:
        text = printable(_by_flags(super().format(record)))
        if record.levelno < logging.WARNING:
            return text
        level, colour = record.levelname.lower(), _COLOURS.get(record.levelname)
        if colour and sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
            level = f"\x1b[{colour}m{level}\x1b[0m"
        return f"{level}: {text}"


def _by_flags(text: str) -> str:
    """Return a message of parameters, which other rooms have by their names in Python, by flags."""
    return by_flags(by_flags(text, Settings), Painting)


def _to_stderr(line: str) -> None:
    print(encodable(line, sys.stderr.encoding), file=sys.stderr, flush=True)
