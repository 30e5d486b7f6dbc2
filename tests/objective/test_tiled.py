"""The objective in tiles, beside that of the whole image."""

from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from styletransfer.caffe import layers
from styletransfer.caffe.layers import Layer
from styletransfer.errors import NetworkError, UsageError
from styletransfer.images import masks
from styletransfer.networks.pooling import with_pooling
from styletransfer.objective import tiled
from styletransfer.objective.losses import Content, Gram, TotalVariation, Wasserstein
from styletransfer.objective.statistics import statistics
from styletransfer.objective.term import Matching, Term
from styletransfer.objective.tiled import TiledObjective
from styletransfer.objective.tiles import Layout, Reach, spans
from styletransfer.objective.whole import WholeObjective, build
from styletransfer.runtime.devices import Device
from tests.objective.test_whole import in_double
from tests.onnxgrad.graphs import LRN, ConvTranspose

CPU = Device(threads=1)
SHAPE = (1, 3, 43, 58)


def branching_network(padded: bool = True) -> onnx.ModelProto:
    """Return a network of every kind of window: overlapping ceil-mode pools, branches, strides.

    Onnx's reference takes the maxima of padded windows in the wrong places.
    """
    rng = np.random.default_rng(0)
    table: list[Layer] = []
    weights: dict[str, list[np.ndarray]] = {}
    channels = {"data": 3}

    def add(name, kind, bottom, **settings):
        table.append(Layer(name, kind, (bottom,), (name,), settings))
        channels[name] = channels[bottom]

    def convolve(name, bottom, count, kernel, stride=1, pad=0):
        settings = {"kernel": (kernel, kernel), "stride": (stride, stride), "pad": (pad, pad)}
        add(name, "Convolution", bottom, num_output=count, **settings)
        shape = (count, channels[bottom], kernel, kernel)
        scale = np.sqrt(kernel**2 * channels[bottom])
        weights[name] = [
            np.float32(rng.standard_normal(shape) / scale),
            np.float32(rng.standard_normal(count)),
        ]
        channels[name] = count
        table.append(Layer(f"{name}/relu", "ReLU", (name,), (name,)))

    convolve("conv1", "data", 6, 5, 2, 2)
    add("pool1", "Pooling", "conv1", method="MAX", kernel=(3, 3), stride=(2, 2))
    add("norm1", "LRN", "pool1", size=3)
    convolve("left", "norm1", 4, 3, pad=1)
    side, pad = (3, 1) if padded else (1, 0)
    add("mid", "Pooling", "norm1", method="MAX", kernel=(side, side), pad=(pad, pad))
    convolve("right", "mid", 4, 1)
    table.append(Layer("joined", "Concat", ("left", "right"), ("joined",)))
    channels["joined"] = 8
    add("pool2", "Pooling", "joined", method="AVE", kernel=(2, 2), stride=(2, 2))
    convolve("conv2", "pool2", 5, 3, pad=1)
    add("flat", "Flatten", "conv2")
    return layers.to_onnx(table, weights, (1, 3, "height", "width"))


NETWORK = branching_network()


def picture(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-120, 130, shape).astype(np.float32)


IMAGE = picture(1)
LEFT = np.zeros(SHAPE[2:])
LEFT[:, :21] = 1
REGIONS = {"left": LEFT, "trust": np.linspace(0, 1, LEFT.size).reshape(LEFT.shape)}
CASES: dict[str, list[Term]] = {
    "caffe": [Content("joined"), Gram("conv1"), Gram("pool1"), Gram("conv2")],
    "means": [
        Content("conv2", reduction="mean"),
        Gram("norm1", normalization="hw", reduction="mean"),
        Gram("pool2", normalization="chw", reduction="mean"),
    ],
    "wasserstein": [Wasserstein("conv1"), Wasserstein("conv2")],
    "variation": [Gram("conv1"), TotalVariation("l1")],
    "image": [TotalVariation("l2")],
    "two styles": [Content("conv1"), Gram("joined", "one"), Gram("joined", "two")],
    "masks": [
        Content("joined", mask="left"),
        Gram("conv1", mask="left"),
        Gram("conv2", "other", mask="left"),
        Wasserstein("pool2", "other", mask="left"),
        TotalVariation("nine-point"),
        Content("data", picture="temporal", reduction="mean", mask="trust"),
    ],
}


class DoubleSession:
    """A `Session` in float64, by ONNX's reference."""

    def __init__(self, model: bytes, device: Device) -> None:
        model = in_double(onnx.ModelProto.FromString(model))
        self._model = ReferenceEvaluator(model, new_ops=[LRN, ConvTranspose])
        self.inputs, self.outputs = (
            [value.name for value in values] for values in (model.graph.input, model.graph.output)
        )
        self._bound: dict[str, np.ndarray] = {}

    def bind(self, inputs):
        self._bound |= {name: np.asarray(value, float) for name, value in inputs.items()}

    def run(self, inputs):
        feeds = self._bound | {name: np.asarray(value, float) for name, value in inputs.items()}
        feeds = {name: feeds[name] for name in self.inputs}
        return dict(zip(self.outputs, self._model.run(None, feeds), strict=True))


def targets_of(terms: list[Term], network: onnx.ModelProto) -> dict[str, np.ndarray]:
    found = {}
    for term in terms:
        if isinstance(term, Matching):
            shape = SHAPE if isinstance(term, Content) else (1, 3, 39, 47)
            found |= statistics(network, picture(2 + len(term.picture), shape), [term], CPU)
    return found


def both(terms, side, network=NETWORK, image=IMAGE):
    targets, weights = targets_of(terms, network), np.linspace(1, 2, len(terms))
    result = []
    for objective in (
        WholeObjective(network, SHAPE, terms, CPU),
        TiledObjective(network, SHAPE, terms, CPU, side=side),
    ):
        objective.bind(targets, weights, REGIONS)
        result.append(objective.evaluate(image))
    return result


def start_in_double(graph, outputs, device):
    return DoubleSession(graph.model(outputs).SerializeToString(), device)


@pytest.mark.parametrize("pooling", ["caffe", "max", "l2"])
@pytest.mark.parametrize("case", CASES)
def test_tiles_are_the_whole_in_double(case, pooling, monkeypatch):
    terms = CASES[case]
    network = with_pooling(branching_network(pooling == "l2"), pooling)
    targets, weights = targets_of(terms, network), np.linspace(1, 2, len(terms))
    monkeypatch.setattr(tiled, "Session", DoubleSession)
    monkeypatch.setattr(tiled, "start", start_in_double)
    objective = TiledObjective(network, SHAPE, terms, CPU, side=16)
    objective.bind(targets, weights, REGIONS)
    found = objective.evaluate(IMAGE.astype(float))

    whole = DoubleSession(build(network, SHAPE, terms, CPU).SerializeToString(), CPU)
    feeds = {f"target/{name}": value for name, value in targets.items()}
    feeds |= {"weights": weights, "data": IMAGE}
    for name in whole.inputs:
        if name.startswith("mask/"):
            _, mask, layer = name.split("/")
            size = Layout.of(network, SHAPE, [Content(layer)], 99).whole[layer]
            feeds[name] = masks.resize(REGIONS[mask], size).reshape(1, 1, *size)
    expected = whole.run(feeds)
    loss = float(expected["terms"] @ weights)
    assert found.loss == pytest.approx(loss, rel=1e-10)
    gradient = expected["gradient/data"]
    # The gradient of a whole image's mean has a constant in it that is rounded to float32.
    exact = 1e-7 if case == "wasserstein" else 1e-10
    assert np.linalg.norm(found.gradient - gradient) < exact * np.linalg.norm(gradient)


@pytest.mark.parametrize("side", [8, 13, 24, 40, 1000])
@pytest.mark.parametrize("case", CASES)
def test_tiles_are_the_whole(case, side):
    whole, found = both(CASES[case], side)
    # Roots of covariances are that far from their exact values in float32, in tiles or not.
    rough = 1e-4 if case == "wasserstein" else 1e-6
    assert found.loss == pytest.approx(whole.loss, rel=rough)
    assert list(found.terms) == list(whole.terms)
    error = np.linalg.norm(found.gradient - whole.gradient)
    assert error < 10 * rough * np.linalg.norm(whole.gradient)
    assert found.gradient.dtype == np.float32


def test_a_tile_is_all_that_is_computed_at_once():
    """And every position of each layer belongs to one tile."""
    terms = CASES["caffe"]
    shape = (1, 3, 91, 122)
    layout = Layout.of(NETWORK, shape, terms, 16)
    assert len(layout.grid.tiles) > 4
    assert all(a < b for a, b in zip(layout.grid.size, shape[2:], strict=True))
    for layer, size in layout.whole.items():
        counted = np.zeros(size)
        for tile in layout.grid.tiles:
            counted[layout.own(tile, layer)] += 1
        assert (counted == 1).all(), layer


@pytest.mark.parametrize("length", range(1, 120))
def test_spans(length):
    reach = Reach({}, 8, 16, 11)
    for side in (1, 8, 20, 50):
        box, found = spans(length, side, reach)
        assert found[0].start == found[0].own[0] == 0
        assert found[-1].own[1] == found[-1].start + box == length
        assert [span.last for span in found] == [False] * (len(found) - 1) + [True]
        for one, other in pairwise(found):
            assert one.own[1] == other.own[0]
            assert one.own[1] % 8 == other.start % 8 == 0
            assert other.own[0] - other.start >= reach.before
            assert one.start + box - one.own[1] >= reach.after


@pytest.mark.parametrize("case", ["caffe", "means", "wasserstein", "two styles"])
def test_targets_in_tiles_are_those_of_the_whole(case):
    terms = [term for term in CASES[case] if isinstance(term, Matching)]
    expected = statistics(NETWORK, IMAGE, terms, CPU)
    found = tiled.statistics(NETWORK, IMAGE, terms, CPU, 16)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=2e-6 * np.abs(value).max(), rtol=0)


def test_an_evaluation_depends_on_the_image_alone():
    terms = CASES["wasserstein"]
    objective = TiledObjective(NETWORK, SHAPE, terms, CPU, side=16)
    objective.bind(targets_of(terms, NETWORK), [1, 1])
    first = objective.evaluate(IMAGE)
    objective.evaluate(picture(9))
    again = objective.evaluate(IMAGE)
    assert first.loss == again.loss
    np.testing.assert_array_equal(first.gradient, again.gradient)


def test_wasserstein_of_a_flat_image_is_finite():
    terms = CASES["wasserstein"]
    whole, found = both(terms, 16, image=np.full(SHAPE, 60, np.float32))
    assert found.loss == pytest.approx(whole.loss, rel=1e-4)
    assert np.isfinite(found.gradient).all()


def test_what_needs_the_image_as_a_whole_is_refused():
    table = [
        Layer("flat", "Flatten", ("data",), ("flat",)),
        Layer("back", "Reshape", ("flat",), ("back",), {"dims": (1, 3, 43, 58)}),
    ]
    network = layers.to_onnx(table, {}, SHAPE)
    with pytest.raises(NetworkError, match=r"cannot be computed in tiles.*--tile off"):
        TiledObjective(network, SHAPE, [Gram("back")], CPU, side=16)


def test_a_mask_that_is_missing():
    objective = TiledObjective(NETWORK, SHAPE, [Gram("conv1", mask="left")], CPU, side=16)
    with pytest.raises(UsageError, match="needs the mask 'left'"):
        objective.bind(targets_of([Gram("conv1")], NETWORK), [1])
