"""Networks as tables and as ONNX graphs."""

from styletransfer.networks.classifiers import CLASSIFIERS, class_names
from styletransfer.networks.tables import (
    INCEPTIONS,
    MEAN,
    NETWORKS,
    Network,
    to_onnx,
    weight_shapes,
)

__all__ = [
    "CLASSIFIERS",
    "INCEPTIONS",
    "MEAN",
    "NETWORKS",
    "Network",
    "class_names",
    "to_onnx",
    "weight_shapes",
]
