"""The command line: parsers, messages, exit codes."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import styletransfer
from styletransfer.cli import image, models, presets
from styletransfer.errors import UsageError, explain

# Nothing heavy is imported up here, nor by the commands: --help must come at once.

_DESCRIPTION = "Render the content of one image in the style of another."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command ``styletransfer`` and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.
    """
    parser = _Parser(prog="styletransfer", description="Neural style transfer on ONNX Runtime.")
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {styletransfer.__version__}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    image.add_arguments(
        commands.add_parser(
            "image", help="render an image in the style of another", description=_DESCRIPTION
        )
    )
    models.add_arguments(
        commands.add_parser(
            "models",
            help="list, fetch, verify and convert networks",
            description="Without a command: list each network, where it is and where it is from.",
        )
    )
    presets.add_arguments(commands.add_parser("presets", help="list the presets"))
    return _run(parser.parse_args(arguments))


def main_style(arguments: Sequence[str] | None = None, outputs: Path | None = None) -> int:
    """Run ``style.py``, the original's command, and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.
    outputs : Path, optional
        The folder for results whose path is not given.
    """
    parser = _Parser(prog="style.py", description=_DESCRIPTION)
    image.add_arguments(parser)
    return _run(parser.parse_args(arguments), outputs)


def _run(options: argparse.Namespace, outputs: Path | None = None) -> int:
    """Carry a command out and turn what goes wrong into one sentence and an exit code."""
    _start_logging(options.quiet)
    options.outputs = outputs or Path("outputs")
    try:
        code = options.command(options)
        print(end="", flush=True)
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return image.INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return 1
    except Exception as error:
        if options.debug:
            raise
        print(f"error: {explain(error)}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    finally:
        logging.getLogger("styletransfer").handlers.clear()


def _drop_output() -> None:
    """Let the rest go nowhere: whoever read it, `head` say, has enough; Python flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _start_logging(quiet: bool) -> None:
    """Send the package's log to stderr, with --quiet warnings and errors only."""
    logger = logging.getLogger("styletransfer")
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    logger.handlers = [handler]
    logger.propagate = False


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong with arguments as everything else is told: in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (--help lists the arguments)\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        try:
            print(end="", flush=True)
        except BrokenPipeError:
            _drop_output()
            status = 1
        super().exit(status, message)


class _Formatter(logging.Formatter):
    """Plain lines, those that warn marked so."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"
