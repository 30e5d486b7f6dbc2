"""How an image is divided into tiles of which each layer has all positions, once.

A tile is computed on a box of the image, its own pixels and a halo around them, as wide as what the
positions of layers that belong to them see. All boxes are of one size and begin at multiples of the
network's total stride, and the last ends where the image ends: so a box is to the network what the
whole image is, but for its edges inside the image, and one model serves all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

import numpy as np
import onnx

from styletransfer.caffe.layers import INPUT
from styletransfer.errors import NetworkError
from styletransfer.objective.statistics import forward
from styletransfer.objective.term import Term
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.reading import attributes, describe
from styletransfer.onnxgrad.window import Axis, Window

ROWS, COLUMNS = 0, 1

# Each position of the output is made of the same one of the input, or of all inputs.
_BY_POSITION = frozenset(
    (
        *("Abs", "Add", "BatchNormalization", "Clip", "Div", "Dropout", "Elu", "Exp", "Identity"),
        *("LRN", "LeakyRelu", "Max", "Min", "Mul", "Neg", "PRelu", "Pow", "Relu", "Sigmoid"),
        *("Sqrt", "Sub", "Sum", "Tanh"),
    )
)
_ALONG_CHANNELS = frozenset(("Concat", "LogSoftmax", "Softmax", "Split"))


@dataclass(frozen=True)
class Reach:
    """What positions of layers see along one axis of the image, in pixels.

    Attributes
    ----------
    strides : dict of str to int
        For each layer how many pixels lie between its positions.
    total : int
        The least number of pixels that all of a network's strides divide.
    before, after : int
        How far positions that belong to a box see beyond it; `before` is a multiple of `total`.
    """

    strides: dict[str, int]
    total: int
    before: int
    after: int


@dataclass(frozen=True)
class Span:
    """A tile along one axis.

    Attributes
    ----------
    start : int
        Where its box begins.
    own : tuple of int
        The pixels that belong to it.
    last : bool
        Whether it ends where the image ends.
    """

    start: int
    own: tuple[int, int]
    last: bool

    def positions(self, stride: int, length: int) -> tuple[int, int]:
        """Return which positions of a layer, so many long, belong to it."""
        first, end = (min(pixel // stride, length) for pixel in self.own)
        return first, length if self.last else end


@dataclass(frozen=True)
class Tile:
    """A tile: what it is down and across."""

    rows: Span
    columns: Span


@dataclass(frozen=True)
class Grid:
    """All tiles of an image.

    Attributes
    ----------
    size : tuple of int
        Height and width of their boxes.
    tiles : tuple of Tile
        Row by row.
    reaches : tuple of Reach
        Down and across.
    """

    size: tuple[int, int]
    tiles: tuple[Tile, ...]
    reaches: tuple[Reach, Reach]


@dataclass(frozen=True)
class Layout:
    """Where the positions of each layer lie in the tiles of an image.

    Attributes
    ----------
    grid : Grid
        The tiles.
    shape : tuple of int
        Of the image, (1, 3, H, W).
    whole, box : dict of str to tuple of int
        Height and width of each layer in the whole image, and in the box of a tile.
    """

    grid: Grid
    shape: tuple[int, ...]
    whole: dict[str, tuple[int, ...]]
    box: dict[str, tuple[int, ...]]

    @classmethod
    def of(
        cls, network: onnx.ModelProto, shape: Sequence[int], terms: Sequence[Term], side: int
    ) -> "Layout":
        """Return how an image is divided into tiles of about so many pixels a side."""
        layers = list(dict.fromkeys(term.layer for term in terms))
        graph = forward(network, shape, terms)
        grid = divide(graph, layers, side)
        part = forward(network, (*shape[:2], *grid.size), terms)
        whole, box = ({n: g.shape(n)[2:] for n in layers} for g in (graph, part))
        result = cls(grid, tuple(shape), whole, box)
        for name in layers:
            for axis, reach in enumerate(grid.reaches):
                missing = (shape[2 + axis] - grid.size[axis]) // reach.strides[name]
                assert whole[name][axis] - box[name][axis] == missing, name
        return result

    @property
    def size(self) -> tuple[int, ...]:
        """The shape of a box, (1, 3, h, w)."""
        return (*self.shape[:2], *self.grid.size)

    def pixels(self, tile: Tile) -> tuple[slice, slice]:
        """Return where a tile's box lies in the image."""
        return self.positions(tile, INPUT, self.grid.size)

    def positions(
        self, tile: Tile, layer: str, size: Sequence[int] | None = None
    ) -> tuple[slice, slice]:
        """Return where a tile's box lies in a layer of the whole image."""
        rows, columns = (
            slice(start, start + count)
            for start, count in zip(self._starts(tile, layer), size or self.box[layer], strict=True)
        )
        return rows, columns

    def own(self, tile: Tile, layer: str) -> tuple[slice, slice]:
        """Return which positions of a layer of the whole image belong to a tile."""
        rows, columns = (
            slice(*span.positions(reach.strides[layer], length))
            for span, reach, length in zip(
                (tile.rows, tile.columns), self.grid.reaches, self.whole[layer], strict=True
            )
        )
        return rows, columns

    def inside(self, tile: Tile, layer: str) -> tuple[slice, slice]:
        """Return the same in the tile's box."""
        rows, columns = (
            slice(own.start - start, own.stop - start)
            for own, start in zip(self.own(tile, layer), self._starts(tile, layer), strict=True)
        )
        return rows, columns

    def _starts(self, tile: Tile, layer: str) -> tuple[int, int]:
        rows, columns = self.grid.reaches
        return (
            tile.rows.start // rows.strides.get(layer, 1),
            tile.columns.start // columns.strides.get(layer, 1),
        )

    def counted(self, tile: Tile, layer: str, weights: np.ndarray | None = None) -> np.ndarray:
        """Return what each position of a tile's box counts, (1, 1, h, w): nothing in the halo."""
        dtype = np.float32 if weights is None else weights.dtype
        counted = np.zeros((1, 1, *self.box[layer]), dtype)
        inside = (..., *self.inside(tile, layer))
        counted[inside] = 1 if weights is None else weights[(..., *self.own(tile, layer))]
        return counted


def divide(graph: GraphBuilder, layers: Sequence[str], side: int) -> Grid:
    """Divide the input of a network into tiles.

    Parameters
    ----------
    graph : GraphBuilder
        The network's forward graph at the size of the whole image.
    layers : sequence of str
        Those whose positions are divided.
    side : int
        How many pixels of its own a tile has on each side, about and at most.

    Raises
    ------
    NetworkError
        If the network has a node that makes its outputs of the image as a whole.
    """
    reaches = reach(graph, layers, ROWS), reach(graph, layers, COLUMNS)
    (height, rows), (width, columns) = (
        spans(length, side, own)
        for length, own in zip(graph.shape(INPUT)[2:], reaches, strict=True)
    )
    tiles = tuple(Tile(row, column) for row in rows for column in columns)
    return Grid((height, width), tiles, reaches)


def spans(length: int, side: int, reach: Reach) -> tuple[int, list[Span]]:
    """Return how long the boxes are along an axis, and the tiles."""
    count = -(-length // side)
    # The last box ends where the image ends, the first begins where it begins.
    for box in range((length - 1) % reach.total + 1, length, reach.total):
        step = (box - reach.after) // reach.total * reach.total - reach.before
        if step > 0 and (count - 1) * step >= length - box:
            break
    else:
        return length, [Span(0, (0, length), True)]
    starts = [min(i * step, length - box) for i in range(count)]
    starts = sorted(set(starts))
    edges = [0, *(start + reach.before for start in starts[1:]), length]
    return box, [
        Span(start, (edges[i], edges[i + 1]), i == len(starts) - 1)
        for i, start in enumerate(starts)
    ]


def reach(graph: GraphBuilder, layers: Sequence[str], axis: int) -> Reach:
    """Return what the positions of layers see along an axis, `ROWS` or `COLUMNS`."""
    strides = {INPUT: 1}
    for node in graph.nodes:
        window = _window(graph, node, axis)
        inputs = {strides[name] for name in node.input if name in strides}
        if len(inputs) != 1:
            raise _whole(node)
        (stride,) = inputs
        if node.op_type == "ConvTranspose":
            if stride % window.stride:
                raise _whole(node)
            stride //= window.stride
        else:
            stride *= window.stride
        strides |= dict.fromkeys(filter(None, node.output), stride)
    # From position 0 on, and up to it, as if the image had no edge.
    firsts, ends = dict.fromkeys(layers, 0), dict.fromkeys(layers, 0)
    for node in reversed(graph.nodes):
        seen = [name for name in node.output if name in firsts]
        if not seen:
            continue
        window = _window(graph, node, axis)
        first, end = min(firsts[n] for n in seen), max(ends[n] for n in seen)
        if node.op_type == "ConvTranspose":
            first = -((window.extent - 1 - window.before - first) // window.stride)
            end = (end - 1 + window.before) // window.stride + 1
        else:
            first = first * window.stride - window.before
            end = (end - 1) * window.stride - window.before + window.extent
        for name in node.input:
            if name in strides:
                firsts[name] = min(firsts.get(name, first), first)
                ends[name] = max(ends.get(name, end), end)
    total = lcm(*strides.values())
    before, after = max(0, -firsts.get(INPUT, 0)), max(0, ends.get(INPUT, 0))
    return Reach(
        {name: strides[name] for name in layers}, total, -(-before // total) * total, after
    )


def _window(graph: GraphBuilder, node: onnx.NodeProto, axis: int) -> Axis:
    """Return the window that a node slides along an axis."""
    if node.op_type in ("Conv", "ConvTranspose"):
        window = Window.of(node, graph.shape(node.input[1])[2:])
    elif node.op_type in ("AveragePool", "MaxPool"):
        window = Window.of(node)
    elif node.op_type in _BY_POSITION or (
        node.op_type in _ALONG_CHANNELS and attributes(node).get("axis", 0) in (1, -3)
    ):
        window = Window((Axis(1), Axis(1)))
        constants = [graph.shape(name) for name in node.input if graph.value(name) is not None]
        if node.op_type not in ("BatchNormalization", "Clip", "Split") and any(
            extent != 1 for shape in constants for extent in shape[-2:] if len(shape) > 1
        ):
            raise _whole(node)
    else:
        raise _whole(node)
    odd = attributes(node)
    if window is None or "output_shape" in odd or any(odd.get("output_padding", ())):
        raise _whole(node)
    return window.axes[axis]


def _whole(node: onnx.NodeProto) -> NetworkError:
    return NetworkError(
        f"the network cannot be computed in tiles: the {describe(node)} needs the image as a whole;"
        " switch tiles off (--tile off) or choose layers before it"
    )
