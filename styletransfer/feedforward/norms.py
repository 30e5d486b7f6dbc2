"""Instance normalisation that a graph spells out, found and made one node.

One node is faster, and its statistics are what a picture in tiles has to know of the whole.
"""

import numpy as np
import onnx

from styletransfer.onnxgrad.builder import GraphBuilder
from styletransfer.onnxgrad.reading import attributes


def join(builder: GraphBuilder) -> int:
    """Replace normalisations in a graph by InstanceNormalization; return how many were.

    Two ways to write them are known, m and v being the mean and the variance of x over an image:
    (x − m) / √(v + ε) · scale + shift, and x · a + (shift − m · a) with a = scale / √(v + ε).
    """
    found = 0

    def replace(node: onnx.NodeProto) -> bool:
        nonlocal found
        parts = _Reader(builder).normalisation(node)
        if parts is None:
            return False
        x, scale, shift, epsilon = parts
        channels = builder.shape(x)[1]
        if {builder.shape(scale), builder.shape(shift)} != {(1, channels, 1, 1)}:
            return False
        with builder.scope(node.output[0]):
            vectors = [builder.reshape(name, (channels,)) for name in (scale, shift)]
        builder.op(
            "InstanceNormalization", x, *vectors, output=node.output[0], epsilon=float(epsilon)
        )
        found += 1
        return True

    builder.rebuild(replace)
    return found


class _Reader:
    """Recognises expressions by the nodes that make them."""

    def __init__(self, builder: GraphBuilder) -> None:
        self.builder = builder

    def normalisation(self, node: onnx.NodeProto) -> tuple[str, str, str, float] | None:
        """Return x, scale, shift and ε if a node is the last of a normalisation."""
        if node.op_type != "Add":
            return None
        for product, rest in self._both(node):
            inner = self._node(product, "Mul")
            if inner is None:
                continue
            for x, factor in self._both(inner):
                found = self._centred(x, factor, rest) or self._affine(x, factor, rest)
                if found is not None:
                    return found
        return None

    def _centred(self, y: str, scale: str, shift: str) -> tuple[str, str, str, float] | None:
        """Match (x − m) · s · scale + shift, y being (x − m) · s."""
        product = self._node(y, "Mul")
        for centred, inverse in self._both(product) if product is not None else ():
            difference = self._node(centred, "Sub")
            if difference is None or not self._is_mean(difference.input[1], difference.input[0]):
                continue
            epsilon = self._inverse_deviation(inverse, difference.input[0])
            if epsilon is not None:
                return difference.input[0], scale, shift, epsilon
        return None

    def _affine(self, x: str, factor: str, rest: str) -> tuple[str, str, str, float] | None:
        """Match x · a + (shift − m · a)."""
        difference, product = self._node(rest, "Sub"), self._node(factor, "Mul")
        if difference is None or product is None:
            return None
        moved = self._node(difference.input[1], "Mul")
        if moved is None or factor not in moved.input:
            return None
        mean = next(name for name in (*moved.input, factor) if name != factor)
        for inverse, scale in self._both(product):
            epsilon = self._inverse_deviation(inverse, x)
            if epsilon is not None and self._is_mean(mean, x):
                return x, scale, difference.input[0], epsilon
        return None

    def _inverse_deviation(self, name: str, x: str) -> float | None:
        """Return ε if a tensor is 1 / √(v + ε)."""
        quotient = self._node(name, "Reciprocal") or self._node(name, "Div")
        if quotient is None:
            return None
        if quotient.op_type == "Div" and self._number(quotient.input[0]) != 1:
            return None
        root = self._node(quotient.input[-1], "Sqrt")
        total = root and self._node(root.input[0], "Add")
        for variance, epsilon in self._both(total) if total else ():
            value = self._number(epsilon)
            if value is not None and self._is_variance(variance, x):
                return value
        return None

    def _is_variance(self, name: str, x: str) -> bool:
        node = self.builder.producer(name)
        square = node and self._mean_of(node) and self.builder.producer(node.input[0])
        if not square:
            return False
        twice = square.op_type == "Mul" and square.input[0] == square.input[1]
        power = square.op_type == "Pow" and self._number(square.input[1]) == 2
        difference = self._node(square.input[0], "Sub") if twice or power else None
        return (
            difference is not None
            and difference.input[0] == x
            and self._is_mean(difference.input[1], x)
        )

    def _is_mean(self, name: str, x: str) -> bool:
        node = self.builder.producer(name)
        return node is not None and self._mean_of(node) and node.input[0] == x

    def _mean_of(self, node: onnx.NodeProto) -> bool:
        """Whether a node gives the mean over both axes of an image, and keeps them."""
        if node.op_type == "GlobalAveragePool":
            return True
        if node.op_type != "ReduceMean" or len(node.input) != 2:
            return False
        axes = self.builder.value(node.input[1])
        kept = attributes(node).get("keepdims", 1) == 1
        return kept and axes is not None and sorted(np.ravel(axes) % 4) == [2, 3]

    def _node(self, name: str, op_type: str) -> onnx.NodeProto | None:
        node = self.builder.producer(name)
        return node if node is not None and node.op_type == op_type else None

    def _number(self, name: str) -> float | None:
        value = self.builder.value(name)
        return float(value.ravel()[0]) if value is not None and value.size == 1 else None

    @staticmethod
    def _both(node: onnx.NodeProto) -> list[tuple[str, str]]:
        """Return the two inputs of a commutative node in both orders."""
        a, b = node.input
        return [(a, b), (b, a)]
