"""What a rule is: a function from the cotangents of a node's outputs to those of its inputs."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import Any

import numpy as np
import onnx

from styletransfer.errors import GradientError
from styletransfer.onnxgrad.builder import GraphBuilder
from styletransfer.onnxgrad.reading import attributes, describe

Cotangents = Sequence[str | None]


@dataclass(frozen=True)
class Site:
    """A node that is being differentiated, as its rule sees it.

    Attributes
    ----------
    builder : GraphBuilder
        The graph that the gradient's nodes are appended to.
    node : onnx.NodeProto
        The node.
    needed : tuple of bool
        For each input of the node, whether its cotangent is wanted.

    Notes
    -----
    What appends nodes does it as the method of `GraphBuilder` of the same name, but with operators
    in EMITTED only.
    """

    builder: GraphBuilder
    node: onnx.NodeProto
    needed: tuple[bool, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the node's inputs, "" where an optional one is absent."""
        return tuple(self.node.input)

    @property
    def output(self) -> str:
        """Name of the node's first output."""
        return str(self.node.output[0])

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return the node's attribute of a name, `default` where it is not set."""
        return attributes(self.node).get(name, default)

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Append a node to the gradient."""
        _check_emitted(op_type)
        return self.builder.op(op_type, *inputs, **attributes)

    def ops(self, op_type: str, *inputs: str, outputs: int, **attributes: Any) -> tuple[str, ...]:
        """Append a node of several outputs to the gradient."""
        _check_emitted(op_type)
        return self.builder.ops(op_type, *inputs, outputs=outputs, **attributes)

    def constant(self, array: np.ndarray, hint: str = "constant") -> str:
        """Add a constant to the gradient."""
        return self.builder.constant(array, hint)

    def integers(self, values: Sequence[int], hint: str = "integers") -> str:
        """Add a vector of int64: a shape, axes, pads."""
        return self.builder.integers(values, hint)

    def number(self, value: float, hint: str = "number") -> str:
        """Add a scalar of the node's own dtype."""
        return self.builder.scalar(value, self.output, hint)

    def reshape(self, name: str, shape: Sequence[int]) -> str:
        """Give a tensor another shape."""
        _check_emitted("Reshape")
        return self.builder.reshape(name, shape)

    def slice(
        self, name: str, axes: Sequence[int], starts: Sequence[int], stops: Sequence[int]
    ) -> str:
        """Cut a box from a tensor."""
        _check_emitted("Slice")
        return self.builder.slice(name, axes, starts, stops)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return self.builder.shape(name)

    def value(self, name: str) -> np.ndarray | None:
        """Return the constant behind a name, None where it is not a constant."""
        return self.builder.value(name)

    def refuse(self, reason: str) -> GradientError:
        """Return the error to raise where the rule does not cover the node."""
        return GradientError(f"The gradient of the {describe(self.node)} is not known: {reason}.")


Rule = Callable[..., Cotangents]
RULES: dict[str, Rule] = {}

# The gradient of these is zero wherever it is defined, or their outputs are no real numbers.
_ORDER = {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "IsInf", "IsNaN"}
_LOGIC = {"And", "Not", "Or", "Xor"}
_STEPS = {"ArgMax", "ArgMin", "Ceil", "Floor", "Round", "Sign"}
_SHAPES = {"ConstantOfShape", "Range", "Shape", "Size"}
NO_GRADIENT = frozenset(_ORDER | _LOGIC | _STEPS | _SHAPES)


# All that a gradient consists of, so that one can know what a provider or a rewrite has to cover.
_POINTWISE = {"Add", "Div", "HardSigmoid", "Log", "Mul", "Neg", "Pow", "Sign", "Sqrt", "Sub"}
_CHOICES = {"Equal", "Greater", "Where"}
_WINDOWS = {"AveragePool", "Conv", "ConvTranspose", "MaxPool"}
_SUMS = _WINDOWS | {"Gemm", "MatMul", "ReduceSum", "ReduceSumSquare"}
_MOVES = {"Concat", "Expand", "Pad", "Reshape", "Resize", "ScatterElements", "Slice", "Split"}
_AXES = {"DepthToSpace", "SpaceToDepth", "Transpose"}
EMITTED = frozenset(_POINTWISE | _CHOICES | _SUMS | _MOVES | _AXES)


def _check_emitted(op_type: str) -> None:
    if op_type not in EMITTED:
        raise ValueError(f"A rule emits {op_type}, which is not in EMITTED; add it if it is meant.")


def rule(*op_types: str) -> Callable[[Rule], Rule]:
    """Register a function as the rule of the operators named.

    The function takes the `Site` and the cotangent of the node's output, a tensor shaped like it.
    One that handles nodes of several outputs takes a cotangent for each, ``*others``, None for an
    output that has none; nodes with more outputs than a rule takes are refused. It returns one
    cotangent for each input, None where there is none.
    """

    def register(function: Rule) -> Rule:
        for op_type in op_types:
            if op_type in RULES or op_type in NO_GRADIENT:
                raise ValueError(f"{op_type} has a rule already, or is known to need none.")
            RULES[op_type] = function
        return function

    return register


def handled_outputs(function: Rule) -> float:
    """Return how many outputs a node may have that a rule is applied to; infinity for any."""
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    return inf if inspect.Parameter.VAR_POSITIONAL in kinds else len(kinds) - 1


def only_data(site: Site, cotangent: str) -> Cotangents:
    """Give the first input a cotangent; the others are parameters, and refused if theirs matter."""
    if any(site.needed[1:]):
        raise site.refuse("only the gradient for its first input is supported")
    return [cotangent] + [None] * (len(site.inputs) - 1)


def broadcast(site: Site, *makers: Callable[[], str] | None) -> Cotangents:
    """Make the cotangents that are needed, each summed to the shape of its input.

    For each input there is what makes its cotangent, of the broadcast shape; None where it has
    none.
    """
    return [
        unbroadcast(site, make(), name) if needed and make else None
        for name, needed, make in zip(site.inputs, site.needed, makers, strict=True)
    ]


def unbroadcast(site: Site, cotangent: str, name: str) -> str:
    """Sum a cotangent over the axes along which the tensor `name` was broadcast, to its shape."""
    shape, wanted = site.shape(cotangent), site.shape(name)
    if shape == wanted:
        return cotangent
    aligned = (1,) * (len(shape) - len(wanted)) + wanted
    axes = [axis for axis, (n, m) in enumerate(zip(shape, aligned, strict=True)) if n != m]
    if axes:
        cotangent = site.op("ReduceSum", cotangent, site.integers(axes, "axes"), keepdims=1)
    return site.reshape(cotangent, wanted)


def transpose(site: Site, name: str, order: Sequence[int]) -> str:
    """Transpose a tensor; one that is itself a transpose is undone instead of done again.

    Each of `order` is the axis of the tensor that this axis of the result is.
    """
    producer = site.builder.producer(name)
    if producer is not None and producer.op_type == "Transpose":
        first = attributes(producer).get("perm", range(len(order))[::-1])
        if [first[i] for i in order] == list(range(len(order))):
            return str(producer.input[0])
    return site.op("Transpose", name, perm=list(order))


def along(site: Site, name: str, axis: int, matrix: np.ndarray) -> str:
    """Multiply every line of a tensor along an axis by a constant matrix (new, old)."""
    dtype, rank = site.builder.dtype(name), len(site.shape(name))
    if axis == rank - 1:
        return site.op("MatMul", name, site.constant(matrix.T.astype(dtype), "matrix"))
    constant = site.constant(matrix.astype(dtype), "matrix")
    if axis == rank - 2:
        return site.op("MatMul", constant, name)
    shape = site.shape(name)
    lines = site.reshape(name, [*shape[: axis + 1], prod(shape[axis + 1 :])])
    product = site.op("MatMul", constant, lines)
    return site.reshape(product, [*shape[:axis], len(matrix), *shape[axis + 1 :]])


def fit(
    site: Site, name: str, axes: Sequence[int], starts: Sequence[int], shape: Sequence[int]
) -> str:
    """Cut from a tensor, padded with zeros all around, the box of `shape` beginning at `starts`.

    On axes that are not among `axes` it begins at 0; a start below 0 is before the tensor.
    """
    begin = dict(zip(axes, starts, strict=True))
    now = site.shape(name)
    everywhere = range(len(now))
    first = [max(begin.get(axis, 0), 0) for axis in everywhere]
    last = [min(begin.get(axis, 0) + n, now[axis]) for axis, n in enumerate(shape)]
    name = site.slice(name, everywhere, first, last)
    before = [max(-begin.get(axis, 0), 0) for axis in everywhere]
    after = [n - b - m for n, b, m in zip(shape, before, site.shape(name), strict=True)]
    if any(before) or any(after):
        name = site.op("Pad", name, site.integers([*before, *after], "pads"))
    return name
