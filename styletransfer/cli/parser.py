"""The command line: parsers, messages, exit codes."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import styletransfer
from styletransfer.cli import image, models, presets, stylize
from styletransfer.cli.messages import complain, logging_to_stderr
from styletransfer.cli.signals import Interrupted, Signals
from styletransfer.errors import UsageError
from styletransfer.text import printable

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
    stylize.add_arguments(
        commands.add_parser(
            "stylize",
            help="paint pictures in one pass of a network",
            description="Paint pictures in one pass: any painting as the style, or a network's.",
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
    options.outputs = outputs or Path("outputs")
    with logging_to_stderr(options.quiet), Signals() as signals:
        options.signals = signals
        try:
            code: int = options.command(options)
            print(end="", flush=True)
            return code
        except KeyboardInterrupt as interrupt:
            print("interrupted", file=sys.stderr)
            return interrupt.code if isinstance(interrupt, Interrupted) else signals.code
        except BrokenPipeError:
            _drop_output()
            return 1
        except Exception as error:
            if options.debug:
                raise
            complain(error)
            return 2 if isinstance(error, UsageError) else 1


def _drop_output() -> None:
    """Let the rest go nowhere: whoever read it, `head` say, has enough; Python flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong with arguments as everything else is told: in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {printable(message)} (--help lists the arguments)\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        try:
            print(end="", flush=True)
        except BrokenPipeError:
            _drop_output()
            status = 1
        super().exit(status, message)
