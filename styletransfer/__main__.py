"""The command ``styletransfer``, which is ``python -m styletransfer``, too."""

import os
import sys


def main() -> int:
    """Run the command and return its exit code."""
    try:
        # Imported here: Ctrl-C while modules load ends as it does later.
        from styletransfer import cli

        return cli.main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130  # as shells count


def _ignore_current_folder() -> None:
    """Import nothing from the current folder, which ``python -m`` searches before all others.

    Where the package itself lies there, as in a checkout, it stays.
    """
    home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    try:
        here = os.path.realpath(os.getcwd())
    except OSError:  # it has been deleted
        return
    if not sys.flags.safe_path and here != home and os.path.realpath(sys.path[0]) == here:
        del sys.path[0]


if __name__ == "__main__":
    _ignore_current_folder()
    sys.exit(main())
