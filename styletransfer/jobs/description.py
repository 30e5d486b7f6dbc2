"""A network described: its layers, and what they make of a photograph; its graph for Graphviz."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx

from styletransfer import images, weights
from styletransfer.caffe.layers import INPUT
from styletransfer.errors import UsageError
from styletransfer.feedforward import network as painting
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.runtime.devices import Device
from styletransfer.runtime.session import Session
from styletransfer.settings.choices import PAINTERS
from styletransfer.text import printable
from styletransfer.weights.loading import load_network

_log = logging.getLogger(__name__)

MOST_CHANNELS = 2048
"""Of a layer whose Gram matrix is computed."""


@dataclass(frozen=True)
class Spread:
    """The numbers in a tensor."""

    least: float
    most: float
    mean: float


@dataclass(frozen=True)
class LayerFacts:
    """A layer at one size of picture.

    Attributes
    ----------
    name : str
        Of the tensor that it gives.
    operators : tuple of str
        Of the ONNX nodes that make it of the layers before it, in their order, without what is
        done to weights and statistics.
    shape : tuple of int
        Of its output.
    weights : int
        How many numbers it has learnt.
    output, gram : Spread or None
        Of its output for the photograph, and of the Gram matrix of that over its number of
        positions; None where there is no photograph, or no channels.
    """

    name: str
    operators: tuple[str, ...]
    shape: tuple[int, ...]
    weights: int
    output: Spread | None = None
    gram: Spread | None = None


@dataclass(frozen=True)
class _Ready:
    """A network at one size, the tensors that count as its layers, and what goes in."""

    graph: GraphBuilder
    layers: Sequence[str]
    feeds: Mapping[str, np.ndarray]


def describe(
    name: str, photo: Path | None = None, models: Path | None = None, length: int | None = None
) -> tuple[list[LayerFacts], str]:
    """Return the layers of a network in their order, and its graph in Graphviz's language.

    Parameters
    ----------
    name : str
        A network for style transfer, a published one that paints, an ONNX file of one, or the
        folder of a Caffe network.
    photo : Path, optional
        What it is shown; without it there are no statistics.
    models : Path, optional
        The folder with the networks.
    length : int, optional
        The photograph's longest side; without it that of the network's own input at least.

    Raises
    ------
    StyleTransferError
        If there is no such network, or it cannot take the photograph.
    """
    picture = None if photo is None else images.load(photo)
    is_file = os.path.isfile(name)
    opened = _painter if name in PAINTERS or is_file else _loss_network
    ready = opened(name, picture, models, length)
    nodes = _needed(ready)
    dot = _dot(ready.graph, nodes)
    facts = _facts(ready, nodes)
    return (facts if picture is None else _with_statistics(ready, facts)), dot


def _loss_network(
    name: str, picture: np.ndarray | None, models: Path | None, length: int | None
) -> _Ready:
    network = load_network(name, models, _log.info, None)
    side = network.input_size
    if picture is None:
        picture = np.zeros((length or side, length or side, 3), np.float32)
    picture = images.rescale(picture, images.scale_for(picture.shape, length or side, side))
    seen = images.preprocess(picture, network.mean)
    blobs = [output.name for output in network.model.graph.output]
    return _Ready(GraphBuilder(network.model, {INPUT: seen.shape}, blobs), blobs, {INPUT: seen})


_SIDE = 256  # of what a network is shown that takes any size


def _painter(
    name: str, picture: np.ndarray | None, models: Path | None, length: int | None
) -> _Ready:
    source: str | bytes = name
    if name in PAINTERS:
        source = weights.load_ready(name, weights.model_directories(models), _log.info)
    network = painting.read(source)
    if picture is None:
        picture = np.zeros((length or _SIDE, length or _SIDE, 3), np.float32)
    scale = (length or _SIDE) / max(picture.shape[:2])
    step = network.multiple
    height, width = (max(round(scale * side / step), 1) * step for side in picture.shape[:2])
    picture = images.resize(picture, network.size or (height, width))
    black, white = network.takes
    channels = picture[:, :, ::-1] if network.order == "BGR" else picture
    seen = black + (white - black) * channels.transpose(2, 0, 1)[np.newaxis]
    graph = network.graph(*picture.shape[:2])
    feeds = {network.image: seen.astype(graph.dtype(network.image))}
    if network.style is not None:  # the mean of its styles
        count = prod(network.style_shape)
        feeds[network.style] = np.full(network.style_shape, 1 / count, np.float32)
    # Each map, from which on nodes belong to the next one; what styles are made of is no map.
    maps = [name for node in graph.nodes for name in node.output[:1]]
    maps = [name for name in maps if len(graph.shape(name)) == 4 and max(graph.shape(name)[2:]) > 1]
    return _Ready(graph, maps, feeds)


def _needed(ready: _Ready) -> list[onnx.NodeProto]:
    """Return the nodes that the network's outputs need, in their order."""
    graph = ready.graph
    wanted = set(graph.outputs or ready.layers)
    nodes = []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            nodes.append(node)
    return nodes[::-1]


def _facts(ready: _Ready, nodes: Sequence[onnx.NodeProto]) -> list[LayerFacts]:
    graph, layers = ready.graph, set(ready.layers)
    found, since = [], list[onnx.NodeProto]()
    for node in nodes:
        since.append(node)
        if node.output[0] not in layers:
            continue
        name = node.output[0]
        made_of, wanted = list[onnx.NodeProto](), {name}
        for before in reversed(since):
            if wanted.intersection(before.output):
                made_of.insert(0, before)
                wanted.update(before.input)
        since = [before for before in since if before not in made_of]
        # Sizes, axes and factors of enlarging are nothing that is learnt; nor is a single number.
        learning = [before for before in made_of if before.op_type != "Resize"]
        constants = {name: graph.value(name) for before in learning for name in before.input}
        arrays = [c for c in constants.values() if c is not None and c.dtype.kind == "f"]
        count = sum(c.size for c in arrays if c.size > 1)
        size = prod(graph.shape(name))
        operators = tuple(n.op_type for n in made_of if prod(graph.shape(n.output[0])) == size)
        found.append(LayerFacts(name, operators, graph.shape(name), count))
    return found


def _with_statistics(ready: _Ready, facts: Sequence[LayerFacts]) -> list[LayerFacts]:
    """Return the layers with their statistics.

    The graph itself computes them, so that no layer need be kept.
    """
    graph = ready.graph
    names: list[tuple[list[str], list[str]]] = []
    for fact in facts:
        own, gram = [], []
        if graph.dtype(fact.name).kind == "f":
            own = _spread(graph, fact.name)
        if own and len(fact.shape) == 4 and fact.shape[1] <= MOST_CHANNELS:
            channels, positions = fact.shape[1], prod(fact.shape[2:])
            flat = graph.reshape(fact.name, (channels, positions))
            product = graph.op("MatMul", flat, graph.op("Transpose", flat, perm=[1, 0]))
            gram = _spread(graph, graph.op("Div", product, graph.scalar(positions, product)))
        names.append((own, gram))
    wanted = [name for pair in names for group in pair for name in group]
    if not wanted:
        raise UsageError("the network has no layer of floating-point numbers to describe")
    values = Session(graph.model(wanted).SerializeToString(), Device()).run(ready.feeds)

    def read(group: list[str]) -> Spread | None:
        return Spread(*(float(values[name]) for name in group)) if group else None

    return [
        LayerFacts(f.name, f.operators, f.shape, f.weights, read(own), read(gram))
        for f, (own, gram) in zip(facts, names, strict=True)
    ]


def _spread(graph: GraphBuilder, name: str) -> list[str]:
    return [graph.op(f"Reduce{what}", name, keepdims=0) for what in ("Min", "Max", "Mean")]


def _dot(graph: GraphBuilder, nodes: Sequence[onnx.NodeProto]) -> str:
    """Return the graph for Graphviz: a box a node, an arrow a tensor with its shape."""
    lines = ["digraph network {", "  node [shape=box, fontname=Helvetica];"]
    numbers = {name: f"i{number}" for number, name in enumerate(graph.inputs)}
    for name, box in numbers.items():
        lines.append(f"  {box} [label={_quoted(name, _by(graph.shape(name)))}, style=rounded];")
    numbers |= {t: f"n{i}" for i, node in enumerate(nodes) for t in node.output}
    for number, node in enumerate(nodes):
        shape = _by(graph.shape(node.output[0]))
        label = _quoted(node.output[0], f"{node.op_type} {shape}")
        lines.append(f"  n{number} [label={label}];")
        lines += [f"  {numbers[name]} -> n{number};" for name in node.input if name in numbers]
    return "\n".join([*lines, "}", ""])


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _quoted(*rows: str) -> str:
    """Return a label in Graphviz's quotes; names come from files."""
    safe = (printable(row, 200).replace("\\", "\\\\").replace('"', '\\"') for row in rows)
    return '"{}"'.format("\\n".join(safe))
