"""What a rule is: a function from the cotangents of a node's outputs to those of its inputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from styletransfer.onnxgrad.builder import GradientError, GraphBuilder, attributes, describe

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
        return self.node.output[0]

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return the node's attribute, `default` where it is not set.

        Parameters
        ----------
        name : str
            The attribute's.
        default : object
            What stands for one that is not set.
        """
        return attributes(self.node).get(name, default)

    def op(self, op_type: str, *inputs: str, **attributes) -> str:
        """Append a node to the gradient, of an operator in EMITTED; see `GraphBuilder.op`.

        Parameters
        ----------
        op_type : str
            An operator in EMITTED.
        *inputs, **attributes
            As for `GraphBuilder.op`.
        """
        _check_emitted(op_type)
        return self.builder.op(op_type, *inputs, **attributes)

    def ops(self, op_type: str, *inputs: str, outputs: int, **attributes) -> tuple[str, ...]:
        """Append a node of several outputs, of an operator in EMITTED; see `GraphBuilder.ops`.

        Parameters
        ----------
        op_type : str
            An operator in EMITTED.
        *inputs, outputs, **attributes
            As for `GraphBuilder.ops`.
        """
        _check_emitted(op_type)
        return self.builder.ops(op_type, *inputs, outputs=outputs, **attributes)

    def constant(self, array: np.ndarray, hint: str = "constant") -> str:
        """Add a constant to the gradient; see `GraphBuilder.constant`.

        Parameters
        ----------
        array, hint
            As for `GraphBuilder.constant`.
        """
        return self.builder.constant(array, hint)

    def integers(self, values: Sequence[int], hint: str = "integers") -> str:
        """Add an int64 vector: a shape, axes, pads.

        Parameters
        ----------
        values : sequence of int
            Its elements.
        hint : str
            What it is, for the reader of the graph.
        """
        return self.constant(np.asarray(values, np.int64), hint)

    def number(self, value: float, hint: str = "number") -> str:
        """Add a scalar of the node's own dtype.

        Parameters
        ----------
        value : float
            The number.
        hint : str
            What it is, for the reader of the graph.
        """
        return self.constant(np.asarray(value, self.builder.dtype(self.output)), hint)

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
_SUMS = {"AveragePool", "Conv", "ConvTranspose", "Gemm", "MatMul", "MaxPool", "ReduceSum"}
_MOVES = {"Concat", "Expand", "Pad", "Reshape", "Resize", "ScatterElements", "Slice", "Split"}
EMITTED = frozenset(_POINTWISE | _CHOICES | _SUMS | _MOVES | {"Transpose"})


def _check_emitted(op_type: str) -> None:
    if op_type not in EMITTED:
        raise ValueError(f"A rule emits {op_type}, which is not in EMITTED; add it if it is meant.")


def rule(*op_types: str) -> Callable[[Rule], Rule]:
    """Register a function as the rule of the operators named.

    The function takes the `Site` and one cotangent for each output of the node (names of tensors
    shaped like the outputs; None for an output without one, of which only nodes of several
    outputs see any). It returns one cotangent for each input, None where there is none.
    """

    def register(function: Rule) -> Rule:
        for op_type in op_types:
            if op_type in RULES or op_type in NO_GRADIENT:
                raise ValueError(f"{op_type} has a rule already, or is known to need none.")
            RULES[op_type] = function
        return function

    return register


def only_data(site: Site, cotangent: str) -> Cotangents:
    """Give the first input a cotangent; the others are parameters of the operator.

    Parameters
    ----------
    site : Site
        The node.
    cotangent : str
        That of its first input.

    Raises
    ------
    GradientError
        If that of another input is needed.
    """
    if any(site.needed[1:]):
        raise site.refuse("only the gradient for its first input is supported")
    return [cotangent] + [None] * (len(site.inputs) - 1)


def broadcast(site: Site, *makers: Callable[[], str] | None) -> Cotangents:
    """Make the cotangents that are needed, each summed to the shape of its input.

    Parameters
    ----------
    site : Site
        The node.
    *makers : callable or None
        For each input what makes its cotangent, of the broadcast shape; None where it has none.
    """
    return [
        unbroadcast(site, make(), name) if needed and make else None
        for name, needed, make in zip(site.inputs, site.needed, makers, strict=True)
    ]


def unbroadcast(site: Site, cotangent: str, name: str) -> str:
    """Sum a cotangent over the axes along which the tensor `name` was broadcast.

    Parameters
    ----------
    site : Site
        The node.
    cotangent : str
        Of the broadcast shape.
    name : str
        The tensor, whose shape the result has.
    """
    shape, wanted = site.shape(cotangent), site.shape(name)
    if shape == wanted:
        return cotangent
    aligned = (1,) * (len(shape) - len(wanted)) + wanted
    axes = [axis for axis, (n, m) in enumerate(zip(shape, aligned, strict=True)) if n != m]
    if axes:
        cotangent = site.op("ReduceSum", cotangent, site.integers(axes, "axes"), keepdims=1)
    return reshape(site, cotangent, wanted)


def reshape(site: Site, name: str, shape: Sequence[int]) -> str:
    """Give a tensor another shape; nothing is emitted where it has that shape.

    Parameters
    ----------
    site : Site
        The node.
    name : str
        The tensor.
    shape : sequence of int
        Of as many elements.
    """
    if site.shape(name) == tuple(shape):
        return name
    return site.op("Reshape", name, site.integers(shape, "shape"))


def transpose(site: Site, name: str, order: Sequence[int]) -> str:
    """Transpose a tensor; one that is itself a transpose is undone instead of done again.

    Parameters
    ----------
    site : Site
        The node.
    name : str
        The tensor.
    order : sequence of int
        The axis of the tensor that each axis of the result is.
    """
    producer = site.builder.producer(name)
    if producer is not None and producer.op_type == "Transpose":
        first = attributes(producer).get("perm", range(len(order))[::-1])
        if [first[i] for i in order] == list(range(len(order))):
            return producer.input[0]
    return site.op("Transpose", name, perm=list(order))


def fit(
    site: Site, name: str, axes: Sequence[int], starts: Sequence[int], shape: Sequence[int]
) -> str:
    """Cut from a tensor, padded with zeros all around, the box of `shape` beginning at `starts`.

    Parameters
    ----------
    site : Site
        The node.
    name : str
        The tensor.
    axes, starts : sequence of int
        Where the box begins on each of these axes, negative before the tensor; elsewhere at 0.
    shape : sequence of int
        Shape of the whole result.
    """
    begin = dict(zip(axes, starts, strict=True))
    now = site.shape(name)
    first = [max(begin.get(axis, 0), 0) for axis in range(len(now))]
    last = [min(begin.get(axis, 0) + n, now[axis]) for axis, n in enumerate(shape)]
    cut = [axis for axis, n in enumerate(now) if (first[axis], last[axis]) != (0, n)]
    if cut:
        bounds = ([first[a] for a in cut], [last[a] for a in cut], cut)
        name = site.op("Slice", name, *(site.integers(b, "bounds") for b in bounds))
    before = [max(-begin.get(axis, 0), 0) for axis in range(len(now))]
    after = [n - b - m for n, b, m in zip(shape, before, site.shape(name), strict=True)]
    if any(before) or any(after):
        name = site.op("Pad", name, site.integers([*before, *after], "pads"))
    return name
