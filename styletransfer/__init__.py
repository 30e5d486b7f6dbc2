"""Neural style transfer on ONNX Runtime, without a deep-learning framework."""

from styletransfer.errors import (
    ImageError,
    NetworkError,
    StyleTransferError,
    UsageError,
    WeightsError,
)

TYPE_CHECKING = False  # type checkers take it for true; typing's takes long to import
if TYPE_CHECKING:
    from styletransfer.images import load
    from styletransfer.progress import Download, Progress, Stop, TrainingProgress
    from styletransfer.settings import Settings
    from styletransfer.transfer import Checkpoints, StyleTransfer, Summary

__version__ = "0.1.0"

__all__ = [
    "Checkpoints",
    "Download",
    "ImageError",
    "NetworkError",
    "Progress",
    "Settings",
    "Stop",
    "StyleTransfer",
    "StyleTransferError",
    "Summary",
    "TrainingProgress",
    "UsageError",
    "WeightsError",
    "__version__",
    "load",
]

_ROOMS = {
    "Checkpoints": "transfer",
    "Download": "progress",
    "Progress": "progress",
    "Settings": "settings",
    "Stop": "progress",
    "StyleTransfer": "transfer",
    "Summary": "transfer",
    "TrainingProgress": "progress",
    "load": "images",
}


def __getattr__(name: str) -> object:
    # Imported on first use: `styletransfer --help` must not wait for NumPy and ONNX.
    if name in _ROOMS:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
