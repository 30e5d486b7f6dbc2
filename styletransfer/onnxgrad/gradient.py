"""Reverse-mode differentiation of an ONNX graph into an ONNX graph.

The mechanism only: which nodes lie between the variables and the outputs, in which order their
cotangents become known, and how contributions add up. The rules say what an operator's gradient is.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx

from styletransfer.errors import GradientError
from styletransfer.onnxgrad.builder import GraphBuilder
from styletransfer.onnxgrad.reading import describe
from styletransfer.onnxgrad.rule import (
    NO_GRADIENT,
    RULES,
    Cotangents,
    Rule,
    Site,
    handled_outputs,
)


def backward(
    builder: GraphBuilder,
    cotangents: Mapping[str, str],
    wrt: Sequence[str],
    rules: Mapping[str, Rule] = RULES,
    still: Collection[str] = (),
) -> dict[str, str | None]:
    """Append to a graph the nodes that carry cotangents back to the tensors of `wrt`.

    Parameters
    ----------
    builder : GraphBuilder
        The graph; its nodes are left as they are and more are appended.
    cotangents : mapping of str to str
        For some tensors of the graph the name of their cotangent, of the same shape and dtype.
    wrt : sequence of str
        The tensors whose cotangents are wanted: inputs, constants or results of nodes.
    rules : mapping of str to Rule
        The rule of each operator.
    still : collection of str
        Results of nodes that are taken for constants: nothing is carried back through them.

    Returns
    -------
    dict of str to (str or None)
        For each name of `wrt` the tensor that holds its cotangent; None where none of the
        tensors of `cotangents` depends on it.

    Raises
    ------
    GradientError
        For a node on the way whose gradient is not known.
    """
    for name in wrt:
        if builder.dtype(name).kind != "f":
            raise GradientError(f"No gradient for {name!r}: it holds {builder.dtype(name)}.")
    path, reached = _between(builder, wrt, still)
    contributions: dict[str, list[str]] = {}
    for name, cotangent in cotangents.items():
        _check(builder, cotangent, name, f"The cotangent given for {name!r}")
        contributions[name] = [cotangent]
    for node in reversed(path):
        received = [_total(builder, contributions, name) for name in _outputs(node)]
        if not any(received):
            continue
        with builder.scope(f"gradient/{node.output[0]}"):
            given = _apply(builder, node, reached, received, rules)
        for name, cotangent in given:
            contributions.setdefault(name, []).append(cotangent)
    return {name: _total(builder, contributions, name) for name in wrt}


def vjp(model: onnx.ModelProto, outputs: Sequence[str], wrt: Sequence[str]) -> onnx.ModelProto:
    """Return the model of the vector-Jacobian product.

    Parameters
    ----------
    model : onnx.ModelProto
        A graph of static shapes, opset 18 to 21. It is not changed.
    outputs : sequence of str
        Tensors of the graph whose cotangents are given.
    wrt : sequence of str
        Tensors of the graph whose cotangents are wanted.

    Returns
    -------
    onnx.ModelProto
        `model` with more inputs, ``cotangent/<output>`` for each of `outputs`, and more outputs,
        ``gradient/<name>`` for each of `wrt`, each of the shape and dtype of the tensor it names.

    Raises
    ------
    GradientError
        For a node whose gradient is not known, or a name of `wrt` that no output depends on.
    """
    builder = GraphBuilder(model)
    cotangents = {
        name: builder.input(f"cotangent/{name}", builder.shape(name), builder.dtype(name))
        for name in outputs
    }
    gradients = backward(builder, cotangents, wrt)
    return builder.model([*builder.outputs, *_named(builder, gradients)], "vjp")


def value_and_gradient(model: onnx.ModelProto, loss: str, wrt: Sequence[str]) -> onnx.ModelProto:
    """Return the model that computes a loss and its gradient.

    Parameters
    ----------
    model : onnx.ModelProto
        A graph of static shapes, opset 18 to 21. It is not changed.
    loss : str
        A tensor of one element.
    wrt : sequence of str
        Tensors of the graph that the gradient is wanted for.

    Returns
    -------
    onnx.ModelProto
        With the inputs of `model` that are still needed; it computes `loss` and, shaped like each
        of `wrt`, ``gradient/<name>``.

    Raises
    ------
    GradientError
        For a node whose gradient is not known, a loss of more than one element, or a name of
        `wrt` that the loss does not depend on.
    """
    builder = GraphBuilder(model)
    shape = builder.shape(loss)
    if int(np.prod(shape)) != 1:
        raise GradientError(f"The loss {loss!r} has shape {shape}; it must be one number.")
    one = builder.constant(np.ones(shape, builder.dtype(loss)), "one")
    gradients = backward(builder, {loss: one}, wrt)
    return builder.model([loss, *_named(builder, gradients)], "value_and_gradient")


def _named(builder: GraphBuilder, gradients: Mapping[str, str | None]) -> list[str]:
    names = []
    for name, gradient in gradients.items():
        if gradient is None:
            raise GradientError(f"None of the outputs depends on {name!r}; it has no gradient.")
        names.append(builder.op("Identity", gradient, output=f"gradient/{name}"))
    return names


def _between(
    builder: GraphBuilder, wrt: Sequence[str], still: Collection[str]
) -> tuple[list[onnx.NodeProto], frozenset[str]]:
    """Return the nodes that depend on `wrt`, and the names of all tensors that do."""
    reached = set(wrt)
    path = []
    for node in builder.nodes:
        if node.op_type in NO_GRADIENT or node.output[0] in still:
            continue
        if not reached.isdisjoint(node.input):
            path.append(node)
            reached.update(filter(None, node.output))
    return path, frozenset(reached)


def _outputs(node: onnx.NodeProto) -> list[str]:
    """Return the outputs of a node up to the last that is there."""
    names = list(node.output)
    while not names[-1]:
        names.pop()
    return names


def _total(builder: GraphBuilder, contributions: dict[str, list[str]], name: str) -> str | None:
    """Add up what has come in for a tensor, once for all."""
    parts = contributions.get(name)
    if not parts:
        return None
    total = parts[0]
    with builder.scope(f"gradient/{name}"):
        for part in parts[1:]:
            total = builder.op("Add", total, part)
    contributions[name] = [total]
    return total


def _apply(
    builder: GraphBuilder,
    node: onnx.NodeProto,
    reached: frozenset[str],
    received: Cotangents,
    rules: Mapping[str, Rule],
) -> list[tuple[str, str]]:
    """Apply a node's rule; return the inputs that depend on `wrt`, each with its cotangent."""
    if node.op_type not in rules or node.domain not in ("", "ai.onnx"):
        raise GradientError(
            f"No gradient is known for the {describe(node)}; "
            f"the operators that have one: {', '.join(sorted(rules))}."
        )
    site = Site(builder, node, tuple(name in reached for name in node.input))
    function = rules[node.op_type]
    if len(received) > handled_outputs(function):
        raise site.refuse(f"it has {len(received)} outputs, of which the rule knows the first")
    given = list(function(site, *received))
    if len(given) != len(node.input):
        raise GradientError(
            f"The rule of {node.op_type} gave {len(given)} cotangents for the "
            f"{len(node.input)} inputs of the {describe(node)}."
        )
    wanted = [
        (name, cotangent)
        for name, cotangent, needed in zip(node.input, given, site.needed, strict=True)
        if needed and cotangent is not None
    ]
    for name, cotangent in wanted:
        _check(builder, cotangent, name, f"The cotangent that the rule of {node.op_type} gave")
    return wanted


def _check(builder: GraphBuilder, cotangent: str, name: str, what: str) -> None:
    seen = builder.shape(cotangent), builder.dtype(cotangent)
    expected = builder.shape(name), builder.dtype(name)
    if seen != expected:
        raise GradientError(
            f"{what} is {seen[1]} of shape {seen[0]}, but {name!r} is {expected[1]} "
            f"of shape {expected[0]}."
        )
