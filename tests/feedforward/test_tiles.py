"""In tiles, a painting is that of the whole picture."""

import numpy as np
import pytest

from styletransfer.errors import NetworkError
from styletransfer.feedforward import architecture, inference, network, painter, stages, tiles
from styletransfer.runtime.devices import Device
from tests.feedforward.conftest import run
from tests.feedforward.networks import Maker, candy, channels_last


def both(
    found: network.Network, picture: np.ndarray, style=None, tile=1 << 18, kept=8 << 20
) -> tuple[np.ndarray, np.ndarray]:
    """Return a painting made as a whole, and in tiles."""
    whole = painter.Painter(found, Device()).paint(picture, style)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(painter, "WHOLE_BYTES", 0)
        patch.setattr(tiles, "TILE_BYTES", tile)
        patch.setattr(tiles, "KEPT_BYTES", kept)
        done: list[float] = []
        parts = painter.Painter(found, Device()).paint(picture, style, done.append)
    assert done == sorted(done)
    assert done[-1] == 1
    return whole, parts


@pytest.mark.parametrize("kept", [0, 1 << 20, 8 << 20])
@pytest.mark.parametrize("size", [(150, 133), (40, 300)])
def test_as_the_whole(size, kept):
    picture = np.random.default_rng(0).random((*size, 3), np.float32)
    found = network.read(candy(64, blocks=1).SerializeToString())
    whole, parts = both(found, picture, kept=kept)
    assert np.abs(whole - parts).max() * 255 < 0.1
    assert whole.std() > 0.1


def test_a_tile_is_smaller_than_the_picture(monkeypatch):
    sizes = []
    found = network.read(channels_last().SerializeToString())
    real = network.Network.graph

    def graph(self, height, width):
        sizes.append((height, width))
        return real(self, height, width)

    monkeypatch.setattr(network.Network, "graph", graph)
    picture = np.random.default_rng(0).random((400, 300, 3), np.float32)
    whole, parts = both(found, picture, tile=1 << 17)
    assert np.abs(whole - parts).max() * 255 < 0.1
    assert min(sizes) < (100, 100)


def test_progress_is_told_to_the_last_tile(monkeypatch):
    monkeypatch.setattr(painter, "WHOLE_BYTES", 0)
    monkeypatch.setattr(tiles, "TILE_BYTES", 1 << 17)
    found = network.read(candy(64).SerializeToString())
    told = []
    picture = np.random.default_rng(0).random((100, 200, 3), np.float32)
    painter.Painter(found, Device()).paint(picture, tell=told.append)
    assert 0 < told[0] < told[-1] == 1
    assert told == sorted(told)
    stages_of = 8
    assert sum(done > 1 - 1 / stages_of for done in told) > 1  # of the last stage, too


@pytest.mark.parametrize("name", ["multistyle26", "arbitrary_transform"])
def test_published_networks(published, cat, name):
    found = network.read(published(name))
    style = np.zeros(found.styles)
    style[:5] = 0.2
    whole, parts = both(found, cat[:180, :222], style, tile=8 << 20)
    assert np.abs(whole - parts).max() * 255 < 0.1  # one grey level is wanted


@pytest.mark.parametrize(
    ("arch", "size"),
    [
        ("tf", (152, 204)),
        ("tf", (150, 203)),
        ("tf", (149, 201)),
        ("pytorch", (150, 203)),
        ("sr2", (150, 203)),
        ("sr4", (150, 203)),
    ],
)
def test_networks_that_are_trained_here(arch, size):
    of = architecture.architecture(arch, 4)
    weights = architecture.initial_parameters(of, 0)
    last = -2 if of.affine else -1
    weights[last] *= 100  # for a painting that is not of one colour
    said = {"Image.NominalPixelRange": "Normalized_0_1"}
    found = network.read(inference.network(of, weights, said).SerializeToString())
    picture = np.random.default_rng(0).random((*size, 3), np.float32)
    whole, parts = both(found, picture, tile=1 << 20)
    assert np.abs(whole - parts).max() * 255 < 0.1
    assert whole.std() > 0.05


def test_flat_pictures_have_no_variance():
    found = network.read(candy(64).SerializeToString())
    whole, parts = both(found, np.full((128, 96, 3), 0.9, np.float32))
    assert np.isfinite(parts).all()
    assert np.abs(whole - parts).max() * 255 < 1


def test_moments_are_exact_where_the_mean_is_large():
    values = (1000 + np.random.default_rng(0).standard_normal((2, 64, 300))).astype(np.float32)
    moments = tiles._Moments()
    for first in range(0, 300, 70):
        moments.add(values[:, :, first : first + 70])
    mean, variance = moments.result()
    exact = values.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean((1, 2)), rtol=1e-9)
    np.testing.assert_allclose(variance, exact.var((1, 2)), rtol=1e-5)


def test_what_needs_the_whole_picture_is_named():
    maker = Maker()
    mean = maker.op("GlobalMaxPool", "input1")
    maker.op("Sigmoid", maker.op("Sub", "input1", mean), output="output1")
    found = network.read(maker.model(18, [1, 3, "h", "w"]).SerializeToString())
    picture = np.zeros((64, 64, 3), np.float32)
    assert painter.Painter(found, Device()).paint(picture).shape == picture.shape
    with pytest.raises(NetworkError, match=r"GlobalMaxPool node .* needs all of it"):
        both(found, picture)


def test_parts_of_a_graph():
    found = network.read(candy(64).SerializeToString())
    graph = found.graph(64, 64)
    (output,) = graph.outputs
    plan = stages.plan(graph, "input1", output, 4)
    assert (plan.depth, plan.step) == (7, 4)
    assert len(stages.norms(graph, output)) == 7
    (first,) = stages.targets(graph, plan, output, 0)
    assert plan.places[first].ratio == 1
    part = stages.carve(graph, plan, ["input1"], [first])
    assert part.inputs == ["input1"]
    x = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    expected = run(graph.model([first]), input1=x)
    np.testing.assert_allclose(run(part.model([first]), input1=x), expected, atol=1e-5)
    # A skip connection lives on over the stages of its block.
    assert len(stages.living(graph, plan, output, 3)) == 2
