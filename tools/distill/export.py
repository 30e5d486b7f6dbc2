"""From a checkpoint to the product's ONNX file: fold, calibrate, round to float16, write, check.

GoogLeNet's features have the magnitudes that training gave BVLC's weights, and the usual
ratio of style to content rests on them. A network of convolutions and ReLUs can be given any
positive scale a layer without changing anything else: multiply a layer's weights and bias, divide
the weights of the layers that read it. So the layers that are matched are brought to the magnitudes
in `BVLC`, the only thing here that was measured with BVLC's weights.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from styletransfer import networks
from styletransfer.weights import cache, containers

from .data import Pictures
from .model import STYLE_LAYERS, Student
from .train import network_input

Weights = dict[str, tuple[np.ndarray, np.ndarray]]

CONTENT_LAYER = "inception_3a/output"  # has all but 2e-4 of GoogLeNet's content weight
ENTRIES = ("1x1", "3x3_reduce", "5x5_reduce", "pool_proj")
# Layers that write and that read what is matched.
WRITERS = {
    "conv1/7x7_s2": ("conv1/7x7_s2",),
    "conv2/3x3": ("conv2/3x3",),
    **{
        f"inception_{name}/output": tuple(
            f"inception_{name}/{part}" for part in ("1x1", "3x3", "5x5", "pool_proj")
        )
        for name in ("3a", "4a", "5a")
    },
}
READERS = {
    "conv1/7x7_s2": ("conv2/3x3_reduce",),
    "conv2/3x3": tuple(f"inception_3a/{part}" for part in ENTRIES),
    "inception_3a/output": tuple(f"inception_3b/{part}" for part in ENTRIES),
    "inception_4a/output": tuple(f"inception_4b/{part}" for part in ENTRIES),
    "inception_5a/output": (),
}
# What `magnitudes` gives for BVLC's weights.
BVLC = {
    "style conv1/7x7_s2": 5.86e6,
    "style conv2/3x3": 2.524e6,
    "style inception_3a/output": 4.446e6,
    "style inception_4a/output": 1163,
    "style inception_5a/output": 2.219,
    "content inception_3a/output": 1.119e9,
}


def folded_weights(checkpoint: Path) -> Weights:
    """Return the averaged student's weight (out, in, height, width) and bias (out,) by layer."""
    student = Student()
    student.load_state_dict(torch.load(checkpoint, weights_only=True)["average"])
    return {
        layer: (weight.numpy(), bias.numpy()) for layer, (weight, bias) in student.folded().items()
    }


def held_back_crops(folder: Path, count: int = 16, side: int = 256) -> np.ndarray:
    """Return the network's input for crops of held-back pictures, (count, 3, side, side)."""
    pictures = Pictures(folder, held=True, seed=7)
    crops = np.stack([pictures.crop(side, plain=True) for _ in range(count)])
    return network_input(torch.from_numpy(crops)).contiguous().numpy()


def magnitudes(model: onnx.ModelProto, crops: np.ndarray) -> dict[str, float]:
    """Measure how far apart two pictures are: style loss by layer, and content loss.

    Geometric means over all pairs of crops of the unweighted losses per cell, as in the product.
    """
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    layers = [*STYLE_LAYERS, CONTENT_LAYER]
    features = [session.run(layers, {"data": crop[None]}) for crop in crops]
    result = {}
    for number, layer in enumerate(layers):
        cells = [values[number][0].reshape(values[number].shape[1], -1) for values in features]
        size = cells[0].size
        if number < len(STYLE_LAYERS):
            grams = [values @ values.T for values in cells]
            losses = _pairwise(grams) / (4 * size**2)
            result[f"style {layer}"] = _geometric_mean(losses)
        else:
            result[f"content {layer}"] = _geometric_mean(_pairwise(cells) / 2)
    return result


def _pairwise(values: list[np.ndarray]) -> np.ndarray:
    return np.array(
        [
            np.square(a - b, dtype=np.float64).sum()
            for number, a in enumerate(values)
            for b in values[:number]
        ]
    )


def _geometric_mean(values: np.ndarray) -> float:
    return float(np.exp(np.log(values).mean()))


def factors(own: Mapping[str, float], wanted: Mapping[str, float]) -> dict[str, float]:
    """Return the factor of each style layer that makes `own` magnitudes like the `wanted` ones.

    A style loss grows with the fourth power of the factor and the content loss with its square, so
    one layer that has both can be given the right ratio of the two; the others follow. The sum of
    all losses may then differ by a common factor, which moves no minimum.
    """
    style, content = f"style {CONTENT_LAYER}", f"content {CONTENT_LAYER}"
    square = (wanted[style] / wanted[content]) / (own[style] / own[content])
    common = square * own[content] / wanted[content]
    return {
        layer: (common * wanted[f"style {layer}"] / own[f"style {layer}"]) ** 0.25
        for layer in STYLE_LAYERS
    }


def rescaled(weights: Weights, scales: Mapping[str, float]) -> Weights:
    """Multiply what each of the layers writes by its factor, and undo it where that is read."""
    result = dict(weights)
    for layer, scale in scales.items():
        for name in WRITERS[layer]:
            weight, bias = result[name]
            result[name] = weight * np.float32(scale), bias * np.float32(scale)
        for name in READERS[layer]:
            weight, bias = result[name]
            result[name] = weight / np.float32(scale), bias
    return result


def rounded(weights: Weights) -> Weights:
    """Round to float16 and return float32."""
    return {
        layer: tuple(values.astype(np.float16).astype(np.float32) for values in tensors)
        for layer, tensors in weights.items()
    }


def provenance(weights: Weights) -> dict[str, str]:
    """Return the metadata that the product keeps with a network's weights."""
    facts = cache.Provenance(
        source="distilled",
        origin="tools/distill of this project",
        identity="not BVLC's: trained by this project on the features of VGG-19",
        precision="float16",
        licence="CC BY 4.0 (as VGG-19: Visual Geometry Group, University of Oxford)",
        file_digest="",
        weights_digest=containers.weights_digest(weights),
        date=cache.now(),
    )
    return {f"styletransfer.{key}": value for key, value in asdict(facts).items()}


def in_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keep the initializers as float16; a Cast in front of each use makes them float32 again."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    casts = []
    for tensor in half.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or not tensor.name.endswith(("/weight", "/bias")):
            continue
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), tensor.name))
        name = f"{tensor.name}/float32"
        casts.append(helper.make_node("Cast", [tensor.name], [name], name, to=TensorProto.FLOAT))
        for node in half.graph.node:
            node.input[:] = [name if value == tensor.name else value for value in node.input]
    nodes = list(half.graph.node)
    del half.graph.node[:]
    half.graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(half)
    return half


def export(folder: Path, target: Path) -> None:
    """Write the checkpoint in `folder` as a calibrated ONNX file with float16 weights."""
    network = networks.NETWORKS["googlenet"]
    weights = folded_weights(folder / "checkpoint.pt")
    crops = held_back_crops(folder)
    own = magnitudes(networks.to_onnx(network, weights), crops)
    scales = factors(own, BVLC)
    weights = containers.fit(rounded(rescaled(weights, scales)), network)
    model = in_half(networks.to_onnx(network, weights))
    helper.set_model_props(model, provenance(weights))
    for key, value in magnitudes(model, crops).items():
        print(f"{key:32} before {own[key]:10.4g}  now {value:10.4g}  BVLC {BVLC[key]:10.4g}")
    target.write_bytes(model.SerializeToString())
    print(f"{target}: {target.stat().st_size / 1e6:.2f} MB")
