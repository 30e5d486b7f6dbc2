"""The command ``styletransfer``, which is ``python -m styletransfer``, too."""

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


if __name__ == "__main__":
    sys.exit(main())
