"""The command line: parsers, messages, exit codes."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import styletransfer
from styletransfer.cli import export, image, models, presets, serve, show, stylize, train, video
from styletransfer.cli.messages import complain, logging_to_stderr, warn
from styletransfer.cli.signals import Interrupted, Signals
from styletransfer.errors import UsageError
from styletransfer.text import printable, suggestion

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
            help="list, fetch, verify, convert and describe networks",
            description="Without a command: list each network, where it is and where it is from.",
        )
    )
    presets.add_arguments(commands.add_parser("presets", help="list the presets"))
    show.add_arguments(
        commands.add_parser("show", help="print how a picture was made, as a command")
    )
    video.add_arguments(
        commands.add_parser(
            "video",
            help="paint films, GIFs and folders of frames, without flicker",
            description="Paint the frames of a film so that they hang together: by optimisation,"
            " as `image` does, or in one pass of a network, as `stylize` does.",
        )
    )
    serve.add_arguments(
        commands.add_parser(
            "serve",
            help="a page in the browser for people, and a service for programs",
            description="Serve a page in the browser, and an HTTP service beside it: pictures and"
            " films are queued, and made one after the other.",
        )
    )
    train.add_arguments(
        commands.add_parser(
            "train",
            help="train a network that paints in one pass",
            description="Train a network that paints in the style of a picture in one pass.",
        )
    )
    export.add_arguments(
        commands.add_parser(
            "export",
            help="write a trained network for other programs",
            description="Write a network that `train` made anew: smaller, for one size, or in"
            " another opset.",
        )
    )
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
            _warn_of_another_package()
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

    words: tuple[str, ...] = ()
    """The arguments as they were given."""

    def parse_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        _Parser.words = tuple(sys.argv[1:] if args is None else args)
        return super().parse_args([_american(word) for word in _Parser.words], namespace)

    def error(self, message: str) -> NoReturn:
        hint = _hint(message, self, _Parser.words)
        self.exit(2, f"error: {printable(message)}{printable(hint)} (--help lists the arguments)\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        try:
            print(end="", flush=True)
        except BrokenPipeError:
            _drop_output()
            status = 1
        super().exit(status, message)


_BRITISH = {"colour": "color", "optimiser": "optimizer", "normalis": "normaliz"}


def _american(word: str) -> str:
    """Return a flag as it is spelt here; other words stay as they are."""
    flag, equals, value = word.partition("=")
    if not flag.startswith("--"):
        return word
    for british, american in _BRITISH.items():
        flag = flag.replace(british, american)
    return f"{flag}{equals}{value}"


def _hint(message: str, parser: argparse.ArgumentParser, words: Sequence[str]) -> str:
    """Return the end of a sentence that says what was meant."""
    if message.startswith("unrecognized arguments: "):
        unknown = message.removeprefix("unrecognized arguments: ").split()[0]
        # Without the dashes, which all flags have in common.
        name = unknown.partition("=")[0].lstrip("-")
        names = [flag[2:] for flag in _flags(_chosen(parser, words)) if flag.startswith("--")]
        if _OTHERS.get(name) in names:
            return f"; did you mean --{_OTHERS[name]}?"
        return suggestion(name, names).replace("did you mean ", "did you mean --")
    files = [
        word for word in words if word.startswith("-") and Path(word).suffix.lower() in _ENDINGS
    ]
    return f"; for a file whose name begins with - give ./{files[0]}" if files else ""


_OTHERS = {
    **dict.fromkeys(("iterations", "iters", "n-iter", "num-iterations", "steps"), "num-iters"),
    **dict.fromkeys(("size", "image-size", "resolution", "max-side"), "length"),
    "content": "content-img",
}
"""What other programs call a flag."""

_ENDINGS = (
    *(".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".heic"),
    ".toml",
)


def _chosen(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of the command that was given, the parser itself if it has none."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for place, word in enumerate(words):
                if word in action.choices:
                    return _chosen(action.choices[word], words[place + 1 :])
    return parser


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    """Return all flags of a parser and of those below it."""
    found: list[str] = []
    for action in parser._actions:
        found += action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                found += _flags(below)
    return found


def _warn_of_another_package() -> None:
    """Say so where the registry's unrelated package of the same import name is installed, too."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        other = distribution("styletransfer")
    except PackageNotFoundError:
        return
    if any(need.startswith("onnxruntime") for need in other.requires or []):
        return  # this program itself, installed when it had that name
    warn(
        f"the package styletransfer {other.version} is installed, an unrelated program whose"
        " modules have the same names as those of styletransfer-onnx; `pip uninstall"
        " styletransfer`, then install this one again"
    )
