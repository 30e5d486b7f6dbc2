"""Files that arguments name: parsed, and checked before anything is made."""

import argparse
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from styletransfer.cli.streams import STREAM, USUAL_FORMAT
from styletransfer.errors import ImageError, UsageError

if TYPE_CHECKING:
    from styletransfer.jobs.task import Task

FORMATS = ("jpg", "png", "tif", "webp")
_SAME = {"jpeg": "jpg", "tiff": "tif"}
_DEEP = ("png", "tif")


def add_format(add: Callable[..., Any]) -> None:
    """Add the flags for what names and files of results are made of."""
    add(
        "--format",
        choices=FORMATS,
        help="the format of results whose name is made, and of standard output (default:"
        f" {USUAL_FORMAT})",
    )
    add(
        "--depth",
        type=int,
        default=8,
        metavar="BITS",
        help="bits a channel: 8, or 16 in .png, .tif",
    )


def suffix(options: argparse.Namespace) -> str:
    """Return the ending of names that are made; raise UsageError where flags contradict it."""
    chosen = options.format or USUAL_FORMAT
    own = "" if options.output in (None, STREAM) else Path(options.output).suffix[1:].lower()
    if own and not os.path.isdir(options.output) and not options.output.endswith(("/", os.sep)):
        if options.format and _SAME.get(own, own) in {*FORMATS} - {options.format}:
            raise UsageError(
                f"-o {options.output} says its format, and --format {options.format} is another;"
                " leave one of them out"
            )
    elif options.depth == 16 and chosen not in _DEEP:
        raise UsageError(
            f"a .{chosen} does not hold 16 bits a channel; give --format png or --format tif"
        )
    return f".{chosen}"


def check_there(paths: Iterable[Path | None]) -> None:
    """Raise UsageError if a file that goes in is not there; what else is wrong reading tells."""
    for path in paths:
        if path is None or str(path) == STREAM:
            continue
        try:
            os.stat(path)
        except FileNotFoundError:
            raise UsageError(f"There is no picture {path}: check the path.") from None
        except (OSError, ValueError):
            continue


def check_writable(tasks: Sequence["Task"]) -> None:
    """Refuse, before anything is made, what could not be written in the end."""
    from styletransfer import images

    try:
        for task in tasks:
            images.check_writable(task.output, task.extras.depth)
            for path in task.written():
                images.check_writable(path)
    except ImageError as error:
        raise UsageError(str(error)) from error


def check_checkpoint(text: str) -> Path:
    """Return the path of a checkpoint; raise UsageError where none can be written there."""
    path = Path(text)
    if path.suffix.lower() != ".npz":
        raise UsageError(f"{text} cannot be a checkpoint, whose name ends in .npz; give another")
    if os.path.isdir(path) or not os.path.isdir(path.parent):
        problem = "it is a folder" if os.path.isdir(path) else f"there is no folder {path.parent}"
        raise UsageError(f"{text} cannot be a checkpoint: {problem}")
    return path


def file_name(text: str) -> str:
    """Parse the name of a file or folder: an empty one, of an unset variable say, is none."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty; give a file")
    if re.match(r"[a-z][a-z0-9+.]+://", text, re.IGNORECASE):
        raise argparse.ArgumentTypeError(
            f"{text} is an address, and nothing is fetched from there: save it, and give the file"
        )
    return text


def file_path(text: str) -> Path:
    """Parse a path."""
    return Path(file_name(text))
