"""The gradients of operators that slide a window: convolutions, pools, normalisation.

Notation: y the output, dy its cotangent, dx the cotangent of the input x.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from styletransfer.onnxgrad.rule import Cotangents, Rule, Site, fit, rule
from styletransfer.onnxgrad.rules.weights import weight_gradient
from styletransfer.onnxgrad.window import Window

# To an image of this many channels a ConvTranspose is faster than a Conv of flipped weights: the
# runtime's blocked layout has no use for so few outputs.
FEW_CHANNELS = 4


def _window(site: Site, kernel: Sequence[int] | None = None) -> Window:
    window = Window.of(site.node, kernel)
    if window is None:
        raise site.refuse(f"auto_pad is {site.attribute('auto_pad')}; give the pads in numbers")
    return window


def _per_channel(site: Site, name: str, dy: str) -> str:
    """Give a vector of a number for each channel the rank of a map."""
    return site.reshape(name, [1, -1, *[1] * (len(site.shape(dy)) - 2)])


def _sum_to_channels(site: Site, name: str) -> str:
    """Sum a tensor over all axes but that of the channels."""
    axes = [axis for axis in range(len(site.shape(name))) if axis != 1]
    return site.op("ReduceSum", name, site.integers(axes, "axes"), keepdims=0)


# --- convolution ---------------------------------------------------------------------------------


WeightGradient = Callable[[Site, str, str, Window, int], str]
"""Appends the gradient of a convolution's weights, given x, dy, the window and the groups."""


def conv_rule(gradient: WeightGradient) -> Rule:
    """Return the rule of Conv with a way to make the gradient of the weights."""

    def conv(site: Site, dy: str) -> Cotangents:
        """dx = dy convolved with the weights flipped and transposed, dW = x correlated with dy."""
        x, w = site.inputs[:2]
        window = _window(site, site.shape(w)[2:])
        group = site.attribute("group", 1)
        return [
            _conv_input(site, dy, window) if site.needed[0] else None,
            gradient(site, x, dy, window, group) if site.needed[1] else None,
            *(_sum_to_channels(site, dy) if needed else None for needed in site.needed[2:]),
        ]

    return conv


rule("Conv")(conv_rule(weight_gradient))


@rule("ConvTranspose")
def conv_transpose(site: Site, dy: str) -> Cotangents:
    """dx = dy correlated with the weights as they are, dW = dy correlated with x."""
    x, w = site.inputs[:2]
    if site.attribute("output_shape") is not None:
        raise site.refuse("it has an output_shape; give pads and output_padding in numbers")
    window = _window(site, site.shape(w)[2:])
    group = site.attribute("group", 1)
    return [
        site.op("Conv", dy, w, group=group, **window.attributes) if site.needed[0] else None,
        weight_gradient(site, dy, x, window, group) if site.needed[1] else None,
        *(_sum_to_channels(site, dy) if needed else None for needed in site.needed[2:]),
    ]


def _conv_input(site: Site, dy: str, window: Window) -> str:
    """With stride 1 a Conv of the weights flipped, constant ones here, once.

    The runtime has its fastest kernels for that. In general a ConvTranspose with the same weights.
    """
    x, w = site.inputs[:2]
    size = site.shape(x)
    group = site.attribute("group", 1)
    weight = site.value(w)
    back = window.mirrored()
    if size[1] > FEW_CHANNELS and window.single_steps and min(back.pads) >= 0:
        if weight is not None:
            flipped = site.constant(_flipped(weight, group), "weight")
        else:
            flipped = _flipped_here(site, w, group)
        return site.op("Conv", dy, flipped, group=group, **back.attributes)
    sizes = zip(window.axes, size[2:], site.shape(dy)[2:], strict=True)
    rest = [length - axis.length(count) for axis, length, count in sizes]
    return site.op("ConvTranspose", dy, w, output_padding=rest, group=group, **window.attributes)


def _flipped_here(site: Site, weight: str, group: int) -> str:
    """Do in the graph what `_flipped` does."""
    out, inner, *kernel = site.shape(weight)
    weight = site.reshape(weight, [group, out // group, inner, prod(kernel)])
    weight = site.op("Transpose", weight, perm=[0, 2, 1, 3])
    # Both axes of a kernel reversed are all its taps reversed.
    bounds = ([-1], [-(prod(kernel) + 1)], [3], [-1])
    weight = site.op("Slice", weight, *(site.integers(bound, "bounds") for bound in bounds))
    return site.reshape(weight, [group * inner, out // group, *kernel])


def _flipped(weight: np.ndarray, group: int) -> np.ndarray:
    """Exchange input and output channels within each group and reverse the other axes."""
    out, inner, *kernel = weight.shape
    grouped = weight.reshape(group, out // group, inner, *kernel).swapaxes(1, 2)
    swapped = grouped.reshape(group * inner, out // group, *kernel)
    return np.ascontiguousarray(np.flip(swapped, tuple(range(2, weight.ndim))))


# --- average pooling -----------------------------------------------------------------------------


@rule("AveragePool")
def average_pool(site: Site, dy: str) -> Cotangents:
    """dx = the sum of dy / count over the windows that an element lies in."""
    shape, outputs = site.shape(site.inputs[0]), site.shape(dy)[2:]
    window = _window(site)
    counts = window.elements(shape[2:], outputs, bool(site.attribute("count_include_pad", 0)))
    if window.single_steps and window.dense:
        # The gradient is an average pool again; it divides by the size of the whole window.
        dy = _scaled(site, dy, prod(window.kernel) / counts)
        back = window.mirrored().attributes
        return [site.op("AveragePool", dy, count_include_pad=1, **back)]
    dy = _scaled(site, dy, 1 / counts)
    if window.tiles(outputs):
        return [_repeated(site, dy, window, shape)]
    return [_overlapped(site, dy, window, shape)]


def _scaled(site: Site, name: str, factors: np.ndarray) -> str:
    """Multiply by a map of factors, or by one number where they are all the same."""
    if np.all(factors == 1):
        return name
    if np.ptp(factors) == 0:
        factors = factors.flat[0]
    factors = np.asarray(factors, site.builder.dtype(name))
    return site.op("Mul", name, site.constant(factors, "shares"))


def _repeated(site: Site, name: str, window: Window, shape: Sequence[int]) -> str:
    """Repeat each element over its window, for windows that tile the input."""
    scales = site.constant(np.array([1, 1, *window.kernel], np.float32), "scales")
    repeated = site.op(
        "Resize",
        name,
        "",
        scales,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    before = [axis.before for axis in window.axes]
    return fit(site, repeated, range(2, len(shape)), before, shape)


def _overlapped(site: Site, name: str, window: Window, shape: Sequence[int]) -> str:
    """Add each element to all of its window, for any windows."""
    channels = shape[1]
    ones = np.ones((channels, 1, *window.kernel), site.builder.dtype(name))
    # Of the windows whole, margins and overhang included, the input is then cut out.
    whole = Window(tuple(replace(axis, before=0, after=0) for axis in window.axes))
    kernel = site.constant(ones, "ones")
    spread = site.op("ConvTranspose", name, kernel, group=channels, **whole.attributes)
    before = [axis.before for axis in window.axes]
    return fit(site, spread, range(2, len(shape)), before, shape)


@rule("GlobalAveragePool")
def global_average_pool(site: Site, dy: str) -> Cotangents:
    """dx = dy / count, repeated over the map."""
    shape = site.shape(site.inputs[0])
    share = site.op("Mul", dy, site.number(1 / prod(shape[2:]), "share"))
    return [site.op("Expand", share, site.integers(shape, "shape"))]


# --- maximum pooling -----------------------------------------------------------------------------


@rule("MaxPool", "GlobalMaxPool")
def max_pool(site: Site, dy: str, *others: str | None) -> Cotangents:
    """dx = the sum of dy over the windows whose first greatest element it is.

    A second MaxPool, of which only the indices are used, leaves the one of the forward pass in
    the runtime's blocked layout.
    """
    x = site.inputs[0]
    shape = site.shape(x)
    if site.node.op_type == "GlobalMaxPool":
        geometry = {"kernel_shape": list(shape[2:])}
    else:
        geometry = {
            name: value
            for name in ("kernel_shape", "strides", "pads", "dilations", "ceil_mode", "auto_pad")
            if (value := site.attribute(name)) is not None
        }
    if others:
        raise site.refuse("it gives indices too")
    if site.attribute("storage_order", 0):
        raise site.refuse("storage_order is 1")
    indices = site.ops("MaxPool", x, outputs=2, **geometry)[1]
    zeros = site.op("Expand", site.number(0), site.integers([prod(shape)], "shape"))
    total = prod(site.shape(dy))
    scattered = site.op(
        "ScatterElements",
        zeros,
        site.reshape(indices, [total]),
        site.reshape(dy, [total]),
        axis=0,
        reduction="add",
    )
    return [site.reshape(scattered, shape)]


# --- normalisation -------------------------------------------------------------------------------


@rule("LRN")
def lrn(site: Site, dy: str) -> Cotangents:
    """dx = dy · s^−β − 2αβ/n · x · Σ(dy · x · s^(−β−1)), s = bias + α/n Σx², sums over the window.

    The sum over a window of channels is a 1×1 convolution with a banded matrix.
    """
    x = site.inputs[0]
    shape, dtype = site.shape(x), site.builder.dtype(x)
    size = site.attribute("size")
    alpha, beta = site.attribute("alpha", 1e-4), site.attribute("beta", 0.75)
    if len(shape) != 4:
        raise site.refuse(f"its input has {len(shape)} axes, not 4")
    offset = np.subtract.outer(np.arange(shape[1]), np.arange(shape[1]))  # output − input
    band = (offset <= (size - 1) // 2) & (-offset <= size // 2)
    band = band.astype(dtype)[:, :, None, None]

    def windowed(name: str, matrix: np.ndarray, factor: float) -> str:
        return site.op("Conv", name, site.constant(matrix * dtype.type(factor), "band"))

    squares = windowed(site.op("Mul", x, x), band, alpha / size)
    scale = site.op("Add", squares, site.number(site.attribute("bias", 1.0), "bias"))
    direct = site.op("Mul", dy, site.op("Pow", scale, site.number(-beta, "exponent")))
    inner = site.op("Div", site.op("Mul", direct, x), scale)
    spread = windowed(inner, band.swapaxes(0, 1).copy(), 2 * alpha * beta / size)
    return [site.op("Sub", direct, site.op("Mul", x, spread))]


@rule("BatchNormalization")
def batch_normalization(site: Site, dy: str, *others: str | None) -> Cotangents:
    """dx = dy · scale / √(var + ε), dscale = Σ dy · (x − mean) / √(var + ε), dbias = Σ dy.

    The mean and the variance are those of training, constants.
    """
    x, scale, _, mean, variance = site.inputs
    if site.attribute("training_mode", 0):
        raise site.refuse("it is in training mode")
    if any(site.needed[3:]):
        raise site.refuse("its mean and its variance have no gradient")
    epsilon = site.builder.scalar(site.attribute("epsilon", 1e-5), variance, "epsilon")
    deviation = site.op("Sqrt", site.op("Add", variance, epsilon))
    dx = dscale = dbias = None
    if site.needed[0]:
        slope = site.op("Div", scale, deviation)
        dx = site.op("Mul", dy, _per_channel(site, slope, dy))
    if site.needed[1]:
        centred = site.op("Sub", x, _per_channel(site, mean, dy))
        inner = _sum_to_channels(site, site.op("Mul", dy, centred))
        dscale = site.op("Div", inner, deviation)
    if site.needed[2]:
        dbias = _sum_to_channels(site, dy)
    return [dx, dscale, dbias, None, None]


@rule("InstanceNormalization")
def instance_normalization(site: Site, dy: str) -> Cotangents:
    """dx = scale/σ · (dy − mean dy − u · mean(dy · u)), u = (x − mean x)/σ, σ = √(var x + ε).

    dscale = Σ dy · u, dbias = Σ dy. Means are over the positions of one channel of one image.
    """
    x, scale, _ = site.inputs
    shape = site.shape(x)
    rows, count = [*shape[:2], prod(shape[2:])], prod(shape[2:])
    last, share = site.integers([2], "axes"), site.number(1 / count, "share")
    x, dy = site.reshape(x, rows), site.reshape(dy, rows)

    def mean(name: str) -> str:
        return site.op("Mul", site.op("ReduceSum", name, last, keepdims=1), share)

    centred = site.op("Sub", x, mean(x))
    squares = site.op("ReduceSumSquare", centred, last, keepdims=1)
    variance = site.op("Mul", squares, share)
    epsilon = site.number(site.attribute("epsilon", 1e-5), "epsilon")
    deviation = site.op("Sqrt", site.op("Add", variance, epsilon))
    dy_mean = mean(dy)
    # The mean of dy · u, of which the sums for dscale are made too.
    inner = site.op("Div", mean(site.op("Mul", dy, centred)), deviation)
    total = site.number(count, "count")
    dx = None
    if site.needed[0]:
        slope = site.op("Div", _per_channel(site, scale, dy), deviation)
        along_x = site.op("Div", site.op("Mul", slope, inner), deviation)
        direct = site.op("Mul", site.op("Sub", dy, dy_mean), slope)
        dx = site.op("Sub", direct, site.op("Mul", centred, along_x))
        dx = site.reshape(dx, shape)
    sums = [
        site.op("Mul", _sum_to_channels(site, name), total) if needed else None
        for name, needed in zip((inner, dy_mean), site.needed[1:], strict=True)
    ]
    return [dx, *sums]
