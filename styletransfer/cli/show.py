"""``styletransfer show``: how a picture was made, as the command that makes it, and as JSON."""

import argparse
import json
import shlex

from styletransfer.cli.arguments import add_common
from styletransfer.cli.files import check_there, file_path
from styletransfer.cli.messages import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("picture", type=file_path, help="a picture that this program made")
    parser.add_argument("--json", action="store_true", help="print all that is stored, as JSON")
    add_common(parser)
    parser.set_defaults(command=_show)


def _show(options: argparse.Namespace) -> int:
    from styletransfer.jobs import command, recipe

    check_there([options.picture])
    if options.json:
        # JSON escapes what a terminal would obey.
        print(json.dumps(recipe.stored_in(options.picture), ensure_ascii=True, indent=2))
        return 0
    say(shlex.join(command.command(options.picture)), limit=100_000)
    return 0
