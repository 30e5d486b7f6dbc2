"""Instance normalisation that remembers: with a running mean of the statistics of earlier pictures.

What a network makes of a frame of a film depends on the mean and the variance of each of its
channels; that these change a little from frame to frame is part of why films flicker.
The first picture's are of all pixels, as those of a picture that is painted alone. Those of the
others are of some rows only, corrected by what the difference was in the first picture: a still
scene stays as it is, and they take a fraction of the time.
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

CORRECTIONS = ("offset", "ratio")
"""What of some rows is made of all by: the mean by a sum, the variance by a product."""

STEP = 5
"""Of every so many rows one is measured; odd, as enlarging by 2 and 4 leaves patterns of rows."""

MOST = 4.0
"""The most that a correction changes a variance by, up or down."""

STYLE = "style"
"""Among the values of a `Memory`: what describes the style, where that is made of paintings."""


@dataclass(frozen=True)
class Memory:
    """The statistics of the pictures so far.

    Attributes
    ----------
    values : mapping of str to ndarray, shape (channels,)
        ``<normalisation>/mean`` and ``<normalisation>/variance`` of all pixels, float32, and with
        ``/offset`` and ``/ratio`` in their place the `CORRECTIONS`; `STYLE`; nothing at first.
    share : float
        How much the next picture counts beside them, from 0 to 1; at first it counts alone.
    """

    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    share: float = 1.0

    @property
    def own(self) -> np.float32:
        """How much the next picture counts."""
        return np.float32(self.share if self.values else 1)

    @property
    def corrections(self) -> dict[str, np.ndarray]:
        """Return what the first picture said of some rows beside all; it stays as it is."""
        return {n: v for n, v in self.values.items() if n.rpartition("/")[2] in CORRECTIONS}

    def before(self, name: str, channels: int) -> np.ndarray:
        """Return what the pictures so far add to the next running mean, (channels,)."""
        if not self.values:
            return np.zeros(channels, np.float32)
        return self.values[name] * (np.float32(1) - self.own)


def observe(graph: GraphBuilder, output: str) -> dict[str, int]:
    """Let a graph give the statistics of each normalisation that an output needs, as they are.

    What it paints stays the same, to the last bit. Returned are the numbers of channels by the
    names of the statistics and of the corrections; the outputs are called ``<name>/next``.
    """
    found: dict[str, int] = {}
    for node in stages.norms(graph, output):
        x, name = node.input[0], node.output[0]
        with graph.scope(name):
            whole, some = _moments(graph, x), _moments(graph, x, STEP)
            tiny = graph.scalar(_epsilon(node), x)
            ratio = graph.op("Div", *(graph.op("Add", pair[1], tiny) for pair in (whole, some)))
            limits = (graph.scalar(limit, x) for limit in (1 / MOST, MOST))
            values = *whole, graph.op("Sub", whole[0], some[0]), graph.op("Clip", ratio, *limits)
            for kind, value in zip(STATISTICS + CORRECTIONS, values, strict=True):
                graph.op("Identity", value, output=f"{name}/{kind}/next")
                found[f"{name}/{kind}"] = graph.shape(x)[1]
    return found


def rewrite(graph: GraphBuilder, output: str) -> dict[str, int]:
    """Let each normalisation that an output needs use running means.

    With the running mean m' and variance v' it gives scale (x - m') / √(v' + ε) + shift, in one
    pass over x.

    Returns
    -------
    dict of str to int
        For each statistic the number of its channels. Inputs of its name, (channels,), take
        `Memory.before`; outputs ``<name>/next`` give the running means. The corrections are inputs
        of their names.
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
    with graph.scope(name):
        offset, ratio = (graph.input(f"{name}/{kind}", (channels,)) for kind in CORRECTIONS)
        mean, variance = _moments(graph, x, STEP)
        own = graph.op("Add", mean, offset), graph.op("Mul", variance, ratio)
        running = []
        for kind, value in zip(STATISTICS, own, strict=True):
            before = graph.input(f"{name}/{kind}", (channels,))
            share = graph.op("Mul", value, SHARE)
            running.append(graph.op("Add", before, share, output=f"{name}/{kind}/next"))
    mean, variance = running
    given = x, scale, shift, mean, variance
    graph.op("BatchNormalization", *given, epsilon=_epsilon(node), output=name)
    return dict.fromkeys((f"{name}/{kind}" for kind in STATISTICS), channels)


def _epsilon(node: onnx.NodeProto) -> float:
    return float(attributes(node).get("epsilon", 1e-5))


def _moments(graph: GraphBuilder, x: str, step: int = 1) -> tuple[str, str]:
    """Append the mean and the variance of a tensor's channels, of one of every `step` rows."""
    _, channels, height, width = graph.shape(x)
    if step > 1:
        rows = (graph.integers([n]) for n in (0, height, 2, step))
        x = graph.op("Slice", x, *rows)
        height = graph.shape(x)[2]
    axes = graph.integers([0, 2, 3], "axes")
    mean = graph.op("ReduceMean", x, axes, keepdims=0)
    column = graph.reshape(mean, (1, channels, 1, 1))
    squares = graph.op("ReduceSumSquare", graph.op("Sub", x, column), axes, keepdims=0)
    return mean, graph.op("Mul", squares, graph.scalar(1 / (height * width), x))
