"""A training step once more, in PyTorch's eager mode: what the product is compared with."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from onnx import numpy_helper
from torch.nn import functional

from styletransfer.feedforward.architecture import Architecture, convolutions
from styletransfer.feedforward.configuration import Configuration
from styletransfer.feedforward.lossnetwork import LossNetwork

Step = Callable[[np.ndarray], float]


class Training:
    """The network, its losses and Adam, as PyTorch has them, for one style."""

    def __init__(
        self,
        settings: Configuration,
        network: Architecture,
        compared: LossNetwork,
        style: np.ndarray,
        weights: Sequence[np.ndarray],
        threads: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        torch.set_num_threads(threads)
        self.settings, self.network, self.dtype = settings, network, dtype
        self.weights = [torch.tensor(w, dtype=dtype, requires_grad=True) for w in weights]
        self.adam = torch.optim.Adam(self.weights, settings.learning_rate)
        arrays = {t.name: numpy_helper.to_array(t) for t in compared.model.graph.initializer}
        self.nodes = [
            (node.op_type, [torch.tensor(arrays[n], dtype=dtype) for n in node.input[1:]], name)
            for node in compared.model.graph.node
            for name in node.output
        ]
        self.mean = torch.tensor(compared.mean.copy(), dtype=dtype).reshape(1, 3, 1, 1)
        with torch.no_grad():
            features = self._features(self._planes(style[None]), settings.style_layers)
            self.targets = {layer: _gram(features[layer]) for layer in settings.style_layers}

    def step(self, batch: np.ndarray) -> float:
        """Learn from a batch; return the loss before."""
        self.adam.zero_grad()
        loss = self.loss(batch)
        loss.backward()
        self.adam.step()
        return loss.item()

    def loss(self, batch: np.ndarray) -> torch.Tensor:
        """Return the weighted sum of the terms."""
        settings, x = self.settings, self._planes(batch)
        y = self.paint(x)
        seen = self._features(y, {*settings.content_layers, *settings.style_layers})
        with torch.no_grad():
            wanted = self._features(x, settings.content_layers)
        loss = torch.zeros((), dtype=self.dtype)
        for layer, weight in settings.content_layers.items():
            term = functional.mse_loss(seen[layer], wanted[layer])
            loss = loss + settings.content_weight * weight * term
        for layer, weight in settings.style_layers.items():
            difference = _gram(seen[layer]) - self.targets[layer]
            count = (seen[layer] if settings.family == "tf" else difference).numel()
            term = difference.square().sum() / count
            loss = loss + settings.style_weight * weight * term
        down, across = y[:, :, 1:] - y[:, :, :-1], y[..., 1:] - y[..., :-1]
        if settings.total_variation == "absolute":
            return loss + settings.tv_weight * (down.abs().sum() + across.abs().sum())
        return loss + settings.tv_weight / 2 * (down.square().mean() + across.square().mean())

    def paint(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the network makes of pictures."""
        network, weights = self.network, iter(self.weights)
        margin, (height, width) = network.margin, x.shape[2:]
        x = x - torch.tensor(network.mean, dtype=self.dtype).reshape(1, 3, 1, 1)
        x = functional.pad(x, [margin] * 4, "reflect") if margin else x
        skip = x
        for c in convolutions(network):
            skip = x if c.begins else skip
            if c.enlargement > 1:
                x = functional.interpolate(x, scale_factor=c.enlargement, mode="nearest")
            x = functional.pad(x, [c.kernel // 2] * 4, "reflect")
            weight, bias = next(weights), next(weights) if network.affine else None
            x = functional.conv2d(x, weight, bias, c.stride)
            if c.norm:
                rows = (next(weights), next(weights)) if network.affine else (None, None)
                x = functional.instance_norm(x, None, None, *rows, eps=network.epsilon)
            x = functional.relu(x) if c.relu else x
            x = skip + x if c.ends else x
        x = 127.5 * (torch.tanh(x) + 1) if network.bounded else x
        return x[..., margin : margin + height, margin : margin + width]

    def _features(self, picture: torch.Tensor, layers) -> dict[str, torch.Tensor]:
        x, found = picture.flip(1) - self.mean, {}
        for (op_type, constants, name), following in pairwise([*self.nodes, (None, [], "")]):
            if op_type == "Conv":
                x = functional.conv2d(x, *constants, padding=1)
            elif op_type == "Relu":
                x = functional.relu(x)
            else:
                x = functional.max_pool2d(x, 2)
            if name in layers and following[2] != name:
                found[name] = x
            if len(found) == len(set(layers)):
                return found
        raise ValueError(f"not a VGG with {layers}")

    def _planes(self, batch: np.ndarray) -> torch.Tensor:
        planes = torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))
        return planes.to(self.dtype)


def _gram(features: torch.Tensor) -> torch.Tensor:
    rows = features.flatten(2)
    return rows @ rows.transpose(1, 2) / rows[0].numel()
