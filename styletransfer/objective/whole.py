"""The function that is minimised: one fixed-shape ONNX model, image → (loss, gradient)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from styletransfer import onnxgrad
from styletransfer.errors import NetworkError, UsageError
from styletransfer.images import masks
from styletransfer.objective.losses import Matching, Term, TotalVariation
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.rewrites import pools, winograd
from styletransfer.runtime.session import CPU, Device, Session

IMAGE = "data"
"""The input of every network, and of the objective: (1, 3, H, W), BGR, 0..255 minus the mean."""


@dataclass(frozen=True)
class Evaluation:
    """What the objective is at one image.

    Attributes
    ----------
    loss : float
        The weighted sum of the terms.
    gradient : ndarray
        Its derivative by the image, of the image's shape, float32.
    terms : dict of str to float
        Each term with its weight, by the term's name; the loss is their sum.
    """

    loss: float
    gradient: np.ndarray
    terms: dict[str, float]


def statistics(
    network: onnx.ModelProto,
    image: np.ndarray,
    terms: Sequence[Matching],
    device: Device,
) -> dict[str, np.ndarray]:
    """Compute what terms match: features of a content image, Gram matrices of a style image.

    Parameters
    ----------
    network : onnx.ModelProto
        A forward graph with an input `data`, each layer an output of its name.
    image : ndarray, shape (1, 3, H, W)
        Preprocessed, see `images.preprocess`.
    terms : sequence of Content, Gram or Wasserstein
        The terms whose targets are wanted; of their masks, which are of the result, none applies.
    device : Device
        Where to compute.

    Returns
    -------
    dict of str to ndarray
        The target of each term, by the term's name, float32.
    """
    graph = _network_graph(network, image.shape, terms)
    statistic = _Statistics(graph)
    names = [statistic.of(replace(term, mask=None)) for term in terms]
    model = graph.model(list(dict.fromkeys(names)))
    # The session lives only here: its memory is free again before the objective's is made.
    values = Session(model.SerializeToString(), device).run({IMAGE: image})
    return {term.name: term.target(values[name]) for term, name in zip(terms, names, strict=True)}


class Objective:
    """A weighted sum of loss terms and its gradient, at images of one size.

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
        How 3×3 convolutions are computed, see `build`.

    Attributes
    ----------
    provider : str
        The execution provider that the session really uses.

    Raises
    ------
    NetworkError
        If the network has no layer of a term's name.

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
        convolution: str = "auto",
    ) -> None:
        self.shape = tuple(shape)
        self.terms = tuple(terms)
        if convolution == "auto" and device.provider != CPU:
            convolution = "direct"  # the libraries of GPUs have algorithms like it of their own
        model = build(network, shape, terms, convolution)
        self._sizes = _sizes(model)
        serialized = model.SerializeToString()
        del model  # hundreds of MB
        self._session = Session(serialized, device)
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
        values = self._session.run({IMAGE: image})
        # Summed here in float64: the steps between losses soon fall below float32's resolution.
        terms = self._weights * values["terms"]
        names = (term.name for term in self.terms)
        return Evaluation(
            float(terms.sum()),
            values[f"gradient/{IMAGE}"],
            dict(zip(names, terms.tolist(), strict=True)),
        )


def build(
    network: onnx.ModelProto,
    shape: Sequence[int],
    terms: Sequence[Term],
    convolution: str = "auto",
) -> onnx.ModelProto:
    """Return the model behind an `Objective`.

    Parameters
    ----------
    network : onnx.ModelProto
        A forward graph with an input `data`, each layer an output of its name.
    shape : sequence of int
        (1, 3, H, W) of the image.
    terms : sequence of Content, Gram, Wasserstein or TotalVariation
        What is summed; at least one.
    convolution : {"auto", "direct", "winograd"}
        How 3×3 convolutions are computed: as they are, by Winograd's algorithm, or, ``auto``, by
        that where it pays. The results differ by rounding only.

    Returns
    -------
    onnx.ModelProto
        Its inputs are `data`, `weights` (T,), a `target/<term>` for every term that matches a
        picture and a `mask/<mask>/<layer>` (1, 1, H, W) for every mask at every layer; its outputs
        `terms` (T,), before their weights, and `gradient/data`, the gradient of their weighted
        sum. All are float32.

    Raises
    ------
    NetworkError
        If the network lacks a term's layer.
    """
    graph = _network_graph(network, shape, terms)
    statistic = _Statistics(graph)
    distances = []
    for term in terms:
        with graph.scope(term.name):
            if isinstance(term, TotalVariation):
                distances.append(term.value(graph, term.layer))
                continue
            own = statistic.of(term)
            target = graph.input(f"target/{term.name}", graph.shape(own))
            mask = statistic.mask(term)
            distances.append(term.distance(graph, term.layer, own, target, mask))
    values = graph.op("Concat", *distances, axis=0, output="terms")
    weights = graph.input("weights", (len(terms),))
    weighted = graph.op("Mul", values, weights, output="weighted terms")
    loss = graph.op("ReduceSum", weighted, output="loss")
    one = graph.constant(np.ones(1, np.float32))
    gradient = onnxgrad.backward(graph, {loss: one}, [IMAGE])[IMAGE]
    pools.rewrite(graph)
    if convolution != "direct":
        winograd.rewrite(graph, winograd.pays if convolution == "auto" else lambda _: True)
    return graph.model([values, graph.op("Identity", gradient, output=f"gradient/{IMAGE}")])


class _Statistics:
    """The statistics of the terms of one graph: what several terms need is computed once."""

    def __init__(self, graph: GraphBuilder) -> None:
        self._graph = graph
        self._known: dict[Matching, str] = {}

    def of(self, term: Matching) -> str:
        """Return the statistic of a term."""
        # It does not depend on the picture that it is compared with.
        key = replace(term, picture="")
        if key not in self._known:
            self._known[key] = term.statistic(self._graph, term.layer, self.mask(term))
        return self._known[key]

    def mask(self, term: Matching) -> str | None:
        """Return the input that is a term's mask at the size of its layer."""
        if term.mask is None:
            return None
        name = _mask_input(term)
        if name not in self._graph.inputs:
            self._graph.input(name, (1, 1, *self._graph.shape(term.layer)[2:]))
        return name


def _mask_input(term: Matching) -> str:
    return f"mask/{term.mask}/{term.layer}"


def _sizes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the shape of each of a model's inputs."""
    return {
        value.name: tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
        for value in model.graph.input
    }


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


def _network_graph(
    network: onnx.ModelProto, shape: Sequence[int], terms: Sequence[Term]
) -> GraphBuilder:
    """Return a builder over what terms need of the network, at one image shape."""
    known = [output.name for output in network.graph.output]
    for term in terms:
        if term.layer not in (IMAGE, *known):
            raise NetworkError(
                f"the network has no layer {term.layer!r}; it has: {', '.join(known)}"
            )
    return GraphBuilder(_cut(network, {term.layer for term in terms}), {IMAGE: shape})


def _cut(network: onnx.ModelProto, layers: set[str]) -> onnx.ModelProto:
    """Return the part of a network that computes some layers: the rest may not fit the image."""
    needed = set(layers)
    nodes = []
    for node in reversed(network.graph.node):
        if not needed.isdisjoint(node.output):
            nodes.append(node)
            needed.update(node.input)
    part = onnx.ModelProto(ir_version=network.ir_version, opset_import=network.opset_import)
    part.graph.name = network.graph.name
    part.graph.node.extend(reversed(nodes))
    part.graph.input.extend(network.graph.input)
    part.graph.initializer.extend(i for i in network.graph.initializer if i.name in needed)
    return part
