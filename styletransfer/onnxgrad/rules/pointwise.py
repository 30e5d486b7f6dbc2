"""The gradients of operators that work element by element.

Notation: y the output, dy its cotangent, dx the cotangent of the input x.
"""

import numpy as np

from styletransfer.onnxgrad.rule import Cotangents, Site, broadcast, only_data, rule, unbroadcast


@rule("Identity")
def identity(site: Site, dy: str) -> Cotangents:
    """dx = dy."""
    return [dy]


@rule("Neg")
def neg(site: Site, dy: str) -> Cotangents:
    """dx = −dy."""
    return [site.op("Neg", dy)]


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


# --- activations ---------------------------------------------------------------------------------


@rule("Relu")
def relu(site: Site, dy: str) -> Cotangents:
    """dx = dy · [y > 0].

    The step is a HardSigmoid, min(1, huge · y): three times as fast on the CPU as Greater and
    Where, and exact for every y that is not denormal.
    """
    huge = min(float(np.finfo(dtype).max) for dtype in (site.builder.dtype(dy), np.float32))
    step = site.op("HardSigmoid", site.output, alpha=huge, beta=0.0)
    return [site.op("Mul", dy, step)]


def _positive(site: Site) -> str:
    return site.op("Greater", site.inputs[0], site.number(0))


@rule("LeakyRelu")
def leaky_relu(site: Site, dy: str) -> Cotangents:
    """dx = dy where x > 0, else α dy."""
    leak = site.op("Mul", dy, site.number(site.attribute("alpha", 0.01), "alpha"))
    return [site.op("Where", _positive(site), dy, leak)]


@rule("PRelu")
def prelu(site: Site, dy: str) -> Cotangents:
    """dx = dy where x > 0, else slope · dy; dslope = x · dy where x ≤ 0, else 0."""
    x, slope = site.inputs
    positive = _positive(site)
    return broadcast(
        site,
        lambda: site.op("Where", positive, dy, site.op("Mul", dy, slope)),
        lambda: site.op("Where", positive, site.number(0), site.op("Mul", dy, x)),
    )


@rule("Elu")
def elu(site: Site, dy: str) -> Cotangents:
    """dx = dy where x > 0, else dy · (y + α)."""
    slope = site.op("Add", site.output, site.number(site.attribute("alpha", 1.0), "alpha"))
    return [site.op("Where", _positive(site), dy, site.op("Mul", dy, slope))]


@rule("Sigmoid")
def sigmoid(site: Site, dy: str) -> Cotangents:
    """dx = dy · y · (1 − y)."""
    slope = site.op("Mul", site.output, site.op("Sub", site.number(1), site.output))
    return [site.op("Mul", dy, slope)]


@rule("Tanh")
def tanh(site: Site, dy: str) -> Cotangents:
    """dx = dy · (1 − y²)."""
    square = site.op("Mul", site.output, site.output)
    return [site.op("Mul", dy, site.op("Sub", site.number(1), square))]


@rule("Clip")
def clip(site: Site, dy: str) -> Cotangents:
    """dx = dy where x was left as it is, else 0."""
    kept = site.op("Equal", site.inputs[0], site.output)
    return only_data(site, site.op("Where", kept, dy, site.number(0)))


# --- several inputs, broadcast -------------------------------------------------------------------


@rule("Add", "Sum")
def add(site: Site, dy: str) -> Cotangents:
    """dxᵢ = dy."""
    return broadcast(site, *[lambda: dy] * len(site.inputs))


@rule("Sub")
def sub(site: Site, dy: str) -> Cotangents:
    """da = dy, db = −dy."""
    return broadcast(site, lambda: dy, lambda: site.op("Neg", dy))


@rule("Mul")
def mul(site: Site, dy: str) -> Cotangents:
    """da = dy · b, db = dy · a."""
    a, b = site.inputs
    return broadcast(site, lambda: site.op("Mul", dy, b), lambda: site.op("Mul", dy, a))


@rule("Div")
def div(site: Site, dy: str) -> Cotangents:
    """da = dy / b, db = −dy · y / b."""
    b = site.inputs[1]

    def divisor() -> str:
        return site.op("Neg", site.op("Div", site.op("Mul", dy, site.output), b))

    return broadcast(site, lambda: site.op("Div", dy, b), divisor)


@rule("Pow")
def power(site: Site, dy: str) -> Cotangents:
    """da = dy · b · a^(b−1), db = dy · y · log a."""
    a, b = site.inputs
    exponent = site.value(b)

    def base() -> str:
        if exponent is not None and np.all(exponent == 2):
            return site.op("Mul", dy, site.op("Add", a, a))
        if exponent is not None:
            less = site.constant(exponent - exponent.dtype.type(1), "exponent")
        else:
            less = site.op("Sub", b, site.builder.scalar(1, b, "one"))
        return site.op("Mul", dy, site.op("Mul", b, site.op("Pow", a, less)))

    def logarithm() -> str:
        return site.op("Mul", dy, site.op("Mul", site.output, site.op("Log", a)))

    if site.builder.dtype(b) != site.builder.dtype(a):
        raise site.refuse(f"its exponent is {site.builder.dtype(b)}, its base is not")
    return broadcast(site, base, logarithm)


@rule("Max")
def maximum(site: Site, dy: str) -> Cotangents:
    """dxᵢ = dy where xᵢ = y, else 0.

    Of equal ones the second comes before the first, and both before the others: so does Caffe.
    """
    count = len(site.inputs)
    order = [1, 0, *range(2, count)] if count > 1 else [0]
    parts: dict[int, str] = {}
    rest, zero = dy, site.number(0)
    for i in order[:-1]:
        hit = site.op("Equal", site.inputs[i], site.output)
        parts[i] = site.op("Where", hit, rest, zero)
        rest = site.op("Where", hit, zero, rest)
    parts[order[-1]] = rest
    return [
        unbroadcast(site, parts[i], name) if needed else None
        for i, (name, needed) in enumerate(zip(site.inputs, site.needed, strict=True))
    ]


@rule("Where")
def where(site: Site, dy: str) -> Cotangents:
    """da = dy where the condition holds, else 0; db the other way round."""
    condition, zero = site.inputs[0], site.number(0)
    return broadcast(
        site,
        None,
        lambda: site.op("Where", condition, dy, zero),
        lambda: site.op("Where", condition, zero, dy),
    )
