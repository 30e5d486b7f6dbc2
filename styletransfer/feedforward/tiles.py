"""Pictures of any size in bounded memory: in tiles, with statistics of the whole picture.

A stage after the other computes what the next normalisation normalises, tile by tile, and adds up
its mean and variance exactly (in float64, without cancellation). What the next stages read is kept
for the whole picture where that is small enough, which it is once a network has reduced the size;
what is not kept they compute again. So the painting is that of the whole picture, but for rounding.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, sqrt

import numpy as np
import onnx

from styletransfer.errors import NetworkError
from styletransfer.feedforward import fast, stages
from styletransfer.feedforward.memory import STATISTICS, Memory
from styletransfer.feedforward.stages import Plan
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.reading import attributes
from styletransfer.runtime.devices import Device
from styletransfer.runtime.session import Session

KEPT_BYTES = 800 << 20
"""What may be kept of the whole picture between two stages."""

TILE_BYTES = 200 << 20
"""About what the tensors of a tile take while it is computed."""

ALIVE = 4
"""How many tensors of the size of a tile's largest there are at a time, by measurement."""

Region = tuple[slice, slice]
Fetch = Callable[[slice, slice], np.ndarray]
"""Gives rows and columns of the picture as the network takes them, (1, 3, height, width)."""

Store = Callable[[np.ndarray, slice, slice], None]
"""Takes what was painted at rows and columns, (3, height, width)."""


@dataclass(frozen=True)
class Picture:
    """The graph of the whole picture: shapes, and how its tensors lie."""

    graph: GraphBuilder
    image: str
    output: str
    plan: Plan

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.graph.shape(self.image)[2:]
        return height, width


def paint(
    make: Callable[[int, int], GraphBuilder],
    picture: Picture,
    fetch: Fetch,
    store: Store,
    style: Mapping[str, np.ndarray],
    device: Device,
    tell: Callable[[float], None],
    before: Memory,
) -> dict[str, np.ndarray]:
    """Paint a picture in tiles; return the running statistics, see `Memory.values`.

    Parameters
    ----------
    make : callable
        Gives the network's graph at a height and width, with the names of `picture`'s.
    picture : Picture
        Of the whole.
    fetch, store : callable
        See `Fetch` and `Store`.
    style : mapping of str to ndarray
        Inputs besides the picture.
    device : Device
        Where to compute.
    tell : callable
        Gets the part that is done, from 0 to 1.
    before : Memory
        The statistics of earlier pictures, if there are any.
    """
    plan, output = picture.plan, picture.output
    factors = _style_factors(picture, style, device)
    numbers: dict[str, np.ndarray] = {}
    kept: dict[str, np.ndarray] = {}
    after: dict[str, np.ndarray] = {}
    for depth in range(plan.depth + 1):
        wanted = stages.targets(picture.graph, plan, output, depth)
        living = stages.living(picture.graph, plan, output, depth)
        keep = depth < plan.depth and _bytes(picture.graph, living) <= KEPT_BYTES
        fresh = {
            name: np.empty(picture.graph.shape(name)[1:], np.float32)
            for name in (living if keep else ())
            if name not in kept
        }
        moments = {name: _Moments() for name in wanted}
        runs = _Stage(
            make,
            picture,
            [*wanted, *(n for n in fresh if n not in wanted)],
            kept,
            fetch,
            numbers | dict(style),
            device,
        )
        for count, (name, tile, region) in enumerate(runs.run()):
            if depth == plan.depth:
                store(tile, *region)
            if name in fresh:
                fresh[name][:, region[0], region[1]] = tile
            if name in moments:
                moments[name].add(tile)
            tell((depth + (count + 1) / (runs.count * len(runs.wanted))) / (plan.depth + 1))
        if keep:
            kept = {name: kept[name] if name in kept else fresh[name] for name in living}
        for node in stages.norms(picture.graph, output):
            if node.input[0] in moments:
                scale, shift = factors[node.input[1]], factors[node.input[2]]
                mean, variance = (
                    before.before(name, value.size) + before.own * value
                    for name, value in _named(node, moments[node.input[0]].result()).items()
                )
                after |= _named(node, (mean.astype(np.float32), variance.astype(np.float32)))
                a = scale / np.sqrt(variance + attributes(node).get("epsilon", 1e-5))
                pair = {"a": a, "b": shift - mean * a}
                numbers |= {
                    f"{node.output[0]}/{key}": value.astype(np.float32).reshape(1, -1, 1, 1)
                    for key, value in pair.items()
                }
    return after


def _named(node: onnx.NodeProto, pair: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Return a normalisation's mean and variance by their names."""
    return {f"{node.output[0]}/{kind}": value for kind, value in zip(STATISTICS, pair, strict=True)}


class _Moments:
    """Mean and variance of channels, added up tile by tile (Chan, Golub and LeVeque)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: np.ndarray | float = 0.0
        self.squares: np.ndarray | float = 0.0

    def add(self, tile: np.ndarray) -> None:
        """Count a tile, (channels, height, width), float32 summed by rows, then float64."""
        count = tile[0].size
        mean = tile.mean(axis=2).mean(axis=1, dtype=np.float64)
        centred = tile - mean.astype(np.float32)[:, None, None]
        rest = centred.mean(axis=2).mean(axis=1, dtype=np.float64)
        squares = np.einsum("chw,chw->ch", centred, centred).sum(axis=1, dtype=np.float64)
        squares -= count * rest**2
        mean = mean.astype(np.float32) + rest
        apart, total = mean - self.mean, self.count + count
        self.squares = self.squares + squares + apart**2 * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance, (channels,)."""
        return np.asarray(self.mean), np.asarray(self.squares) / self.count


class _Stage:
    """One pass over the tiles: from what is kept of the whole picture to the tensors wanted."""

    def __init__(
        self,
        make: Callable[[int, int], GraphBuilder],
        picture: Picture,
        wanted: Sequence[str],
        kept: Mapping[str, np.ndarray],
        fetch: Fetch,
        feeds: Mapping[str, np.ndarray],
        device: Device,
    ) -> None:
        self.picture, self.wanted, self.kept, self.fetch = picture, list(wanted), kept, fetch
        known = [*kept, picture.image] if kept else [picture.image]
        whole = stages.carve(picture.graph, picture.plan, known, wanted)
        # As cut edges begin at what is known, so does what they spoil.
        self.places = stages.places(whole, {n: picture.plan.places[n].ratio for n in known})
        self.halo = self._halo(wanted)
        self.window = self._window(whole)
        part = stages.carve(make(*self.window), picture.plan, known, wanted)
        self.shapes = {name: part.shape(name) for name in (*part.inputs, *wanted)}
        fast.rewrite(part)
        model = part.model(wanted).SerializeToString()
        self.inputs = [name for name in part.inputs if name in known]
        self.session = Session(model, device)
        self.session.bind({n: feeds[n] for n in part.inputs if n not in known})
        self.cuts = [list(self._cuts(axis)) for axis in (0, 1)]

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return len(self.cuts[0]) * len(self.cuts[1])

    def run(self) -> Iterator[tuple[str, np.ndarray, Region]]:
        """Yield each tensor of each tile, (channels, height, width), and where in it that lies."""
        for rows in self.cuts[0]:
            for columns in self.cuts[1]:
                values = self.session.run({n: self._known(n, rows, columns) for n in self.inputs})
                for name in self.wanted:
                    down, across = self._own(name, 0, rows), self._own(name, 1, columns)
                    region = (down[0], across[0])
                    yield name, values[name][0][:, down[1], across[1]], region

    def _known(self, name: str, rows: "_Cut", columns: "_Cut") -> np.ndarray:
        ratio = self.places[name].ratio
        size = self.shapes[name][2:]
        starts = [int(cut.start / ratio) for cut in (rows, columns)]
        down, across = (slice(at, at + n) for at, n in zip(starts, size, strict=True))
        if name == self.picture.image:
            return self.fetch(down, across)
        return self.kept[name][np.newaxis, :, down, across]

    def _own(self, name: str, axis: int, cut: "_Cut") -> tuple[slice, slice]:
        """Return what a tile owns of a tensor's axis, in the whole and in the tile."""
        ratio = self.places[name].ratio
        length = self.picture.graph.shape(name)[2 + axis]
        first = 0 if cut.first == 0 else int(cut.first / ratio)
        last = length if cut.last == self.picture.size[axis] else int(cut.last / ratio)
        offset = int(cut.start / ratio)
        return slice(first, last), slice(first - offset, last - offset)

    def _halo(self, wanted: Sequence[str]) -> int:
        """Return how many pixels a tile needs around it, a multiple of the plan's step."""
        pixels = max(
            (self.places[name].spoilt + self._excess(name)) * self.places[name].ratio
            for name in wanted
        )
        return ceil(pixels / self.picture.plan.step) * self.picture.plan.step

    def _excess(self, name: str) -> Fraction:
        """Return by how many elements a tensor differs from what its ratio says."""
        sizes = zip(self.picture.graph.shape(name)[2:], self.picture.size, strict=True)
        return max(abs(length - n / self.places[name].ratio) for length, n in sizes)

    def _window(self, whole: GraphBuilder) -> tuple[int, int]:
        """Return the size of a tile with what is around it, of about `TILE_BYTES`."""
        height, width = self.picture.size
        step = self.picture.plan.step
        tensors = [name for node in whole.nodes for name in node.output]
        largest = max((_bytes(whole, [name]) for name in (*tensors, *whole.inputs)), default=0)
        pixels = TILE_BYTES / (ALIVE * largest / (height * width))
        side = max(sqrt(pixels), 4 * self.halo + step)
        tall = min(height, int(max(side, pixels / width if width < side else 0)) // step * step)
        wide = min(width, int(max(side, pixels / tall if tall < side else 0)) // step * step)
        return tall, wide

    def _cuts(self, axis: int) -> Iterator["_Cut"]:
        size, window = self.picture.size[axis], self.window[axis]
        own = size if window >= size else window - 2 * self.halo
        for first in range(0, size, own):
            start = min(max(first - self.halo, 0), size - window)
            yield _Cut(start, first, min(first + own, size))


@dataclass(frozen=True)
class _Cut:
    """A tile along one axis: where it begins with what is around it, and what of it is its own."""

    start: int
    first: int
    last: int


def _style_factors(
    picture: Picture, style: Mapping[str, np.ndarray], device: Device
) -> dict[str, np.ndarray]:
    """Return scale and shift of every normalisation, as they are for a style."""
    graph = picture.graph
    names = {n for node in stages.norms(graph, picture.output) for n in node.input[1:]}
    known = {n: value for n in names if (value := graph.value(n)) is not None}
    computed = sorted(names - known.keys())
    if computed:
        model = graph.model(computed)
        session = Session(model.SerializeToString(), device)
        used = {value.name for value in model.graph.input}
        if not used <= style.keys():
            raise NetworkError("Its normalisations depend on the picture in another way.")
        known |= session.run({n: v for n, v in style.items() if n in used})
    return {name: value.astype(np.float64) for name, value in known.items()}


def _bytes(graph: GraphBuilder, names: Sequence[str]) -> int:
    return sum(4 * int(np.prod(graph.shape(name))) for name in names)
