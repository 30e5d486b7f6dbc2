"""The root's trace beside SciPy's matrix square root."""

import numpy as np
import pytest
from scipy import linalg

from styletransfer import newtonschulz
from styletransfer.onnxgrad import GraphBuilder
from tests.onnxgrad.graphs import check_vjp, evaluate, run


def symmetric(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return a matrix of these eigenvalues, in a random basis."""
    size = len(values)
    basis = linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]
    return (basis * values) @ basis.T


def root_model(size: int, iterations: int, dtype: type = float):
    graph = GraphBuilder()
    matrix = graph.input("matrix", (size, size), dtype)
    value = newtonschulz.trace_of_root(graph, matrix, iterations)
    return graph.model([graph.op("Identity", value, output="trace")])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e7])
def test_trace_of_a_well_conditioned_matrix(scale):
    matrix = scale * symmetric(np.linspace(0.2, 3, 9))
    (value,) = evaluate(root_model(9, 12), {"matrix": matrix}).values()
    assert value.shape == (1,)
    assert value[0] == pytest.approx(np.trace(linalg.sqrtm(matrix)), rel=1e-12)


@pytest.mark.parametrize("iterations", [8, 12, 16])
def test_small_eigenvalues_count_too_little(iterations):
    """Exact for those above 2.25^-k by a margin; below, about 1.5^k λ in place of √λ."""
    values = np.geomspace(1, 1e-12, 24)
    matrix = symmetric(values)
    (value,) = evaluate(root_model(24, iterations), {"matrix": matrix}).values()
    exact = np.sqrt(values).sum()
    small = values / np.linalg.norm(values) < 10 * 2.25**-iterations
    assert exact - np.sqrt(values[small]).sum() - 1e-9 < value[0] <= exact


def test_trace_in_float32():
    """Rounding does not build up: as exact as the format allows, at a layer's size."""
    values = np.geomspace(1e4, 1e1, 128)
    matrix = symmetric(values).astype(np.float32)
    (value,) = run(root_model(128, 14, np.float32), {"matrix": matrix}).values()
    assert value[0] == pytest.approx(np.sqrt(values).sum(), rel=3e-6)


def test_gradient():
    """Half the inverse root, beside differences and beside SciPy."""
    model = root_model(5, 12)
    matrix = symmetric(np.linspace(0.5, 3, 5))
    check_vjp(model, {"matrix": matrix}, tolerance=1e-6)


def test_trace():
    graph = GraphBuilder()
    matrix = graph.input("matrix", (4, 4), float)
    model = graph.model([newtonschulz.trace(graph, matrix)])
    value = np.random.default_rng(0).standard_normal((4, 4))
    (result,) = evaluate(model, {"matrix": value}).values()
    assert result == pytest.approx([np.trace(value)])
