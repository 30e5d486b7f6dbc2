"""Flags: those that several commands take, and one for every parameter of `Settings`."""

import argparse
import re
from collections.abc import Callable, Container, Mapping
from typing import Any

from styletransfer import settings
from styletransfer.settings import Settings
from styletransfer.settings.kinds import Switch
from styletransfer.settings.options import Options

_HEADINGS = {
    "picture": "the picture",
    "losses": "what is matched",
    "optimiser": "the optimiser",
    "stages": "coarse to fine",
    "colours": "colours",
}


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every parameter; `given` returns those that were used."""
    groups = {key: parser.add_argument_group(title) for key, title in _HEADINGS.items()}
    defaults = Settings()
    for name, option in settings.describe(Settings).items():
        if isinstance(option.kind, Switch):
            groups[option.group].add_argument(
                *settings.flags(name, option),
                dest=name,
                default=argparse.SUPPRESS,
                action="store_true",
                help=option.help,
            )
        if not option.kind.metavar:
            continue
        default = getattr(defaults, name)
        text = option.help if default is None else f"{option.help} (default: {_shown(default)})"
        groups[option.group].add_argument(
            *settings.flags(name, option),
            dest=name,
            default=argparse.SUPPRESS,
            nargs=option.kind.nargs,
            metavar=option.kind.metavar,
            help=text.replace("%", "%%"),
        )


def add_options(
    add: Callable[..., Any], kind: type[Options], leave_out: Container[str] = ()
) -> None:
    """Add a flag for every parameter of a class, but for some; `given` returns those used."""
    for name, option in settings.describe(kind).items():
        if name in leave_out:
            continue
        extra: dict[str, Any] = (
            {"action": "store_true"}
            if isinstance(option.kind, Switch)
            else {"nargs": option.kind.nargs, "metavar": option.kind.metavar}
        )
        text = option.help.replace("%", "%%")
        add(*settings.flags(name, option), dest=name, default=argparse.SUPPRESS, help=text, **extra)


def given(options: argparse.Namespace, kind: type[Options] = Settings) -> dict[str, object]:
    """Return the parameters of a class that flags were used for, as they were typed."""
    known = settings.describe(kind)
    return {name: value for name, value in vars(options).items() if name in known}


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add what says where a picture is made."""
    add = parser.add_argument_group("the machine").add_argument
    add(
        "-g",
        "--gpu-id",
        type=int,
        metavar="N",
        help="the CUDA device, -1 for the CPU; where it is not usable, the CPU is taken, and a"
        " warning says why (default: 0 if the machine has one)",
    )
    add_provider(add)
    add(
        "--threads",
        type=count,
        metavar="N",
        help="threads on the CPU, at most one a core (default: one a core)",
    )


def add_provider(add: Callable[..., Any]) -> None:
    """Add the flag for what else models can run on."""
    add(
        "--provider",
        metavar="NAME",
        help="what else the installed ONNX Runtime runs on, such as CoreML, DML, MIGraphX or"
        " OpenVINO; `styletransfer models check` says how exact it is",
    )


def add_tiles(parser: argparse.ArgumentParser) -> None:
    """Add what says whether pictures are computed in tiles; it changes no picture."""
    add = parser.add_argument_group("memory").add_argument
    add(
        "--tile",
        type=_tile,
        default="auto",
        metavar="auto|off|N",
        help="compute the picture in tiles of N pixels a side, the result being the same; auto: as"
        " large as the memory allows, where it does not allow the whole (default: auto)",
    )
    add(
        "--memory-limit",
        type=_bytes,
        metavar="SIZE",
        help="the most memory that is taken, 4G or 800M say (default: what is free)",
    )


def add_forecast(parser: argparse.ArgumentParser) -> None:
    """Add what asks for a forecast in place of a picture."""
    add = parser.add_argument_group("first a look").add_argument
    add(
        "--dry-run",
        action="store_true",
        help="say what the picture will take, size, layers, tiles, memory and time, after one"
        " evaluation; make nothing",
    )
    add("--json", action="store_true", help="say that as JSON, a line for each picture")


def _tile(text: str) -> str | int:
    if text.isdecimal() and text.isascii():
        return int(text)
    if text not in ("auto", "off"):
        raise argparse.ArgumentTypeError(f"{text!r} is not auto, off or a number of pixels")
    return text


def _bytes(text: str) -> int:
    """Parse a number of bytes."""
    found = re.fullmatch(
        r"(\d{1,9}(?:\.\d{1,3})?)([KMGT]?)(?:i?B)?", text, re.ASCII | re.IGNORECASE
    )
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size like 4G, 1.5G or 800M")
    return round(float(found[1]) * 1024 ** " KMGT".index(found[2] or " "))


def add_common(parser: argparse.ArgumentParser, suppress: bool = False) -> None:
    """Add what every command takes; `suppress` keeps a sub-command's defaults from winning.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        It gets the arguments.
    suppress : bool
        For the parser of a sub-command, whose defaults would else replace what stands before it.
    """
    default: Mapping[str, Any] = {"default": argparse.SUPPRESS} if suppress else {}
    add = parser.add_argument_group("everywhere").add_argument
    add(
        "--models",
        metavar="DIR",
        help="the folder with the networks (default: $STYLETRANSFER_MODELS, ./models, or the"
        " user's data folder)",
        **default,
    )
    add("--quiet", action="store_true", help="print nothing but warnings and errors", **default)
    add("--debug", action="store_true", help="show the traceback of an error", **default)


def count(text: str) -> int:
    """Parse a number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def _shown(default: object) -> str:
    """Return a default as somebody would type it."""
    if isinstance(default, float):
        return settings.compact(default)
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
