"""The objective once more, in PyTorch's eager mode: what the product is compared with."""

from collections.abc import Callable

import numpy as np
import torch
from onnx import helper, numpy_helper
from torch.nn import functional

from benchmarks.common import Evaluate, Problem

Features = dict[str, torch.Tensor]


def objective(given: Problem, threads: int) -> Evaluate:
    """Return the loss and its gradient, with the same weights and the same terms."""
    torch.set_num_threads(threads)
    features = _network(given)
    with torch.no_grad():
        content = features(torch.from_numpy(given.content))
        contents = {layer: content[layer] for layer in given.contents}
        style = features(torch.from_numpy(given.style))
        styles = {layer: _gram(style[layer]) for layer in given.styles}
    del content, style

    def evaluate(image: np.ndarray) -> tuple[float, np.ndarray]:
        x = torch.from_numpy(image).requires_grad_()
        seen = features(x)
        loss = torch.zeros(())
        for layer, weight in given.contents.items():
            loss = loss + weight / 2 * (seen[layer] - contents[layer]).square().sum()
        for layer, weight in given.styles.items():
            factor = weight / 4 / seen[layer].numel() ** 2
            loss = loss + factor * (_gram(seen[layer]) - styles[layer]).square().sum()
        loss.backward()
        return loss.item(), x.grad.numpy()

    return evaluate


def _gram(features: torch.Tensor) -> torch.Tensor:
    flat = features[0].flatten(1)
    return flat @ flat.T


def _network(given: Problem) -> Callable[[torch.Tensor], Features]:
    """Return the network up to the last layer that is needed, as a function."""
    graph = given.model.graph
    constants = {
        t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer
    }
    layers = set(given.contents) | set(given.styles)
    last = max(i for i, node in enumerate(graph.node) if node.output[0] in layers)
    nodes = [
        (node.op_type, list(node.input), node.output[0], _attributes(node))
        for node in graph.node[: last + 1]
    ]

    def features(x: torch.Tensor) -> Features:
        values = {graph.input[0].name: x}
        for op_type, inputs, output, attributes in nodes:
            operands = [values[n] if n in values else constants[n] for n in inputs]
            values[output] = _OPERATORS[op_type](attributes, *operands)
        return {layer: values[layer] for layer in layers}

    return features


def _attributes(node) -> dict:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _padding(attributes: dict) -> list[int]:
    pads = attributes.get("pads", [0] * 4)
    if pads[:2] != pads[2:]:
        raise ValueError(f"pads {pads} differ at the two ends, which PyTorch does not know")
    return pads[:2]


def _convolution(attributes: dict, x, weight, bias=None) -> torch.Tensor:
    stride, group = attributes.get("strides", [1, 1]), attributes.get("group", 1)
    return functional.conv2d(x, weight, bias, stride, _padding(attributes), groups=group)


def _average_pool(attributes: dict, x) -> torch.Tensor:
    return functional.avg_pool2d(
        x,
        attributes["kernel_shape"],
        attributes.get("strides", [1, 1]),
        _padding(attributes),
        ceil_mode=bool(attributes.get("ceil_mode", 0)),
        count_include_pad=bool(attributes.get("count_include_pad", 0)),
    )


def _normalisation(attributes: dict, x) -> torch.Tensor:
    size, bias = attributes["size"], attributes.get("bias", 1.0)
    alpha, beta = attributes.get("alpha", 1e-4), attributes.get("beta", 0.75)
    return functional.local_response_norm(x, size, alpha, beta, bias)


_OPERATORS: dict[str, Callable[..., torch.Tensor]] = {
    "AveragePool": _average_pool,
    "Concat": lambda attributes, *xs: torch.cat(xs, attributes["axis"]),
    "Conv": _convolution,
    "LRN": _normalisation,
    "Relu": lambda _, x: functional.relu(x),
}
