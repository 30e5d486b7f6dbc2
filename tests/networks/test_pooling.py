"""Each way to pool beside NumPy, in a network that pools as Caffe does."""

import numpy as np
import onnx
import pytest

from styletransfer.errors import NetworkError, UsageError
from styletransfer.networks.pooling import with_pooling
from styletransfer.onnxgrad import GraphBuilder
from tests.onnxgrad.graphs import check_vjp, evaluate

SHAPE = (1, 2, 7, 9)


def network(kernel: int = 2, stride: int = 2, pad: int = 0) -> onnx.ModelProto:
    """Return a rectifier and a pool, of averages with a last window that overhangs."""
    graph = GraphBuilder()
    x = graph.op("Relu", graph.input("data", SHAPE), output="conv")
    graph.op(
        "AveragePool",
        x,
        output="pool",
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        pads=[pad] * 4,
        ceil_mode=1,
        count_include_pad=1,
    )
    return graph.model(["conv", "pool"])


def windows(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """Return the windows that lie inside, (1, C, H', W', kernel²)."""
    view = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))
    return view[:, :, ::stride, ::stride].reshape(*view[:, :, ::stride, ::stride].shape[:4], -1)


IMAGE = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
REDUCE = {
    "max": lambda w: w.max(-1),
    "avg": lambda w: w.mean(-1),
    "l2": lambda w: np.sqrt((w**2).mean(-1)),
}


@pytest.mark.parametrize("pooling", REDUCE)
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2)])
def test_windows_inside(pooling, kernel, stride):
    model = with_pooling(network(kernel, stride), pooling)
    pool = evaluate(model, {"data": IMAGE})["pool"]
    wanted = REDUCE[pooling](windows(np.maximum(IMAGE, 0), kernel, stride))
    assert pool.shape == wanted.shape  # 7 by 9 to 3 by 4, where Caffe has 4 by 5
    np.testing.assert_allclose(pool, wanted, atol=2e-4 if pooling == "l2" else 1e-6)


@pytest.mark.parametrize("pooling", REDUCE)
def test_padding_is_no_part_of_a_window(pooling):
    """As in GoogLeNet's modules: 3 by 3, step 1, a margin of 1; the size stays."""
    constant = np.ones_like(IMAGE)
    pool = evaluate(with_pooling(network(3, 1, 1), pooling), {"data": constant})["pool"]
    np.testing.assert_allclose(pool, constant, atol=1e-6)


def test_caffe_is_the_network_itself():
    model = network()
    assert with_pooling(model, "caffe") is model


def test_the_network_given_is_left_alone():
    model = network()
    before = model.SerializeToString()
    with_pooling(model, "l2")
    assert model.SerializeToString() == before


@pytest.mark.parametrize("pooling", REDUCE)
def test_result_is_a_valid_model(pooling):
    model = with_pooling(network(), pooling)
    onnx.checker.check_model(model, full_check=True)
    assert [output.name for output in model.graph.output] == ["conv", "pool"]


@pytest.mark.parametrize("pooling", REDUCE)
def test_gradient(pooling):
    """Finite and right, also where a whole window is zero."""
    image = IMAGE.astype(float)
    image[:, :, :4, :4] = -1
    model = with_pooling(network(), pooling)
    graph = GraphBuilder()
    graph.input("data", SHAPE, float)
    # The same nodes in float64.
    for node in model.graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        inputs = [
            graph.constant(np.float64(1e-8)) if n == "pooling/tiny" else n for n in node.input
        ]
        graph.op(node.op_type, *inputs, output=node.output[0], **attributes)
    check_vjp(graph.model(["pool"]), {"data": image}, step=1e-7, tolerance=1e-6)


def with_attribute(**attribute: object) -> onnx.ModelProto:
    model = network()
    model.graph.node[1].attribute.extend(
        onnx.helper.make_attribute(name, value) for name, value in attribute.items()
    )
    return model


def test_gaps_in_a_window_stay():
    pool = evaluate(with_pooling(with_attribute(dilations=[2, 2]), "max"), {"data": IMAGE})["pool"]
    taps = [
        np.maximum(IMAGE, 0)[:, :, i : i + 5 : 2, j : j + 7 : 2] for i in (0, 2) for j in (0, 2)
    ]
    np.testing.assert_array_equal(pool, np.max(taps, 0))


def test_padding_that_is_left_open():
    with pytest.raises(NetworkError, match="leaves its padding open"):
        with_pooling(with_attribute(auto_pad="SAME_UPPER"), "max")


def test_unknown_pooling():
    with pytest.raises(UsageError, match=r"pooling is 'median'; choose one of caffe, max"):
        with_pooling(network(), "median")
