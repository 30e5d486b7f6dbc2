"""An ONNX graph under construction, with the static shape and dtype of every tensor at hand."""

import contextlib
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper, shape_inference

from styletransfer.errors import GradientError
from styletransfer.onnxgrad.reading import constant_value, describe, needed, opset, static_type
from styletransfer.onnxgrad.window import Window

OPSET = 18
IR_VERSION = 10  # onnx's own default is newer than the runtime accepts
# Constants up to this many elements take part in shape inference and are shared when equal.
SMALL = 256


Type = tuple[tuple[int, ...], np.dtype]


class GraphBuilder:
    """A graph under construction: nodes in topological order, every shape and dtype known.

    Parameters
    ----------
    model : onnx.ModelProto, optional
        A model whose graph is taken over: its tensors keep their names, its weights become NumPy
        arrays, its opset (18 to 21) is kept. Without one the graph starts empty at opset 18.
    input_shapes : mapping of str to sequence of int, optional
        Shapes for inputs of `model` whose own are symbolic.
    outputs : sequence of str, optional
        The tensors of `model` that are wanted; what they do not need is left out, as it may not
        fit the shapes. Without them all of the model is taken over.

    Attributes
    ----------
    nodes : list of onnx.NodeProto
        In topological order.
    inputs : list of str
        In the order of declaration.
    initializers : dict of str to numpy.ndarray
        Held as arrays; serialised by `model` alone.
    outputs : list of str
        Those wanted of the model that was taken over, or its own; empty without a model.

    Raises
    ------
    GradientError
        For an opset out of range, an operator of another domain, a shape that stays unknown, or
        an output that is not there.
    """

    def __init__(
        self,
        model: onnx.ModelProto | None = None,
        input_shapes: Mapping[str, Sequence[int]] | None = None,
        outputs: Sequence[str] | None = None,
    ) -> None:
        self.opset = OPSET
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.initializers: dict[str, np.ndarray] = {}
        self._types: dict[str, Type] = {}
        self._producers: dict[str, onnx.NodeProto] = {}
        self._shared: dict[Hashable, str] = {}
        self._suffixes: dict[str, int] = {}
        self._prefix = ""
        if model is not None:
            self._take_over(model, input_shapes or {}, outputs)

    def input(self, name: str, shape: Sequence[int], dtype: npt.DTypeLike = np.float32) -> str:
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

    def constant(self, array: npt.ArrayLike, hint: str = "constant") -> str:
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

    def named_constant(self, name: str, array: np.ndarray) -> str:
        """Add an initializer of a name that no other tensor has, and return it."""
        self._add_initializer(name, array)
        return name

    def integers(self, values: Sequence[int], hint: str = "integers") -> str:
        """Add a vector of int64 as `constant` does: a shape, axes, bounds."""
        return self.constant(np.asarray(values, np.int64), hint)

    def scalar(self, value: float, like: str, hint: str = "number") -> str:
        """Add a number of the dtype of the tensor `like`, as `constant` does."""
        return self.constant(np.asarray(value, self.dtype(like)), hint)

    def op(self, op_type: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
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

    def ops(self, op_type: str, *inputs: str, outputs: int, **attributes: Any) -> tuple[str, ...]:
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

    def reshape(self, name: str, shape: Sequence[int]) -> str:
        """Give a tensor another shape; nothing is emitted where it has that shape."""
        if self.shape(name) == tuple(shape):
            return name
        return self.op("Reshape", name, self.integers(shape, "shape"))

    def slice(
        self, name: str, axes: Sequence[int], starts: Sequence[int], stops: Sequence[int]
    ) -> str:
        """Cut a box from a tensor; nothing is emitted for axes of which all is taken.

        Parameters
        ----------
        name : str
            The tensor.
        axes, starts, stops : sequence of int
            The axes that are cut, and where, none of them negative.
        """
        shape = self.shape(name)
        rows = zip(axes, starts, stops, strict=True)
        cut = [row for row in rows if row[1:] != (0, shape[row[0]])]
        if not cut:
            return name
        ordered = (self.integers([row[i] for row in cut], "bounds") for i in (1, 2, 0))
        return self.op("Slice", name, *ordered)

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

    def model(
        self, outputs: Sequence[str], name: str = "graph", without: Collection[str] = ()
    ) -> onnx.ModelProto:
        """Return the model that computes `outputs`, without all that they do not need.

        Parameters
        ----------
        outputs : sequence of str
            Names of tensors, in the order wanted.
        name : str
            The graph's name.
        without : collection of str
            Constants that are left out, see `apart`.

        Returns
        -------
        onnx.ModelProto
            Inputs in the order of their declaration, those that nothing needs left out.
        """
        for output in outputs:
            self._type(output)
        nodes, read = needed(self.nodes, outputs)
        graph = helper.make_graph(
            nodes,
            name,
            [self._value_info(key) for key in self.inputs if key in read],
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
            if key in read and key not in without:
                model.graph.initializer.add().CopyFrom(numpy_helper.from_array(array, key))
        return model

    def _take_over(
        self,
        model: onnx.ModelProto,
        input_shapes: Mapping[str, Sequence[int]],
        outputs: Sequence[str] | None,
    ) -> None:
        self.opset = opset(model)
        nodes: Sequence[onnx.NodeProto] = model.graph.node
        read = {tensor.name for tensor in model.graph.initializer}
        if outputs is not None:
            nodes, read = needed(nodes, outputs)
        for tensor in model.graph.initializer:
            if tensor.name in read:
                self._add_initializer(tensor.name, numpy_helper.to_array(tensor))
        self._declare_inputs(model, input_shapes)
        for node in nodes:
            if node.op_type == "Constant":
                self._add_initializer(node.output[0], constant_value(node))
            else:
                copy = onnx.NodeProto()
                copy.CopyFrom(node)
                self._append(copy)
        own = [output.name for output in model.graph.output]
        self.outputs = own if outputs is None else list(outputs)
        for name in self.outputs:
            self._type(name)

    def _declare_inputs(
        self, model: onnx.ModelProto, input_shapes: Mapping[str, Sequence[int]]
    ) -> None:
        """Declare the inputs of a model, but for those that only give a constant its type."""
        constants = {tensor.name for tensor in model.graph.initializer}
        declared = {v.name: v for v in model.graph.input if v.name not in constants}
        for name in input_shapes:
            if name not in declared:
                raise GradientError(
                    f"input_shapes names {name!r}, which is no input of the model; "
                    f"its inputs are {', '.join(declared) or 'none'}."
                )
        for name, info in declared.items():
            declared_shape, dtype = static_type(info.type)
            shape = input_shapes.get(name, declared_shape)
            if shape is None:
                raise GradientError(
                    f"Input {name!r} of the model has a symbolic shape; give it in input_shapes."
                )
            self.input(name, shape, dtype)

    def _append(self, node: onnx.NodeProto) -> None:
        if node.op_type in ("AveragePool", "MaxPool") and node.input[0] in self._types:
            _trim_padding(node, self.shape(node.input[0])[2:])
        for name, (shape, dtype) in self._infer(node).items():
            self._declare(name, shape, dtype)
            self._producers[name] = node
        self.nodes.append(node)

    def _infer(self, node: onnx.NodeProto) -> dict[str, Type]:
        inputs = [name for name in node.input if name]
        types = {name: _type_proto(*self._type(name, node)) for name in inputs}
        data = {
            name: numpy_helper.from_array(self.initializers[name], name)
            for name in inputs
            if name in self.initializers and gives_shapes(self.initializers[name])
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
            shape, dtype = static_type(inferred.get(name, onnx.TypeProto()))
            if shape is None:
                raise GradientError(
                    f"The shape of {name!r}, an output of the {describe(node)}, does not follow "
                    "from the shapes of its inputs; only graphs of static shapes are supported."
                )
            result[name] = shape, dtype
        # Onnx infers the shape that is asked for, also where it cannot be.
        if node.op_type == "Reshape":
            before, after = self.shape(node.input[0]), result[node.output[0]][0]
            if prod(before) != prod(after):
                raise GradientError(
                    f"The {describe(node)} cannot give {node.input[0]!r} {before} the shape "
                    f"{after}: it has another number of elements."
                )
        return result

    def _add_initializer(self, name: str, array: np.ndarray) -> None:
        self._declare(name, array.shape, array.dtype)
        self.initializers[name] = array

    def _declare(self, name: str, shape: Sequence[int], dtype: npt.DTypeLike) -> None:
        if name in self._types:
            raise GradientError(f"The graph has a tensor {name!r} already; names are unique.")
        self._types[name] = tuple(int(n) for n in shape), np.dtype(dtype)

    def _type(self, name: str, node: onnx.NodeProto | None = None) -> Type:
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


def gives_shapes(array: np.ndarray) -> bool:
    """Whether the shapes of a node's outputs may depend on what is in a constant."""
    return array.size <= SMALL or (array.ndim == 1 and array.dtype == np.int64)


def _type_proto(shape: Sequence[int], dtype: np.dtype) -> onnx.TypeProto:
    return helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(dtype), shape)


def _trim_padding(node: onnx.NodeProto, size: Sequence[int]) -> None:
    """Take from a pool's end padding what only windows see that are dropped; see `Axis.trimmed`."""
    window = Window.of(node)
    if window is None or not window.ceil or len(window.axes) != len(size):
        return
    axes = tuple(axis.trimmed(length) for axis, length in zip(window.axes, size, strict=True))
    for axis, length in zip(axes, size, strict=True):
        if axis.after < 0:
            raise GradientError(
                f"The last window of the {describe(node)} lies past the end of its input, "
                f"{length} long; set ceil_mode to 0."
            )
    for attribute in node.attribute:
        if attribute.name == "pads":
            attribute.ints[:] = replace(window, axes=axes).pads
