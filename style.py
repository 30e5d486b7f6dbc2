"""The original's command, ``python style.py -s STYLE -c CONTENT``, and its `StyleTransfer`."""

import os
import sys

TYPE_CHECKING = False  # type checkers take it for true; typing's takes long to import
if TYPE_CHECKING:
    from styletransfer import StyleTransfer

__all__ = ["StyleTransfer"]


def __getattr__(name: str) -> object:
    # Imported on first use: ``style.py --help`` must not wait for NumPy and ONNX.
    if name == "StyleTransfer":
        import styletransfer

        return styletransfer.StyleTransfer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main() -> int:
    """Run the command and return its exit code."""
    try:
        # Imported here: Ctrl-C while modules load ends as it does later.
        from pathlib import Path

        from styletransfer.cli import main_style

        # In a checkout beside this file, wherever it is called from. Installed, it lies among the
        # modules of others, where no result belongs: there as the original, in the current folder.
        here = Path(__file__).resolve().parent
        checkout = (here / "pyproject.toml").is_file()
        return main_style(outputs=here / "outputs" if checkout else Path("outputs"))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130  # as shells count


def _ignore_current_folder() -> None:
    """Import nothing from the current folder, which ``python -m`` searches before all others.

    Where this file itself lies there, as in a checkout, it stays.
    """
    home = os.path.dirname(os.path.realpath(__file__))
    if not sys.flags.safe_path and os.path.realpath(sys.path[0]) != home:
        del sys.path[0]


if __name__ == "__main__":
    _ignore_current_folder()
    sys.exit(main())
