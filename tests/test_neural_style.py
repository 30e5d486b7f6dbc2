"""The preset ``neural-style`` beside that program's formulas, written out in NumPy.

https://github.com/jcjohnson/neural-style, neural_style.lua: the mean of squares of the features'
differences, and of the Gram matrices', each divided by the number of the layer's elements; and the
total variation, of which only the gradient is there, that of half the sum of squares. It leaves out
the differences along the last row and column, which are few. Its numbers are given again here.
"""

import numpy as np
import onnx
import pytest

from styletransfer import networks
from styletransfer.caffe import layers
from styletransfer.caffe.layers import Layer
from styletransfer.networks.pooling import with_pooling
from styletransfer.objective.statistics import statistics
from styletransfer.objective.whole import WholeObjective
from styletransfer.runtime.devices import Device
from styletransfer.settings import presets
from styletransfer.transfer import goals
from styletransfer.weights.loading import LoadedNetwork

CONTENT_WEIGHT, STYLE_WEIGHT, TV_WEIGHT = 5, 100, 1e-3
CONTENT_LAYER = "conv4_2"
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
# A network of VGG's names and order, with a pool before each group but the first, but few channels.
CHANNELS = {"conv1_1": 4, "conv2_1": 5, "conv3_1": 6, "conv4_1": 5, "conv4_2": 7, "conv5_1": 4}


def random_weights() -> dict[str, list[np.ndarray]]:
    random = np.random.default_rng(0)
    weights, before = {}, 3
    for name, count in CHANNELS.items():
        kernel = random.standard_normal((count, before, 3, 3)) * np.sqrt(2 / (9 * before))
        weights[name] = [np.float32(kernel), np.float32(random.standard_normal(count))]
        before = count
    return weights


WEIGHTS = random_weights()


def network() -> onnx.ModelProto:
    table, blob = [], "data"
    for name, count in CHANNELS.items():
        if name.endswith("_1") and name != "conv1_1":
            settings = {"method": "AVE", "kernel": (2, 2), "stride": (2, 2)}
            table.append(Layer(f"before {name}", "Pooling", (blob,), (f"before {name}",), settings))
            blob = f"before {name}"
        settings = {"num_output": count, "kernel": (3, 3), "pad": (1, 1)}
        table.append(Layer(name, "Convolution", (blob,), (name,), settings))
        table.append(Layer(f"relu {name}", "ReLU", (name,), (name,)))
        blob = name
    return layers.to_onnx(table, WEIGHTS, (1, 3, "height", "width"))


def features(image: np.ndarray) -> dict[str, np.ndarray]:
    """Return the rectified convolutions of an image (3, H, W), with maxima as pools."""
    found, x = {}, image.astype(np.float64)
    for name, (kernel, bias) in WEIGHTS.items():
        if name.endswith("_1") and name != "conv1_1":
            count, height, width = x.shape
            x = x.reshape(count, height // 2, 2, width // 2, 2).max(axis=(2, 4))
        height, width = x.shape[1:]
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        x = bias[:, None, None] + sum(
            np.tensordot(kernel[:, :, i, j], padded[:, i : i + height, j : j + width], 1)
            for i in range(3)
            for j in range(3)
        )
        x = found[name] = np.maximum(x, 0)
    return found


def gram(layer: np.ndarray) -> np.ndarray:
    flat = layer.reshape(len(layer), -1)
    return flat @ flat.T / layer.size


def expected(image: np.ndarray, content: np.ndarray, style: np.ndarray) -> tuple[float, ...]:
    """Return the content, style and total variation losses of images (3, H, W) in 0..255."""
    own, wanted, matched = features(image), features(content), features(style)
    content_loss = np.mean((own[CONTENT_LAYER] - wanted[CONTENT_LAYER]) ** 2)
    style_loss = sum(np.mean((gram(own[n]) - gram(matched[n])) ** 2) for n in STYLE_LAYERS)
    right, below = np.diff(image, axis=2), np.diff(image, axis=1)
    variation = (np.sum(right**2) + np.sum(below**2)) / 2
    return CONTENT_WEIGHT * content_loss, STYLE_WEIGHT * style_loss, TV_WEIGHT * variation


def test_losses():
    settings = presets.override(presets.read("neural-style").values, {})
    model = with_pooling(network(), settings.pooling)
    loaded = LoadedNetwork(model, np.array(settings.mean), 224, {}, {})
    random = np.random.default_rng(1)
    image, content = random.uniform(-110, 130, (2, 1, 3, 32, 48)).astype(np.float32)
    style = random.uniform(-110, 130, (1, 3, 48, 64)).astype(np.float32)
    wanted = goals.choose(settings, loaded, 1, False, False)
    found = statistics(model, content, wanted.content, Device())
    found |= statistics(model, style, wanted.styles[0], Device())
    objective = WholeObjective(model, content.shape, wanted.terms, Device(), settings.conv)
    objective.bind(found, goals.factors(settings, loaded, 1, settings.ratio))
    evaluation = objective.evaluate(image)
    content_loss, style_loss, variation = expected(image[0], content[0], style[0])
    terms = list(evaluation.terms.values())
    assert terms[0] == pytest.approx(content_loss, rel=1e-4)
    assert sum(terms[1:-1]) == pytest.approx(style_loss, rel=1e-4)
    assert terms[-1] == pytest.approx(variation, rel=1e-4)


def test_layers_of_vgg19_are_rectified():
    """There relu1_1 is a layer of its own; here the layer conv1_1 is what comes out of it."""
    rectified = {
        layer.tops[0] for layer in networks.NETWORKS["vgg19"].layers if layer.type == "ReLU"
    }
    assert {*STYLE_LAYERS, CONTENT_LAYER} <= rectified


def test_numbers():
    settings = presets.override(presets.read("neural-style").values, {})
    assert settings.mean == (103.939, 116.779, 123.68)
    assert (settings.length, settings.n_iter, settings.style_scale) == (512, 1000, (1.0,))
    assert (settings.pooling, settings.optimizer) == ("max", "lbfgs")
