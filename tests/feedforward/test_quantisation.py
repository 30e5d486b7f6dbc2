"""Weights of 8 bits become exactly the numbers that they stand for."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from styletransfer.feedforward.quantisation import (
    dequantise_constants,
    without_quantised_activations,
)
from tests.feedforward.networks import Maker


def literally(model: onnx.ModelProto, **feeds: np.ndarray) -> np.ndarray:
    """Run a model as it is written: the runtime joins no nodes."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds)[0]


def dequantised_by_hand(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """(q − zero point) · scale in float64, of each channel."""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    result = {}
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in constants:
            continue
        q, scale, zero = (constants[name].astype(np.float64) for name in node.input)
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        if scale.ndim:
            along = [-1 if i == axis else 1 for i in range(q.ndim)]
            scale, zero = scale.reshape(along), zero.reshape(along)
        result[node.output[0]] = (q - zero) * scale
    return result


@pytest.mark.parametrize("name", ["arbitrary_predict", "arbitrary_transform"])
def test_published_networks(published, name):
    model = onnx.load_model_from_string(published(name))
    floats = dequantise_constants(model)
    known = {t.name: numpy_helper.to_array(t) for t in floats.graph.initializer}
    expected = dequantised_by_hand(model)
    assert len(expected) > 50
    for tensor, values in expected.items():  # layer by layer
        np.testing.assert_allclose(known[tensor], values, rtol=2e-7, atol=0)
    # With their activations of 8 bits kept, both compute the same bit for bit.
    random = np.random.default_rng(0)
    feeds = {
        value.name: random.random(
            [d.dim_value for d in value.type.tensor_type.shape.dim], np.float32
        )
        for value in model.graph.input
    }
    np.testing.assert_array_equal(literally(floats, **feeds), literally(model, **feeds))


def test_activations_are_not_rounded_any_more():
    maker = Maker()
    scale, zero = maker.constant(0.5), maker.constant(np.int8(3))
    q = maker.op("QuantizeLinear", "input1", scale, zero)
    turned = maker.op("Transpose", q, perm=[0, 1, 3, 2])
    back = maker.op("DequantizeLinear", turned, scale, zero)
    weight = maker.op("DequantizeLinear", maker.constant(np.int8(5)), maker.constant(2.0), zero)
    maker.op("Mul", back, weight, output="output1")
    model = maker.model(13, [1, 3, 4, 4])
    x = np.random.default_rng(0).random((1, 3, 4, 4), np.float32)
    floats = without_quantised_activations(dequantise_constants(model))
    np.testing.assert_array_equal(literally(floats, input1=x), 4 * x.transpose(0, 1, 3, 2))
    assert not np.allclose(literally(model, input1=x), 4 * x.transpose(0, 1, 3, 2), atol=0.5)
