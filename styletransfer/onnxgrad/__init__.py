"""Gradients of ONNX graphs as ONNX graphs of standard operators."""

from styletransfer.errors import GradientError
from styletransfer.onnxgrad import rules  # noqa: F401  (fills the table of rules)
from styletransfer.onnxgrad.apart import apart
from styletransfer.onnxgrad.builder import GraphBuilder
from styletransfer.onnxgrad.gradient import backward, value_and_gradient, vjp

__all__ = ["GradientError", "GraphBuilder", "apart", "backward", "value_and_gradient", "vjp"]
