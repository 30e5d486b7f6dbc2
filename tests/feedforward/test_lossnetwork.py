"""The network that compares, several times in one graph."""

import numpy as np
import pytest

from styletransfer.errors import NetworkError
from styletransfer.feedforward.lossnetwork import LossNetwork
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.weights.loading import LoadedNetwork
from tests.conftest import relative
from tests.onnxgrad.graphs import run
from tests.test_neural_style import features, network

MEAN = np.array([104.0, 117.0, 123.0])


def loss_network() -> LossNetwork:
    return LossNetwork.of(LoadedNetwork(network(), MEAN, 224, {}, {}))


def test_layers_are_those_of_the_network_with_maxima():
    graph = GraphBuilder()
    compared = loss_network()
    layers = ["conv1_1", "conv3_1"]
    tensors = compared.append(graph, graph.input("x", (2, 3, 16, 16)), layers, "one")
    x = np.random.default_rng(0).uniform(0, 255, (2, 3, 16, 16)).astype(np.float32)
    found = run(graph.model(list(tensors.values())), {"x": x})
    for picture in range(2):
        expected = features(x[picture, ::-1] - MEAN.reshape(3, 1, 1))
        for layer, tensor in tensors.items():
            assert relative(found[tensor][picture], expected[layer]) < 1e-5


def test_weights_are_shared():
    graph = GraphBuilder()
    compared = loss_network()
    picture = graph.input("x", (1, 3, 16, 16))
    compared.append(graph, picture, ["conv2_1"], "one")
    count = len(graph.initializers)
    compared.append(graph, picture, ["conv2_1"], "other")
    assert len(graph.initializers) == count


def test_a_layer_that_there_is_not():
    compared = loss_network()
    compared.check(["conv1_1", "conv4_2"])
    with pytest.raises(NetworkError, match="no layer 'relu9'; it has conv1_1, "):
        compared.check(["conv1_1", "relu9"])
