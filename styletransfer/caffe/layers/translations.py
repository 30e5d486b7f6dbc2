"""The translation of Caffe's layers into plain ONNX operators, one function a layer type."""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from styletransfer.caffe.layers.graph import Dim, Layer, LayerGraph
from styletransfer.errors import NetworkError
from styletransfer.onnxgrad.window import Axis

Pair = tuple[int, int]  # (height, width)

TRANSLATIONS: dict[str, Callable[..., None]] = {}  # layer type -> translation
WEIGHTED = {"BatchNorm", "Convolution", "Deconvolution", "InnerProduct", "PReLU", "Scale"}


F = TypeVar("F", bound=Callable[..., None])


def _translates(*types: str) -> Callable[[F], F]:
    def register(function: F) -> F:
        for name in types:
            assert name not in TRANSLATIONS, name
            TRANSLATIONS[name] = function
        return function

    return register


def _known(layer: Layer, sizes: Sequence[Dim]) -> list[int]:
    """Return sizes that must be numbers."""
    known = [size for size in sizes if isinstance(size, int)]
    if len(known) < len(sizes):
        raise NetworkError(
            f"layer {layer.name!r} ({layer.type}) reads a blob of the shape {tuple(sizes)}; it"
            " must be known"
        )
    return known


def _channels(layer: Layer, shape: Sequence[Dim]) -> tuple[int, ...]:
    """Return the shape of what there is one of a channel."""
    return tuple(_known(layer, shape[1:2]))


def _long_enough(layer: Layer, result: int, size: int) -> int:
    if result < 1:
        raise NetworkError(
            f"layer {layer.name!r} ({layer.type}) cannot work on an input {size} pixels long, "
            "which its kernel does not fit into; use a larger image"
        )
    return result


@_translates("Convolution", "Deconvolution")
def _convolution(
    graph: LayerGraph,
    layer: Layer,
    *,
    num_output: int,
    kernel: Pair,
    stride: Pair = (1, 1),
    pad: Pair = (0, 0),
    dilation: Pair = (1, 1),
    group: int = 1,
    bias: bool = True,
) -> None:
    x, (batch, depth, *sizes) = graph.bottom(layer, rank=4)
    (channels,) = _known(layer, [depth])
    if channels % group or num_output % group:
        raise NetworkError(
            f"layer {layer.name!r}: {group} groups do not divide "
            f"{channels} input and {num_output} output channels"
        )
    weight_shape: tuple[int, ...]
    if layer.type == "Convolution":
        op, weight_shape = "Conv", (num_output, channels // group, *kernel)
    else:
        op, weight_shape = "ConvTranspose", (channels, num_output // group, *kernel)
    arrays = graph.blobs(layer, weight_shape, *([(num_output,)] if bias else []))
    constants = [
        graph.constant(layer, *pair) for pair in zip(("weight", "bias"), arrays, strict=False)
    ]
    extents = [
        _convolved_extent(layer, *axis)
        for axis in zip(sizes, kernel, stride, pad, dilation, strict=True)
    ]
    graph.top(
        layer,
        op,
        [x, *constants],
        (batch, num_output, *extents),
        kernel_shape=kernel,
        strides=stride,
        pads=[*pad, *pad],
        dilations=dilation,
        group=group,
    )


def _convolved_extent(
    layer: Layer, size: Dim, kernel: int, stride: int, pad: int, dilation: int
) -> int | None:
    """Return the length of the output along one axis, None if it is not known."""
    if not isinstance(size, int):
        return None
    window = Axis(kernel, stride, dilation, pad, pad)
    transposed = layer.type == "Deconvolution"
    extent = window.length(size) if transposed else window.count(size)
    return _long_enough(layer, extent, size)


@_translates("Pooling")
def _pooling(
    graph: LayerGraph,
    layer: Layer,
    *,
    method: str,
    kernel: Pair = (1, 1),
    stride: Pair = (1, 1),
    pad: Pair = (0, 0),
    ceil: bool = True,
    whole: bool = False,
) -> None:
    x, (batch, channels, *sizes) = graph.bottom(layer, rank=4)
    op = {"MAX": "MaxPool", "AVE": "AveragePool"}[method]
    if whole:
        graph.top(layer, f"Global{op}", [x], (batch, channels, 1, 1))
        return
    axes = [
        _pooled_extent(layer, *axis, ceil) for axis in zip(sizes, kernel, stride, pad, strict=True)
    ]
    extents, end_pad = zip(*axes, strict=True)
    attributes = {"count_include_pad": 1} if method == "AVE" else {}
    graph.top(
        layer,
        op,
        [x],
        (batch, channels, *extents),
        kernel_shape=kernel,
        strides=stride,
        pads=[*pad, *end_pad],
        ceil_mode=int(ceil),
        **attributes,
    )


def _pooled_extent(
    layer: Layer, size: Dim, kernel: int, stride: int, pad: int, ceil: bool
) -> tuple[int | None, int]:
    """Return the pooled length along one axis, as Caffe has it, and the padding at the end.

    The padding is cut to what the last window sees. No value changes by that; but onnx's shape
    inference, unlike ONNX Runtime, does not drop a last window that would start beyond the
    padded input, and would take the output for one pixel longer than it is.
    """
    if pad >= kernel:
        raise NetworkError(
            f"layer {layer.name!r} (Pooling) has a padding of {pad}; "
            f"it must be less than its kernel of {kernel}"
        )
    if ceil and stride > kernel:
        # Where the last window starts past the image's edge, Caffe averages no pixels at all.
        raise NetworkError(
            f"layer {layer.name!r} (Pooling) has a stride of {stride}; "
            f"it must not be greater than its kernel of {kernel}"
        )
    if not isinstance(size, int):
        return None, pad
    extent = Axis(kernel, stride, before=pad, after=pad).count(size, ceil)
    if pad and (extent - 1) * stride >= size + pad:
        extent -= 1
    _long_enough(layer, extent, size)
    seen = Axis(kernel, stride, before=pad).length(extent) - size
    return extent, max(0, min(pad, seen))


@_translates("LRN")
def _lrn(
    graph: LayerGraph,
    layer: Layer,
    *,
    size: int = 5,
    alpha: float = 1.0,
    beta: float = 0.75,
    k: float = 1.0,
    within: bool = False,
) -> None:
    x, shape = graph.bottom(layer, rank=4)
    if size % 2 == 0:
        raise NetworkError(f"layer {layer.name!r} (LRN) has local_size {size}; it must be odd")
    if not within:
        graph.top(layer, "LRN", [x], shape, size=size, alpha=alpha, beta=beta, bias=k)
        return
    # Within a channel Caffe ignores k: y = x · (1 + alpha · mean of x² over the window)^-beta.
    square = graph.step(layer, "square", "Mul", [x, x])
    window = {"kernel_shape": [size] * 2, "pads": [size // 2] * 4, "count_include_pad": 1}
    mean = graph.step(layer, "mean", "AveragePool", [square], **window)
    scaled = graph.step(layer, "scaled", "Mul", [mean, graph.constant(layer, "alpha", alpha)])
    base = graph.step(layer, "base", "Add", [scaled, graph.constant(layer, "one", 1.0)])
    factor = graph.step(layer, "factor", "Pow", [base, graph.constant(layer, "power", -beta)])
    graph.top(layer, "Mul", [x, factor], shape)


def _elementwise(graph: LayerGraph, layer: Layer, op: str, **attributes: Any) -> None:
    x, shape = graph.bottom(layer)
    graph.top(layer, op, [x], shape, **attributes)


@_translates("ReLU")
def _relu(graph: LayerGraph, layer: Layer, *, slope: float = 0.0) -> None:
    if slope:
        _elementwise(graph, layer, "LeakyRelu", alpha=slope)
    else:
        _elementwise(graph, layer, "Relu")


@_translates("ELU")
def _elu(graph: LayerGraph, layer: Layer, *, alpha: float = 1.0) -> None:
    _elementwise(graph, layer, "Elu", alpha=alpha)


@_translates("Sigmoid", "TanH", "Dropout", "Split")
def _plain(graph: LayerGraph, layer: Layer) -> None:
    op = {"Sigmoid": "Sigmoid", "TanH": "Tanh"}.get(layer.type, "Identity")
    _elementwise(graph, layer, op)


@_translates("Softmax")
def _softmax(graph: LayerGraph, layer: Layer, *, axis: int = 1) -> None:
    x, shape = graph.bottom(layer)
    graph.top(layer, "Softmax", [x], shape, axis=_axis(layer, axis, shape))


@_translates("PReLU")
def _prelu(graph: LayerGraph, layer: Layer, *, shared: bool = False) -> None:
    x, shape = graph.bottom(layer)
    (slope,) = graph.blobs(layer, () if shared else _channels(layer, shape))
    per_channel = slope.reshape(-1, *[1] * (len(shape) - 2))
    graph.top(layer, "PRelu", [x, graph.constant(layer, "slope", per_channel)], shape)


@_translates("Power")
def _power(
    graph: LayerGraph, layer: Layer, *, power: float = 1.0, scale: float = 1.0, shift: float = 0.0
) -> None:
    x, shape = graph.bottom(layer)
    steps = [("Mul", "scale", scale), ("Add", "shift", shift), ("Pow", "power", power)]
    neutral = (1, 0, 1)
    steps = [step for step, value in zip(steps, neutral, strict=True) if step[2] != value]
    *inner, (op, role, value) = steps or [("Mul", "scale", scale)]
    for inner_op, inner_role, inner_value in inner:
        constant = graph.constant(layer, inner_role, inner_value)
        x = graph.step(layer, inner_op.lower(), inner_op, [x, constant])
    graph.top(layer, op, [x, graph.constant(layer, role, value)], shape)


@_translates("BatchNorm")
def _batch_norm(graph: LayerGraph, layer: Layer, *, eps: float = 1e-5) -> None:
    x, shape = graph.bottom(layer)
    channels = _channels(layer, shape)
    mean, variance, weight = graph.blobs(layer, channels, channels, (1,))
    # Caffe stores sums of moving averages, and the sum of their weights beside them.
    factor = np.float32(1 / weight[0] if weight[0] else 0)
    statistics = {
        "scale": np.ones(channels, np.float32),
        "shift": np.zeros(channels, np.float32),
        "mean": mean * factor,
        "variance": variance * factor,
    }
    constants = [graph.constant(layer, *item) for item in statistics.items()]
    graph.top(layer, "BatchNormalization", [x, *constants], shape, epsilon=eps)


@_translates("Scale")
def _scale(graph: LayerGraph, layer: Layer, *, bias: bool = False) -> None:
    x, shape = graph.bottom(layer)
    arrays = graph.blobs(layer, *[_channels(layer, shape)] * (2 if bias else 1))
    per_channel = [array.reshape(-1, *[1] * (len(shape) - 2)) for array in arrays]
    weight = graph.constant(layer, "weight", per_channel[0])
    if not bias:
        graph.top(layer, "Mul", [x, weight], shape)
        return
    scaled = graph.step(layer, "scaled", "Mul", [x, weight])
    graph.top(layer, "Add", [scaled, graph.constant(layer, "bias", per_channel[1])], shape)


@_translates("InnerProduct")
def _inner_product(
    graph: LayerGraph,
    layer: Layer,
    *,
    num_output: int,
    bias: bool = True,
    transposed: bool = False,
) -> None:
    x, (batch, *sizes) = graph.bottom(layer)
    inputs = math.prod(_known(layer, sizes))
    weight_shape = (inputs, num_output) if transposed else (num_output, inputs)
    arrays = graph.blobs(layer, weight_shape, *([(num_output,)] if bias else []))
    constants = [
        graph.constant(layer, *pair) for pair in zip(("weight", "bias"), arrays, strict=False)
    ]
    flat = graph.step(layer, "flat", "Flatten", [x])
    shape = (batch, num_output)
    graph.top(layer, "Gemm", [flat, *constants], shape, transB=int(not transposed))


@_translates("Eltwise")
def _eltwise(
    graph: LayerGraph, layer: Layer, *, operation: str, coefficients: tuple[float, ...] = ()
) -> None:
    tensors = graph.bottoms(layer)
    if len(tensors) < 2 or len(coefficients) not in (0, len(tensors)):
        raise NetworkError(
            f"layer {layer.name!r} (Eltwise) reads {len(tensors)} blobs with {len(coefficients)} "
            "coefficients; it must read two blobs or more, with as many coefficients or none"
        )
    shape = _common_shape(graph, layer, tensors)
    for i, coefficient in enumerate(coefficients):
        if coefficient != 1:
            constant = graph.constant(layer, f"coefficient{i}", coefficient)
            tensors[i] = graph.step(layer, f"term{i}", "Mul", [tensors[i], constant])
    if operation == "MAX":
        graph.top(layer, "Max", tensors, shape)
        return
    op = {"SUM": "Add", "PROD": "Mul"}[operation]
    total = tensors[0]
    for i, tensor in enumerate(tensors[1:-1], 1):
        total = graph.step(layer, f"partial{i}", op, [total, tensor])
    graph.top(layer, op, [total, tensors[-1]], shape)


def _common_shape(
    graph: LayerGraph, layer: Layer, tensors: Sequence[str], but: int | None = None
) -> list[Dim]:
    """Return the shape that all tensors have on every axis but one, as far as it is known."""
    shapes = [graph.shapes[tensor] for tensor in tensors]
    common: list[Dim] = list(shapes[0])
    for axis, sizes in enumerate(zip(*shapes, strict=False)):
        known = {size for size in sizes if isinstance(size, int)}
        if len(set(map(len, shapes))) > 1 or (len(known) > 1 and axis != but):
            raise NetworkError(
                f"layer {layer.name!r} ({layer.type}) joins blobs of the shapes "
                f"{' and '.join(map(str, shapes))}, which do not fit together"
            )
        common[axis] = known.pop() if known else sizes[0]
    return common


def _axis(layer: Layer, axis: int, shape: Sequence[Dim]) -> int:
    if not -len(shape) <= axis < len(shape):
        raise NetworkError(
            f"layer {layer.name!r} ({layer.type}) names axis {axis} of a blob with {len(shape)}"
        )
    return axis % len(shape)


@_translates("Concat")
def _concat(graph: LayerGraph, layer: Layer, *, axis: int = 1) -> None:
    tensors = graph.bottoms(layer)
    axis = _axis(layer, axis, graph.shapes[tensors[0]])
    shape = _common_shape(graph, layer, tensors, but=axis)
    lengths = [graph.shapes[tensor][axis] for tensor in tensors]
    known = [size for size in lengths if isinstance(size, int)]
    shape[axis] = sum(known) if len(known) == len(lengths) else None
    graph.top(layer, "Concat", tensors, shape, axis=axis)


@_translates("Slice")
def _slice(graph: LayerGraph, layer: Layer, *, axis: int = 1, points: tuple[int, ...] = ()) -> None:
    x, shape = graph.bottom(layer)
    axis = _axis(layer, axis, shape)
    length, count = shape[axis], len(layer.tops)
    if not points and isinstance(length, int):
        points = tuple(length * i // count for i in range(1, count))
    if not isinstance(length, int) or list(points) != sorted({*points} - {0, length}):
        raise NetworkError(f"layer {layer.name!r} (Slice) cannot cut {length} at {points}")
    parts = np.diff([0, *points, length])
    shapes = [[*shape[:axis], int(part), *shape[axis + 1 :]] for part in parts]
    graph.top(layer, "Split", [x, graph.constant(layer, "parts", parts)], *shapes, axis=axis)


@_translates("Flatten")
def _flatten(graph: LayerGraph, layer: Layer) -> None:
    x, (batch, *sizes) = graph.bottom(layer)
    graph.top(layer, "Flatten", [x], (batch, math.prod(_known(layer, sizes))))


@_translates("Reshape")
def _reshape(graph: LayerGraph, layer: Layer, *, dims: tuple[int, ...]) -> None:
    x, shape = graph.bottom(layer)
    error = NetworkError(f"layer {layer.name!r} (Reshape) cannot give {shape} the shape {dims}")
    start = 1 if dims[:1] == (0,) else 0  # a batch that is copied may be symbolic
    sizes = [size for size in shape[start:] if isinstance(size, int)]
    known = len(sizes) == len(shape[start:])
    if not known or min(dims, default=-2) < -1 or dims.count(-1) > 1 or 0 in dims[len(shape) :]:
        raise error
    copied = dict(enumerate(sizes, start))
    out = [copied[axis] if size == 0 else size for axis, size in enumerate(dims) if axis >= start]
    count = math.prod(sizes)
    if -1 in out:
        out[out.index(-1)] = count // math.prod(size for size in out if size != -1)
    if math.prod(out) != count:
        raise error
    given = graph.constant(layer, "shape", np.array(dims, np.int64))
    graph.top(layer, "Reshape", [x, given], [*shape[:start], *out])
