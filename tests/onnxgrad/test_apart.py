"""A model without its large constants."""

import numpy as np

from styletransfer.onnxgrad import GraphBuilder, apart


def test_what_is_large_is_apart_and_what_shapes_depend_on_is_not():
    graph = GraphBuilder()
    x = graph.input("x", (30, 20))
    weight = np.arange(600, dtype=np.float32).reshape(20, 30)
    w = graph.constant(weight, "weight")
    unread = graph.constant(np.zeros(999, np.float32), "unread")
    product = graph.reshape(graph.op("MatMul", x, w), (900,))
    order = graph.constant(np.arange(900)[::-1].copy(), "order")
    graph.op("Add", graph.op("Gather", product, order), graph.scalar(1, product), output="y")
    model, constants = apart(graph, ["y"])
    assert list(constants) == [w]
    assert constants[w] is weight
    whole = {tensor.name: tensor for tensor in graph.model(["y"]).graph.initializer}
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    assert stored.keys() == whole.keys()
    assert unread not in stored
    assert not stored[w].raw_data
    assert list(stored[w].dims) == [20, 30]
    assert stored[w].data_type == whole[w].data_type
    assert all(stored[name] == whole[name] for name in whole.keys() - {w})
    assert len(model.SerializeToString()) < 9000
