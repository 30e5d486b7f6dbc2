"""The original's command, ``python style.py -s STYLE -c CONTENT``, and its `StyleTransfer`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import styletransfer
from styletransfer.cli import main_style

if TYPE_CHECKING:
    from styletransfer import StyleTransfer

__all__ = ["StyleTransfer"]


def __getattr__(name: str) -> object:
    # Imported on first use: ``style.py --help`` must not wait for NumPy and ONNX.
    if name == "StyleTransfer":
        return styletransfer.StyleTransfer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if __name__ == "__main__":
    # Beside this file, wherever it is called from: the original wrote into the current folder.
    sys.exit(main_style(outputs=Path(__file__).resolve().parent / "outputs"))
