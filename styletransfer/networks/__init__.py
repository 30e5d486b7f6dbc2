"""Networks as tables and as ONNX graphs."""

from styletransfer.networks.tables import (
    INCEPTIONS,
    MEAN,
    NETWORKS,
    Network,
    to_onnx,
    weight_shapes,
)

__all__ = ["INCEPTIONS", "MEAN", "NETWORKS", "Network", "to_onnx", "weight_shapes"]
