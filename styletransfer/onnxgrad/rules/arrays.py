"""The gradients of operators that work element by element, move elements, or multiply matrices.

Notation: y the output, dy its cotangent, dx the cotangent of the input x.
"""

import numpy as np

from styletransfer.onnxgrad.rule import (
    Cotangents,
    Site,
    fit,
    reshape,
    rule,
    transpose,
    unbroadcast,
)

# --- element by element, one input ---------------------------------------------------------------


@rule("Identity")
def identity(site: Site, dy: str) -> Cotangents:
    """dx = dy."""
    return [dy]


@rule("Neg")
def neg(site: Site, dy: str) -> Cotangents:
    """dx = −dy."""
    return [site.op("Neg", dy)]


@rule("Relu")
def relu(site: Site, dy: str) -> Cotangents:
    """dx = dy · [y > 0].

    The step is a HardSigmoid, min(1, huge · y): three times as fast on the CPU as Greater and
    Where, and exact for every y that is not denormal.
    """
    huge = min(float(np.finfo(dtype).max) for dtype in (site.builder.dtype(dy), np.float32))
    step = site.op("HardSigmoid", site.output, alpha=huge, beta=0.0)
    return [site.op("Mul", dy, step)]


@rule("Abs")
def absolute(site: Site, dy: str) -> Cotangents:
    """dx = dy · sign(x)."""
    return [site.op("Mul", dy, site.op("Sign", site.inputs[0]))]


@rule("Sqrt")
def sqrt(site: Site, dy: str) -> Cotangents:
    """dx = ½ dy / y."""
    return [site.op("Div", site.op("Mul", dy, site.number(0.5)), site.output)]


@rule("Exp")
def exp(site: Site, dy: str) -> Cotangents:
    """dx = dy · y."""
    return [site.op("Mul", dy, site.output)]


@rule("Log")
def log(site: Site, dy: str) -> Cotangents:
    """dx = dy / x."""
    return [site.op("Div", dy, site.inputs[0])]


# --- element by element, with broadcasting -------------------------------------------------------


def _broadcast(site: Site, *makers) -> Cotangents:
    """Make the cotangents that are needed, each summed to the shape of its input."""
    return [
        unbroadcast(site, make(), name) if needed else None
        for name, needed, make in zip(site.inputs, site.needed, makers, strict=True)
    ]


@rule("Add", "Sum")
def add(site: Site, dy: str) -> Cotangents:
    """dxᵢ = dy."""
    return _broadcast(site, *[lambda: dy] * len(site.inputs))


@rule("Sub")
def sub(site: Site, dy: str) -> Cotangents:
    """da = dy, db = −dy."""
    return _broadcast(site, lambda: dy, lambda: site.op("Neg", dy))


@rule("Mul")
def mul(site: Site, dy: str) -> Cotangents:
    """da = dy · b, db = dy · a."""
    a, b = site.inputs
    return _broadcast(site, lambda: site.op("Mul", dy, b), lambda: site.op("Mul", dy, a))


@rule("Div")
def div(site: Site, dy: str) -> Cotangents:
    """da = dy / b, db = −dy · y / b."""
    b = site.inputs[1]

    def divisor() -> str:
        return site.op("Neg", site.op("Div", site.op("Mul", dy, site.output), b))

    return _broadcast(site, lambda: site.op("Div", dy, b), divisor)


# --- sums ----------------------------------------------------------------------------------------


def _with_reduced_axes(site: Site, dy: str) -> str:
    """Give a cotangent of a reduction the rank of the input, with ones where it was reduced."""
    shape = site.shape(site.inputs[0])
    axes = range(len(shape))
    if len(site.inputs) > 1 and site.inputs[1]:
        given = site.value(site.inputs[1])
        if given is None:
            raise site.refuse("its axes are not constant")
        if given.size or site.attribute("noop_with_empty_axes", 0):
            axes = [int(axis) % len(shape) for axis in given]
    elif site.attribute("noop_with_empty_axes", 0):
        axes = []
    return reshape(site, dy, [1 if axis in axes else n for axis, n in enumerate(shape)])


def _only_data(site: Site, cotangent: str) -> Cotangents:
    """Give the first input a cotangent and the others, which are parameters, none."""
    return [cotangent] + [None] * (len(site.inputs) - 1)


def _expand(site: Site, name: str, shape: tuple[int, ...]) -> str:
    if site.shape(name) == shape:
        return name
    return site.op("Expand", name, site.integers(shape, "shape"))


@rule("ReduceSum")
def reduce_sum(site: Site, dy: str) -> Cotangents:
    """dx = dy, repeated along the axes summed over."""
    dy = _with_reduced_axes(site, dy)
    return _only_data(site, _expand(site, dy, site.shape(site.inputs[0])))


@rule("ReduceSumSquare")
def reduce_sum_square(site: Site, dy: str) -> Cotangents:
    """dx = 2 dy · x."""
    twice = site.op("Mul", _with_reduced_axes(site, dy), site.number(2))
    return _only_data(site, site.op("Mul", site.inputs[0], twice))


# --- matrices ------------------------------------------------------------------------------------


def _swapped(site: Site, name: str) -> str:
    rank = len(site.shape(name))
    return transpose(site, name, [*range(rank - 2), rank - 1, rank - 2])


@rule("MatMul")
def matmul(site: Site, dy: str) -> Cotangents:
    """dA = dY Bᵀ, dB = Aᵀ dY."""
    a, b = site.inputs
    if min(len(site.shape(a)), len(site.shape(b))) < 2:
        raise site.refuse("an operand is a vector; reshape it to a matrix")
    return _broadcast(
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
    return _only_data(site, reshape(site, dy, site.shape(site.inputs[0])))


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
        parts = site.builder.ops(
            "Split", dy, site.integers(sizes, "split"), outputs=len(sizes), axis=axis
        )
        return list(parts)
    starts = np.cumsum([0, *sizes])
    return [
        fit(site, dy, [axis], [int(start)], site.shape(name)) if needed else None
        for name, start, needed in zip(site.inputs, starts, site.needed, strict=False)
    ]
