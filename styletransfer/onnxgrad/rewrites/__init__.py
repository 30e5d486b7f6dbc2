"""Faster forms of a graph's nodes, in standard operators, each found by measuring."""

from styletransfer.onnxgrad.rewrites import fewmaps, pools, winograd

__all__ = ["fewmaps", "pools", "winograd"]
