"""The objective's model: sharing, masks, several pictures, and its gradient as a whole."""

from collections import Counter

import numpy as np
import onnx
import pytest

from styletransfer.caffe import layers
from styletransfer.caffe.layers import Layer
from styletransfer.errors import NetworkError, UsageError
from styletransfer.images import masks
from styletransfer.networks.pooling import with_pooling
from styletransfer.objective.losses import (
    Content,
    Gram,
    TotalVariation,
    Wasserstein,
)
from styletransfer.objective.statistics import statistics
from styletransfer.objective.term import Matching, Term
from styletransfer.objective.whole import WholeObjective, build
from styletransfer.onnxgrad.rewrites import winograd
from styletransfer.runtime.devices import CUDA, Device
from tests.onnxgrad.graphs import evaluate

SHAPE = (1, 3, 19, 26)
CPU = Device(threads=1)
# name: kernel, stride, pad of what lies between the image and each layer.
WINDOWS = {"conv1": (3, 1, 1), "pool1": (2, 2, 0), "conv2": (3, 1, 1), "conv3": (3, 1, 1)}


def small_network() -> onnx.ModelProto:
    """Return three rectified convolutions and a pool, of random weights, for images of any size."""
    rng = np.random.default_rng(0)
    table, weights, channels, blob = [], {}, 3, "data"
    for i, count in enumerate((5, 7, 4), 1):
        name = f"conv{i}"
        settings = {"num_output": count, "kernel": (3, 3), "pad": (1, 1)}
        table.append(Layer(name, "Convolution", (blob,), (name,), settings))
        table.append(Layer(f"relu{i}", "ReLU", (name,), (name,)))
        kernel = rng.standard_normal((count, channels, 3, 3)) / np.sqrt(9 * channels)
        weights[name] = [np.float32(kernel), np.float32(rng.standard_normal(count))]
        channels, blob = count, name
        if i == 1:
            settings = {"method": "AVE", "kernel": (2, 2), "stride": (2, 2)}
            table.append(Layer("pool1", "Pooling", (blob,), ("pool1",), settings))
            blob = "pool1"
    # Does not fit into the images here: terms that need no pool2 must not care.
    settings = {"method": "AVE", "kernel": (40, 40), "stride": (1, 1)}
    table.append(Layer("pool2", "Pooling", (blob,), ("pool2",), settings))
    return layers.to_onnx(table, weights, (1, 3, "height", "width"))


NETWORK = small_network()


def picture(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-120, 130, shape).astype(np.float32)


IMAGE = picture(1)
LEFT = np.zeros(SHAPE[2:])
LEFT[:, :8] = 1
CASES: dict[str, list[Term]] = {
    "caffe": [Content("conv2"), Gram("conv1"), Gram("conv3")],
    "means": [
        Content("conv2", reduction="mean"),
        Gram("conv1", normalization="hw", reduction="mean"),
        Gram("conv3", normalization="chw", reduction="mean"),
    ],
    "wasserstein": [Wasserstein("conv1"), Wasserstein("conv3")],
    "variation": [Gram("conv1"), TotalVariation("l1")],
    "two styles": [Content("conv3"), Gram("conv1", "one"), Gram("conv1", "two")],
    "masks": [
        Content("conv2", mask="left"),
        Gram("conv1", mask="left"),
        Wasserstein("conv3", "other", mask="left"),
        TotalVariation("nine-point"),
    ],
}


def targets_of(terms: list[Term], network: onnx.ModelProto = NETWORK) -> dict[str, np.ndarray]:
    """Return targets of the terms, from a picture of its own for each of their pictures."""
    found = {}
    for term in terms:
        if isinstance(term, Matching):
            shape = SHAPE if isinstance(term, Content) else (1, 3, 21, 15)
            found |= statistics(network, picture(2 + len(term.picture), shape), [term], CPU)
    return found


def in_double(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a float32 model in float64."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    double, single = onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT
    for value in (*result.graph.input, *result.graph.output):
        value.type.tensor_type.elem_type = double
    for tensor in result.graph.initializer:
        # Resize takes its scales in float32 only.
        if tensor.data_type == single and "scales" not in tensor.name:
            array = onnx.numpy_helper.to_array(tensor).astype(float)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    return result


@pytest.mark.parametrize("pooling", ["caffe", "avg", "l2"])
@pytest.mark.parametrize("case", CASES)
def test_gradient_of_the_whole(case, pooling):
    """Beside differences, in float64."""
    terms = CASES[case]
    network = with_pooling(NETWORK, pooling)
    model = in_double(build(network, SHAPE, terms, CPU))
    feeds = {f"target/{k}": v.astype(float) for k, v in targets_of(terms, network).items()}
    feeds["weights"] = np.random.default_rng(5).uniform(0.5, 2, len(terms))
    for value in model.graph.input:
        if value.name.startswith("mask/"):
            shape = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
            feeds[value.name] = masks.resize(LEFT, shape[2:]).reshape(shape).astype(float)
    image = IMAGE.astype(float)
    direction = np.random.default_rng(6).standard_normal(SHAPE)
    step = 1e-5

    def loss(t: float) -> float:
        values = evaluate(model, feeds | {"data": image + t * direction})["terms"]
        return float(values @ feeds["weights"])

    gradient = evaluate(model, feeds | {"data": image})["gradient/data"]
    forward = (loss(step) - loss(-step)) / (2 * step)
    scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
    assert abs(forward - np.vdot(gradient, direction)) < 1e-7 * scale


def evaluated(terms, weights=None, regions=None, image=IMAGE):
    objective = WholeObjective(NETWORK, SHAPE, terms, CPU)
    objective.bind(targets_of(terms), weights or [1.0] * len(terms), regions)
    return objective.evaluate(image)


def test_terms_add_up():
    terms = [Content("conv2"), Gram("conv1"), Wasserstein("conv3"), TotalVariation()]
    weights = [0.5, 3.0, 2.0, 7.0]
    together = evaluated(terms, weights)
    assert list(together.terms) == [term.name for term in terms]
    assert together.loss == pytest.approx(sum(together.terms.values()))
    alone = [evaluated([term], [weight]) for term, weight in zip(terms, weights, strict=True)]
    assert together.loss == pytest.approx(sum(e.loss for e in alone), rel=1e-6)
    total = sum(e.gradient.astype(float) for e in alone)
    np.testing.assert_allclose(together.gradient, total, atol=1e-5 * np.abs(total).max())


def operators(terms: list[Term]) -> Counter:
    return Counter(node.op_type for node in build(NETWORK, SHAPE, terms, CPU, "direct").graph.node)


def test_one_gram_matrix_serves_several_styles():
    """The second style adds a comparison, no product of features forward or back."""
    one = operators([Gram("conv1", "one"), Gram("conv3", "one")])
    two = operators(
        [Gram(layer, style) for style in ("one", "two") for layer in ("conv1", "conv3")]
    )
    assert one["Gemm"] == two["Gemm"] == 4
    assert one["Conv"] == two["Conv"]


@pytest.mark.parametrize("other", [{"normalization": "hw"}, {"mask": "left"}])
def test_statistics_that_differ_are_not_shared(other):
    assert operators([Gram("conv1", "one"), Gram("conv1", "two", **other)])["Gemm"] == 4


def test_several_styles_pull_towards_their_weighted_mean():
    """The gradient is that towards the mean of the Gram matrices."""
    styles = [Gram("conv3", name) for name in ("one", "three")]
    targets = targets_of(styles)
    both = evaluated(styles, [0.25, 0.75])
    objective = WholeObjective(NETWORK, SHAPE, [Gram("conv3")], CPU)
    mean = 0.25 * targets["one/conv3"] + 0.75 * targets["three/conv3"]
    objective.bind({"style/conv3": mean}, [1.0])
    single = objective.evaluate(IMAGE).gradient
    np.testing.assert_allclose(both.gradient, single, atol=1e-5 * np.abs(single).max())


def receptive(mask: np.ndarray, layer: str) -> np.ndarray:
    """Return which pixels the positions of a layer depend on that a mask (H, W) touches."""
    chain = list(WINDOWS)[: list(WINDOWS).index(layer) + 1]
    sizes = [SHAPE[2:]]
    for name in chain:
        kernel, stride, pad = WINDOWS[name]
        sizes.append(tuple(-(-(n + 2 * pad - kernel) // stride) + 1 for n in sizes[-1]))
    needed = masks.resize(mask, sizes[-1]) > 0
    for name, size in zip(reversed(chain), reversed(sizes[:-1]), strict=True):
        kernel, stride, pad = WINDOWS[name]
        below = np.zeros(size, bool)
        for row, column in np.argwhere(needed):
            top, left = row * stride - pad, column * stride - pad
            below[max(top, 0) : top + kernel, max(left, 0) : left + kernel] = True
        needed = below
    return needed


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3"])
@pytest.mark.parametrize("kind", [Gram, Wasserstein, Content])
def test_no_gradient_outside_the_receptive_field_of_a_mask(kind, layer):
    mask = np.zeros(SHAPE[2:])
    mask[3:6, 15:19] = 0.7
    gradient = evaluated([kind(layer, mask="part")], regions={"part": mask}).gradient
    inside = receptive(mask, layer)
    assert 0 < inside.sum() < inside.size
    outside = np.abs(gradient[0]).max(axis=0) * ~inside
    assert outside.max() == 0
    # The field is not merely large: the loss pulls at its pixels.
    assert (np.abs(gradient[0]).max(axis=0)[inside] > 0).mean() > 0.9


@pytest.mark.parametrize("kind", [Gram, Wasserstein, Content])
def test_a_mask_all_white_changes_nothing(kind):
    """Of any size, and gray as well for what is normalised."""
    plain = evaluated([kind("conv3")])
    for white in (np.ones(SHAPE[2:]), np.ones((4, 7)), np.full((50, 40), 0.5)):
        if kind is Content and white.max() < 1:
            continue
        masked = evaluated([kind("conv3", mask="all")], regions={"all": white})
        assert masked.loss == pytest.approx(plain.loss, rel=1e-5)
        np.testing.assert_allclose(
            masked.gradient, plain.gradient, atol=1e-4 * np.abs(plain.gradient).max()
        )


def test_one_region_for_several_terms_is_one_input_a_layer():
    terms = [Gram("conv1", "one", mask="left"), Gram("conv1", "two", mask="left")]
    terms += [Content("conv1", mask="left"), Gram("conv3", "one", mask="left")]
    names = [value.name for value in build(NETWORK, SHAPE, terms, CPU).graph.input]
    found = [name for name in names if name.startswith("mask/")]
    assert found == ["mask/left/conv1", "mask/left/conv3"]


def test_masks_can_be_bound_anew():
    term = Gram("conv2", mask="part")
    objective = WholeObjective(NETWORK, SHAPE, [term], CPU)
    targets = targets_of([term])
    losses = []
    for mask in (LEFT, 1 - LEFT, LEFT):
        objective.bind(targets, [1.0], {"part": mask})
        losses.append(objective.evaluate(IMAGE).loss)
    assert losses[0] == losses[2] != losses[1]


def test_mask_that_is_missing():
    with pytest.raises(UsageError, match=r"style/conv1 needs the mask 'sky'; give one"):
        evaluated([Gram("conv1", mask="sky")], regions={"left": LEFT})


def test_unknown_layer():
    with pytest.raises(NetworkError, match=r"no layer 'relu9'; it has conv1, pool1"):
        WholeObjective(NETWORK, SHAPE, [Gram("relu9")], CPU)


@pytest.mark.parametrize("convolution", ["typo", "", None])
def test_unknown_way_to_convolve(convolution):
    with pytest.raises(UsageError, match="choose one of auto, direct, winograd"):
        build(NETWORK, SHAPE, [Content("conv1")], CPU, convolution)


def products(convolution: str, device: Device) -> int:
    """Return how many nodes only Winograd's algorithm has."""
    model = build(NETWORK, SHAPE, [Content("conv3")], device, convolution)
    return sum(node.op_type == "DepthToSpace" for node in model.graph.node)


def test_ways_to_convolve(monkeypatch):
    """Of the network's convolutions none has an even number of channels but the gradient's last."""
    monkeypatch.setattr(winograd, "pays", lambda convolution: True)
    assert products("direct", CPU) == 0
    assert products("winograd", CPU) == products("auto", CPU) > 0
    gpu = Device(CUDA)
    assert products("auto", gpu) == 0
    assert products("winograd", gpu) == products("winograd", CPU)


def test_layers_that_no_term_needs_are_left_out():
    """The network's last pool is larger than the image."""
    assert evaluated([Content("conv3")]).loss > 0
    assert operators([Content("conv1")])["AveragePool"] == 0
