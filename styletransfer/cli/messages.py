"""What is printed: one place where text from outside is made fit for a terminal."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from styletransfer.errors import StyleTransferError, explain
from styletransfer.settings import Painting, Settings, by_flags
from styletransfer.text import counted, encodable, printable


def say(line: str, limit: int = 2000) -> None:
    """Print a line to stdout, whatever characters it can encode, and at most so long."""
    print(encodable(printable(line, limit), sys.stdout.encoding), flush=True)


def complain(error: Exception, about: str = "") -> None:
    """Print what went wrong to stderr: a sentence, and its details in lines of their own."""
    text = f"{about}: {explain(error)}" if about else explain(error)
    _to_stderr(f"error: {printable(_by_flags(text))}")
    for detail in error.details if isinstance(error, StyleTransferError) else ():
        _to_stderr(f"  {printable(detail)}")


def tally(asked: int, made: int, there: int, failed: int) -> None:
    """Say what became of several pictures."""
    left = asked - made - there - failed
    counts = {"there already": there, "failed": failed, "not begun": left}
    rest = "".join(f", {count} {what}" for what, count in counts.items() if count)
    say(f"{made} of {counted(asked, 'picture')} made{rest}")


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


class _Formatter(logging.Formatter):
    """Plain lines, those that warn marked so."""

    def format(self, record: logging.LogRecord) -> str:
        text = printable(_by_flags(super().format(record)))
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"


def _by_flags(text: str) -> str:
    """Return a message of parameters, which other rooms have by their names in Python, by flags."""
    return by_flags(by_flags(text, Settings), Painting)


def _to_stderr(line: str) -> None:
    print(encodable(line, sys.stderr.encoding), file=sys.stderr, flush=True)
