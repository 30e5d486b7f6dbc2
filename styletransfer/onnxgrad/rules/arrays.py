"""The gradients of operators that sum over axes, multiply matrices, or move elements.

Notation: y the output, dy its cotangent, dx the cotangent of the input x.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Literal

import numpy as np

from styletransfer.onnxgrad.interpolation import interpolations
from styletransfer.onnxgrad.reading import attributes
from styletransfer.onnxgrad.rule import (
    Cotangents,
    Site,
    along,
    broadcast,
    fit,
    only_data,
    rule,
    transpose,
    unbroadcast,
)

# --- sums ----------------------------------------------------------------------------------------


def _integers(site: Site, position: int, default: Iterable[int] = ()) -> list[int]:
    """Return the integers of an input that must be constant, `default` where it is absent."""
    if len(site.inputs) <= position or not site.inputs[position]:
        return list(default)
    value = site.value(site.inputs[position])
    if value is None:
        raise site.refuse(f"its input {site.inputs[position]!r} is not constant")
    return [int(n) for n in value.ravel()]


def _with_reduced_axes(site: Site, dy: str) -> str:
    """Give a cotangent of a reduction the rank of the input, with ones where it was reduced."""
    shape = site.shape(site.inputs[0])
    axes = [axis % len(shape) for axis in _integers(site, 1)]
    if not axes and not site.attribute("noop_with_empty_axes", 0):
        axes = list(range(len(shape)))
    return site.reshape(dy, [1 if axis in axes else n for axis, n in enumerate(shape)])


def _expand(site: Site, name: str, shape: tuple[int, ...]) -> str:
    if site.shape(name) == shape:
        return name
    return site.op("Expand", name, site.integers(shape, "shape"))


@rule("ReduceSum")
def reduce_sum(site: Site, dy: str) -> Cotangents:
    """dx = dy, repeated along the axes summed over."""
    dy = _with_reduced_axes(site, dy)
    return only_data(site, _expand(site, dy, site.shape(site.inputs[0])))


@rule("ReduceMean")
def reduce_mean(site: Site, dy: str) -> Cotangents:
    """dx = dy / count, repeated along the axes averaged over."""
    x = site.shape(site.inputs[0])
    share = site.number(prod(site.shape(dy)) / prod(x), "share")
    mean = site.op("Mul", _with_reduced_axes(site, dy), share)
    return only_data(site, _expand(site, mean, x))


@rule("ReduceSumSquare")
def reduce_sum_square(site: Site, dy: str) -> Cotangents:
    """dx = 2 dy · x."""
    twice = site.op("Mul", _with_reduced_axes(site, dy), site.number(2))
    return only_data(site, site.op("Mul", site.inputs[0], twice))


@rule("Softmax")
def softmax(site: Site, dy: str) -> Cotangents:
    """dx = y · (dy − Σ dy · y), the sum along the axis."""
    axis = site.integers([site.attribute("axis", -1)], "axes")
    inner = site.op("ReduceSum", site.op("Mul", dy, site.output), axis, keepdims=1)
    return [site.op("Mul", site.output, site.op("Sub", dy, inner))]


# --- matrices ------------------------------------------------------------------------------------


def _swapped(site: Site, name: str) -> str:
    rank = len(site.shape(name))
    return transpose(site, name, [*range(rank - 2), rank - 1, rank - 2])


def _is_transpose(site: Site, name: str, of: str) -> bool:
    """Whether a tensor holds the matrices of another, transposed."""
    node, rank = site.builder.producer(name), len(site.shape(of))
    if node is None or node.op_type != "Transpose" or node.input[0] != of:
        return False
    order = attributes(node).get("perm", range(rank)[::-1])
    return list(order) == [*range(rank - 2), rank - 1, rank - 2]


@rule("MatMul")
def matmul(site: Site, dy: str) -> Cotangents:
    """dA = dY Bᵀ, dB = Aᵀ dY; for Gram matrices, where B is Aᵀ, dA = (dY + dYᵀ) A is all."""
    a, b = site.inputs
    if min(len(site.shape(a)), len(site.shape(b))) < 2:
        raise site.refuse("an operand is a vector; reshape it to a matrix")
    if all(site.needed) and _is_transpose(site, b, a):
        return [site.op("MatMul", site.op("Add", dy, _swapped(site, dy)), a), None]
    return broadcast(
        site,
        lambda: site.op("MatMul", dy, _swapped(site, b)),
        lambda: site.op("MatMul", _swapped(site, a), dy),
    )


@rule("Gemm")
def gemm(site: Site, dy: str) -> Cotangents:
    """dA = α dY Bᵀ, dB = α Aᵀ dY, dC = β dY, with A, B as they enter the product.

    Where both operands are one matrix, as in a Gram matrix X Xᵀ, dX = α (dY + dYᵀ) X: one product
    instead of two.
    """
    a, b = site.inputs[:2]
    alpha = site.attribute("alpha", 1.0)
    flip_a, flip_b = site.attribute("transA", 0), site.attribute("transB", 0)

    def product(left: str, right: str, left_flip: int, right_flip: int) -> str:
        return site.op("Gemm", left, right, alpha=alpha, transA=left_flip, transB=right_flip)

    da = db = None
    if a == b and flip_a != flip_b:
        both = site.op("Add", dy, site.op("Transpose", dy, perm=[1, 0]))
        da = product(a, both, 0, 0) if flip_a else product(both, a, 0, 0)
    else:
        if site.needed[0]:
            da = product(b, dy, flip_b, 1) if flip_a else product(dy, b, 0, 1 - flip_b)
        if site.needed[1]:
            db = product(dy, a, 1, flip_a) if flip_b else product(a, dy, 1 - flip_a, 0)
    if len(site.inputs) < 3:
        return [da, db]
    if not site.needed[2]:
        return [da, db, None]
    scaled = site.op("Mul", dy, site.number(site.attribute("beta", 1.0), "beta"))
    return [da, db, unbroadcast(site, scaled, site.inputs[2])]


# --- the same elements elsewhere -----------------------------------------------------------------


@rule("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def rearrange(site: Site, dy: str) -> Cotangents:
    """dx = dy in the shape of x."""
    return only_data(site, site.reshape(dy, site.shape(site.inputs[0])))


@rule("Transpose")
def transpose_rule(site: Site, dy: str) -> Cotangents:
    """dx = dy with the axes put back."""
    rank = len(site.shape(dy))
    order = site.attribute("perm", range(rank)[::-1])
    return [transpose(site, dy, [int(axis) for axis in np.argsort(order)])]


@rule("Concat")
def concat(site: Site, dy: str) -> Cotangents:
    """dxᵢ = the part of dy that xᵢ became."""
    axis = site.attribute("axis") % len(site.shape(dy))
    sizes = [site.shape(name)[axis] for name in site.inputs]
    if all(site.needed) and len(sizes) > 1:
        parts = site.ops("Split", dy, site.integers(sizes, "split"), outputs=len(sizes), axis=axis)
        return list(parts)
    starts = np.cumsum([0, *sizes]).tolist()
    return [
        fit(site, dy, [axis], [start], site.shape(name)) if needed else None
        for name, start, needed in zip(site.inputs, starts, site.needed, strict=False)
    ]


@rule("Split")
def split(site: Site, *parts: str | None) -> Cotangents:
    """dx = the dyᵢ one after another, zeros for those that are absent."""
    axis = site.attribute("axis", 0)
    filled = [
        part or _expand(site, site.number(0), site.shape(name))
        for part, name in zip(parts, site.node.output, strict=True)
    ]
    return only_data(site, site.op("Concat", *filled, axis=axis))


@rule("Slice")
def slice_rule(site: Site, dy: str) -> Cotangents:
    """dx = dy where it was taken from, zeros around."""
    shape = site.shape(site.inputs[0])
    given = _integers(site, 1)
    axes = [axis % len(shape) for axis in _integers(site, 3, range(len(given)))]
    steps = _integers(site, 4)
    if set(steps) - {1}:
        raise site.refuse(f"it takes steps of {steps}; only steps of 1 are supported")
    starts = [
        min(max(start + shape[axis] * (start < 0), 0), shape[axis])
        for start, axis in zip(given, axes, strict=True)
    ]
    return only_data(site, fit(site, dy, axes, [-start for start in starts], shape))


@rule("Pad")
def pad(site: Site, dy: str) -> Cotangents:
    """dx = dy without the margins; zeros where x was cropped.

    Where the margins repeat elements of x, what they received is added to those.
    """
    shape = site.shape(site.inputs[0])
    axes = [axis % len(shape) for axis in _integers(site, 3, range(len(shape)))]
    widths = _integers(site, 1)
    before, after = widths[: len(axes)], widths[len(axes) :]
    mode = site.attribute("mode", "constant")
    if mode == "constant":
        return only_data(site, fit(site, dy, axes, before, shape))
    if mode not in _NUMPY_MODES:
        raise site.refuse(f"its mode is {mode}; {', '.join(['constant', *_NUMPY_MODES])} have one")
    if min(widths) < 0:
        raise site.refuse(f"it crops by {widths} in the mode {mode}")
    for axis, first, last in zip(axes, before, after, strict=True):
        if not first and not last:
            continue
        if mode == "reflect" and first + last + 2 <= shape[axis]:
            dy = _folded(site, dy, axis, first, last)
            continue
        sources = np.pad(np.arange(shape[axis]), (first, last), _NUMPY_MODES[mode])
        dy = along(site, dy, axis, np.eye(shape[axis])[sources].T)
    return only_data(site, dy)


def _folded(site: Site, dy: str, axis: int, before: int, after: int) -> str:
    """Add margins of reflection to what they reflect: slices, since most elements only move."""
    end = site.shape(dy)[axis] - after

    def part(start: int, stop: int) -> str:
        return site.slice(dy, [axis], [start], [stop])

    def with_margin(start: int, stop: int, margin: str) -> str:
        if stop - start > 1:
            bounds = ([-1], [-(stop - start + 1)], [axis], [-1])
            ordered = (site.integers(bound, "bounds") for bound in bounds)
            margin = site.op("Slice", margin, *ordered)
        return site.op("Add", part(start, stop), margin)

    parts = []
    first, last = before, end
    if before:
        first = 2 * before + 1
        inner = with_margin(before + 1, first, part(0, before))
        parts += [part(before, before + 1), inner]
    if after:
        last = end - after - 1
        inner = with_margin(last, end - 1, part(end, end + after))
        parts += [inner, part(end - 1, end)]
    if last > first:
        parts.insert(2 if before else 0, part(first, last))
    return site.op("Concat", *parts, axis=axis)


_NUMPY_MODES: Mapping[str, Literal["reflect", "edge", "wrap"]] = {
    "reflect": "reflect",
    "edge": "edge",
    "wrap": "wrap",
}


@rule("Resize")
def resize(site: Site, dy: str) -> Cotangents:
    """dx = the transpose of what interpolates, along each axis.

    Where each element has become a block of equal ones, that is the sum of the block.
    """
    shape, outputs = site.shape(site.inputs[0]), site.shape(dy)
    matrices = interpolations(site.node, shape, outputs, _scales(site, shape, outputs))
    if matrices is None:
        raise site.refuse("of its ways to interpolate only nearest and linear ones are supported")
    changed = {axis: matrix for axis, matrix in enumerate(matrices) if not _is_identity(matrix)}
    factors = [m // n for n, m in zip(shape, outputs, strict=True)]
    blocks = all(
        np.array_equal(matrix, np.repeat(np.eye(shape[axis]), factors[axis], axis=0))
        for axis, matrix in changed.items()
    )
    if blocks and len(shape) > 2 and min(changed, default=2) >= 2:
        window = factors[2:]
        mean = site.op("AveragePool", dy, kernel_shape=window, strides=window)
        return only_data(site, site.op("Mul", mean, site.number(prod(window), "count")))
    for axis, matrix in changed.items():
        dy = along(site, dy, axis, matrix.T)
    return only_data(site, dy)


def _scales(site: Site, shape: Sequence[int], outputs: Sequence[int]) -> list[float]:
    """Return the scale of each axis: the one that is given, or the ratio of the sizes."""
    scales = [m / n for n, m in zip(shape, outputs, strict=True)]
    given = site.value(site.inputs[2]) if len(site.inputs) > 2 and site.inputs[2] else None
    if given is not None and given.size:
        axes = site.attribute("axes", range(len(shape)))
        for axis, scale in zip(axes, given.tolist(), strict=True):
            scales[axis] = scale
    return scales


def _is_identity(matrix: np.ndarray) -> bool:
    return np.array_equal(matrix, np.eye(len(matrix)))


@rule("DepthToSpace")
def depth_to_space(site: Site, dy: str) -> Cotangents:
    """dx = dy with each block of positions put back into channels."""
    if site.attribute("mode", "DCR") != "DCR":
        raise site.refuse("its mode is CRD; only DCR is supported")
    return [site.op("SpaceToDepth", dy, blocksize=site.attribute("blocksize"))]


@rule("SpaceToDepth")
def space_to_depth(site: Site, dy: str) -> Cotangents:
    """dx = dy with channels put back into each block of positions."""
    return [site.op("DepthToSpace", dy, blocksize=site.attribute("blocksize"))]


@rule("Expand")
def expand(site: Site, dy: str) -> Cotangents:
    """dx = dy summed over the axes along which x was repeated."""
    return only_data(site, unbroadcast(site, dy, site.inputs[0]))
