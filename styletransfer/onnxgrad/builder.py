"""An ONNX graph under construction, with the static shape and dtype of every tensor at hand."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

OPSET = 18
OLDEST_OPSET, NEWEST_OPSET = 18, 21
IR_VERSION = 10  # onnx's own default is newer than the runtime accepts
# Constants up to this many elements take part in shape inference and are shared when equal.
SMALL = 256


class GradientError(Exception):
    """A graph that cannot be built or differentiated; the message names the node and the reason."""


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes of a node as plain Python values (strings decoded)."""
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}


def describe(node: onnx.NodeProto) -> str:
    """Return a phrase that lets a reader find the node: its operator and its name."""
    return f"{node.op_type} node {node.name or node.output[0]!r}"


class GraphBuilder:
    """A graph under construction: nodes in topological order, every shape and dtype known.

    Parameters
    ----------
    model : onnx.ModelProto, optional
        A model whose graph is taken over: its tensors keep their names, its weights become NumPy
        arrays, its opset (18 to 21) is kept. Without one the graph starts empty at opset 18.
    input_shapes : mapping of str to sequence of int, optional
        Shapes for inputs of `model` whose own are symbolic.

    Attributes
    ----------
    nodes : list of onnx.NodeProto
        In topological order.
    inputs : list of str
        In the order of declaration.
    initializers : dict of str to numpy.ndarray
        Held as arrays; serialised by `model` alone.
    outputs : list of str
        The outputs of the model that was taken over; empty without one.

    Raises
    ------
    GradientError
        For an opset out of range, an operator of another domain, or a shape that stays unknown.
    """

    def __init__(
        self,
        model: onnx.ModelProto | None = None,
        input_shapes: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self.opset = OPSET
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.initializers: dict[str, np.ndarray] = {}
        self._types: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
        self._producers: dict[str, onnx.NodeProto] = {}
        self._shared: dict[tuple, str] = {}
        self._suffixes: dict[str, int] = {}
        self._prefix = ""
        if model is not None:
            self._take_over(model, input_shapes or {})

    def input(self, name: str, shape: Sequence[int], dtype: type | np.dtype = np.float32) -> str:
        """Declare an input of the graph and return its name.

        Parameters
        ----------
        name : str
            Of no other tensor.
        shape : sequence of int
            Static.
        dtype : dtype
            Its element type.

        Raises
        ------
        GradientError
            If there is a tensor of that name.
        """
        self._declare(name, shape, dtype)
        self.inputs.append(name)
        return name

    def constant(self, array: np.ndarray | float | Sequence, hint: str = "constant") -> str:
        """Add an initializer and return its name; small equal ones share one.

        Parameters
        ----------
        array : array_like
            Taken as it is, without a copy: give the dtype that the consumer needs.
        hint : str
            What the tensor is, for the reader of the graph.
        """
        array = np.asarray(array)
        key = None
        if array.size <= SMALL:
            key = (array.dtype.str, array.shape, array.tobytes())
            if key in self._shared:
                return self._shared[key]
        name = self._unique(hint if key is None else f"constant/{hint}", scoped=key is None)
        self._add_initializer(name, array)
        if key is not None:
            self._shared[key] = name
        return name

    def op(self, op_type: str, *inputs: str, output: str | None = None, **attributes) -> str:
        """Append a node with one output and return the output's name.

        Parameters
        ----------
        op_type : str
            An operator of the default ONNX domain.
        *inputs : str
            Names of tensors; "" for an optional input that is absent.
        output : str, optional
            The output's full name; chosen from the scope and the operator otherwise.
        **attributes
            The operator's attributes.

        Raises
        ------
        GradientError
            Where the inputs do not fit the operator, or the output's shape is not static.
        """
        output = output or self._unique(op_type)
        self._append(helper.make_node(op_type, inputs, [output], name=output, **attributes))
        return output

    def ops(self, op_type: str, *inputs: str, outputs: int, **attributes) -> tuple[str, ...]:
        """Append a node with several outputs and return their names; otherwise as `op`.

        Parameters
        ----------
        op_type, *inputs, **attributes
            As for `op`.
        outputs : int
            How many outputs there are; their names are chosen.

        Raises
        ------
        GradientError
            As `op`.
        """
        names = tuple(self._unique(f"{op_type}/{i}") for i in range(outputs))
        self._append(helper.make_node(op_type, inputs, names, name=names[0], **attributes))
        return names

    @contextlib.contextmanager
    def scope(self, prefix: str) -> Iterator[None]:
        """Begin the names that `op`, `ops` and `constant` choose with `prefix` and a slash."""
        before, self._prefix = self._prefix, f"{self._prefix}{prefix}/"
        try:
            yield
        finally:
            self._prefix = before

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the static shape of a tensor."""
        return self._type(name)[0]

    def dtype(self, name: str) -> np.dtype:
        """Return the dtype of a tensor."""
        return self._type(name)[1]

    def value(self, name: str) -> np.ndarray | None:
        """Return the constant behind a name, None where it is not a constant."""
        return self.initializers.get(name)

    def producer(self, name: str) -> onnx.NodeProto | None:
        """Return the node that computes a tensor, None for inputs and constants."""
        return self._producers.get(name)

    def rebuild(self, replace: Callable[[onnx.NodeProto], bool]) -> None:
        """Append all nodes anew, letting a function put others in the place of some.

        Parameters
        ----------
        replace : callable
            Called with each node in order. It appends nothing and returns False, and the node
            stays; or it appends nodes that give tensors of the names of the node's outputs, and
            returns True.

        Raises
        ------
        GradientError
            If a replacement gives an output another shape or dtype, or none.
        """
        nodes, self.nodes = self.nodes, []
        for node in nodes:
            types = {name: self._types.pop(name) for name in filter(None, node.output)}
            if not replace(node):
                self._types.update(types)
                self.nodes.append(node)
            elif any(self._types.get(name) != kind for name, kind in types.items()):
                raise GradientError(f"What replaces the {describe(node)} gives another tensor.")

    def model(self, outputs: Sequence[str], name: str = "graph") -> onnx.ModelProto:
        """Return the model that computes `outputs`, without all that they do not need.

        Parameters
        ----------
        outputs : sequence of str
            Names of tensors, in the order wanted.
        name : str
            The graph's name.

        Returns
        -------
        onnx.ModelProto
            Inputs in the order of their declaration, those that nothing needs left out.
        """
        for output in outputs:
            self._type(output)
        needed = set(outputs)
        kept = []
        for node in reversed(self.nodes):
            if not needed.isdisjoint(node.output):
                kept.append(node)
                needed.update(node.input)
        graph = helper.make_graph(
            kept[::-1],
            name,
            [self._value_info(key) for key in self.inputs if key in needed],
            [self._value_info(key) for key in outputs],
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self.opset)],
            ir_version=IR_VERSION,
            producer_name="styletransfer",
        )
        # One by one, and last: each of the calls above copies all that it is given.
        for key, array in self.initializers.items():
            if key in needed:
                model.graph.initializer.add().CopyFrom(numpy_helper.from_array(array, key))
        return model

    def _take_over(self, model: onnx.ModelProto, input_shapes: Mapping[str, Sequence[int]]) -> None:
        self.opset = _opset(model)
        for tensor in model.graph.initializer:
            self._add_initializer(tensor.name, numpy_helper.to_array(tensor))
        declared = {v.name: v for v in model.graph.input if v.name not in self.initializers}
        for name in input_shapes:
            if name not in declared:
                raise GradientError(
                    f"input_shapes names {name!r}, which is no input of the model; "
                    f"its inputs are {', '.join(declared) or 'none'}."
                )
        for name, info in declared.items():
            declared_shape, dtype = _static(info.type)
            shape = input_shapes.get(name, declared_shape)
            if shape is None:
                raise GradientError(
                    f"Input {name!r} of the model has a symbolic shape; give it in input_shapes."
                )
            self.input(name, shape, dtype)
        for node in model.graph.node:
            if node.op_type == "Constant":
                self._add_initializer(node.output[0], _constant_value(node))
            else:
                copy = onnx.NodeProto()
                copy.CopyFrom(node)
                self._append(copy)
        self.outputs = [output.name for output in model.graph.output]

    def _append(self, node: onnx.NodeProto) -> None:
        _drop_windows_in_padding(node, self._types)
        for name, (shape, dtype) in self._infer(node).items():
            self._declare(name, shape, dtype)
            self._producers[name] = node
        self.nodes.append(node)

    def _infer(self, node: onnx.NodeProto) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        inputs = [name for name in node.input if name]
        types = {name: _type_proto(*self._type(name, node)) for name in inputs}
        data = {
            name: numpy_helper.from_array(self.initializers[name], name)
            for name in inputs
            if name in self.initializers and self.initializers[name].size <= SMALL
        }
        try:
            schema = onnx.defs.get_schema(node.op_type, self.opset, node.domain)
            inferred = shape_inference.infer_node_outputs(
                schema,
                node,
                types,
                data,
                opset_imports=[helper.make_opsetid("", self.opset)],
                ir_version=IR_VERSION,
            )
        except Exception as error:  # onnx raises its own, unrelated types here
            shapes = ", ".join(f"{name!r} {self.shape(name)}" for name in inputs)
            reason = str(error).strip().splitlines()[-1]
            raise GradientError(f"The {describe(node)} on {shapes}: {reason}") from error
        result = {}
        for name in filter(None, node.output):
            shape, dtype = _static(inferred.get(name, onnx.TypeProto()))
            if shape is None:
                raise GradientError(
                    f"The shape of {name!r}, an output of the {describe(node)}, does not follow "
                    "from the shapes of its inputs; only graphs of static shapes are supported."
                )
            result[name] = shape, dtype
        return result

    def _add_initializer(self, name: str, array: np.ndarray) -> None:
        self._declare(name, array.shape, array.dtype)
        self.initializers[name] = array

    def _declare(self, name: str, shape: Sequence[int], dtype: type | np.dtype) -> None:
        if name in self._types:
            raise GradientError(f"The graph has a tensor {name!r} already; names are unique.")
        self._types[name] = tuple(int(n) for n in shape), np.dtype(dtype)

    def _type(
        self, name: str, node: onnx.NodeProto | None = None
    ) -> tuple[tuple[int, ...], np.dtype]:
        if name not in self._types:
            where = f", which the {describe(node)} reads" if node is not None else ""
            raise GradientError(f"The graph has no tensor {name!r}{where}.")
        return self._types[name]

    def _unique(self, hint: str, scoped: bool = True) -> str:
        name = stem = f"{self._prefix}{hint}" if scoped else hint
        while name in self._types:
            self._suffixes[stem] = self._suffixes.get(stem, 1) + 1
            name = f"{stem}_{self._suffixes[stem]}"
        return name

    def _value_info(self, name: str) -> onnx.ValueInfoProto:
        shape, dtype = self._types[name]
        return helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(dtype), list(shape)
        )


def _opset(model: onnx.ModelProto) -> int:
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    version = opsets.pop("ai.onnx", 0)
    if opsets:
        raise GradientError(
            f"The model uses operators of {', '.join(opsets)}; only standard ONNX ones are known."
        )
    if not OLDEST_OPSET <= version <= NEWEST_OPSET:
        raise GradientError(
            f"The model is of opset {version}; convert it to {OLDEST_OPSET} to {NEWEST_OPSET} "
            "with onnx.version_converter."
        )
    return version


def _type_proto(shape: Sequence[int], dtype: np.dtype) -> onnx.TypeProto:
    return helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(dtype), shape)


def _static(proto: onnx.TypeProto) -> tuple[tuple[int, ...] | None, np.dtype]:
    tensor = proto.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    known = tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim)
    return tuple(d.dim_value for d in tensor.shape.dim) if known else None, dtype


def _constant_value(node: onnx.NodeProto) -> np.ndarray:
    (kind, value), *_ = attributes(node).items()
    if kind == "value":
        return numpy_helper.to_array(value)
    if kind in ("value_float", "value_floats"):
        return np.asarray(value, np.float32)
    if kind in ("value_int", "value_ints"):
        return np.asarray(value, np.int64)
    raise GradientError(
        f"The {describe(node)} holds a {kind}; only tensors and numbers are supported."
    )


def _drop_windows_in_padding(node: onnx.NodeProto, types: Mapping[str, tuple]) -> None:
    """Take from a pool's end padding what its windows do not cover, where that is all padding.

    With ceil_mode the runtime (like Caffe) drops a last window that would start in the end
    padding; onnx's shape inference counts it. With less padding both see the same windows.
    """
    if node.op_type not in ("AveragePool", "MaxPool") or node.input[0] not in types:
        return
    values = attributes(node)
    if not values.get("ceil_mode") or values.get("auto_pad", "NOTSET") != "NOTSET":
        return
    size = types[node.input[0]][0][2:]
    rank = len(size)
    kernel = values["kernel_shape"]
    strides = values.get("strides", [1] * rank)
    dilations = values.get("dilations", [1] * rank)
    pads = list(values.get("pads", [0] * 2 * rank))
    for axis in range(rank):
        start, end = pads[axis], pads[axis + rank]
        span = size[axis] + start + end - dilations[axis] * (kernel[axis] - 1) - 1
        rest = span % strides[axis]
        next_window = span - rest + strides[axis]
        if rest and next_window >= size[axis] + start:
            if rest > end:
                raise GradientError(
                    f"The last window of the {describe(node)} lies past the end of its input, "
                    f"{size[axis]} long; set ceil_mode to 0."
                )
            pads[axis + rank] -= rest
    for attribute in node.attribute:
        if attribute.name == "pads":
            attribute.ints[:] = pads
