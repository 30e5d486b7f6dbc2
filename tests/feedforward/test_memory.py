"""Normalisation with running means of the statistics of earlier pictures."""

import numpy as np
import pytest

from styletransfer.feedforward import Stylizer, memory, painter
from styletransfer.feedforward.memory import Memory
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.runtime.devices import Device
from styletransfer.runtime.session import Session
from tests.feedforward.conftest import planes
from tests.feedforward.networks import Maker, candy

PICTURES = np.random.default_rng(0).random((3, 48, 64, 3), np.float32)


@pytest.fixture(scope="module")
def stylizer():
    return Stylizer(candy(48).SerializeToString())


def test_the_first_picture_is_as_without(stylizer):
    painting, values = stylizer.stylize_next(PICTURES[0], before=Memory())
    assert np.array_equal(painting, stylizer.stylize(PICTURES[0]))
    assert values
    assert all(value.dtype == np.float32 for value in values.values())
    kinds = {*memory.STATISTICS, *memory.CORRECTIONS}
    assert {name.rsplit("/", 1)[1] for name in values} == kinds


def test_the_same_picture_again_changes_nothing(stylizer):
    painting, values = stylizer.stylize_next(PICTURES[0], before=Memory())
    again, after = stylizer.stylize_next(PICTURES[0], before=Memory(values, 0.3))
    assert np.abs(again - painting).max() < 1e-5
    for name, value in values.items():
        assert np.allclose(after[name], value, rtol=1e-4, atol=1e-4 * np.abs(value).max())


def test_a_normalisation_with_other_statistics_is_as_the_formula_says():
    maker = Maker(1)
    maker.nodes[:] = []
    maker.norm("input1", 3)
    maker.nodes[-1].output[0] = "output1"
    graph = GraphBuilder(maker.model(20, [1, 3, 6, 7]))
    scale, shift = (graph.value(name) for name in graph.nodes[-1].input[1:])
    statistics = memory.rewrite(graph, "output1")
    assert statistics == {"output1/mean": 3, "output1/variance": 3}
    x = planes(PICTURES[0][:6, :7])
    before = Memory(
        {
            "output1/mean": np.array([0.2, 0.4, 0.6], "f4"),
            "output1/variance": np.full(3, 0.3, "f4"),
            "output1/offset": np.array([0.1, 0, -0.1], "f4"),
            "output1/ratio": np.array([1.5, 1, 0.5], "f4"),
        },
        0.25,
    )
    outputs = ["output1", *(f"{name}/next" for name in statistics)]
    session = Session(graph.model(outputs).SerializeToString(), Device())
    feeds = {name: before.before(name, count) for name, count in statistics.items()}
    feeds |= before.corrections | {memory.SHARE: before.own.reshape(1)}
    values = session.run({"input1": x} | feeds)
    rows = x[:, :, :: memory.STEP]
    mean = rows.mean((0, 2, 3)) + before.values["output1/offset"]
    variance = rows.var((0, 2, 3)) * before.values["output1/ratio"]
    mean = 0.75 * before.values["output1/mean"] + 0.25 * mean
    variance = 0.75 * before.values["output1/variance"] + 0.25 * variance
    assert np.allclose(values["output1/mean/next"], mean, atol=1e-6)
    assert np.allclose(values["output1/variance/next"], variance, atol=1e-6)
    column = [n.reshape(1, 3, 1, 1) for n in (mean, variance, scale, shift)]
    wanted = (x - column[0]) / np.sqrt(column[1] + 1e-5) * column[2] + column[3]
    assert np.allclose(values["output1"], wanted, atol=1e-5)


def test_a_variance_beside_a_large_mean_is_exact():
    maker = Maker(1)
    maker.nodes[:] = []
    maker.norm("input1", 3)
    maker.nodes[-1].output[0] = "output1"
    graph = GraphBuilder(maker.model(20, [1, 3, 6, 7]))
    outputs = ["output1", *(f"{name}/next" for name in memory.observe(graph, "output1"))]
    session = Session(graph.model(outputs).SerializeToString(), Device())
    x = planes(PICTURES[0][:6, :7])
    values = session.run({"input1": 1000 + x})
    assert np.allclose(values["output1/variance/next"], x.var((0, 2, 3)), rtol=1e-3)


def test_no_variance_is_changed_much_by_a_correction():
    maker = Maker(1)
    maker.nodes[:] = []
    maker.norm("input1", 3)
    maker.nodes[-1].output[0] = "output1"
    graph = GraphBuilder(maker.model(20, [1, 3, 6, 7]))
    outputs = [f"{name}/next" for name in memory.observe(graph, "output1")]
    session = Session(graph.model(outputs).SerializeToString(), Device())
    x = planes(PICTURES[0][:6, :7]).copy()
    x[:, 0, :: memory.STEP] = 0.5  # nothing is to be seen in the rows that are measured
    x[:, 1] = 0.5
    ratio = session.run({"input1": x})["output1/ratio/next"]
    assert ratio[0] == memory.MOST
    assert ratio[1] == 1


def test_tiles_remember_as_the_whole_picture_does(monkeypatch):
    monkeypatch.setattr(memory, "STEP", 1)  # of tiles all rows are measured
    stylizer = Stylizer(candy(48).SerializeToString())
    _, values = stylizer.stylize_next(PICTURES[0], before=Memory())
    whole, after = stylizer.stylize_next(PICTURES[1], before=Memory(values, 0.2))
    monkeypatch.setattr(painter, "WHOLE_BYTES", 0)
    tiled, tiled_after = stylizer.stylize_next(PICTURES[1], before=Memory(values, 0.2))
    assert np.abs(tiled - whole).max() < 1e-3
    assert after.keys() == tiled_after.keys()
    for name, value in after.items():
        assert np.allclose(tiled_after[name], value, rtol=1e-3, atol=1e-3 * np.abs(value).max())
