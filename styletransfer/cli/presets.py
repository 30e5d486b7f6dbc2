"""``styletransfer presets``: the presets, a line each."""

import argparse

from styletransfer.cli.arguments import add_common
from styletransfer.cli.messages import say
from styletransfer.settings import presets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_common(parser)
    parser.set_defaults(command=_list)


def _list(options: argparse.Namespace) -> int:
    for name in presets.names():
        say(f"{name:13} {presets.read(name).description}")
    return 0
