"""The network that compares pictures, several times in one graph."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import numpy_helper

from styletransfer.caffe.layers import INPUT
from styletransfer.errors import NetworkError
from styletransfer.networks.pooling import with_pooling
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.reading import attributes, needed
from styletransfer.text import some
from styletransfer.weights.loading import LoadedNetwork


@dataclass(frozen=True)
class LossNetwork:
    """A network's layers of pictures RGB in 0..255, with maximum pooling.

    Attributes
    ----------
    model : onnx.ModelProto
        Forward, as `weights.load` gives it.
    mean : ndarray, shape (3,)
        Subtracted from pictures, BGR.
    """

    model: onnx.ModelProto
    mean: np.ndarray
    _arrays: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, network: LoadedNetwork, mean: np.ndarray | None = None) -> "LossNetwork":
        """Return a network that was loaded, with another mean where one is given."""
        model = with_pooling(network.model, "max")
        arrays = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        return cls(model, network.mean if mean is None else mean, arrays)

    @property
    def arrays(self) -> list[np.ndarray]:
        """All numbers that it consists of."""
        return [self.mean, *(self._arrays[name] for name in sorted(self._arrays))]

    def check(self, layers: Iterable[str]) -> None:
        """Raise NetworkError unless the network has all of some layers."""
        known = [output.name for output in self.model.graph.output]
        for layer in layers:
            if layer not in known:
                raise NetworkError(f"the network has no layer {layer!r}; it has {some(known)}")

    def append(
        self, graph: GraphBuilder, picture: str, layers: Iterable[str], prefix: str
    ) -> dict[str, str]:
        """Append the network up to some layers; return the tensor of each.

        Weights are shared with what was appended before.
        """
        layers = list(layers)
        tensors = {INPUT: self._input(graph, picture, prefix)}
        for node in needed(self.model.graph.node, layers)[0]:
            inputs = [self._tensor(graph, tensors, name) for name in node.input]
            name = node.output[0]
            tensors[name] = graph.op(
                node.op_type, *inputs, output=f"{prefix}/{name}", **attributes(node)
            )
        return {layer: tensors[layer] for layer in layers}

    def _input(self, graph: GraphBuilder, picture: str, prefix: str) -> str:
        """Exchange red and blue and subtract the mean: a convolution 1×1."""
        swap = np.eye(3, dtype=graph.dtype(picture))[::-1].reshape(3, 3, 1, 1)
        mean = (-self.mean).astype(graph.dtype(picture))
        with graph.scope(prefix):
            return graph.op(
                "Conv", picture, graph.constant(swap.copy(), "BGR"), graph.constant(mean, "mean")
            )

    def _tensor(self, graph: GraphBuilder, tensors: dict[str, str], name: str) -> str:
        if not name or name in tensors:
            return tensors.get(name, "")
        shared = f"network/{name}"
        if shared in graph.initializers:
            return shared
        dtype = graph.dtype(tensors[INPUT])
        return graph.named_constant(shared, self._arrays[name].astype(dtype, copy=False))
