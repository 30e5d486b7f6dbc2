"""Other ways to pool, put in place of a network's own."""

from collections.abc import Iterator
from typing import get_args

import numpy as np
import onnx
from onnx import helper, numpy_helper

from styletransfer.errors import NetworkError, UsageError
from styletransfer.onnxgrad.window import Window
from styletransfer.settings.choices import Pooling

TINY = 1e-8
"""Added under the root of ``l2``, whose slope is not defined where a whole window is zero."""


def with_pooling(network: onnx.ModelProto, pooling: Pooling) -> onnx.ModelProto:
    """Return a network that pools in another way.

    Parameters
    ----------
    network : onnx.ModelProto
        Any forward graph. It is not changed.
    pooling : {"caffe", "max", "avg", "l2"}
        ``caffe``: as the network is; it is returned itself. Otherwise every pool over windows
        takes the maximum, the mean, or the root of the mean square of each. Windows that reach
        past the end of the image are left out, as everywhere but in Caffe, and padding, where a
        pool has any, is no part of a mean.

    Returns
    -------
    onnx.ModelProto
        With the same names of layers; the sizes of its outputs are left open.

    Raises
    ------
    UsageError
        If there is no such way to pool.

    Notes
    -----
    The mean and the root of the mean square are smaller than the maximum. style-transfer-pytorch
    multiplies the former by 2 and the latter by 1.56 to make up for it; Gatys et al. do not, and
    neither does this.
    """
    if pooling not in get_args(Pooling):
        raise UsageError(f"pooling is {pooling!r}; choose one of {', '.join(get_args(Pooling))}")
    if pooling == "caffe":
        return network
    result = onnx.ModelProto()
    result.CopyFrom(network)
    nodes = list(result.graph.node)
    del result.graph.node[:]
    for node in nodes:
        pools = node.op_type in ("AveragePool", "MaxPool")
        result.graph.node.extend(_replaced(node, pooling) if pools else [node])
    if pooling == "l2":
        tiny = numpy_helper.from_array(np.array(TINY, np.float32), "pooling/tiny")
        result.graph.initializer.append(tiny)
    for output in result.graph.output:
        for axis in output.type.tensor_type.shape.dim:
            axis.Clear()
    return result


def _replaced(node: onnx.NodeProto, pooling: Pooling) -> Iterator[onnx.NodeProto]:
    """Yield the nodes that pool in place of one."""
    geometry = Window.of(node)
    if geometry is None:
        raise NetworkError(
            f"the pool {node.name!r} leaves its padding open (auto_pad); give it in numbers"
        )
    window = geometry.attributes
    (x,), (y,) = node.input, node.output
    if pooling == "max":
        yield helper.make_node("MaxPool", [x], [y], name=node.name, **window)
        return
    if pooling == "avg":
        yield helper.make_node("AveragePool", [x], [y], name=node.name, **window)
        return
    square, mean, raised = (f"{y}/{part}" for part in ("square", "mean", "raised"))
    yield helper.make_node("Mul", [x, x], [square], name=square)
    yield helper.make_node("AveragePool", [square], [mean], name=mean, **window)
    yield helper.make_node("Add", [mean, "pooling/tiny"], [raised], name=raised)
    yield helper.make_node("Sqrt", [raised], [y], name=node.name)
