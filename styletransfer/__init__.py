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
    from styletransfer.transfer.facade import StyleTransfer

__version__ = "0.1.0"

__all__ = [
    "ImageError",
    "NetworkError",
    "StyleTransfer",
    "StyleTransferError",
    "UsageError",
    "WeightsError",
    "__version__",
]


def __getattr__(name: str) -> object:
    # Imported on first use: `styletransfer --help` must not wait for NumPy and ONNX.
    if name == "StyleTransfer":
        from styletransfer.transfer.facade import StyleTransfer

        return StyleTransfer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
