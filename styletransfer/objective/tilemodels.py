"""The models of a `TiledObjective`: of a tile, and of the loss of what all tiles add up to."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from styletransfer import onnxgrad
from styletransfer.caffe.layers import INPUT
from styletransfer.errors import NetworkError
from styletransfer.objective.statistics import forward
from styletransfer.objective.term import Matching, Part, Term
from styletransfer.objective.tiles import Layout
from styletransfer.objective.whole import winograd_choice
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.rewrites import pools, winograd
from styletransfer.runtime.devices import Device
from styletransfer.settings.choices import Convolution

GRADIENT = f"gradient/{INPUT}"

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Statistic:
    """A sum over positions that one or several terms are made of; `term` is one of them."""

    term: Term

    @property
    def name(self) -> str:
        """An output of the model of tiles, an input of that of the loss."""
        return f"statistic/{self.term.name}"

    @property
    def reference(self) -> str:
        """What all tiles are taken about, an input of both models."""
        return f"reference/{self.term.name}"

    @property
    def cotangent(self) -> str:
        """The derivative of the loss by it, an output of the loss's model, an input of tiles."""
        return f"cotangent/{self.term.name}"

    @property
    def centred(self) -> bool:
        """Whether it has a reference."""
        return isinstance(self.term, Matching) and self.term.centred

    def centre(self, value: np.ndarray) -> np.ndarray:
        """Return the best reference, of a value about any other."""
        assert isinstance(self.term, Matching)
        return self.term.centre(value)


def shared(terms: Iterable[Term]) -> dict[str, Statistic]:
    """Return for the name of each term the statistic that it is made of."""
    found: dict[str, Statistic] = {}
    known: dict[Term, Statistic] = {}
    for term in terms:
        key: Term = term
        if isinstance(term, Matching) and not term.pointwise:
            key = replace(term, picture="")  # it makes no difference to the statistic
        found[term.name] = known.setdefault(key, Statistic(term))
    return found


def assemble(
    network: onnx.ModelProto,
    layout: Layout,
    terms: Sequence[Matching],
    device: Device,
    convolution: Convolution = "auto",
) -> tuple[GraphBuilder, list[str]]:
    """Return the graph of one tile, which serves all, and its outputs.

    Its inputs are `data`, a tile's box; for each statistic its `cotangent/` and, where it has one,
    its `reference/`; `target/<term>` for each term that compares position by position, the part of
    the box; and `counted/`, (1, 1, h, w), for each layer and mask. Its outputs are the statistics
    and `gradient/data`.
    """
    graph = forward(network, layout.size, terms)
    outputs = append(graph, layout, terms)
    return graph, differentiated(graph, outputs, winograd_choice(convolution, device))


def append(graph: GraphBuilder, layout: Layout, terms: Sequence[Matching]) -> dict[Statistic, str]:
    """Append the statistics of a tile; return the output of each."""
    outputs = {}
    for statistic in dict.fromkeys(shared(terms).values()):
        term = statistic.term
        assert isinstance(term, Matching)
        shape = graph.shape(term.layer)
        counted, reference = counted_input(term), None
        if counted not in graph.inputs:
            graph.input(counted, (1, 1, *shape[2:]))
        if term.pointwise:
            reference = graph.input(f"target/{term.name}", shape)
        elif statistic.centred:
            reference = graph.input(statistic.reference, (shape[1], 1))
        height, width = layout.whole[term.layer]
        part = Part(
            term.layer,
            (height, width),
            counted,
            reference,
            share=1 / len(layout.grid.tiles),
        )
        with graph.scope(term.name):
            value = term.statistic(graph, part)
        outputs[statistic] = graph.op("Identity", value, output=statistic.name)
    return outputs


def differentiated(
    graph: GraphBuilder,
    outputs: Mapping[Statistic, str],
    choose: Callable[[winograd.Convolution], bool] | None = None,
) -> list[str]:
    """Append the gradient of statistics, their cotangents being given; return all outputs."""
    cotangents = {
        name: graph.input(statistic.cotangent, graph.shape(name))
        for statistic, name in outputs.items()
    }
    gradient = onnxgrad.backward(graph, cotangents, [INPUT])[INPUT]
    if gradient is None:
        raise NetworkError("none of the layers that are matched depends on the image")
    pools.rewrite(graph)
    if choose is not None:
        winograd.rewrite(graph, choose)
    return [*outputs.values(), graph.op("Identity", gradient, output=GRADIENT)]


def build_loss(
    terms: Sequence[Term], shapes: Shapes, sizes: Mapping[str, tuple[int, ...]]
) -> onnx.ModelProto:
    """Return the model of the loss of the statistics of a whole image.

    Its inputs are the statistics, their `reference/`, a `target/<term>` for each term that compares
    these, and `weights` (T,); its outputs `terms` (T,), before their weights, and the `cotangent/`
    of each statistic.
    """
    graph = GraphBuilder()
    of_term = shared(terms)
    finished = finish(graph, list(dict.fromkeys(of_term.values())), shapes)
    distances = []
    for term in terms:
        value, target = finished[of_term[term.name]], None
        if isinstance(term, Matching) and not term.pointwise:
            target = graph.input(f"target/{term.name}", graph.shape(value))
        height, width = sizes[term.layer]
        with graph.scope(term.name):
            distances.append(term.distance(graph, value, target, (height, width)))
    values = graph.op("Concat", *distances, axis=0, output="terms")
    weights = graph.input("weights", (len(terms),))
    loss = graph.op("ReduceSum", graph.op("Mul", values, weights), output="loss")
    one = graph.constant(np.ones(1, np.float32))
    gradients = onnxgrad.backward(graph, {loss: one}, [s.name for s in finished])
    outputs = [values]
    for statistic in finished:
        gradient = gradients[statistic.name]
        assert gradient is not None, statistic.name
        outputs.append(graph.op("Identity", gradient, output=statistic.cotangent))
    return graph.model(outputs)


def finish(
    graph: GraphBuilder, statistics: Iterable[Statistic], shapes: Shapes
) -> dict[Statistic, str]:
    """Append what is made of the sums over the whole image, which are inputs."""
    finished = {}
    for statistic in statistics:
        shape, reference = shapes[statistic.name], None
        value = graph.input(statistic.name, shape)
        if statistic.centred:
            reference = graph.input(statistic.reference, (shape[0], 1))
        if isinstance(statistic.term, Matching):
            value = statistic.term.finish(graph, value, reference)
        finished[statistic] = graph.op("Identity", value)
    return finished


def counted_input(term: Matching) -> str:
    """Return the input that says what each position counts for a term."""
    if term.mask is None:
        return f"counted/{term.layer}"
    # Terms of one kind make the same of a mask.
    return f"counted/{term.layer}/{type(term).__name__}/{term.mask}"
