"""The table of rules: importing this package fills it."""

from styletransfer.onnxgrad.rules import arrays, pointwise, windows

__all__ = ["arrays", "pointwise", "windows"]
