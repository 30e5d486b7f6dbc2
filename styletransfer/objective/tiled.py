"""The function that is minimised, computed tile by tile, in memory that the tile's size bounds.

The statistics of the layers are sums over positions. A first pass runs each tile forward and adds
up what its own positions give; a small model makes the loss of the sums, and its derivatives by
them; and a second pass runs each tile forward and backward with these as cotangents, and adds up
the pieces of the gradient. That is the gradient of the whole image, not an approximation.

What knows no network, total variation, is computed in bands of rows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
import onnx

from styletransfer.caffe.layers import INPUT
from styletransfer.errors import UsageError
from styletransfer.images import masks
from styletransfer.objective.protocol import Evaluation
from styletransfer.objective.starting import start
from styletransfer.objective.statistics import forward
from styletransfer.objective.term import Matching, Part, Sides, Term
from styletransfer.objective.tilemodels import (
    GRADIENT,
    Shapes,
    Statistic,
    append,
    assemble,
    build_loss,
    counted_input,
    differentiated,
    finish,
    shared,
)
from styletransfer.objective.tiles import Layout, Tile
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.runtime.devices import Device
from styletransfer.runtime.session import Session
from styletransfer.settings.choices import Convolution

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Models:
    """The models of pieces of one shape: of their statistics, and of the gradient.

    They are two: the runtime computes all of a model, whatever is wanted of it.
    """

    statistics: Session
    gradient: Session | None = None

    @classmethod
    def of(cls, graph: GraphBuilder, outputs: Sequence[str], device: Device) -> "Models":
        """Return the models of a graph, of whose outputs one is the gradient."""
        summed = [name for name in outputs if name != GRADIENT]
        sessions = (start(graph, names, device) for names in (summed, [GRADIENT]))
        return cls(*sessions)


@dataclass(frozen=True)
class Piece:
    """A part of the work: a box of the image, and the models that run on it.

    Attributes
    ----------
    models : Models
        They serve all pieces of one shape.
    box : tuple of slice
        Rows and columns of the image.
    inputs : callable
        Returns the inputs that are of this piece alone.
    """

    models: Models
    box: tuple[slice, slice]
    inputs: Callable[[], Arrays]

    def statistics(self, image: np.ndarray) -> Arrays:
        """Return the sums over this piece's own positions."""
        return self._run(self.models.statistics, image)

    def gradient(self, image: np.ndarray) -> np.ndarray:
        """Return this piece's part of the gradient, for the cotangents that are bound."""
        assert self.models.gradient is not None
        return self._run(self.models.gradient, image)[GRADIENT]

    def _run(self, session: Session, image: np.ndarray) -> Arrays:
        given = {INPUT: image[(..., *self.box)], **self.inputs()}
        return session.run({name: v for name, v in given.items() if name in session.inputs})


class TiledObjective:
    """A `WholeObjective` that is computed in tiles: the same values, to rounding.

    Parameters
    ----------
    network, shape, terms, device, convolution
        As of `WholeObjective`.
    side : int
        How many pixels of its own a tile has on each side, about and at most.

    Raises
    ------
    NetworkError
        As `WholeObjective`, and if the network cannot be divided, see `tiles.divide`.
    """

    def __init__(
        self,
        network: onnx.ModelProto,
        shape: Sequence[int],
        terms: Sequence[Term],
        device: Device,
        convolution: Convolution = "auto",
        side: int = 512,
    ) -> None:
        self.shape = tuple(shape)
        self.terms = tuple(terms)
        self.provider = device.provider
        self._device = device
        self._matching = [term for term in terms if isinstance(term, Matching)]
        others = [term for term in terms if not isinstance(term, Matching)]
        self._statistics = list(dict.fromkeys(shared(terms).values()))
        self.layout = Layout.of(network, shape, self._matching or others, side)
        pieces: list[Piece] = []
        self._shapes: Shapes = {}
        if self._matching:
            graph, outputs = assemble(network, self.layout, self._matching, device, convolution)
            self._shapes |= {name: graph.shape(name) for name in outputs if name != GRADIENT}
            models = Models.of(graph, outputs, device)
            del graph  # hundreds of MB
            pieces += [self._piece(models, tile) for tile in self.layout.grid.tiles]
        if others:
            bands, shapes = _bands(self.shape, others, device, side)
            self._shapes |= shapes
            pieces += bands
        self._pieces = pieces
        loss = build_loss(self.terms, self._shapes, self.layout.whole | {INPUT: self.shape[2:]})
        self._loss = Session(loss.SerializeToString(), device)
        self._targets: Arrays = {}
        self._masks: Arrays = {}

    def bind(
        self,
        targets: Mapping[str, np.ndarray],
        weights: Sequence[float],
        regions: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Set what the terms match, how much each counts, and where; see `WholeObjective.bind`."""
        self._weights = np.array(weights, np.float64)
        given = {f"target/{term.name}": targets[term.name] for term in self._matching}
        parts = {f"target/{term.name}" for term in self._matching if term.pointwise}
        self._targets = {name: given[name] for name in parts}
        whole = {name: value for name, value in given.items() if name not in parts}
        self._loss.bind(whole | {"weights": self._weights})
        self._masks = _masks(self._matching, self.layout.whole, regions or {}, self._device)

    def evaluate(self, image: np.ndarray) -> Evaluation:
        """Return the loss and its gradient at an image of the objective's shape."""
        sums, references = _sums(self._pieces, image, self._statistics, self._shapes)
        values = self._loss.run(sums | references)
        _bind(self._pieces, values)
        gradient: np.ndarray | None = None
        for piece in self._pieces:
            own = piece.gradient(image)
            if gradient is None:
                gradient = np.zeros(self.shape, own.dtype)
            gradient[(..., *piece.box)] += own
        assert gradient is not None
        return Evaluation.of(self.terms, values["terms"], self._weights, gradient)

    def _piece(self, models: Models, tile: Tile) -> Piece:
        def inputs() -> Arrays:
            found = _counted(self.layout, tile, self._matching, self._masks)
            for term in self._matching:
                name = f"target/{term.name}"
                if name in self._targets:
                    where = self.layout.positions(tile, term.layer)
                    found[name] = self._targets[name][(..., *where)]
            return found

        return Piece(models, self.layout.pixels(tile), inputs)


def statistics(
    network: onnx.ModelProto,
    image: np.ndarray,
    terms: Sequence[Matching],
    device: Device,
    side: int = 512,
) -> Arrays:
    """Compute what terms match of a picture, in tiles; otherwise as `statistics.statistics`.

    Parameters
    ----------
    network, image, terms, device
        As there.
    side : int
        As of `TiledObjective`.
    """
    bare = [replace(term, mask=None) for term in terms]  # masks are of the result
    layout = Layout.of(network, image.shape, bare, side)
    pointwise = [term for term in bare if term.pointwise]
    found = _features(network, image, layout, pointwise, device) if pointwise else {}
    summed = [term for term in bare if not term.pointwise]
    return found | (_summed(network, image, layout, summed, device) if summed else {})


def _features(
    network: onnx.ModelProto,
    image: np.ndarray,
    layout: Layout,
    terms: Sequence[Matching],
    device: Device,
) -> Arrays:
    """Return what terms match that compare position by position."""
    graph = forward(network, layout.size, terms)
    names = {term.layer: term.of_picture(graph, term.layer) for term in terms}
    session = start(graph, list(dict.fromkeys(names.values())), device)
    whole = {
        layer: np.empty((*graph.shape(name)[:2], *layout.whole[layer]), np.float32)
        for layer, name in names.items()
    }
    for tile in layout.grid.tiles:
        values = session.run({INPUT: image[(..., *layout.pixels(tile))]})
        for layer, name in names.items():
            inside = (..., *layout.inside(tile, layer))
            whole[layer][(..., *layout.own(tile, layer))] = values[name][inside]
    return {term.name: term.target(whole[term.layer]) for term in terms}


def _summed(
    network: onnx.ModelProto,
    image: np.ndarray,
    layout: Layout,
    terms: Sequence[Matching],
    device: Device,
) -> Arrays:
    """Return what terms match that are made of sums."""
    graph = forward(network, layout.size, terms)
    outputs = append(graph, layout, terms)
    session = start(graph, list(outputs.values()), device)
    shapes = {statistic.name: graph.shape(name) for statistic, name in outputs.items()}
    pieces = [
        Piece(Models(session), layout.pixels(tile), partial(_counted, layout, tile, terms, {}))
        for tile in layout.grid.tiles
    ]
    sums, references = _sums(pieces, image, list(outputs), shapes)
    end = GraphBuilder()
    names = finish(end, outputs, shapes)
    values = start(end, list(names.values()), device).run(sums | references)
    of_term = shared(terms)
    return {term.name: term.target(values[names[of_term[term.name]]]) for term in terms}


def _bands(
    shape: Sequence[int], terms: Sequence[Term], device: Device, side: int
) -> tuple[list[Piece], Shapes]:
    """Return bands of rows of an image for terms of the image alone, and their statistics' shapes.

    Each but the last has a row of the next one, see `Sides`.
    """
    height, width = shape[2:]
    edges = np.linspace(0, height, -(-height // side) + 1).astype(int).tolist()
    models: dict[object, Models] = {}
    pieces, shapes = [], {}
    for first, end in pairwise(edges):
        sides = Sides(top=first == 0, bottom=end == height)
        rows = slice(first, end + (not sides.bottom))
        key = (rows.stop - rows.start, sides)
        if key not in models:
            graph = GraphBuilder()
            graph.input(INPUT, (*shape[:2], key[0], width))
            outputs = {}
            for statistic in dict.fromkeys(shared(terms).values()):
                part = Part(INPUT, (height, width), sides=sides)
                value = statistic.term.statistic(graph, part)
                outputs[statistic] = graph.op("Identity", value, output=statistic.name)
                shapes[statistic.name] = graph.shape(value)
            models[key] = Models.of(graph, differentiated(graph, outputs), device)
        pieces.append(Piece(models[key], (rows, slice(0, width)), dict))
    return pieces, shapes


def _sums(
    pieces: Sequence[Piece],
    image: np.ndarray,
    statistics: Sequence[Statistic],
    shapes: Shapes,
) -> tuple[Arrays, Arrays]:
    """Return the statistics of an image, and what they were taken about."""
    zeros = {s.name: np.zeros(shapes[s.name], np.float32) for s in statistics}
    centred = [s for s in statistics if s.centred]
    references = {s.reference: s.centre(zeros[s.name]) for s in centred}
    _bind(pieces, references)
    sums = _add_up(pieces, image)
    if centred:
        # The moments about 0 are too rough, see `Wasserstein`; the means are not.
        references = {s.reference: s.centre(sums[s.name]) for s in centred}
        _bind(pieces, references)
        sums = _add_up(pieces, image)
    return sums, references


def _add_up(pieces: Iterable[Piece], image: np.ndarray) -> Arrays:
    sums: Arrays = {}
    for piece in pieces:
        for name, value in piece.statistics(image).items():
            sums[name] = sums.get(name, 0) + value.astype(np.float64)
    return sums


def _bind(pieces: Iterable[Piece], values: Arrays) -> None:
    """Give the models of pieces those values that they take."""
    for models in dict.fromkeys(piece.models for piece in pieces):
        for session in filter(None, (models.statistics, models.gradient)):
            session.bind({name: v for name, v in values.items() if name in session.inputs})


def _counted(
    layout: Layout, tile: Tile, terms: Sequence[Matching], weights: Mapping[str, np.ndarray]
) -> Arrays:
    """Return what positions count, as inputs of a tile."""
    found: Arrays = {}
    for term in terms:
        name = counted_input(term)
        if name not in found:
            found[name] = layout.counted(tile, term.layer, weights.get(name))
    return found


def _masks(
    terms: Sequence[Matching],
    sizes: Mapping[str, tuple[int, ...]],
    regions: Mapping[str, np.ndarray],
    device: Device,
) -> Arrays:
    """Return for each input that says what masked positions count its value at all of a layer."""
    graph = GraphBuilder()
    given, names = {}, []
    for term in terms:
        name = counted_input(term)
        if term.mask is None or name in names:
            continue
        if term.mask not in regions:
            raise UsageError(f"the term {term.name} needs the mask {term.mask!r}; give one")
        height, width = sizes[term.layer]
        mask = graph.input(f"mask/{name}", (1, 1, height, width))
        given[mask] = masks.resize(regions[term.mask], (height, width)).reshape(1, 1, height, width)
        names.append(graph.op("Identity", term.weights(graph, mask), output=name))
    if not names:
        return {}
    return start(graph, names, device).run(given)
