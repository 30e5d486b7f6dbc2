"""Caffe's layers, and what they are in ONNX."""

from styletransfer.caffe.layers.emission import INPUT, SUPPORTED, Dim, Layer, Weights, to_onnx

__all__ = ["INPUT", "SUPPORTED", "Dim", "Layer", "Weights", "to_onnx"]
