"""Winograd's algorithm in place of convolutions.

A convolution of 3×3 weights makes a tile of 4×4 outputs from 6×6 inputs with 144 products for each
pair of channels. The inputs, the weights and the outputs transformed, it takes 36:

    Y = Aᵀ [(G w Gᵀ) ⊙ (Bᵀ d B)] A,

where the products ⊙ of all channels and tiles are 36 matrix products. It is the same convolution
as exactly as rounding lets it be: one layer differs from the exact result by a relative 2e-6, where
the plain sum differs by 3e-7.

References
----------
Lavin, Gray: Fast Algorithms for Convolutional Neural Networks (2015).
Barabasz et al.: Error Analysis and Improving the Accuracy of Winograd Convolution (2020), for the
choice of the points.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np
import onnx

from styletransfer.onnxgrad.builder import GraphBuilder
from styletransfer.onnxgrad.rule import Site
from styletransfer.onnxgrad.rules import weights
from styletransfer.onnxgrad.rules.windows import WeightGradient
from styletransfer.onnxgrad.window import Window

TAPS = 3
TILE = 4
PATCH = TILE + TAPS - 1
FREQUENCIES = PATCH * PATCH

# Where the polynomials are evaluated; the last point is infinity. These give half the rounding
# error of the usual 0, ±1, ±2; and with a also −1/a is among them, see `_mirrored`.
POINTS = np.array([0, 1, -1, 0.5, -2])

# What decides whether it pays, measured on two cores of a processor with AVX-512. Of other
# processors only the ratios matter.
DIRECT_RATE = 200.0  # operations in a nanosecond, of the runtime's convolution
PRODUCT_RATE = 170.0  # and of its matrix products
READ_RATE = 15.0  # bytes in a nanosecond, of weights that were used one evaluation ago
INPUT_COST, OUTPUT_COST = 1.5, 1.8  # nanoseconds for each element that is transformed
BATCH_COST = 2.0  # and for moving it among the images of a batch, on either side
COMPUTED = 0.75  # the part of the convolution's rate that is left where weights are computed
OVERHEAD = 150e3  # nanoseconds for eight nodes instead of one
GAIN = 0.85  # the part of the time that is left must be smaller than this

# The transformed tensors of one convolution, over four times the size of what goes in and comes
# out, are made in strips of the image of at most this many bytes.
STRIP_BYTES = 160 << 20


@dataclass(frozen=True)
class Convolution:
    """A convolution 3×3 of single steps.

    Attributes
    ----------
    channels, maps : int
        Of the input and of the output.
    size : tuple of int
        Height and width of the output.
    before : tuple of int
        Padding above and left of the input.
    images : int
        How many there are.
    computed : bool
        Whether the weights are no constants, which the runtime could prepare.
    """

    channels: int
    maps: int
    size: tuple[int, int]
    before: tuple[int, int] = (0, 0)
    images: int = 1
    computed: bool = False

    @property
    def tiles(self) -> tuple[int, int]:
        """How many tiles cover the output, down and across."""
        return -(-self.size[0] // TILE), -(-self.size[1] // TILE)


def pays(convolution: Convolution) -> bool:
    """Whether Winograd's algorithm is faster than the runtime's own on a CPU; measured."""
    pairs = convolution.channels * convolution.maps
    tiles = convolution.images * prod(convolution.tiles)
    outputs = convolution.images * prod(convolution.size)
    rate = DIRECT_RATE * (COMPUTED if convolution.computed else 1)
    direct = 2 * TAPS**2 * pairs * outputs / rate
    products = 2 * FREQUENCIES * pairs * tiles / PRODUCT_RATE + 4 * FREQUENCIES * pairs / READ_RATE
    elements = INPUT_COST * convolution.channels + OUTPUT_COST * convolution.maps
    if convolution.images > 1:
        elements += BATCH_COST * (convolution.channels + convolution.maps)
    return products + elements * tiles * TILE**2 + OVERHEAD < GAIN * direct


def rewrite(builder: GraphBuilder, choose: Callable[[Convolution], bool] = pays) -> int:
    """Replace convolutions in a graph by Winograd's algorithm; return how many were.

    Float32 nodes Conv, 3×3, of single steps and one group are replaced where `choose` says so;
    their outputs keep their names and shapes.
    """
    transformed: list[tuple[np.ndarray, str]] = []
    replaced = 0

    def replace(node: onnx.NodeProto) -> bool:
        nonlocal replaced
        convolution = _recognise(builder, node)
        if convolution is None or not choose(convolution):
            return False
        with builder.scope(f"{node.output[0]}/winograd"):
            _emit(builder, node, convolution, transformed)
        replaced += 1
        return True

    builder.rebuild(replace)
    return replaced


def _recognise(builder: GraphBuilder, node: onnx.NodeProto) -> Convolution | None:
    """Return what a node computes if it can be replaced."""
    if node.op_type != "Conv":
        return None
    images, channels, *size = builder.shape(node.input[0])
    maps, inputs, *kernel = builder.shape(node.input[1])
    # Channels go in pairs, see `_emit`.
    if kernel != [TAPS, TAPS] or inputs != channels or channels % 2:
        return None
    if builder.dtype(node.input[0]) != np.float32:
        return None
    window = Window.of(node, kernel)
    if window is None or not window.single_steps or not window.dense or min(window.pads) < 0:
        return None
    height, width = (axis.count(n) for axis, n in zip(window.axes, size, strict=True))
    before = window.pads[0], window.pads[1]
    computed = builder.value(node.input[1]) is None
    return Convolution(channels, maps, (height, width), before, images, computed)


def _emit(
    builder: GraphBuilder,
    node: onnx.NodeProto,
    convolution: Convolution,
    known: list[tuple[np.ndarray, str]],
) -> None:
    """Append the nodes that compute what `node` does."""
    x, w, *bias = node.input
    spectrum, flipped = _spectrum(builder, w, known)
    across = convolution.tiles[1]
    strips = []
    for first, last in _strips(convolution):
        patches = _patches(builder, x, convolution, first, last, flipped)
        products = builder.op("MatMul", spectrum, patches)
        rows = convolution.maps * convolution.images * (last - first)
        products = builder.reshape(products, (FREQUENCIES, rows * across))
        pixels = builder.op("MatMul", _transform(builder, "tile", flipped), products)
        planes = builder.reshape(pixels, (1, TILE * TILE, rows, across))
        image = builder.op("DepthToSpace", planes, blocksize=TILE)
        strips.append(_images_first(builder, image, convolution, (last - first) * TILE))
    y = strips[0] if len(strips) == 1 else builder.op("Concat", *strips, axis=2)
    y = builder.slice(y, (2, 3), (0, 0), convolution.size)
    if bias:
        y = builder.op("Add", y, builder.reshape(bias[0], (1, convolution.maps, 1, 1)))
    builder.op("Identity", y, output=node.output[0])


def _patches(
    builder: GraphBuilder, x: str, convolution: Convolution, first: int, last: int, flipped: bool
) -> str:
    """Append the transform of the patches of some rows of tiles, (36, channels, images × tiles)."""
    images, channels, height, width = builder.shape(x)
    across = convolution.tiles[1]
    top, left = convolution.before
    right = across * TILE + TAPS - 1 - left - width
    start, stop = first * TILE - top, last * TILE + TAPS - 1 - top
    pairs = builder.reshape(x, (images * channels // 2, 2, height, width))
    rows = builder.slice(pairs, [2], [max(start, 0)], [min(stop, height)])
    pads = [max(-start, 0), left, max(stop - height, 0), right]
    kernel = _transform(builder, "patch", flipped)
    return _frequencies(builder, rows, kernel, pads, (images, channels, (last - first) * across))


def _frequencies(
    builder: GraphBuilder, pairs: str, kernel: str, pads: list[int], sizes: tuple[int, int, int]
) -> str:
    """Append the transform of all tiles by a kernel, (36, channels, images × tiles)."""
    images, channels, tiles = sizes
    side = builder.shape(kernel)[2]
    # In two equal groups: the runtime's blocked layout, slower here, takes no such groups.
    found = builder.op(
        "Conv", pairs, kernel, strides=[TILE, TILE], pads=pads, group=2, kernel_shape=[side] * 2
    )
    # The runtime reads the product's operands in this order, and transposes nothing.
    if images == 1:
        found = builder.reshape(found, (channels, FREQUENCIES, tiles))
        return builder.op("Transpose", found, perm=[1, 0, 2])
    found = builder.reshape(found, (images, channels, FREQUENCIES, tiles))
    found = builder.op("Transpose", found, perm=[2, 1, 0, 3])
    return builder.reshape(found, (FREQUENCIES, channels, images * tiles))


def _images_first(builder: GraphBuilder, rows: str, convolution: Convolution, height: int) -> str:
    """Give an image of all maps of all images, below each other, the shape of maps of images."""
    width = convolution.tiles[1] * TILE
    if convolution.images == 1:
        return builder.reshape(rows, (1, convolution.maps, height, width))
    maps = builder.reshape(rows, (convolution.maps, convolution.images, height, width))
    return builder.op("Transpose", maps, perm=[1, 0, 2, 3])


def weight_gradient(choose: Callable[[Convolution], bool] = pays) -> WeightGradient:
    """Return how the weights' gradient of a convolution is made: here, where `choose` says so.

    It is the transpose of what the weights become outputs by: of the tiles of dy transformed by A
    and the patches of x by Bᵀ, the products are gathered by Gᵀ. The patches are those of the
    way forward, whose nodes the runtime recognises as the same.
    """

    def gradient(site: Site, x: str, dy: str, window: Window, group: int) -> str:
        convolution = _recognise(site.builder, site.node)
        if convolution is None or convolution.maps % 2 or not choose(convolution):
            return weights.weight_gradient(site, x, dy, window, group)
        return _weight_gradient(site.builder, x, dy, convolution)

    return gradient


def _weight_gradient(builder: GraphBuilder, x: str, dy: str, convolution: Convolution) -> str:
    maps, channels = convolution.maps, convolution.channels
    down, across = convolution.tiles
    height, width = convolution.size
    patches = _patches(builder, x, convolution, 0, down, flipped=False)
    images = convolution.images
    pairs = builder.reshape(dy, (images * maps // 2, 2, height, width))
    pads = [0, 0, down * TILE - height, across * TILE - width]
    kernel = _transform(builder, "cotangent", False)
    tiles = _frequencies(builder, pairs, kernel, pads, (images, maps, down * across))
    products = builder.op("MatMul", tiles, builder.op("Transpose", patches, perm=[0, 2, 1]))
    products = builder.reshape(products, (FREQUENCIES, maps * channels))
    g = _matrices()[1]
    gather = _shared(builder, "weight cotangent", lambda: np.kron(g, g).T.astype(np.float32))
    taps = builder.op("MatMul", gather, products)
    taps = builder.reshape(taps, (TAPS, TAPS, maps, channels))
    return builder.op("Transpose", taps, perm=[2, 3, 0, 1])


def _transform(builder: GraphBuilder, kind: str, flipped: bool) -> str:
    """Return the constant that transforms patches, tiles or the cotangents of tiles."""

    def make() -> np.ndarray:
        patch, tile = _transforms(flipped)
        if kind == "patch":
            return np.concatenate([patch, patch])
        spread = tile.T.reshape(FREQUENCIES, 1, TILE, TILE)
        return tile if kind == "tile" else np.concatenate([spread, spread])

    return _shared(builder, f"{kind} transform{' of mirrored weights' * flipped}", make)


def _shared(builder: GraphBuilder, name: str, make: Callable[[], np.ndarray]) -> str:
    """Return a constant that is made once for a graph, so that equal nodes read the same one."""
    name = f"winograd/{name}"
    return name if name in builder.initializers else builder.named_constant(name, make())


def _strips(convolution: Convolution) -> list[tuple[int, int]]:
    """Return the first row of tiles, and the one past the last, of each strip."""
    down, across = convolution.tiles
    channels = convolution.channels + convolution.maps
    row = FREQUENCIES * across * channels * convolution.images * 4
    count = min(down, -(-down * row // STRIP_BYTES))
    bounds = np.linspace(0, down, count + 1).round().astype(int).tolist()
    return list(pairwise(bounds))


def _spectrum(
    builder: GraphBuilder, name: str, known: list[tuple[np.ndarray, str]]
) -> tuple[str, bool]:
    """Return the transformed weights, (36, maps, channels), and whether they are the mirrored ones.

    The gradient's convolution has the weights of the forward one flipped and transposed. It uses
    the same transformed weights, which are four times as large as the weights themselves.
    """
    maps, channels = builder.shape(name)[:2]
    g = _matrices()[1]
    transform = np.kron(g, g)
    weight = builder.value(name)
    if weight is None:
        rows = builder.reshape(name, (maps * channels, TAPS * TAPS))
        spread = _shared(builder, "weight transform", lambda: transform.astype(np.float32))
        computed = builder.op("MatMul", spread, builder.op("Transpose", rows, perm=[1, 0]))
        return builder.reshape(computed, (FREQUENCIES, maps, channels)), False
    for other, spectrum in known:
        if _are_mirrored(weight, other):
            return builder.op("Transpose", spectrum, perm=[0, 2, 1]), True
    values = np.empty((FREQUENCIES, maps, channels), np.float32)
    # Map by map: all at once take eight times the memory, and a product that large is left to
    # several threads, which wait for each other for longer than one takes.
    for own, taps in zip(values.swapaxes(0, 1), weight, strict=True):
        own[:] = transform @ taps.reshape(channels, TAPS * TAPS).T
    spectrum = builder.constant(values, "weight")
    known.append((weight, spectrum))
    return spectrum, False


def _are_mirrored(weight: np.ndarray, other: np.ndarray) -> bool:
    """Whether weights are others flipped and transposed; one map tells most that are not."""
    mirrored = np.flip(weight, (2, 3)).swapaxes(0, 1)
    return np.array_equal(mirrored[:1], other[:1]) and np.array_equal(mirrored, other)


def _transforms(mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the transforms of a patch, (36, 1, 6, 6), and of a tile, (16, 36), float32.

    With `mirrored` they are for the spectrum of the mirrored weights. A polynomial with its
    coefficients reversed is a² w(1/a) at a; and w(1/a) is, with every other coefficient negated,
    w at −1/a, again one of the points. Signs and factors are moved into the other two transforms.
    """
    a, g, b = _matrices()
    if mirrored:
        signs = (-1.0) ** np.arange(PATCH)
        # Where a point's spectrum of mirrored weights is found, and the factor that it lacks.
        reversed_g = g[:, ::-1] * signs[:TAPS]
        partner = [int(np.argmax(_parallel(row, g))) for row in reversed_g]
        factor = np.linalg.norm(reversed_g, axis=1) / np.linalg.norm(g[partner], axis=1)
        factor *= np.sign(np.einsum("ij,ij->i", reversed_g, g[partner]))
        order = np.argsort(partner)
        b = (factor[:, None] * b * signs)[order]
        a = (signs[:TILE, None] * a)[:, order]
    patch = np.kron(b, b).reshape(FREQUENCIES, 1, PATCH, PATCH)
    return patch.astype(np.float32), np.kron(a, a).astype(np.float32)


def _parallel(row: np.ndarray, rows: np.ndarray) -> np.ndarray:
    cosines: np.ndarray = np.abs(rows @ row) / np.linalg.norm(rows, axis=1)
    return cosines


def _matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Aᵀ (4, 6), G (6, 3) and Bᵀ (6, 6): Toom and Cook's algorithm at `POINTS`."""
    a, g, b = np.zeros((TILE, PATCH)), np.zeros((PATCH, TAPS)), np.zeros((PATCH, PATCH))
    a[:, :-1] = POINTS ** np.arange(TILE)[:, None]
    for row, point in enumerate(POINTS):
        others = np.delete(POINTS, row)
        g[row] = point ** np.arange(TAPS) / np.prod(point - others)
        b[row, :-1] = np.poly(others)[::-1]
    a[-1, -1] = g[-1, -1] = 1
    b[-1] = np.poly(POINTS)[::-1]
    return a, g, b
