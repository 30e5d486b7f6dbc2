"""The gradients of operators that slide a window: convolutions, pools, normalisation.

Notation: y the output, dy its cotangent, dx the cotangent of the input x.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from styletransfer.onnxgrad.rule import Cotangents, Site, fit, reshape, rule

# To an image of this many channels a ConvTranspose is faster than a Conv of flipped weights: the
# runtime's blocked layout has no use for so few outputs.
FEW_CHANNELS = 4


@dataclass(frozen=True)
class Window:
    """The geometry of a sliding window, one entry an axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def extent(self) -> tuple[int, ...]:
        """How far a window reaches, gaps included."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def pads(self) -> list[int]:
        """As ONNX has them."""
        return [*self.before, *self.after]


def _window(site: Site, kernel: tuple[int, ...]) -> Window:
    rank = len(kernel)
    if site.attribute("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise site.refuse(f"auto_pad is {site.attribute('auto_pad')}; give the pads in numbers")
    pads = site.attribute("pads", [0] * 2 * rank)
    return Window(
        tuple(kernel),
        tuple(site.attribute("strides", [1] * rank)),
        tuple(site.attribute("dilations", [1] * rank)),
        tuple(pads[:rank]),
        tuple(pads[rank:]),
    )


# --- convolution ---------------------------------------------------------------------------------


@rule("Conv")
def conv(site: Site, dy: str) -> Cotangents:
    """dx = dy convolved with the weights flipped and transposed, dW = x correlated with dy.

    With stride 1 and constant weights dx is a Conv whose weights are made here, once; otherwise
    a ConvTranspose with the weights as they are.
    """
    x, w = site.inputs[:2]
    window = _window(site, site.shape(w)[2:])
    given = [None] * len(site.inputs)
    if site.needed[0]:
        given[0] = _conv_input(site, dy, window)
    if site.needed[1]:
        given[1] = _conv_weight(site, x, dy, window, site.shape(w))
    if len(given) > 2 and site.needed[2]:
        axes = [axis for axis in range(len(site.shape(dy))) if axis != 1]
        given[2] = site.op("ReduceSum", dy, site.integers(axes, "axes"), keepdims=0)
    return given


def _conv_input(site: Site, dy: str, window: Window) -> str:
    x, w = site.inputs[:2]
    group = site.attribute("group", 1)
    before = [e - 1 - p for e, p in zip(window.extent, window.before, strict=True)]
    after = [e - 1 - p for e, p in zip(window.extent, window.after, strict=True)]
    weight = site.value(w)
    if (
        weight is not None
        and set(window.strides) == {1}
        and site.shape(x)[1] > FEW_CHANNELS
        and min(before + after) >= 0
    ):
        flipped = site.constant(_flipped(weight, group), "weight")
        return site.op(
            "Conv",
            dy,
            flipped,
            kernel_shape=list(window.kernel),
            pads=before + after,
            dilations=list(window.dilations),
            group=group,
        )
    reached = [
        (n - 1) * s + e - p - q
        for n, s, e, p, q in zip(
            site.shape(dy)[2:],
            window.strides,
            window.extent,
            window.before,
            window.after,
            strict=True,
        )
    ]
    rest = [n - r for n, r in zip(site.shape(x)[2:], reached, strict=True)]
    return site.op(
        "ConvTranspose",
        dy,
        w,
        kernel_shape=list(window.kernel),
        strides=list(window.strides),
        pads=window.pads,
        dilations=list(window.dilations),
        output_padding=rest,
        group=group,
    )


def _flipped(weight: np.ndarray, group: int) -> np.ndarray:
    """Exchange input and output channels within each group and reverse the other axes."""
    out, inner, *kernel = weight.shape
    grouped = weight.reshape(group, out // group, inner, *kernel).swapaxes(1, 2)
    swapped = grouped.reshape(group * inner, out // group, *kernel)
    return np.ascontiguousarray(np.flip(swapped, range(2, weight.ndim)))


def _conv_weight(site: Site, x: str, dy: str, window: Window, shape: tuple[int, ...]) -> str:
    if site.attribute("group", 1) != 1:
        raise site.refuse("the gradient for the weights of a grouped convolution is not needed yet")
    # Batch and channels change places: the batch is what is summed over, and a step of the
    # window is now a gap in the kernel.
    order = [1, 0, *range(2, len(shape))]
    dw = site.op(
        "Conv",
        site.op("Transpose", x, perm=order),
        site.op("Transpose", dy, perm=order),
        pads=window.pads,
        strides=list(window.dilations),
        dilations=list(window.strides),
    )
    dw = site.op("Transpose", dw, perm=order)
    return fit(site, dw, [], [], shape)


# --- average pooling -----------------------------------------------------------------------------


def _counts(
    window: Window, size: tuple[int, ...], outputs: tuple[int, ...], padding_counts: bool
) -> list[np.ndarray]:
    """Return for each axis the number of elements each window is averaged over."""
    counts = []
    for axis, (n, outs) in enumerate(zip(size, outputs, strict=True)):
        starts = np.arange(outs) * window.strides[axis] - window.before[axis]
        low, high = (-window.before[axis], n + window.after[axis]) if padding_counts else (0, n)
        taps = starts[:, None] + np.arange(window.kernel[axis]) * window.dilations[axis]
        counts.append(((taps >= low) & (taps < high)).sum(axis=1))
    return counts


@rule("AveragePool")
def average_pool(site: Site, dy: str) -> Cotangents:
    """dx = the sum of dy / count over the windows that an element lies in."""
    x = site.inputs[0]
    window = _window(site, tuple(site.attribute("kernel_shape")))
    dtype = site.builder.dtype(dy)
    outputs = site.shape(dy)[2:]
    padding_counts = bool(site.attribute("count_include_pad", 0))
    shares = np.ones((1, 1))
    for count in _counts(window, site.shape(x)[2:], outputs, padding_counts):
        shares = shares[..., None] / count
    full = prod(window.kernel)
    if set(window.strides) == {1} and set(window.dilations) == {1}:
        return [_pool_of_stride_1(site, dy, window, shares * full)]
    uniform = np.ptp(shares) == 0
    shares = shares.flat[0] if uniform else shares
    scaled = site.op("Mul", dy, site.constant(np.asarray(shares, dtype), "shares"))
    if _apart(window, outputs):
        return [_spread(site, scaled, window, site.shape(x))]
    return [_overlapped(site, scaled, window, site.shape(x))]


def _pool_of_stride_1(site: Site, dy: str, window: Window, weights: np.ndarray) -> str:
    """With stride 1 an average pool's gradient is an average pool again."""
    if np.any(weights != 1):
        dy = site.op("Mul", dy, site.constant(weights.astype(site.builder.dtype(dy)), "shares"))
    before = [k - 1 - p for k, p in zip(window.kernel, window.before, strict=True)]
    after = [k - 1 - p for k, p in zip(window.kernel, window.after, strict=True)]
    return site.op(
        "AveragePool",
        dy,
        kernel_shape=list(window.kernel),
        pads=before + after,
        count_include_pad=1,
    )


def _apart(window: Window, outputs: tuple[int, ...]) -> bool:
    """Whether the windows tile the input, each beginning where the last one ends."""
    return set(window.dilations) == {1} and all(
        k == s or n == 1 for k, s, n in zip(window.kernel, window.strides, outputs, strict=True)
    )


def _spread(site: Site, name: str, window: Window, shape: tuple[int, ...]) -> str:
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
    axes = list(range(2, len(shape)))
    return fit(site, repeated, axes, window.before, shape)


def _overlapped(site: Site, name: str, window: Window, shape: tuple[int, ...]) -> str:
    """Add each element to all of its window, for any windows."""
    channels = shape[1]
    ones = np.ones((channels, 1, *window.kernel), site.builder.dtype(name))
    # The transposed convolution covers the windows whole, then the input is cut out: windows may
    # overhang its end, or end before it.
    spread = site.op(
        "ConvTranspose",
        name,
        site.constant(ones, "ones"),
        kernel_shape=list(window.kernel),
        strides=list(window.strides),
        dilations=list(window.dilations),
        group=channels,
    )
    return fit(site, spread, list(range(2, len(shape))), window.before, shape)


@rule("GlobalAveragePool")
def global_average_pool(site: Site, dy: str) -> Cotangents:
    """dx = dy / count, repeated over the map."""
    shape = site.shape(site.inputs[0])
    share = site.op("Mul", dy, site.number(1 / prod(shape[2:]), "share"))
    return [site.op("Expand", share, site.integers(shape, "shape"))]


# --- maximum pooling -----------------------------------------------------------------------------


@rule("MaxPool", "GlobalMaxPool")
def max_pool(site: Site, dy: str) -> Cotangents:
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
    if site.attribute("storage_order", 0) or len(site.node.output) > 1:
        raise site.refuse("it gives indices")
    indices = site.builder.ops("MaxPool", x, outputs=2, **geometry)[1]
    zeros = site.op("Expand", site.number(0), site.integers([prod(shape)], "shape"))
    total = prod(site.shape(dy))
    scattered = site.op(
        "ScatterElements",
        zeros,
        reshape(site, indices, [total]),
        reshape(site, dy, [total]),
        axis=0,
        reduction="add",
    )
    return [reshape(site, scattered, shape)]


# --- local response normalisation ----------------------------------------------------------------


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
