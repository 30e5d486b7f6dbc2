"""One step of training as one graph: pictures in, losses out, and what is learnt moved by Adam."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx

from styletransfer import onnxgrad
from styletransfer.errors import NetworkError
from styletransfer.feedforward import architecture, losses, steadiness, superresolution
from styletransfer.feedforward.architecture import Architecture
from styletransfer.feedforward.configuration import Configuration
from styletransfer.feedforward.lossnetwork import LossNetwork
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.rewrites import fewmaps, winograd
from styletransfer.onnxgrad.rule import RULES
from styletransfer.onnxgrad.rules.windows import conv_rule

BATCH, MIXTURE, WEIGHTS, TERMS, OUTPUT = "batch", "mixture", "weights", "terms", "output"
RATE, COUNT = "rate", "count"
# Vectors of all that is learnt, and of Adam's means of the gradient and of its square.
PARAMETERS, FIRST, SECOND = "parameters", "first", "second"
GRADIENT = "gradient"
FEED_BACK = {f"next/{name}": name for name in (PARAMETERS, FIRST, SECOND)}

_BETAS, _EPSILON = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class Plan:
    """What a step's graph is made of.

    Attributes
    ----------
    settings : Configuration
        What the losses are.
    network : Architecture
        What learns.
    compared : LossNetwork
        What compares.
    choose : callable
        Which convolutions are computed by Winograd's algorithm.
    dtype : dtype
        Of all tensors; the runtime convolves float32 only.
    """

    settings: Configuration
    network: Architecture
    compared: LossNetwork
    choose: Callable[[winograd.Convolution], bool] = winograd.pays
    dtype: npt.DTypeLike = np.float32

    @property
    def styles(self) -> int:
        """How many styles are learnt; others that the network has rest."""
        return 1 if self.settings.base else self.network.styles

    @property
    def resting(self) -> set[str]:
        """The names of the parameters that are not learnt."""
        idle = architecture.idle(self.network)
        if not self.settings.base or self.settings.learns_all:
            return idle
        names = [entry.name for entry in architecture.parameters(self.network)]
        return idle | {name for name in names if not architecture.is_of_style(name)}

    @property
    def layers(self) -> list[str]:
        """The layers of the loss network that are compared, each once."""
        return list(dict.fromkeys([*self.settings.content_layers, *self.settings.style_layers]))


def style_targets(plan: Plan, shape: Sequence[int]) -> onnx.ModelProto:
    """Return the model from a picture of a style, (1, 3, H, W), to its Gram matrices."""
    graph = GraphBuilder()
    picture = graph.input(BATCH, shape, plan.dtype)
    features = plan.compared.append(graph, picture, plan.settings.style_layers, "style")
    names = []
    for layer, tensor in features.items():
        gram = losses.gram(graph, tensor)
        names.append(graph.op("Identity", gram, output=f"target/{layer}"))
    return graph.model(names)


def evaluation(plan: Plan, shape: Sequence[int]) -> onnx.ModelProto:
    """Return the model of a batch's terms, its gradient and what is painted.

    Its inputs are `BATCH` of `shape`, RGB in 0..255, `PARAMETERS`, `WEIGHTS` of the terms and a
    target for each style layer, and those of `steadiness.inputs`; its outputs `TERMS`, before
    their weights, `GRADIENT` of the weighted sum and `OUTPUT`.
    """
    graph = GraphBuilder()
    painted, gradient = _differentiated(graph, plan, shape)
    return graph.model(
        [
            TERMS,
            graph.op("Identity", gradient, output=GRADIENT),
            graph.op("Identity", painted, output=OUTPUT),
        ]
    )


def step(plan: Plan, shape: Sequence[int]) -> onnx.ModelProto:
    """Return the model of a step.

    Its inputs are those of `evaluation`, `FIRST` and `SECOND`, the learning rate `RATE` and
    `COUNT`, the number of the step from 1 on; its outputs `TERMS` and those of `FEED_BACK`.
    """
    graph = GraphBuilder()
    _, gradient = _differentiated(graph, plan, shape)
    _adam(graph, gradient)
    return graph.model([TERMS, *FEED_BACK])


def values(plan: Plan, shape: Sequence[int]) -> onnx.ModelProto:
    """Return the model of `TERMS` alone; its inputs are those of `evaluation` but `WEIGHTS`."""
    graph = GraphBuilder()
    _forward(graph, plan, shape)
    return graph.model([TERMS])


class _Forward(NamedTuple):
    """Tensors of a forward pass."""

    painted: str
    loss: str
    names: list[str]


def _forward(graph: GraphBuilder, plan: Plan, shape: Sequence[int]) -> _Forward:
    """Append the network and the loss of what it paints."""
    batch = graph.input(BATCH, shape, plan.dtype)
    entries = architecture.parameters(plan.network)
    sizes = [prod(entry.shape) for entry in entries]
    vector = graph.input(PARAMETERS, (sum(sizes),), plan.dtype)
    lengths = graph.integers(sizes, "sizes")
    pieces = graph.ops("Split", vector, lengths, outputs=len(sizes), axis=0)
    names = [
        graph.op("Reshape", piece, graph.integers(entry.shape, "shape"), output=entry.name)
        for piece, entry in zip(pieces, entries, strict=True)
    ]
    mixture = None
    if plan.network.styles > 1:
        mixture = graph.input(MIXTURE, (shape[0], plan.network.styles), plan.dtype)

    def paint(picture: str) -> str:
        return architecture.append(graph, plan.network, picture, names, mixture)

    picture = superresolution.reduced(graph, batch, plan.network.times)
    painted = paint(picture)
    values = _compared(graph, plan, batch, painted, mixture)
    with graph.scope("loss/tv"):
        values["tv"] = losses.total_variation(graph, painted, plan.settings.total_variation)
    values |= steadiness.append(graph, plan.settings, plan.network, paint, picture, painted)
    assert list(values) == list(losses.terms(plan.settings))
    terms = graph.op("Concat", *values.values(), axis=0, output=TERMS)
    weighted = graph.op("Mul", terms, graph.input(WEIGHTS, (len(values),), plan.dtype))
    return _Forward(painted, graph.op("ReduceSum", weighted, keepdims=1), names)


def _differentiated(graph: GraphBuilder, plan: Plan, shape: Sequence[int]) -> tuple[str, str]:
    """Append all but Adam; return the tensors of what is painted and of the gradient."""
    painted, loss, names = _forward(graph, plan, shape)
    one = graph.constant(np.ones(1, plan.dtype), "one")
    resting = plan.resting
    moving = [name for name in names if name not in resting]
    rules = RULES | {"Conv": conv_rule(winograd.weight_gradient(plan.choose))}
    gradients = onnxgrad.backward(graph, {loss: one}, moving, rules, {steadiness.STILL})
    winograd.rewrite(graph, plan.choose)
    fewmaps.rewrite(graph)
    rows = []
    for name in names:
        size = [prod(graph.shape(name))]
        gradient = gradients.get(name)
        if gradient is None:
            zero = graph.constant(np.zeros(1, plan.dtype), "zero")
            rows.append(graph.op("Expand", zero, graph.integers(size, "shape")))
        else:
            rows.append(graph.reshape(gradient, size))
    return painted, graph.op("Concat", *rows, axis=0)


def _compared(
    graph: GraphBuilder, plan: Plan, batch: str, painted: str, mixture: str | None
) -> dict[str, str]:
    """Append the terms of the loss network's layers; return the tensor of each, (1,)."""
    settings = plan.settings
    seen = plan.compared.append(graph, painted, plan.layers, "painted")
    wanted = plan.compared.append(graph, batch, settings.content_layers, "content")
    values: dict[str, str] = {}
    for layer, target in wanted.items():
        if graph.shape(target) != graph.shape(seen[layer]):
            raise NetworkError(
                f"what the network {plan.network.text!r} paints has another size than the picture"
            )
        with graph.scope(f"loss/content/{layer}"):
            values[f"content/{layer}"] = losses.content(
                graph, seen[layer], target, settings.reduction
            )
    for layer in settings.style_layers:
        size = _target_shape(plan, graph, seen[layer])
        target = graph.input(f"target/{layer}", size, plan.dtype)
        with graph.scope(f"loss/style/{layer}"):
            if mixture is not None and plan.styles > 1:
                target = _mixed(graph, target, mixture)
            values[f"style/{layer}"] = losses.style(graph, seen[layer], target, settings)
    return values


def _target_shape(plan: Plan, graph: GraphBuilder, features: str) -> tuple[int, int, int]:
    channels = graph.shape(features)[1]
    return plan.styles, channels, channels


def _mixed(graph: GraphBuilder, targets: str, mixture: str) -> str:
    """Return the Gram matrices that each picture of a batch is to have."""
    styles, channels, _ = graph.shape(targets)
    rows = graph.op("MatMul", mixture, graph.reshape(targets, (styles, channels**2)))
    return graph.reshape(rows, (graph.shape(mixture)[0], channels, channels))


def _adam(graph: GraphBuilder, gradient: str) -> None:
    """Append Adam's update as PyTorch has it; the outputs are those of `FEED_BACK`."""
    size = graph.shape(gradient)
    first, second = graph.input(FIRST, size), graph.input(SECOND, size)
    rate = graph.input(RATE, (1,), np.float64)
    count = graph.input(COUNT, (1,), np.float64)
    powers = [graph.op("Pow", graph.scalar(beta, rate), count) for beta in _BETAS]
    # In float64: 1 − 0.999 has lost four digits in float32.
    corrections = [graph.op("Sub", graph.scalar(1, rate), power) for power in powers]
    stride = graph.op("Cast", graph.op("Div", rate, corrections[0]), to=onnx.TensorProto.FLOAT)
    root = graph.op("Cast", graph.op("Sqrt", corrections[1]), to=onnx.TensorProto.FLOAT)

    def mean(old: str, new: str, beta: float, output: str) -> str:
        """Return old + (1 − β) (new − old)."""
        moved = graph.op("Mul", graph.op("Sub", new, old), graph.scalar(1 - beta, new))
        return graph.op("Add", old, moved, output=output)

    next_first = mean(first, gradient, _BETAS[0], f"next/{FIRST}")
    square = graph.op("Mul", gradient, gradient)
    next_second = mean(second, square, _BETAS[1], f"next/{SECOND}")
    spread = graph.op("Div", graph.op("Sqrt", next_second), root)
    spread = graph.op("Add", spread, graph.scalar(_EPSILON, spread))
    change = graph.op("Mul", graph.op("Div", next_first, spread), stride)
    graph.op("Sub", PARAMETERS, change, output=f"next/{PARAMETERS}")


def joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return the vector of all that a network learns."""
    return np.concatenate([np.ravel(array) for array in arrays]).astype(np.float32)


def parted(vector: np.ndarray, network: Architecture) -> list[np.ndarray]:
    """Return the arrays that a vector of all that a network learns holds."""
    shapes = [entry.shape for entry in architecture.parameters(network)]
    bounds = np.cumsum([prod(shape) for shape in shapes])[:-1]
    pieces = np.split(vector, bounds.tolist())
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]


def named(values: np.ndarray, settings: Configuration) -> Mapping[str, float]:
    """Return the values of terms by name."""
    return dict(zip(losses.terms(settings), values.tolist(), strict=True))
