"""The losses of a network that paints, as parts of a graph.

Two published trainers agree on the mean square of the differences of features, and not on the rest:
TensorFlow's divides what differs between two Gram matrices by the number of features, PyTorch's by
that of the matrices' own elements.
"""

from collections.abc import Mapping
from math import prod

import numpy as np

from styletransfer.feedforward.configuration import Configuration
from styletransfer.onnxgrad import GraphBuilder

STABILITY, SHIFT = "stability", "shift"


def content(graph: GraphBuilder, features: str, target: str, reduction: str) -> str:
    """Return Σ (features − target)² or its mean, (1,)."""
    difference = graph.op("Sub", features, target)
    return sum_of_squares(graph, difference, _share(reduction, prod(graph.shape(features))))


def mean_square(graph: GraphBuilder, values: str, target: str) -> str:
    """Return the mean of (values − target)², (1,)."""
    return content(graph, values, target, "mean")


def gram(graph: GraphBuilder, features: str) -> str:
    """Return F Fᵀ / (C H W) of each picture, (N, C, C)."""
    images, channels, *size = graph.shape(features)
    rows = graph.reshape(features, (images, channels, prod(size)))
    products = graph.op("MatMul", rows, graph.op("Transpose", rows, perm=[0, 2, 1]))
    return graph.op("Mul", products, graph.scalar(1 / (channels * prod(size)), features))


def style(graph: GraphBuilder, features: str, target: str, settings: Configuration) -> str:
    """Return Σ (Gram − target)² divided as the trainer does, (1,); the target is (N or 1, C, C)."""
    difference = graph.op("Sub", gram(graph, features), target)
    counted = features if settings.family == "tf" else difference
    share = _share(settings.reduction, prod(graph.shape(counted)))
    return sum_of_squares(graph, difference, share)


def total_variation(graph: GraphBuilder, picture: str, kind: str) -> str:
    """Return what differs between neighbours, over both axes, (1,).

    ``mean-squares`` is ½ of the mean square for each axis, ``absolute`` and ``squares`` are sums.
    """
    parts = []
    for axis in (2, 3):
        length = graph.shape(picture)[axis]
        ahead, behind = (graph.slice(picture, [axis], [i], [length - 1 + i]) for i in (1, 0))
        difference = graph.op("Sub", ahead, behind)
        if kind == "absolute":
            parts.append(_sum(graph, graph.op("Abs", difference), "ReduceSum"))
        else:
            count = prod(graph.shape(difference))
            share = 0.5 / count if kind == "mean-squares" else 1.0
            parts.append(sum_of_squares(graph, difference, share))
    return graph.op("Add", *parts)


def _share(reduction: str, count: int) -> float:
    return 1 / count if reduction == "mean" else 1.0


def sum_of_squares(graph: GraphBuilder, values: str, share: float) -> str:
    """Return share · Σ values², (1,)."""
    return graph.op("Mul", _sum(graph, values, "ReduceSumSquare"), graph.scalar(share, values))


def _sum(graph: GraphBuilder, values: str, operator: str) -> str:
    """Sum up in two steps: in one, float32 loses digits of so many summands."""
    shape = graph.shape(values)
    cuts = [(prod(shape[:axis]), prod(shape[axis:])) for axis in range(len(shape) + 1)]
    table = graph.reshape(values, min(cuts, key=max))
    rows = graph.op(operator, table, graph.integers([1], "axes"), keepdims=0)
    return graph.reshape(graph.op("ReduceSum", rows, keepdims=1), (1,))


def terms(settings: Configuration) -> dict[str, float]:
    """Return the weight of each term of the loss, by name, in their order in the graph."""
    factor = settings.style_weight
    style_weight = factor if isinstance(factor, float) else 1.0
    weights = {
        f"content/{layer}": settings.content_weight * weight
        for layer, weight in settings.content_layers.items()
    }
    weights |= {
        f"style/{layer}": style_weight * weight for layer, weight in settings.style_layers.items()
    }
    weights["tv"] = settings.tv_weight
    steady = {STABILITY: settings.stability, SHIFT: settings.shift}
    # Each takes one more pass through the network: without a weight there is none.
    return weights | {name: weight for name, weight in steady.items() if weight}


def normalised(weights: Mapping[str, float], values: Mapping[str, float]) -> dict[str, float]:
    """Divide the weights of content and style by the values of their terms at the start.

    Those of stability and shift, whose values say nothing at the start, go with the content's.
    """
    contents = [values[name] for name in weights if name.startswith("content/")]
    like = {name: values[name] for name in weights if is_compared(name)}
    like |= dict.fromkeys((STABILITY, SHIFT), sum(contents) / len(contents))
    tiny = float(np.finfo(np.float32).tiny)
    return {name: weight / max(like.get(name, 1.0), tiny) for name, weight in weights.items()}


def is_compared(term: str) -> bool:
    """Whether a term is a layer's."""
    return "/" in term
