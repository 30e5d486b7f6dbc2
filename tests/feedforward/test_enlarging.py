"""Convolutions of enlarged maps, computed on the small ones."""

import numpy as np
import pytest

from styletransfer.feedforward.enlarging import enlarged
from styletransfer.onnxgrad import GraphBuilder
from tests.onnxgrad.graphs import check_vjp, evaluate


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("size", [(5, 4), (2, 3)])
def test_the_same_as_of_the_enlarged_map(factor, size):
    graph = GraphBuilder()
    x = graph.input("x", (2, 3, *size), np.float64)
    w = graph.input("w", (4, 3, 3, 3), np.float64)
    graph.op("Identity", enlarged(graph, x, w, factor), output="small")
    scales = graph.constant(np.array([1, 1, factor, factor], np.float32))
    large = graph.op(
        "Resize", x, "", scales, coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )
    large = graph.op("Pad", large, graph.integers([0, 0, 1, 1] * 2), mode="reflect")
    graph.op("Conv", large, w, strides=[factor // 2] * 2, output="large")
    rng = np.random.default_rng(0)
    feeds = {name: rng.standard_normal(graph.shape(name)) for name in graph.inputs}
    results = evaluate(graph.model(["small", "large"]), feeds)
    np.testing.assert_allclose(results["small"], results["large"], atol=1e-12)
    check_vjp(graph.model(["small"]), feeds)
