"""Networks from images to images: any ONNX file, read with care and understood.

What a file does not say is found out by running it: how large its output is, and what range its
numbers have. A fixed size that it asks for is lifted, where its nodes let it.
"""

import contextlib
import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, version_converter

from styletransfer import wire
from styletransfer.errors import NetworkError, StyleTransferError
from styletransfer.feedforward import effort, floats, norms, quantisation
from styletransfer.feedforward.static import static_graph
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.reading import NEWEST_OPSET, OLDEST_OPSET
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

FIRST_RESIZE = 11
"""The opset since which a Resize says how positions correspond."""

ENLARGED = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}

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
    output : int or None
        Which output is the painting; None where all are in the graph.
    size : (int, int) or None
        Height and width of the only pictures that it paints; None where it paints any.
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
    output: int | None = None
    size: tuple[int, int] | None = None

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
        if self.output is not None:
            builder.outputs = [builder.outputs[self.output]]
        effort.check(builder, height * width)
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
        network = _measured(_recognised(modern(model)))
        said = {str(entry.key): str(entry.value) for entry in model.metadata_props}
        said_range = RANGES.get(said.get("Image.NominalPixelRange", ""))
        bgr = said.get("Image.BitmapPixelFormat", "Rgb8").startswith("Bgr")
        kinds = {v.name: v.type.tensor_type.elem_type for v in model.graph.input}
        if kinds[network.image] == onnx.TensorProto.UINT8:
            said_range = said_range or RANGES["NominalRange_0_255"]
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
    effort.check_operators(model)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    if any(node.op_type == "DequantizeLinear" for node in model.graph.node):
        result = quantisation.dequantise_constants(result)
        result = quantisation.without_quantised_activations(result)
    floats.of_32_bits(result)
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
        converted = version_converter.convert_version(result, wanted)
    except Exception as error:  # whatever onnx's C++ raises
        raise NetworkError(
            f"onnx cannot convert its operators of version {versions[0]} to {wanted}:"
            f" {clause(error, 200)}."
        ) from error
    if versions[0] < FIRST_RESIZE:
        for node in converted.graph.node:
            if node.op_type == "Resize":
                # What enlarging meant then; onnx's converter leaves it at what it means by now.
                node.attribute.extend(
                    helper.make_attribute(name, word) for name, word in ENLARGED.items()
                )
    return converted


def _recognised(model: onnx.ModelProto) -> list[Network]:
    """Return which input is the picture, and which the style; where a file leaves open where the
    channels are, for either way.
    """
    inputs = _inputs(model)
    pictures = [(v, layouts) for v in inputs if (layouts := _layouts(v))]
    others = [v for v in inputs if all(v is not picture for picture, _ in pictures)]
    if len(pictures) != 1 or len(others) > 1:
        raise NetworkError(
            "it is no network from one image of three channels, and at most numbers of a style, to"
            " an image."
        )
    (picture, layouts) = pictures[0]
    if not others:
        return [Network(model, picture.name, layout) for layout in layouts]
    shape = _shape(others[0])
    sizes = tuple(size for size in shape or () if isinstance(size, int))
    kind = others[0].type.tensor_type.elem_type
    if not sizes or len(sizes) != len(shape or ()) or kind != onnx.TensorProto.FLOAT:
        raise NetworkError(f"its input {clause(others[0].name)!r} is no list of numbers.")
    if prod(sizes) > MOST_STYLES or prod(sizes) < 1 or prod(sizes) != max(sizes):
        raise NetworkError(f"its input {clause(others[0].name)!r} is no style.")
    return [Network(model, picture.name, layout, others[0].name, sizes) for layout in layouts]


def _measured(networks: Sequence[Network]) -> Network:
    """Return the first network that paints, with its multiple, enlargement and output.

    One that paints no other pictures than those of the size that it says is left with that.
    """
    errors: list[StyleTransferError] = []
    for network, multiple in product(networks, MULTIPLES):
        # Odd numbers of the multiple, and of unlike sides.
        least = -(-_PROBE // multiple)
        height, width = ((least + least % 2 + odd) * multiple for odd in (1, 3))
        try:
            output, times = _painting(network, height, width)
            if size := _declared(network):
                # A fixed crop lets smaller pictures pass.
                beyond = [(side // multiple // 2 + 1) * 2 * multiple for side in size]
                _painting(network, *beyond)
        except StyleTransferError as raised:
            errors.append(raised)
            continue
        return dataclasses.replace(network, multiple=multiple, enlargement=times, output=output)
    for network in networks:
        if size := _declared(network):
            with contextlib.suppress(StyleTransferError):
                output, times = _painting(network, *size)
                return dataclasses.replace(network, enlargement=times, output=output, size=size)
    raise errors[0]


def _painting(network: Network, height: int, width: int) -> tuple[int, int]:
    """Return which output is the painting of a picture of one size, and its enlargement."""
    graph = network.graph(height, width)
    shapes = [graph.shape(name) for name in graph.outputs]
    for output, shape in enumerate(shapes):
        times = shape[2] // height if len(shape) == 4 else 0
        if times >= 1 and shape == (1, 3, times * height, times * width):
            return output, times
    raise NetworkError(
        "the image that it gives is not of the size of the one that it takes."
        if any(len(shape) == 4 and shape[:2] == (1, 3) for shape in shapes)
        else "it gives no image of three channels."
    )


def _declared(network: Network) -> tuple[int, int] | None:
    """Return the height and width that a network says it takes, None where it leaves them open."""
    (value,) = (v for v in _inputs(network.model) if v.name == network.image)
    sizes = (_shape(value) or [])[2:] if network.layout == "NCHW" else (_shape(value) or [])[1:3]
    match sizes:
        case [int(height), int(width)] if min(height, width) > 0:
            return height, width
    return None


def _range_seen(network: Network) -> Range:
    """Return what range a painting of a network seems to have: from 0 to 255, or 1, or −1 to 1."""
    side = -(-_PROBE // network.multiple) * network.multiple
    height, width = network.size or (side, side)
    graph = network.graph(height, width)
    rows, columns = np.mgrid[:height, :width] / [[[height]], [[width]]]
    waves = 0.5 + 0.5 * np.sin(20 * rows * columns + np.arange(3)[:, None, None])
    session = Session(graph.model(graph.outputs).SerializeToString(), Device())
    lows = []
    for black, white in ((0, 255), (-1, 1)):
        feeds = {network.image: black + (white - black) * waves[np.newaxis]}
        if network.style is not None:
            feeds[network.style] = np.full(network.style_shape, 1 / network.styles)
        (painting,) = session.run(feeds).values()
        if not np.isfinite(painting).all():
            raise NetworkError("it gives no finite numbers.")
        low, high = np.quantile(painting, (0.02, 0.98))
        if high - low > 4:
            return 0, 255
        lows.append(low)
    return (-1, 1) if min(lows) < -0.1 else (0, 1)


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


def _layouts(value: onnx.ValueInfoProto) -> list[str]:
    """Return where an input that can be a picture may have its channels."""
    shape = _shape(value)
    if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        return []
    if shape is None:
        return ["NCHW", "NHWC"]
    if len(shape) != 4:
        return []
    axes = {"NCHW": shape[1], "NHWC": shape[3]}
    sure = [layout for layout, size in axes.items() if size == 3][:1]
    return sure or [layout for layout, size in axes.items() if isinstance(size, str)]


def _described(value: onnx.ValueInfoProto) -> str:
    number = value.type.tensor_type.elem_type
    names = onnx.TensorProto.DataType.items()
    kind = next((name.lower() for name, n in names if n == number), f"type {number}")
    shape = _shape(value)
    sizes = "of unknown shape" if shape is None else f"({', '.join(map(str, shape))})"
    return clause(f"{value.name} {kind} {sizes}", 200)
