"""A Caffe network, given as a list of layers and their weights, becomes an ONNX model."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import onnx

from styletransfer.caffe.layers.graph import INPUT, Dim, Layer, LayerGraph, Weights
from styletransfer.caffe.layers.translations import TRANSLATIONS, WEIGHTED
from styletransfer.errors import NetworkError

__all__ = ["INPUT", "SUPPORTED", "Dim", "Layer", "Weights", "to_onnx"]

SUPPORTED = tuple(sorted(TRANSLATIONS))

log = logging.getLogger(__name__)

_NO_WEIGHTS = "the file of weights has none for it"
_ANY_SIZE = "it works for one size of image only, and the size is left open"


def to_onnx(
    layers: Sequence[Layer],
    weights: Weights,
    input_shape: Sequence[Dim],
    input_name: str = INPUT,
    name: str = "network",
    report: Callable[..., None] = log.warning,
) -> onnx.ModelProto:
    """Translate a network into an ONNX model of its forward pass.

    Layers at the end of the network that have no weights are left out, and so is a layer that
    flattens or reshapes an image whose size is symbolic, each with all that follows it.

    Parameters
    ----------
    layers : sequence of Layer
        In the order of evaluation.
    weights : mapping of str to sequence of ndarray
        Each layer's weight blobs in Caffe's order and layout: (out, in / group, height, width)
        and (out,) for a convolution. Layers that the network does not have are ignored.
    input_shape : sequence of int or str
        (batch, channels, height, width); a string names a symbolic size, but not of channels.
    input_name : str
        The blob that is the image, which the model calls ``data``.
    name : str
        The graph's name.
    report : callable
        Logs what is left out.

    Returns
    -------
    onnx.ModelProto
        float32; input ``data``, every blob an output of its own name, initializers
        ``<layer>/weight`` and ``<layer>/bias``.

    Raises
    ------
    NetworkError
        The layers do not form a network, or the weights are not those of this network.
    """
    layers = [part for layer in layers for part in _simple_parts(layer)]
    _check(layers, weights)
    graph = LayerGraph(layers, weights, input_name, input_shape)
    cut: dict[str, str] = {}  # blob that is left out -> why
    for layer in layers:
        reason = next((cut[blob] for blob in layer.bottoms if blob in cut), None)
        if reason is None:
            reason = _reason_to_cut(graph, layer, weights)
            if reason:
                report("the network is cut before layer %r: %s", layer.name, reason)
        elif layer.name in weights and reason == _NO_WEIGHTS:
            raise NetworkError(
                f"layer {layer.name!r} has weights, but not every layer before it has; "
                "the prototxt and the weights are of different networks"
            )
        if reason:
            cut.update(dict.fromkeys(layer.tops, reason))
        else:
            TRANSLATIONS[layer.type](graph, layer, **layer.settings)
    if cut.keys() >= {blob for layer in layers for blob in layer.tops}:
        raise NetworkError(f"no layer of the network can be used: {', '.join({*cut.values()})}")
    return graph.model(name)


def _simple_parts(layer: Layer) -> Iterator[Layer]:
    """Yield the layers to translate in place of one: none for a dropout in place, n for a split."""
    if layer.type == "Split" and len(layer.tops) > 1:
        for blob in layer.tops:
            yield replace(layer, name=f"{layer.name}/{blob}", tops=(blob,))
    elif layer.type != "Dropout" or layer.tops != layer.bottoms:
        yield layer


def _check(layers: Sequence[Layer], weights: Weights) -> None:
    seen: set[str] = set()
    for layer in layers:
        if layer.name in seen:
            raise NetworkError(f"two layers are called {layer.name!r}; rename one")
        seen.add(layer.name)
    needed = [layer.name for layer in layers if layer.type in WEIGHTED]
    if not layers:
        raise NetworkError("the network has no layers")
    if needed and not any(name in weights for name in needed):
        raise NetworkError(
            f"there are weights for none of the layers {', '.join(needed[:3])}, …; "
            f"the file has {', '.join(list(weights)[:3]) or 'none at all'}"
        )


def _reason_to_cut(graph: LayerGraph, layer: Layer, weights: Weights) -> str | None:
    if layer.type in WEIGHTED and layer.name not in weights:
        return _NO_WEIGHTS
    if layer.type in ("Flatten", "InnerProduct", "Reshape"):
        _, shape = graph.bottom(layer)
        if not all(isinstance(size, int) for size in shape[1:]):
            return _ANY_SIZE
    return None
