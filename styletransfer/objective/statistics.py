"""What terms match of a picture, and the network's graph that it is computed from."""

from collections.abc import Sequence

import numpy as np
import onnx

from styletransfer.caffe.layers import INPUT
from styletransfer.errors import NetworkError, UnknownNameError
from styletransfer.objective.starting import start
from styletransfer.objective.term import Matching, Term
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.runtime.devices import Device
from styletransfer.text import some, suggestion


def statistics(
    network: onnx.ModelProto,
    image: np.ndarray,
    terms: Sequence[Matching],
    device: Device,
) -> dict[str, np.ndarray]:
    """Compute what terms match: features of a content image, Gram matrices of a style image.

    It depends on nothing but its arguments, and of the terms not on their masks, which are of the
    result: a caller may keep it for as many results as there are.

    Parameters
    ----------
    network : onnx.ModelProto
        A forward graph with an input `data`, each layer an output of its name.
    image : ndarray, shape (1, 3, H, W)
        Preprocessed, see `images.preprocess`.
    terms : sequence of Content, Gram or Wasserstein
        The terms whose targets are wanted.
    device : Device
        Where to compute.

    Returns
    -------
    dict of str to ndarray
        The target of each term, by the term's name, float32.

    Raises
    ------
    NetworkError
        If the network has no layer of a term's name, or that layer has no positions.
    """
    graph = forward(network, image.shape, terms)
    names = [term.of_picture(graph, term.layer) for term in terms]
    # The session lives only here: its memory is free again before the objective's is made.
    values = start(graph, list(dict.fromkeys(names)), device).run({INPUT: image})
    return {term.name: term.target(values[name]) for term, name in zip(terms, names, strict=True)}


def forward(network: onnx.ModelProto, shape: Sequence[int], terms: Sequence[Term]) -> GraphBuilder:
    """Return a builder over what terms need of a network, at one image shape.

    What they do not need is left out: it may not fit the image.
    """
    known = [output.name for output in network.graph.output]
    layers = list(dict.fromkeys(term.layer for term in terms))
    for layer in layers:
        if layer not in (INPUT, *known):
            raise UnknownNameError(
                f"the network has no layer {layer!r}; it has {some(known)}"
                f"{suggestion(layer, known)}"
            )
    graph = GraphBuilder(network, {INPUT: shape}, layers)
    for layer in layers:
        if len(graph.shape(layer)) != 4:
            raise NetworkError(
                f"the layer {layer!r} has no height and width, but the shape {graph.shape(layer)};"
                " choose one before the image is flattened"
            )
    return graph
