"""A layer of a Caffe network, and the ONNX graph that grows layer by layer.

Blobs that a layer rewrites in place keep their name for the last value written, as a reader of
the blob after Caffe's forward pass sees it: ``conv1_1`` is the rectified convolution, and the
tensor before it is called ``conv1_1/before/relu1_1``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from styletransfer.errors import NetworkError

OPSET = 18
IR_VERSION = 8
INPUT = "data"
MAX_COUNT = (1 << 31) - 1  # numbers in a blob; Caffe counts no further either

Dim = int | str | None  # a string names a symbolic size, None is one that is not known
Weights = Mapping[str, Sequence[np.ndarray]]


@dataclass(frozen=True)
class Layer:
    """One layer of a Caffe network.

    Parameters
    ----------
    name, type : str
        As in a prototxt of the current format, e.g. ``"conv1_1"``, ``"Convolution"``.
    bottoms, tops : tuple of str
        The blobs that it reads and writes. A top that is also a bottom is rewritten in place.
    settings : mapping
        Keyword arguments of the type's translation in `layers`.
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


class LayerGraph:
    """An ONNX graph under construction, and the tensor that holds each blob at the moment.

    Parameters
    ----------
    layers : sequence of Layer
        All that will be added, in their order: a blob's name belongs to its last value.
    weights : mapping of str to sequence of ndarray
        The weight blobs of each layer, by its name.
    input_name : str
        The blob that is the network's input; its tensor is called `INPUT`.
    shape : sequence of int, str or None
        That of the input.

    Attributes
    ----------
    shapes : dict of str to tuple
        What is known of the shape of each tensor.
    """

    def __init__(
        self, layers: Sequence[Layer], weights: Weights, input_name: str, shape: Sequence[Dim]
    ):
        self.shapes: dict[str, tuple[Dim, ...]] = {INPUT: tuple(shape)}
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, np.ndarray] = {}
        self._tensors = {input_name: INPUT}  # blob -> tensor of its latest value
        self._names = _tensor_names(layers, input_name)

    def bottoms(self, layer: Layer) -> list[str]:
        """Return the tensors that hold the layer's bottoms."""
        for blob in layer.bottoms:
            if blob not in self._tensors:
                raise NetworkError(
                    f"layer {layer.name!r} reads blob {blob!r}, which no layer before it writes"
                )
        if not layer.bottoms:
            raise NetworkError(f"layer {layer.name!r} ({layer.type}) reads no blob")
        return [self._tensors[blob] for blob in layer.bottoms]

    def bottom(self, layer: Layer, rank: int | None = None) -> tuple[str, tuple[Dim, ...]]:
        """Return the tensor of the only bottom and its shape, which must have `rank` axes.

        Parameters
        ----------
        layer : Layer
            Its type is named where this fails.
        rank : int, optional
            How many axes the bottom must have.

        Raises
        ------
        NetworkError
            If the layer reads more than one blob, or one of another rank.
        """
        tensors = self.bottoms(layer)
        if len(tensors) != 1:
            raise NetworkError(
                f"layer {layer.name!r} ({layer.type}) reads {len(tensors)} blobs; it must read one"
            )
        shape = self.shapes[tensors[0]]
        if rank is not None and len(shape) != rank:
            raise NetworkError(
                f"layer {layer.name!r} ({layer.type}) reads a blob with {len(shape)} axes; "
                f"it must have {rank}"
            )
        return tensors[0], shape

    def blobs(self, layer: Layer, *shapes: tuple[int, ...]) -> list[np.ndarray]:
        """Return the layer's weights, checked against the shapes that its settings ask for.

        Parameters
        ----------
        layer : Layer
            Its name is that of its weights.
        *shapes : tuple of int
            One for each blob of weights; ones in front make no difference.

        Returns
        -------
        list of ndarray
            float32, of these shapes.

        Raises
        ------
        NetworkError
            If they are not as many, have other shapes, or are not finite.
        """
        arrays = self._weights[layer.name]
        if len(arrays) != len(shapes):
            raise NetworkError(
                f"layer {layer.name!r} has {len(arrays)} weight blobs, but its description asks "
                f"for {len(shapes)}: these weights are of another network"
            )
        for array, shape in zip(arrays, shapes, strict=True):
            # The legacy format pads every shape in front with ones, up to four axes.
            if _strip(array.shape) != _strip(shape):
                raise NetworkError(
                    f"layer {layer.name!r} has weights of shape {array.shape}, but its "
                    f"description asks for {shape}: these weights are of another network"
                )
            if not np.isfinite(array).all():
                raise NetworkError(
                    f"layer {layer.name!r} has weights that are not finite numbers: "
                    "the file is damaged"
                )
        pairs = zip(arrays, shapes, strict=True)
        return [np.asarray(array, np.float32).reshape(shape) for array, shape in pairs]

    def constant(self, layer: Layer, role: str, value: np.ndarray | float) -> str:
        """Add the initializer ``<layer>/<role>``; Python numbers become float32.

        Parameters
        ----------
        layer : Layer
            Begins the name.
        role : str
            Ends it.
        value : ndarray or float
            An array is taken with its dtype.
        """
        name = f"{layer.name}/{role}"
        array = value if isinstance(value, np.ndarray) else np.array(value, np.float32)
        self._claim(name, array.shape)
        self._initializers[name] = array
        return name

    def step(
        self, layer: Layer, role: str, op: str, inputs: Sequence[str], **attributes: Any
    ) -> str:
        """Append a node that makes an intermediate tensor ``<layer>/<role>``.

        Parameters
        ----------
        layer : Layer
            Begins the name.
        role : str
            Ends it.
        op : str
            The ONNX operator.
        inputs : sequence of str
            Names of tensors.
        **attributes
            Those of the operator.
        """
        name = f"{layer.name}/{role}"
        self._claim(name, ())
        self._nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def top(
        self,
        layer: Layer,
        op: str,
        inputs: Sequence[str],
        *shapes: Sequence[Dim],
        **attributes: Any,
    ) -> None:
        """Append the node, named as the layer, that writes its tops; one shape for each.

        Parameters
        ----------
        layer : Layer
            Writes its tops.
        op : str
            The ONNX operator.
        inputs : sequence of str
            Names of tensors.
        *shapes : sequence of int, str or None
            One for each top.
        **attributes
            Those of the operator.

        Raises
        ------
        NetworkError
            If the layer has another number of tops, one is written already, or one is too large.
        """
        if len(layer.tops) != len(shapes):
            raise NetworkError(
                f"layer {layer.name!r} ({layer.type}) writes {len(layer.tops)} blobs; "
                f"it must write {len(shapes)}"
            )
        outputs = [self._names[layer.name, blob] for blob in layer.tops]
        for blob, name, shape in zip(layer.tops, outputs, shapes, strict=True):
            if blob in self._tensors and blob not in layer.bottoms:
                raise NetworkError(f"layer {layer.name!r} writes blob {blob!r}, which exists")
            if math.prod(size for size in shape if isinstance(size, int)) > MAX_COUNT:
                raise NetworkError(f"layer {layer.name!r} writes a blob of the shape {shape}")
            self._claim(name, shape)
            self._tensors[blob] = name
        self._nodes.append(helper.make_node(op, inputs, outputs, name=layer.name, **attributes))

    def model(self, name: str) -> onnx.ModelProto:
        """Return the finished model; its outputs are the blobs, in the order of the layers."""

        def info(tensor: str) -> onnx.ValueInfoProto:
            shape = self.shapes[tensor]
            return helper.make_tensor_value_info(tensor, TensorProto.FLOAT, shape)

        outputs = [tensor for tensor in self._tensors.values() if tensor != INPUT]
        graph = helper.make_graph(self._nodes, name, [info(INPUT)], list(map(info, outputs)))
        model = helper.make_model(
            graph,
            producer_name="styletransfer",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        # One by one, and last: each of the calls above copies all that it is given.
        for key, array in self._initializers.items():
            model.graph.initializer.add().CopyFrom(numpy_helper.from_array(array, key))
        return model

    def _claim(self, name: str, shape: Sequence[Dim]) -> None:
        if name in self.shapes:
            raise NetworkError(f"two tensors of the network would be called {name!r}; rename one")
        self.shapes[name] = tuple(shape)


def _strip(shape: Sequence[int]) -> tuple[int, ...]:
    leading = next((i for i, size in enumerate(shape) if size != 1), len(shape))
    return tuple(shape[leading:])


def _tensor_names(layers: Sequence[Layer], input_name: str) -> dict[tuple[str, str], str]:
    """Map (layer, top) to a tensor name: the blob's own name for its last writer."""
    names: dict[tuple[str, str], str] = {}
    next_writer: dict[str, str] = {}
    for layer in reversed(layers):
        for blob in layer.tops:
            if blob == input_name:
                names[layer.name, blob] = f"{INPUT}/after/{layer.name}"
            elif blob in next_writer:
                names[layer.name, blob] = f"{blob}/before/{next_writer[blob]}"
            else:
                names[layer.name, blob] = blob
            next_writer[blob] = layer.name
    return names
