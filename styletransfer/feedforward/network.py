"""Networks from images to images: any ONNX file, read with care and understood.

What a file does not say is found out by running it: how large its output is, and what range its
numbers have. A fixed size that it asks for is lifted.
"""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import version_converter

from styletransfer import wire
from styletransfer.errors import NetworkError, StyleTransferError
from styletransfer.feedforward import norms, quantisation
from styletransfer.feedforward.static import static_graph
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.reading import NEWEST_OPSET, OLDEST_OPSET, describe
from styletransfer.runtime.devices import Device
from styletransfer.runtime.session import Session
from styletransfer.text import clause

MOST_BYTES = 512 << 20
MOST_STYLES = 4096
MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
"""What the sides of an image are tried to be multiples of."""

Range = tuple[float, float]
"""The numbers that black and white are."""

RANGES: Mapping[str, Range] = {
    "NominalRange_0_255": (0, 255),
    "Normalized_0_1": (0, 1),
    "Normalized_1_1": (-1, 1),
}
"""As ONNX's image metadata (``Image.NominalPixelRange``) call them."""

# Of a tensor: numbers, and more of them for each pixel; the widest layers have a thousand channels
# where the picture is small.
_MOST_ELEMENTS = 1 << 24
_MOST_CHANNELS = 1 << 11
_PROBE = 96  # a multiple of most that networks need


@dataclass(frozen=True)
class Network:
    """A network that paints: what it takes and what it gives.

    Attributes
    ----------
    model : ModelProto
        Of an opset that `static_graph` reads.
    image : str
        The input that takes the picture.
    layout : str
        ``"NCHW"`` or ``"NHWC"``, of the picture in the model.
    style : str or None
        The input that takes numbers which choose or describe a style.
    style_shape : tuple of int
        Its shape.
    order : str
        ``"RGB"`` or ``"BGR"``.
    takes, gives : tuple of float
        Black and white as numbers, of the picture that goes in and of the one that comes out.
    multiple : int
        What the sides of a picture must be multiples of.
    enlargement : int
        How many times as large as the picture the painting is.
    """

    model: onnx.ModelProto
    image: str
    layout: str
    style: str | None = None
    style_shape: tuple[int, ...] = ()
    order: str = "RGB"
    takes: Range = (0, 1)
    gives: Range = (0, 1)
    multiple: int = 1
    enlargement: int = 1

    @property
    def styles(self) -> int:
        """How many numbers describe a style; 0 where there is one style only."""
        return prod(self.style_shape) if self.style else 0

    def graph(self, height: int, width: int) -> GraphBuilder:
        """Return its graph for pictures of one size, with channels first in and out."""
        shape = (1, 3, height, width) if self.layout == "NCHW" else (1, height, width, 3)
        shapes: dict[str, tuple[int, ...]] = {self.image: shape}
        if self.style is not None:
            shapes[self.style] = self.style_shape
        builder = static_graph(self.model, shapes, self.layout)
        norms.join(builder)
        _check_sizes(builder, height * width)
        return builder


def read(
    source: str | os.PathLike[str] | bytes,
    order: str | None = None,
    takes: Range | None = None,
    gives: Range | None = None,
) -> Network:
    """Return the network of an ONNX file that paints images.

    Parameters
    ----------
    source : path or bytes
        The file, or what is in it.
    order : {"RGB", "BGR"}, optional
        Of its colours, where the file does not say it rightly. RGB if nothing does.
    takes, gives : (float, float), optional
        What black and white are in and out, where the file does not say it rightly. If nothing
        does, they are what the numbers that come out look like.

    Raises
    ------
    NetworkError
        If it cannot be read, or is no network from images to images: inputs and outputs are listed.
    """
    model = parsed(source)
    name = "The network" if isinstance(source, bytes) else clause(os.fspath(source), 200)
    try:
        network = _recognised(modern(model))
        network = _measured(network)
        said = {str(entry.key): str(entry.value) for entry in model.metadata_props}
        said_range = RANGES.get(said.get("Image.NominalPixelRange", ""))
        bgr = said.get("Image.BitmapPixelFormat", "Rgb8").startswith("Bgr")
        seen = said_range or takes or gives or _range_seen(network)
        return dataclasses.replace(
            network,
            order=order or ("BGR" if bgr else "RGB"),
            takes=takes or said_range or seen,
            gives=gives or said_range or seen,
        )
    except Exception as error:  # what onnx and ONNX Runtime raise for damaged files is manifold
        reason = error.text if isinstance(error, StyleTransferError) else clause(error, 300)
        raise NetworkError(
            f"{name} cannot paint: {reason}",
            [
                *(f"  input  {_described(value)}" for value in _inputs(model)),
                *(f"  output {_described(value)}" for value in model.graph.output[:20]),
            ],
        ) from error


def parsed(source: str | os.PathLike[str] | bytes) -> onnx.ModelProto:
    """Return a model that nothing outside its file belongs to."""
    if isinstance(source, bytes):
        data, name = source, "The network"
    else:
        name = clause(os.fspath(source), 200)
        try:
            with Path(source).open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise NetworkError(f"{name} cannot be read: {error.strerror}.") from None
    if len(data) > MOST_BYTES:
        raise NetworkError(f"{name} has more than {MOST_BYTES >> 20} MB: no network that paints.")
    try:
        model: onnx.ModelProto = wire.parse(data, onnx.ModelProto)
    except (DecodeError, ValueError):
        raise NetworkError(f"{name} is no ONNX file.") from None
    if not model.graph.node:
        raise NetworkError(f"{name} is no ONNX file, or has no operators.")
    if model.functions:
        raise NetworkError(f"{name} has functions of its own, which are not known; inline them.")
    tensors = [
        *model.graph.initializer,
        *(a.t for node in model.graph.node for a in node.attribute if a.HasField("t")),
    ]
    if any(t.data_location == onnx.TensorProto.EXTERNAL or t.external_data for t in tensors):
        raise NetworkError(f"{name} keeps its weights in another file; save it as one file.")
    if model.graph.sparse_initializer:
        raise NetworkError(f"{name} has sparse weights, which are not known.")
    return model


def modern(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a float model of an opset that is known, without sizes that it says it has."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    if any(node.op_type == "DequantizeLinear" for node in model.graph.node):
        result = quantisation.dequantise_constants(result)
        result = quantisation.without_quantised_activations(result)
    del result.graph.value_info[:]
    for output in result.graph.output:
        output.type.tensor_type.ClearField("shape")
    used = {node.domain for node in model.graph.node}
    opsets = [o for o in model.opset_import if o.domain in ("", "ai.onnx") or o.domain in used]
    del result.opset_import[:]
    result.opset_import.extend(opsets)
    versions = [o.version for o in opsets if o.domain in ("", "ai.onnx")]
    if not versions:
        raise NetworkError("it does not say which operators it uses.")
    if OLDEST_OPSET <= versions[0] <= NEWEST_OPSET:
        return result
    wanted = OLDEST_OPSET if versions[0] < OLDEST_OPSET else NEWEST_OPSET
    try:
        return version_converter.convert_version(result, wanted)
    except Exception as error:  # whatever onnx's C++ raises
        raise NetworkError(
            f"onnx cannot convert its operators of version {versions[0]} to {wanted}:"
            f" {clause(error, 200)}."
        ) from error


def _check_sizes(graph: GraphBuilder, pixels: int) -> None:
    """Raise NetworkError where a small file would take any amount of memory."""
    most = _MOST_ELEMENTS + _MOST_CHANNELS * pixels
    for node in graph.nodes:
        for name in filter(None, node.output):
            if prod(graph.shape(name)) > most:
                shape = " x ".join(map(str, graph.shape(name)))
                raise NetworkError(
                    f"the {describe(node)} makes {shape} numbers, which is too much for a picture"
                    f" of {pixels} pixels."
                )


def _recognised(model: onnx.ModelProto) -> Network:
    """Return which input is the picture, and which the style."""
    inputs = _inputs(model)
    pictures = [(v, layout) for v in inputs if (layout := _layout(v)) is not None]
    others = [v for v in inputs if all(v is not picture for picture, _ in pictures)]
    if len(pictures) != 1 or len(others) > 1:
        raise NetworkError(
            "it is no network from one image of three channels, and at most numbers of a style, to"
            " an image."
        )
    (picture, layout) = pictures[0]
    if not others:
        return Network(model, picture.name, layout)
    shape = _shape(others[0])
    sizes = tuple(size for size in shape or () if isinstance(size, int))
    kind = others[0].type.tensor_type.elem_type
    if not sizes or len(sizes) != len(shape or ()) or kind != onnx.TensorProto.FLOAT:
        raise NetworkError(f"its input {clause(others[0].name)!r} is no list of numbers.")
    if prod(sizes) > MOST_STYLES or prod(sizes) < 1 or prod(sizes) != max(sizes):
        raise NetworkError(f"its input {clause(others[0].name)!r} is no style.")
    return Network(model, picture.name, layout, others[0].name, sizes)


def _measured(network: Network) -> Network:
    """Return a network with the multiple that it needs, and how much it enlarges."""
    error: StyleTransferError | None = None
    for multiple in MULTIPLES:
        # Odd numbers of the multiple, and of unlike sides.
        least = -(-_PROBE // multiple)
        height, width = ((least + least % 2 + odd) * multiple for odd in (1, 3))
        try:
            graph = network.graph(height, width)
        except StyleTransferError as raised:
            error = error or raised
            continue
        images = [n for n in graph.outputs if graph.shape(n)[:2] == (1, 3)]
        if len(images) != 1 or len(graph.shape(images[0])) != 4:
            raise NetworkError("it gives no image of three channels.")
        down, across = graph.shape(images[0])[2:]
        times = down // height
        if times >= 1 and (down, across) == (times * height, times * width):
            return dataclasses.replace(network, multiple=multiple, enlargement=times)
    if error is not None:
        raise error
    raise NetworkError("the image that it gives is not of the size of the one that it takes.")


def _range_seen(network: Network) -> Range:
    """Return what range a painting of a network seems to have: from 0 to 255, or 1, or −1 to 1."""
    side = -(-_PROBE // network.multiple) * network.multiple
    graph = network.graph(side, side)
    rows, columns = np.mgrid[:side, :side] / side
    waves = 0.5 + 0.5 * np.sin(20 * rows * columns + np.arange(3)[:, None, None])
    session = Session(graph.model(graph.outputs).SerializeToString(), Device())
    feeds = {network.image: waves[np.newaxis] * 255}
    if network.style is not None:
        feeds[network.style] = np.full(network.style_shape, 1 / network.styles)
    (painting,) = (v for v in session.run(feeds).values() if v.shape[:2] == (1, 3))
    if not np.isfinite(painting).all():
        raise NetworkError("it gives no finite numbers.")
    low, high = np.quantile(painting, (0.02, 0.98))
    if high - low > 4:
        return 0, 255
    return (-1, 1) if low < -0.1 else (0, 1)


def _inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants][:20]


def _shape(value: onnx.ValueInfoProto) -> list[int | str] | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return [
        d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in tensor.shape.dim
    ]


def _layout(value: onnx.ValueInfoProto) -> str | None:
    """Return where an input that can be a picture has its channels."""
    shape = _shape(value)
    if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT or not shape or len(shape) != 4:
        return None
    if isinstance(shape[0], int) and shape[0] > 1:
        return None
    return "NCHW" if shape[1] == 3 else "NHWC" if shape[3] == 3 else None


def _described(value: onnx.ValueInfoProto) -> str:
    kind = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    shape = _shape(value)
    sizes = "of unknown shape" if shape is None else f"({', '.join(map(str, shape))})"
    return clause(f"{value.name} {kind} {sizes}", 200)
