"""A network cut where it needs to know the whole picture: before each instance normalisation.

Between the cuts a tile of a picture, with some of what is around it, gives what the whole gives
there. A stage computes, from what is known, the tensors whose statistics come next.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, lcm

import onnx
from onnx import helper, numpy_helper

from styletransfer.errors import NetworkError
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.reading import attributes, describe, needed
from styletransfer.onnxgrad.window import Window

NORM = "InstanceNormalization"

# What they give at a place depends on what they get at that place alone.
# fmt: off
_POINTWISE = frozenset({
    "Abs", "Add", "Ceil", "Clip", "Concat", "Div", "Elu", "Erf", "Exp", "Floor", "Gelu",
    "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Max", "Mean", "Min", "Mish", "Mul", "Neg",
    "Pow", "PRelu", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Softplus",
    "Softsign", "Sqrt", "Sub", "Sum", "Tanh", "ThresholdedRelu", "Where", "BatchNormalization",
    "Cast",
})
# fmt: on

_ENLARGING = frozenset({"Resize", "DepthToSpace"})
# To how many elements on either side a way to interpolate looks.
_REACH = {"nearest": 0, "linear": 1, "cubic": 2}


@dataclass(frozen=True)
class Place:
    """How the elements of a tensor lie in the picture.

    Attributes
    ----------
    ratio : Fraction
        Pixels of the picture for one element.
    spoilt : int
        Elements at a cut edge of a tile that are not those of the whole picture, at most.
    depth : int
        How many normalisations have to be known before it.
    """

    ratio: Fraction
    spoilt: int
    depth: int


@dataclass(frozen=True)
class Plan:
    """What tiles of a network's pictures have to know.

    Attributes
    ----------
    places : mapping of str to Place
        Of every tensor that is an image.
    depth : int
        How many normalisations there are, one after the other.
    step : int
        What the pixels are multiples of at which tiles can begin.
    """

    places: Mapping[str, Place]
    depth: int
    step: int


def plan(graph: GraphBuilder, image: str, output: str, multiple: int) -> Plan:
    """Return how a network's graph can be computed in tiles; raise NetworkError if it cannot."""
    nodes, _ = needed(graph.nodes, [output])
    found = places(graph, {image: Fraction(1)}, nodes)
    step = lcm(multiple, *(place.ratio.numerator for place in found.values()))
    return Plan(found, found[output].depth, step)


def places(
    graph: GraphBuilder,
    known: Mapping[str, Fraction],
    nodes: Sequence[onnx.NodeProto] | None = None,
) -> dict[str, Place]:
    """Return where the images of a graph lie, those that are known having the ratios given."""
    found = {name: Place(ratio, 0, 0) for name, ratio in known.items()}
    for node in graph.nodes if nodes is None else nodes:
        images = [found[name] for name in node.input if name in found]
        if images:
            found |= dict.fromkeys(node.output, _place(graph, node, images))
    return found


def _place(graph: GraphBuilder, node: onnx.NodeProto, images: Sequence[Place]) -> Place:
    """Return where a node's output lies, its inputs that are images lying where they do."""
    ratio, depth = images[0].ratio, max(place.depth for place in images)
    spoilt = max(place.spoilt for place in images)
    kind = node.op_type
    if any(place.ratio != ratio for place in images):
        raise _unknown(node)
    if kind == NORM:
        return Place(ratio, spoilt, depth + 1)
    if kind in _POINTWISE and attributes(node).get("axis", 1) == 1:
        return Place(ratio, spoilt, depth)
    if kind in ("Conv", "AveragePool", "MaxPool"):
        sides = graph.shape(node.input[1])[2:] if kind == "Conv" else None
        window = Window.of(node, sides)
        if window is None or window.ceil or len(window.axes) != 2:
            raise _unknown(node)
        strides = {axis.stride for axis in window.axes}
        if len(strides) != 1:
            raise _unknown(node)
        (stride,) = strides
        edge = spoilt + max(0, *window.pads)
        return Place(ratio * stride, ceil(edge / stride) + (stride > 1) if edge else 0, depth)
    if kind == "Pad":
        pads = graph.value(node.input[1])
        if pads is None or pads.size != 8 or any(pads[[0, 1, 4, 5]]):
            raise _unknown(node)
        return Place(ratio, spoilt + max(0, *pads.tolist()), depth)
    if kind in _ENLARGING:
        before, after = (graph.shape(name) for name in (node.input[0], node.output[0]))
        times = after[2] // before[2]
        reach = _REACH.get(attributes(node).get("mode", "nearest")) if kind == "Resize" else 0
        if after[2:] == (times * before[2], times * before[3]) and times and reach is not None:
            return Place(ratio / times, (spoilt + reach) * times, depth)
    if kind == "Split" and attributes(node).get("axis", 0) == 1:
        return Place(ratio, spoilt, depth)
    if kind == "Slice" and len(graph.shape(node.input[0])) == 4:
        return Place(ratio, spoilt, depth)
    raise _unknown(node)


def _unknown(node: onnx.NodeProto) -> NetworkError:
    return NetworkError(
        f"A picture of that size would have to be painted in tiles, and the {describe(node)} needs"
        " all of it; ask for a smaller length."
    )


def norms(graph: GraphBuilder, output: str) -> list[onnx.NodeProto]:
    """Return the normalisations that an output needs, in order."""
    nodes, _ = needed(graph.nodes, [output])
    return [node for node in nodes if node.op_type == NORM]


def targets(graph: GraphBuilder, plan: Plan, output: str, depth: int) -> list[str]:
    """Return the tensors whose statistics are needed once those before a depth are known."""
    found = [n.input[0] for n in norms(graph, output) if plan.places[n.input[0]].depth == depth]
    return list(dict.fromkeys(found)) if depth < plan.depth else [output]


def living(graph: GraphBuilder, plan: Plan, output: str, depth: int) -> list[str]:
    """Return the images of up to a depth that what is deeper reads."""
    nodes, _ = needed(graph.nodes, [output])
    deeper = (
        n for n in nodes if n.output[0] in plan.places and plan.places[n.output[0]].depth > depth
    )
    read = (name for node in deeper for name in node.input)
    return list(
        dict.fromkeys(
            name for name in read if name in plan.places and plan.places[name].depth <= depth
        )
    )


def carve(
    graph: GraphBuilder, plan: Plan, known: Iterable[str], wanted: Sequence[str]
) -> GraphBuilder:
    """Return the graph from images that are known to others, each normalisation a·x + b.

    The numbers a and b of a normalisation are inputs ``<its output>/a`` and ``<its output>/b``,
    (1, channels, 1, 1).
    """
    known = set(known)
    producers = {name: node for node in graph.nodes for name in node.output}
    read: dict[str, None] = {}
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name and name not in read:
            read[name] = None
            node = producers.get(name)
            if node is not None and name not in known:
                waiting += node.input[:1] if node.op_type == NORM else node.input
    inputs = {
        name: graph.shape(name)
        for name in read
        if name in known or (name not in producers and graph.value(name) is None)
    }
    nodes = []
    for node in graph.nodes:
        if not any(name in read and name not in known for name in node.output):
            continue
        if node.op_type == NORM:
            (x, *_), y = node.input, node.output[0]
            inputs |= dict.fromkeys((f"{y}/a", f"{y}/b"), (1, graph.shape(x)[1], 1, 1))
            nodes.append(helper.make_node("Mul", [x, f"{y}/a"], [f"{y}/ax"]))
            node = helper.make_node("Add", [f"{y}/ax", f"{y}/b"], [y])
        nodes.append(node)
    constants = [
        numpy_helper.from_array(value, name)
        for name in read
        if (value := graph.value(name)) is not None
    ]
    made = helper.make_graph(
        nodes,
        "part",
        [_described(name, shape) for name, shape in inputs.items()],
        [_described(name, graph.shape(name)) for name in wanted],
        constants,
    )
    imports = [helper.make_opsetid("", graph.opset)]
    return GraphBuilder(helper.make_model(made, opset_imports=imports))


def _described(name: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, list(shape))
