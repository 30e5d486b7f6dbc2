"""The function that is minimised: one fixed-shape ONNX model, image → (loss, gradient)."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
import onnx

from styletransfer import onnxgrad
from styletransfer.caffe.layers import INPUT
from styletransfer.errors import NetworkError, UsageError
from styletransfer.images import masks
from styletransfer.objective.protocol import Evaluation
from styletransfer.objective.starting import start
from styletransfer.objective.statistics import forward
from styletransfer.objective.term import Matching, Part, Term
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.rewrites import pools, winograd
from styletransfer.runtime.devices import CPU, Device
from styletransfer.settings.choices import Convolution


class WholeObjective:
    """A weighted sum of loss terms and its gradient, at whole images of one size.

    Parameters
    ----------
    network : onnx.ModelProto
        A forward graph with an input `data`, each layer an output of its name.
    shape : sequence of int
        The image's shape, (1, 3, H, W).
    terms : sequence of Term
        At least one.
    device : Device
        Where to compute.
    convolution : {"auto", "direct", "winograd"}
        How 3×3 convolutions are computed: as they are, by Winograd's algorithm, or, ``auto``, by
        that where it pays; on a GPU never, whose libraries have algorithms like it of their own.
        The results differ by rounding only.

    Attributes
    ----------
    provider : str
        The execution provider that the session really uses.

    Raises
    ------
    NetworkError
        If the network has no layer of a term's name, or that layer has no positions.
    GradientError
        If the network cannot be built at this size, or differentiated.
    UsageError
        If there is no such way to compute convolutions.

    Notes
    -----
    Targets and weights are inputs of the model and not constants in it, so that one session serves
    any number of pictures of one size; they are set with `bind`.
    """

    def __init__(
        self,
        network: onnx.ModelProto,
        shape: Sequence[int],
        terms: Sequence[Term],
        device: Device,
        convolution: Convolution = "auto",
    ) -> None:
        self.shape = tuple(shape)
        self.terms = tuple(terms)
        graph, outputs = assemble(network, shape, terms, device, convolution)
        self._session = start(graph, outputs, device)
        self._sizes = {name: graph.shape(name) for name in self._session.inputs}
        self.provider = self._session.provider

    def bind(
        self,
        targets: Mapping[str, np.ndarray],
        weights: Sequence[float],
        regions: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Set what the terms match, how much each counts, and where.

        Parameters
        ----------
        targets : mapping of str to ndarray
            A target for the name of every term that matches a picture, see `statistics`.
        weights : sequence of float
            A factor for each term, in the terms' order.
        regions : mapping of str to ndarray, optional
            Every mask that a term names, (H, W) in [0, 1], of the proportions of the image under
            optimisation and of any size.

        Raises
        ------
        UsageError
            If a mask is no gray image in [0, 1], or black all over.
        """
        self._weights = np.array(weights, np.float64)
        matching = [term for term in self.terms if isinstance(term, Matching)]
        inputs = {f"target/{term.name}": targets[term.name] for term in matching}
        inputs |= _resized(regions or {}, matching, self._sizes)
        self._session.bind(inputs | {"weights": self._weights})

    def evaluate(self, image: np.ndarray) -> Evaluation:
        """Return the loss and its gradient at an image of the objective's shape."""
        values = self._session.run({INPUT: image})
        return Evaluation.of(
            self.terms, values["terms"], self._weights, values[f"gradient/{INPUT}"]
        )


def build(
    network: onnx.ModelProto,
    shape: Sequence[int],
    terms: Sequence[Term],
    device: Device,
    convolution: Convolution = "auto",
) -> onnx.ModelProto:
    """Return the model behind a `WholeObjective`, which takes the same arguments.

    Returns
    -------
    onnx.ModelProto
        Its inputs are `data`, `weights` (T,), a `target/<term>` for every term that matches a
        picture and a `mask/<mask>/<layer>` (1, 1, H, W) for every mask at every layer; its outputs
        `terms` (T,), before their weights, and `gradient/data`, the gradient of their weighted
        sum. All are float32.
    """
    graph, outputs = assemble(network, shape, terms, device, convolution)
    return graph.model(outputs)


def assemble(
    network: onnx.ModelProto,
    shape: Sequence[int],
    terms: Sequence[Term],
    device: Device,
    convolution: Convolution = "auto",
) -> tuple[GraphBuilder, list[str]]:
    """Return the graph that `build` makes a model of, and the outputs of that."""
    choose = winograd_choice(convolution, device)
    graph = forward(network, shape, terms)
    shared: dict[Hashable, str] = {}
    distances = []
    for term in terms:
        with graph.scope(term.name):
            distances.append(_distance(graph, term, shared))
    values = graph.op("Concat", *distances, axis=0, output="terms")
    weights = graph.input("weights", (len(terms),))
    weighted = graph.op("Mul", values, weights, output="weighted terms")
    loss = graph.op("ReduceSum", weighted, output="loss")
    one = graph.constant(np.ones(1, np.float32))
    gradient = onnxgrad.backward(graph, {loss: one}, [INPUT])[INPUT]
    if gradient is None:
        raise NetworkError("none of the layers that are matched depends on the image")
    pools.rewrite(graph)
    winograd.rewrite(graph, choose)
    return graph, [values, graph.op("Identity", gradient, output=f"gradient/{INPUT}")]


def winograd_choice(
    convolution: Convolution, device: Device
) -> Callable[[winograd.Convolution], bool]:
    """Return what decides which convolutions become Winograd's."""
    if convolution not in get_args(Convolution):
        raise UsageError(
            f"convolution is {convolution!r}; choose one of {', '.join(get_args(Convolution))}"
        )
    if convolution == "auto" and device.provider == CPU:
        return winograd.pays
    return lambda _: convolution == "winograd"


def _distance(graph: GraphBuilder, term: Term, shared: dict[Hashable, str]) -> str:
    """Append a term's value, (1,); what several terms need is in `shared` and computed once."""
    part = Part.entire(graph, term.layer)
    if not isinstance(term, Matching):
        return term.distance(graph, term.statistic(graph, part), None, part.whole)

    def once(key: Hashable, make: Callable[[], str]) -> str:
        if key not in shared:
            shared[key] = make()
        return shared[key]

    if term.mask is not None:
        mask = _mask(graph, term)
        weights = once((type(term), mask), lambda: term.weights(graph, mask))
        part = replace(part, weights=weights)
    name, target = f"target/{term.name}", None
    if term.pointwise:
        part = replace(part, reference=graph.input(name, graph.shape(term.layer)))
    # The name of the picture makes no difference to the statistic.
    finished = once(
        (replace(term, picture=""), part),
        lambda: term.finish(graph, term.statistic(graph, part)),
    )
    if not term.pointwise:
        target = graph.input(name, graph.shape(finished))
    return term.distance(graph, finished, target, part.whole)


def _mask(graph: GraphBuilder, term: Matching) -> str:
    """Return the input that is a term's mask at the size of its layer."""
    name = _mask_input(term)
    if name not in graph.inputs:
        graph.input(name, (1, 1, *graph.shape(term.layer)[2:]))
    return name


def _mask_input(term: Matching) -> str:
    return f"mask/{term.mask}/{term.layer}"


def _resized(
    regions: Mapping[str, np.ndarray],
    terms: Sequence[Matching],
    sizes: Mapping[str, Sequence[int]],
) -> dict[str, np.ndarray]:
    """Return the masks of terms, at the size of their layers, as inputs of a model."""
    inputs = {}
    for term in terms:
        name = _mask_input(term)
        if term.mask is None or name not in sizes:
            continue
        if term.mask not in regions:
            raise UsageError(f"the term {term.name} needs the mask {term.mask!r}; give one")
        inputs[name] = masks.resize(regions[term.mask], sizes[name][2:]).reshape(sizes[name])
    return inputs
