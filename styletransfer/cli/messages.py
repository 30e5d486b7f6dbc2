"""What is printed: one place where text from outside is made fit for a terminal."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from styletransfer.errors import StyleTransferError, explain
from styletransfer.text import encodable, printable


def say(line: str, limit: int = 2000) -> None:
    """Print a line to stdout, whatever characters it can encode, and at most so long."""
    print(encodable(printable(line, limit), sys.stdout.encoding), flush=True)


def complain(error: Exception, about: str = "") -> None:
    """Print what went wrong to stderr: a sentence, and its details in lines of their own."""
    text = f"{about}: {explain(error)}" if about else explain(error)
    _to_stderr(f"error: {printable(text)}")
    for detail in error.details if isinstance(error, StyleTransferError) else ():
        _to_stderr(f"  {printable(detail)}")


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
        text = printable(super().format(record))
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"


def _to_stderr(line: str) -> None:
    print(encodable(line, sys.stderr.encoding), file=sys.stderr, flush=True)
