"""Instance normalisation that remembers: with a running mean of the statistics of earlier pictures.

What a network makes of a frame of a film depends on the mean and the variance of each of its
channels; that these change a little from frame to frame is part of why films flicker.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx

from styletransfer.feedforward import stages
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.reading import attributes

SHARE = "share"
"""The input of a graph that says how much the picture's own statistics count."""

STATISTICS = ("mean", "variance")

STYLE = "style"
"""Among the values of a `Memory`: what describes the style, where that is partly of the picture."""


@dataclass(frozen=True)
class Memory:
    """The statistics of the pictures so far.

    Attributes
    ----------
    values : mapping of str to ndarray, shape (channels,)
        ``<normalisation>/mean`` and ``<normalisation>/variance``, float32, and where it is to stay
        as it is `STYLE`; nothing at first.
    share : float
        How much the next picture counts beside them, from 0 to 1; at first it counts alone.
    """

    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    share: float = 1.0

    @property
    def own(self) -> np.float32:
        """How much the next picture counts."""
        return np.float32(self.share if self.values else 1)

    def before(self, name: str, channels: int) -> np.ndarray:
        """Return what the pictures so far add to the next running mean, (channels,)."""
        if not self.values:
            return np.zeros(channels, np.float32)
        return self.values[name] * (np.float32(1) - self.own)


def observe(graph: GraphBuilder, output: str) -> dict[str, int]:
    """Let a graph give the statistics of each normalisation that an output needs, as they are.

    What it paints stays the same, to the last bit. Returned are the numbers of channels, by the
    names of the statistics; the outputs are called as those of `rewrite`.
    """
    found: dict[str, int] = {}
    for node in stages.norms(graph, output):
        with graph.scope(node.output[0]):
            for kind, value in zip(STATISTICS, _moments(graph, node.input[0]), strict=True):
                name = f"{node.output[0]}/{kind}"
                graph.op("Identity", value, output=f"{name}/next")
                found[name] = graph.shape(node.input[0])[1]
    return found


def rewrite(graph: GraphBuilder, output: str) -> dict[str, int]:
    """Let each normalisation that an output needs use running means.

    With the running mean m' and variance v' it gives scale (x - m') / √(v' + ε) + shift, in one
    pass over x.

    Returns
    -------
    dict of str to int
        For each statistic the number of its channels. Inputs of its name, (channels,), take
        `Memory.before`; outputs ``<name>/next`` give the running means.
    """
    wanted = {node.output[0] for node in stages.norms(graph, output)}
    if not wanted:
        return {}
    graph.input(SHARE, (1,))
    found: dict[str, int] = {}

    def replace(node: onnx.NodeProto) -> bool:
        if node.output[0] not in wanted:
            return False
        found.update(_running(graph, node))
        return True

    graph.rebuild(replace)
    return found


def _running(graph: GraphBuilder, node: onnx.NodeProto) -> dict[str, int]:
    """Put a normalisation with running means in the place of a node."""
    (x, scale, shift), name = node.input, node.output[0]
    channels = graph.shape(x)[1]
    epsilon = float(attributes(node).get("epsilon", 1e-5))
    with graph.scope(name):
        running = []
        for kind, own in zip(STATISTICS, _moments(graph, x), strict=True):
            before = graph.input(f"{name}/{kind}", (channels,))
            share = graph.op("Mul", own, SHARE)
            running.append(graph.op("Add", before, share, output=f"{name}/{kind}/next"))
    mean, variance = running
    graph.op("BatchNormalization", x, scale, shift, mean, variance, epsilon=epsilon, output=name)
    return dict.fromkeys((f"{name}/{kind}" for kind in STATISTICS), channels)


def _moments(graph: GraphBuilder, x: str) -> tuple[str, str]:
    """Append the mean and the variance of a tensor's channels."""
    _, channels, height, width = graph.shape(x)
    axes = graph.integers([0, 2, 3], "axes")
    mean = graph.op("ReduceMean", x, axes, keepdims=0)
    column = graph.reshape(mean, (1, channels, 1, 1))
    squares = graph.op("ReduceSumSquare", graph.op("Sub", x, column), axes, keepdims=0)
    return mean, graph.op("Mul", squares, graph.scalar(1 / (height * width), x))
