"""A network's graph at one size: constants computed, every shape known, channels first.

What a network computes of shapes (sizes of paddings and of resized tensors) is constant there and
goes; what converters leave behind (identities, transposes of an image that has its channels last)
goes too.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from styletransfer.errors import NetworkError
from styletransfer.onnxgrad.builder import IR_VERSION, GraphBuilder
from styletransfer.onnxgrad.reading import attributes, constant_value, describe, opset
from styletransfer.text import clause

MOST_ELEMENTS = 1 << 24
"""Of a constant that is computed: the largest weights have a tenth of it."""

MOST_COMPUTED = 1 << 27
"""Elements of all constants that are computed."""

MOST_STEPS = 1 << 30
"""Elements that are read for them, of products the multiplications."""

# Computed where all inputs are constants: sizes, and what is made of weights.
# fmt: off
_ALIKE = frozenset({
    "Add", "And", "Div", "Equal", "Greater", "Less", "Max", "Min", "Mod", "Mul", "Or", "Pow",
    "Sub", "Where",
})
_FOLDABLE = _ALIKE | {
    "Abs", "Cast", "Ceil", "Concat", "ConstantOfShape", "Expand", "Flatten", "Floor", "Gather",
    "MatMul", "Neg", "Not", "Range", "Reciprocal", "ReduceMax", "ReduceMin", "ReduceProd",
    "ReduceSum", "Reshape", "Round", "Slice", "Split", "Sqrt", "Squeeze", "Tile", "Transpose",
    "Unsqueeze",
}
# fmt: on


def _joint(*inputs: np.ndarray) -> float:
    return prod(np.broadcast_shapes(*(x.shape for x in inputs)))


def _product(a: np.ndarray, b: np.ndarray) -> float:
    return a[..., 0].size * b[..., 0, :].size if min(a.ndim, b.ndim) > 1 else max(a.size, b.size)


# Those whose results can be much larger than what goes in, and how large at most.
_SIZES: Mapping[str, Callable[..., float]] = {
    **dict.fromkeys(_ALIKE, _joint),
    "ConstantOfShape": lambda shape: prod(shape.tolist()),
    "Expand": lambda x, shape: prod(shape.tolist()) * x.size,
    "Gather": lambda x, places: x.size * places.size,
    "MatMul": _product,
    "Range": lambda start, limit, delta: abs(float(limit - start)) / max(abs(float(delta)), 1e-9),
    "Tile": lambda x, repeats: prod(repeats.tolist()) * x.size,
}
# Of an image with its channels last they give the same as of one with its channels first.
# fmt: off
_ELEMENTWISE = frozenset({
    "Abs", "Add", "Cast", "Clip", "Div", "Mul", "Neg", "Pow", "Relu", "Sigmoid", "Sub", "Tanh",
})
# fmt: on

FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def static_graph(
    model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]], layout: str = "NCHW"
) -> GraphBuilder:
    """Return the graph of a network at one size.

    Parameters
    ----------
    model : ModelProto
        Of opset 18 to 21.
    shapes : mapping of str to sequence of int
        Those of all inputs; of images in the model's own layout.
    layout : str
        ``"NCHW"``, or ``"NHWC"``: there inputs of four axes and outputs have their channels first
        in the result all the same.

    Raises
    ------
    NetworkError
        If the graph cannot be built at that size.
    """
    walk = _Walk(model, shapes, layout == "NHWC")
    for node in model.graph.node:
        try:
            walk.node(node)
        except NetworkError:
            raise
        except Exception as error:  # of onnx's own, unrelated types
            raise NetworkError(f"The {describe(node)}: {clause(error, 300)}") from error
    return walk.finish([output.name for output in model.graph.output])


class _Walk:
    """The walk over a model's nodes that makes the static graph."""

    def __init__(
        self, model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]], last: bool
    ) -> None:
        self.builder = GraphBuilder()
        self.builder.opset = opset(model)
        self.last = last
        self.values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        self.computed = self.steps = 0
        self.names: dict[str, str] = {}
        # Tensors that the builder has with their channels first, and the model with them last.
        self.turned: set[str] = set()
        for info in model.graph.input:
            if info.name in self.values:
                continue
            shape = list(shapes[info.name])
            dtype = helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
            if last and len(shape) == 4 and shape[3] == 3:
                shape = [shape[axis] for axis in FIRST]
                self.turned.add(info.name)
            self.names[info.name] = self.builder.input(info.name, shape, dtype)

    def node(self, node: onnx.NodeProto) -> None:
        """Take over one node, or what is left of it."""
        if node.domain not in ("", "ai.onnx"):
            raise NetworkError(
                f"It has an operator of {clause(node.domain)}; only standard ONNX ones are known."
            )
        if any(attribute.HasField("g") for attribute in node.attribute):
            raise NetworkError(f"The {describe(node)} has a graph inside; branches are not known.")
        given = [name for name in node.input if name]
        if node.op_type == "Constant":
            self.values[node.output[0]] = np.asarray(constant_value(node))
        elif node.op_type in ("Identity", "Dropout"):
            self._alias(node.output[0], node.input[0])
        elif node.op_type == "Shape" and given[0] not in self.values:
            sizes = np.array(self._shape(given[0]), np.int64)
            given_attributes = attributes(node)
            end = given_attributes.get("end", len(sizes))
            self.values[node.output[0]] = sizes[given_attributes.get("start", 0) : end]
        elif node.op_type in _FOLDABLE | {"Shape"} and all(n in self.values for n in given):
            self._fold(node)
        else:
            self._emit(node)

    def finish(self, outputs: Sequence[str]) -> GraphBuilder:
        """Return the graph, which gives images with their channels first."""
        for name in outputs:
            tensor = self.names[name] if name in self.turned else self._name(name)
            shape = self.builder.shape(tensor)
            if self.last and name not in self.turned and len(shape) == 4 and shape[3] == 3:
                tensor = self.builder.op("Transpose", tensor, perm=FIRST)
            self.builder.outputs.append(tensor)
        return self.builder

    def _alias(self, name: str, other: str) -> None:
        if other in self.values:
            self.values[name] = self.values[other]
        else:
            self.names[name] = self.names[other]
            self.turned |= {name} if other in self.turned else set()

    def _shape(self, name: str) -> tuple[int, ...]:
        shape = self.builder.shape(self.names[name])
        return tuple(shape[axis] for axis in LAST) if name in self.turned else shape

    def _name(self, name: str) -> str:
        """Return the builder's tensor that is as the model's own is."""
        if not name:
            return ""
        if name in self.values:
            self.names[name] = self.builder.constant(self.values.pop(name), name)
        if name in self.turned:
            return self.builder.op("Transpose", self.names[name], perm=LAST)
        return self.names[name]

    def _fold(self, node: onnx.NodeProto) -> None:
        inputs = [self.values[name] for name in node.input if name]
        size = _SIZES[node.op_type](*inputs) if node.op_type in _SIZES else 0
        self._check_size(node, size)
        times = max(inputs[0].shape[-1:], default=1) if node.op_type == "MatMul" else 1
        self.steps += sum(x.size for x in inputs) + int(size) * times
        if self.steps > MOST_STEPS:
            raise NetworkError(f"Its constants take more than {MOST_STEPS} steps.")
        infos = [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(self.values[name].dtype), None
            )
            for name in dict.fromkeys(filter(None, node.input))
        ]
        ends = [helper.make_empty_tensor_value_info(name) for name in node.output]
        graph = helper.make_graph([node], "constant", infos, ends)
        imports = [helper.make_opsetid("", self.builder.opset)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)
        feeds = {info.name: self.values[info.name] for info in infos}
        results = ReferenceEvaluator(model).run(None, feeds)
        self.values |= zip(node.output, map(np.asarray, results), strict=True)
        size = sum(self.values[name].size for name in node.output)
        self._check_size(node, size)
        self.computed += size
        if self.computed > MOST_COMPUTED:
            raise NetworkError(f"Its constants have more than {MOST_COMPUTED} elements.")

    def _check_size(self, node: onnx.NodeProto, size: float) -> None:
        if size > MOST_ELEMENTS:
            raise NetworkError(f"The {describe(node)} has {size:.3g} elements.")

    def _emit(self, node: onnx.NodeProto) -> None:
        """Append a node, unless it only turns a tensor or gives it the shape that it has."""
        given, output = node.input, node.output[0]
        if node.op_type == "Transpose":
            perm = attributes(node).get("perm")
            if given[0] in self.turned and perm == FIRST:
                self.names[output] = self.names[given[0]]
                return
            # Inside a network only an image is turned so; what it becomes is turned back.
            if self.last and perm == LAST and given[0] not in self.turned:
                self.names[output] = self.names[given[0]]
                self.turned.add(output)
                return
        if node.op_type == "Reshape" and given[1] in self.values:
            wanted = self.values[given[1]].tolist()
            if wanted == list(self._shape(given[0])):
                self._alias(output, given[0])
                return
        if node.op_type == "Resize" and self._keeps_size(node):
            self._alias(output, given[0])
            return
        if any(name in self.turned for name in given) and self._emit_turned(node):
            return
        names = [self._name(name) for name in given]
        outputs = self._append(node, names, attributes(node))
        self.names |= zip(node.output, outputs, strict=True)

    def _keeps_size(self, node: onnx.NodeProto) -> bool:
        scales = self.values.get(node.input[2]) if len(node.input) == 3 else None
        return scales is not None and scales.size > 0 and bool((scales == 1).all())

    def _emit_turned(self, node: onnx.NodeProto) -> bool:
        """Append a node as one on tensors with their channels first, where it is the same there."""
        others = [name for name in node.input if name and name not in self.turned]
        names = [self.names.get(name, "") for name in node.input]
        if node.op_type == "Pad" and len(node.input) < 4 and node.input[1] in self.values:
            pads = self.values[node.input[1]].reshape(2, 4)[:, FIRST].ravel()
            names[1] = self.builder.integers(pads.tolist(), "pads")
            names[2:] = [self._name(name) for name in node.input[2:]]
        elif node.op_type in _ELEMENTWISE and all(
            name in self.values and self.values[name].size == 1 for name in others
        ):
            names = [self.names[n] if n in self.turned else self._name(n) for n in node.input]
        else:
            return False
        (result,) = self._append(node, names, attributes(node))
        self.names[node.output[0]] = result
        self.turned.add(node.output[0])
        return True

    def _append(
        self, node: onnx.NodeProto, names: Sequence[str], given: Mapping[str, Any]
    ) -> tuple[str, ...]:
        if len(node.output) == 1:
            return (self.builder.op(node.op_type, *names, **given),)
        return self.builder.ops(node.op_type, *names, outputs=len(node.output), **given)
