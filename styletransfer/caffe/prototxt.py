"""A prototxt, Caffe's description of a network, becomes a list of layers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message

from styletransfer.caffe.layers import SUPPORTED, Layer
from styletransfer.caffe.schema import NetParameter
from styletransfer.errors import NetworkError
from styletransfer.text import printable

MAX_BYTES = 1 << 20  # the largest published ones have a few hundred kilobytes
MAX_LINE = 2000  # characters; what protobuf does with a line grows with the square of its length
MAX_ESCAPES = 1000  # backslashes, likewise; networks have none
MAX_LAYERS = 10_000
MAX_SIZE = 1 << 16  # of an image's sides, of the channels of a blob
MAX_WINDOW = 1 << 12  # of a kernel, stride, padding or dilation
MAX_NAME = 200  # characters
MAX_MESSAGE = 1000  # characters of an error, which may quote names and numbers of the file

_DATA = {"Data", "DummyData", "HDF5Data", "ImageData", "MemoryData", "WindowData"}
# V1 writes INNER_PRODUCT for InnerProduct; these do not follow that pattern.
_V1_TYPES = {"RELU": "ReLU", "LRN": "LRN", "TANH": "TanH", "MVN": "MVN", "HDF5_DATA": "HDF5Data"}
_TEST = 1  # of the enum Phase

Settings = dict[str, Any]


@dataclass(frozen=True)
class Description:
    """What a prototxt says: the layers that the forward pass of a trained network needs.

    `input_name` is the blob that is the image; its shape (batch, channels, height, width) is None
    if it is not stated.
    """

    name: str
    layers: tuple[Layer, ...]
    input_name: str
    input_shape: tuple[int, ...] | None


def read_prototxt(path: Path) -> Description:
    """Read a prototxt, V1 or V2; raises NetworkError if it cannot be used."""
    check_size(path, MAX_BYTES)
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise NetworkError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NetworkError(f"{path} is not text, so it is not a prototxt") from None
    try:
        _check_text(text)
        return _describe(_parse(text))
    except NetworkError as error:
        raise NetworkError(f"{path}: {printable(str(error), MAX_MESSAGE)}") from None
    except RecursionError:
        raise NetworkError(f"{path} is no prototxt of Caffe: it is nested too deep") from None


def check_size(path: Path, limit: int) -> None:
    """Raise NetworkError unless path is a file of 1 to `limit` bytes."""
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        reason = getattr(error, "strerror", None) or error
        raise NetworkError(f"cannot read {path}: {reason}") from None
    if not path.is_file():
        raise NetworkError(f"cannot read {path}: it is not a file")
    if not 0 < size <= limit:
        raise NetworkError(f"{path} has {size} bytes; it must have 1 to {limit}")


def _check_text(text: str) -> None:
    """Raise NetworkError where protobuf would take very long."""
    longest = max(map(len, text.split("\n")))
    if longest > MAX_LINE:
        raise NetworkError(f"it has a line of {longest} characters; {MAX_LINE} is the most")
    if text.count("\\") > MAX_ESCAPES:
        raise NetworkError(f"it has more than {MAX_ESCAPES} backslashes")


def _parse(text: str) -> Message:
    try:
        return text_format.Parse(text, NetParameter())
    except text_format.ParseError as error:
        message = f"it is not a prototxt of Caffe: at {printable(str(error), 300)}"
    try:
        net = text_format.Parse(text, NetParameter(), allow_unknown_field=True)
    except text_format.ParseError:
        raise NetworkError(message) from None
    # Where the unknown setting is that of an unknown type of layer, the type says more.
    for layer in filter(_is_used, net.layer or net.layers):
        _check_type(layer)
    raise NetworkError(message)


def _describe(net: Message) -> Description:
    if net.layer and net.layers:
        raise NetworkError("it mixes the fields 'layers' (V1) and 'layer' (V2)")
    messages = [message for message in net.layer or net.layers if _is_used(message)]
    if not 0 < len(messages) <= MAX_LAYERS:
        raise NetworkError(f"it has {len(messages)} layers; it must have 1 to {MAX_LAYERS}")
    input_name, input_shape = _input(net, messages)
    layers = tuple(_layer(message) for message in messages if _check_type(message))
    return Description(net.name or "network", layers, input_name, input_shape)


def _is_used(message: Message) -> bool:
    """Whether a layer is in the network of the phase TEST, level 0, no stages."""

    def met(rule: Message) -> bool:
        return (
            (not rule.HasField("phase") or rule.phase == _TEST)
            and (not rule.HasField("min_level") or rule.min_level <= 0)
            and (not rule.HasField("max_level") or rule.max_level >= 0)
            and not rule.stage
        )

    if message.include:
        return any(map(met, message.include))
    return not any(map(met, message.exclude))


def _type(message: Message) -> str:
    """Return a layer's type as V2 writes it."""
    if isinstance(message.type, str):
        return message.type
    name = message.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_number[message.type].name
    return _V1_TYPES.get(name) or "".join(map(str.capitalize, name.split("_")))


def _check_type(message: Message) -> bool:
    """Whether a layer is part of the forward pass; raises NetworkError if it is not supported."""
    kind = _type(message)
    # These only feed the network, or judge its results.
    if kind in ("Input", "Accuracy", "Silence", *_DATA) or kind.endswith("Loss"):
        return False
    if kind not in SUPPORTED:
        raise NetworkError(
            f"layer {message.name[:MAX_NAME]!r} has the type {kind[:MAX_NAME]!r}, which is not "
            f"supported; supported are {', '.join(SUPPORTED)}"
        )
    return True


def _input(net: Message, messages: Sequence[Message]) -> tuple[str, tuple[int, ...] | None]:
    """Return the name of the blob that is the image, and its shape if it is stated."""
    names, shape = list(net.input), None
    if net.input:
        shape = tuple(net.input_shape[0].dim if net.input_shape else net.input_dim)
    for message in messages:
        if _type(message) == "Input":
            names += message.top
            shape = tuple(message.input_param.shape[0].dim) if message.input_param.shape else None
        elif _type(message) in _DATA:
            names += message.top[:1]  # the second top is the label
            crop = message.transform_param.crop_size
            shape = (1, 3, crop, crop) if crop else None
    if len(names) != 1:
        raise NetworkError(f"it has {len(names)} inputs ({', '.join(names)}); it must have one")
    if shape is not None and (len(shape) != 4 or not all(0 < n <= MAX_SIZE for n in shape)):
        raise NetworkError(
            f"the input {names[0]!r} has the shape {shape}; "
            f"it must have four axes, each from 1 to {MAX_SIZE}"
        )
    return names[0], shape


def _layer(message: Message) -> Layer:
    kind = _type(message)
    for name in (message.name, *message.bottom, *message.top):
        if not 0 < len(name) <= MAX_NAME:
            raise NetworkError(
                f"layer {message.name[:MAX_NAME]!r} has a name, bottom or top of "
                f"{len(name)} characters; it must have 1 to {MAX_NAME}"
            )
    if not message.top:
        raise NetworkError(f"layer {message.name!r} ({kind}) writes no blob")
    try:
        settings = _SETTINGS[kind](message) if kind in _SETTINGS else {}
        for key, value in settings.items():
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(n, float) and not math.isfinite(n) for n in numbers):
                raise NetworkError(f"{key} is {value}, not a finite number")
    except NetworkError as error:
        raise NetworkError(f"layer {message.name!r} ({kind}): {error}") from None
    return Layer(message.name, kind, tuple(message.bottom), tuple(message.top), settings)


# --- settings: a function a layer type -----------------------------------------------------------


def _bounded(name: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise NetworkError(f"{name} is {value}; it must be {low} to {high}")
    return value


def _only(param: Message, **expected: Any) -> None:
    """Refuse values that the translation would get wrong."""
    for name, value in expected.items():
        if getattr(param, name) != value:
            raise NetworkError(f"{name} is {getattr(param, name)}; only {value} is supported")


def _pair(param: Message, name: str, default: int | None, low: int = 1) -> tuple[int, int]:
    """Return (height, width) of a window setting, given once, twice or as <name>_h, <name>_w."""
    stem = name.removesuffix("_size")
    fields = param.DESCRIPTOR.fields_by_name
    if f"{stem}_h" in fields and (param.HasField(f"{stem}_h") or param.HasField(f"{stem}_w")):
        values = [getattr(param, f"{stem}_h"), getattr(param, f"{stem}_w")]
    elif fields[name].is_repeated:
        values = list(getattr(param, name))
    else:
        values = [getattr(param, name)] if param.HasField(name) else []
    if not values and default is None:
        raise NetworkError(f"{name} is missing")
    values = values or [default]
    if len(values) > 2:
        raise NetworkError(f"{name} has {len(values)} values; it must have one or two")
    height, width = (_bounded(name, value, low, MAX_WINDOW) for value in (values[0], values[-1]))
    return height, width


def _convolution(layer: Message) -> Settings:
    param = layer.convolution_param
    _only(param, axis=1)
    return {
        "num_output": _bounded("num_output", param.num_output, 1, MAX_SIZE),
        "kernel": _pair(param, "kernel_size", None),
        "stride": _pair(param, "stride", 1),
        "pad": _pair(param, "pad", 0, low=0),
        "dilation": _pair(param, "dilation", 1),
        "group": _bounded("group", param.group, 1, MAX_SIZE),
        "bias": param.bias_term,
    }


def _pooling(layer: Message) -> Settings:
    param = layer.pooling_param
    methods = {0: "MAX", 1: "AVE"}
    if param.pool not in methods:
        raise NetworkError("pool is STOCHASTIC; only MAX and AVE are supported")
    if param.global_pooling:
        return {"method": methods[param.pool], "whole": True}
    return {
        "method": methods[param.pool],
        "kernel": _pair(param, "kernel_size", None),
        "stride": _pair(param, "stride", 1),
        "pad": _pair(param, "pad", 0, low=0),
        "ceil": param.round_mode == 0,
    }


def _lrn(layer: Message) -> Settings:
    param = layer.lrn_param
    return {
        "size": _bounded("local_size", param.local_size, 1, MAX_WINDOW),
        "alpha": param.alpha,
        "beta": param.beta,
        "k": param.k,
        "within": param.norm_region == 1,
    }


def _inner_product(layer: Message) -> Settings:
    param = layer.inner_product_param
    _only(param, axis=1)
    return {
        "num_output": _bounded("num_output", param.num_output, 1, MAX_SIZE),
        "bias": param.bias_term,
        "transposed": param.transpose,
    }


def _eltwise(layer: Message) -> Settings:
    param = layer.eltwise_param
    operation = {0: "PROD", 1: "SUM", 2: "MAX"}[param.operation]
    if param.coeff and operation != "SUM":
        raise NetworkError(f"coeff is given for {operation}; only SUM has coefficients")
    return {"operation": operation, "coefficients": tuple(param.coeff)}


def _power(layer: Message) -> Settings:
    param = layer.power_param
    return {"power": param.power, "scale": param.scale, "shift": param.shift}


def _concat(layer: Message) -> Settings:
    param = layer.concat_param
    return {"axis": param.concat_dim if param.HasField("concat_dim") else param.axis}


def _slice(layer: Message) -> Settings:
    param = layer.slice_param
    axis = param.slice_dim if param.HasField("slice_dim") else param.axis
    return {"axis": axis, "points": tuple(param.slice_point)}


def _batch_norm(layer: Message) -> Settings:
    _only(layer.batch_norm_param, use_global_stats=True)
    return {"eps": layer.batch_norm_param.eps}


def _scale(layer: Message) -> Settings:
    _only(layer.scale_param, axis=1, num_axes=1)
    return {"bias": layer.scale_param.bias_term}


def _flatten(layer: Message) -> Settings:
    _only(layer.flatten_param, axis=1, end_axis=-1)
    return {}


def _reshape(layer: Message) -> Settings:
    _only(layer.reshape_param, axis=0, num_axes=-1)
    dims = tuple(layer.reshape_param.shape.dim)
    return {"dims": tuple(_bounded("dim", size, -1, MAX_SIZE**2) for size in dims)}


_SETTINGS: dict[str, Callable[[Message], Settings]] = {
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "Deconvolution": _convolution,
    "ELU": lambda layer: {"alpha": layer.elu_param.alpha},
    "Eltwise": _eltwise,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "PReLU": lambda layer: {"shared": layer.prelu_param.channel_shared},
    "Pooling": _pooling,
    "Power": _power,
    "ReLU": lambda layer: {"slope": layer.relu_param.negative_slope},
    "Reshape": _reshape,
    "Scale": _scale,
    "Slice": _slice,
    "Softmax": lambda layer: {"axis": layer.softmax_param.axis},
}
