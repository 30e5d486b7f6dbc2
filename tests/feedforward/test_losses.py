"""The terms of the loss beside their formulas in NumPy."""

import numpy as np
import pytest

from styletransfer.feedforward import configuration, losses
from styletransfer.onnxgrad import GraphBuilder
from tests.onnxgrad.graphs import evaluate

RNG = np.random.default_rng(0)
FEATURES, OTHER = RNG.standard_normal((2, 2, 3, 5, 4))
GRAMS = np.einsum("nchw,ndhw->ncd", FEATURES, FEATURES) / 60


def value(make, **feeds: np.ndarray) -> np.ndarray:
    graph = GraphBuilder()
    names = [graph.input(name, array.shape, array.dtype) for name, array in feeds.items()]
    graph.op("Identity", make(graph, *names), output="value")
    return evaluate(graph.model(["value"]), feeds)["value"]


@pytest.mark.parametrize(("reduction", "expected"), [("mean", np.mean), ("sum", np.sum)])
def test_content(reduction, expected):
    found = value(lambda *args: losses.content(*args, reduction), features=FEATURES, target=OTHER)
    np.testing.assert_allclose(found, [expected((FEATURES - OTHER) ** 2)])


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"losses": "tf"}, FEATURES.size),
        ({"losses": "pytorch"}, GRAMS.size),
        ({"reduction": "sum"}, 1),
    ],
)
def test_style(settings, count):
    settings = configuration.read(settings)
    target = RNG.standard_normal((1, 3, 3))
    found = value(lambda *args: losses.style(*args, settings), features=FEATURES, target=target)
    np.testing.assert_allclose(found, [((GRAMS - target) ** 2).sum() / count])


def test_total_variation():
    down, across = (np.diff(FEATURES, axis=axis) for axis in (2, 3))
    expected = {
        "mean-squares": ((down**2).mean() + (across**2).mean()) / 2,
        "absolute": np.abs(down).sum() + np.abs(across).sum(),
        "squares": (down**2).sum() + (across**2).sum(),
    }
    assert set(expected) == set(configuration.VARIATIONS)
    for kind, wanted in expected.items():
        found = value(lambda *args, kind=kind: losses.total_variation(*args, kind), x=FEATURES)
        np.testing.assert_allclose(found, [wanted])
