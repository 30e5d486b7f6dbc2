"""Weights in the containers they are published in, written without the readers, and provenances."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from styletransfer import networks
from styletransfer.networks import NETWORKS, Network
from styletransfer.weights import cache, containers
from styletransfer.weights.cache import Provenance

Weights = dict[str, tuple[np.ndarray, np.ndarray]]


def short_vgg() -> Network:
    """Return VGG-16 up to conv2_1, to have small files."""
    return replace(
        NETWORKS["vgg16"],
        layers=NETWORKS["vgg16"].layers[:6],
        style_layers={"conv1_1": 1.0},
        content_layers={"conv2_1": 1.0},
    )


def tiny_classifier() -> Network:
    """Return a classifier in the manner of VGG, of 8 x 8 pixels."""
    whole = networks.CLASSIFIERS["vgg16-classifier"]
    connected = [layer for layer in whole.layers if layer.type in ("InnerProduct", "Softmax")]
    first = replace(connected[0], bottoms=("pool1",))
    counts = {"fc6": 5, "fc7": 6, "fc8": 7}
    top = [
        replace(layer, settings={"num_output": counts[layer.name]})
        if layer.name in counts
        else layer
        for layer in (first, *connected[1:])
    ]
    return replace(whole, layers=(*whole.layers[:5], *top), input_size=8, flattened=4)


def random_weights(network: Network, seed: int = 0) -> Weights:
    rng = np.random.default_rng(seed)
    return {
        layer: tuple(rng.standard_normal(shape, np.float32) * np.float32(0.05) for shape in shapes)
        for layer, shapes in networks.weight_shapes(network).items()
    }


def provenance_of(weights: Weights, **facts: str) -> Provenance:
    """Return a provenance that fits weights; what is not said is made up."""
    usual = {
        "source": "somewhere",
        "origin": "a test",
        "identity": "original",
        "precision": "exact",
        "licence": "CC0",
        "file_digest": "",
        "weights_digest": containers.weights_digest(weights),
        "date": cache.now(),
    }
    return Provenance(**(usual | facts))


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    return bytes(data)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def write_caffemodel(path: Path, weights: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Write protobuf's wire format: layer = 100 { name = 1, blobs = 7 { data = 5, shape = 7 } }."""
    model = b""
    for layer, arrays in weights.items():
        message = _field(1, layer.encode())
        for array in arrays:
            shape = _field(1, b"".join(map(_varint, array.shape)))
            message += _field(7, _field(5, array.tobytes()) + _field(7, shape))
        model += _field(100, message)
    path.write_bytes(model)


def write_hdf5(path: Path, weights: Weights, side: int = 7) -> None:
    """Write what Keras does: a group a layer, HWIO kernels; fc6 of a map's (H, W, C), flattened."""
    connected = {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}
    with h5py.File(path, "w") as file:
        for layer, (weight, bias) in weights.items():
            name = connected.get(layer) or f"block{layer[4]}_conv{layer[6]}"
            group = file.create_group(name)
            if layer == "fc6":
                maps = weight.reshape(len(weight), -1, side, side)
                weight = np.moveaxis(maps, 1, 3).reshape(len(weight), -1)
            kernel = weight.T if weight.ndim == 2 else weight.transpose(2, 3, 1, 0)
            group[f"{name}_W_1:0"] = kernel
            group[f"{name}_b_1:0"] = bias
