"""The function that is minimised: one fixed-shape ONNX model, image → (loss, gradient)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from styletransfer import onnxgrad
from styletransfer.errors import NetworkError
from styletransfer.losses import Term
from styletransfer.onnxgrad import GraphBuilder, rewrites
from styletransfer.session import Device, Session

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
    network: onnx.ModelProto, image: np.ndarray, terms: Sequence[Term], device: Device
) -> dict[str, np.ndarray]:
    """Compute what terms match: features of a content image, Gram matrices of a style image.

    Parameters
    ----------
    network : onnx.ModelProto
        A forward graph with an input `data`, each layer an output of its name.
    image : ndarray, shape (1, 3, H, W)
        Preprocessed, see `images.preprocess`.
    terms : sequence of Term
        The terms whose targets are wanted.
    device : Device
        Where to compute.

    Returns
    -------
    dict of str to ndarray
        The statistic of each term, by the term's name, float32.
    """
    graph = _network_graph(network, image.shape, terms)
    names = [term.statistic(graph, term.layer) for term in terms]
    # The session lives only here: its memory is free again before the objective's is made.
    values = Session(graph.model(list(dict.fromkeys(names))), device).run({IMAGE: image})
    return {term.name: values[name] for term, name in zip(terms, names, strict=True)}


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
    ) -> None:
        self.shape = tuple(shape)
        self.terms = tuple(terms)
        self._session = Session(build(network, shape, terms), device)
        self.provider = self._session.provider

    def bind(self, targets: Mapping[str, np.ndarray], weights: Sequence[float]) -> None:
        """Set what the terms match, and how much each counts.

        Parameters
        ----------
        targets : mapping of str to ndarray
            A statistic for every term's name, see `statistics`.
        weights : sequence of float
            A factor for each term, in the terms' order.
        """
        self._weights = np.array(weights, np.float64)
        inputs = {f"target/{term.name}": targets[term.name] for term in self.terms}
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

    Its inputs are `data`, `weights` (T,) and a `target/<term>` for every term; its outputs `terms`
    (T,), before their weights, and `gradient/data`, the gradient of their weighted sum.
    """
    graph = _network_graph(network, shape, terms)
    distances = []
    for term in terms:
        with graph.scope(term.name):
            statistic = term.statistic(graph, term.layer)
            target = graph.input(f"target/{term.name}", graph.shape(statistic))
            distances.append(term.distance(graph, term.layer, statistic, target))
    values = graph.op("Concat", *distances, axis=0, output="terms")
    weights = graph.input("weights", (len(terms),))
    weighted = graph.op("Mul", values, weights, output="weighted terms")
    loss = graph.op("ReduceSum", weighted, output="loss")
    one = graph.constant(np.ones(1, np.float32))
    gradient = onnxgrad.backward(graph, {loss: one}, [IMAGE])[IMAGE]
    if convolution != "direct":
        rewrites.winograd(graph, rewrites.pays if convolution == "auto" else lambda _: True)
    return graph.model([values, graph.op("Identity", gradient, output=f"gradient/{IMAGE}")])


def _network_graph(
    network: onnx.ModelProto, shape: Sequence[int], terms: Sequence[Term]
) -> GraphBuilder:
    """Return a builder over the network at one image shape, having checked the terms' layers."""
    known = [output.name for output in network.graph.output]
    for term in terms:
        if term.layer not in known:
            raise NetworkError(
                f"the network has no layer {term.layer!r}; it has: {', '.join(known)}"
            )
    return GraphBuilder(network, {IMAGE: shape})
