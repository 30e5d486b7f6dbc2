"""How much memory a model takes while it runs, told from its graph."""

from collections.abc import Sequence
from math import prod

from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.reading import needed

# Results that are the input itself under another shape.
_VIEWS = frozenset(("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"))
# Results that may take the place of an input that nothing else reads.
_IN_PLACE = frozenset(
    ("Abs", "Add", "Clip", "Div", "LeakyRelu", "Mul", "Neg", "Pow", "Relu", "Sqrt", "Sub", "Sum")
)


def weights(graph: GraphBuilder, outputs: Sequence[str]) -> int:
    """Return the bytes of the constants that some outputs need."""
    _, read = needed(graph.nodes, outputs)
    return sum(array.nbytes for name, array in graph.initializers.items() if name in read)


def live(graph: GraphBuilder, outputs: Sequence[str]) -> int:
    """Return the most bytes of results that are held at once when nodes run in their order."""
    nodes, _ = needed(graph.nodes, outputs)
    computed = {name for node in nodes for name in node.output if name}
    last: dict[str, int] = {}
    for i, node in enumerate(nodes):
        last |= dict.fromkeys((name for name in node.input if name in computed), i)
    last |= dict.fromkeys(outputs, len(nodes))
    owner: dict[str, str] = {}  # the buffer that a result lies in
    until: dict[str, int] = {}  # when a buffer is free
    for i, node in enumerate(nodes):
        for name in filter(None, node.output):
            source = next((x for x in node.input if x in owner), None)
            end = last.get(name, i)
            if source is not None and _shares(graph, node.op_type, source, name, until, owner, i):
                owner[name] = owner[source]
                until[owner[name]] = max(until[owner[name]], end)
            else:
                owner[name] = name
                until[name] = end
    ending: dict[int, list[str]] = {}
    for name, end in until.items():
        ending.setdefault(end, []).append(name)
    held = most = 0
    for i, node in enumerate(nodes):
        held += sum(_size(graph, name) for name in node.output if owner.get(name) == name)
        most = max(most, held)
        held -= sum(_size(graph, name) for name in ending.get(i, ()))
    return most


def _shares(
    graph: GraphBuilder,
    operator: str,
    source: str,
    name: str,
    until: dict[str, int],
    owner: dict[str, str],
    step: int,
) -> bool:
    if operator in _VIEWS:
        return True
    fits = _size(graph, source) == _size(graph, name)
    return operator in _IN_PLACE and fits and until[owner[source]] == step


def _size(graph: GraphBuilder, name: str) -> int:
    return prod(graph.shape(name)) * graph.dtype(name).itemsize
