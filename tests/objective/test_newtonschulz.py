"""The root's trace beside SciPy's matrix square root."""

import numpy as np
import pytest
from scipy import linalg

from styletransfer.objective import newtonschulz
from styletransfer.onnxgrad import GraphBuilder, value_and_gradient
from tests.onnxgrad.graphs import check_vjp, evaluate, run


def symmetric(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return a matrix of these eigenvalues, in a random basis."""
    size = len(values)
    basis = linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]
    return (basis * values) @ basis.T


def root_model(size: int, dtype: type = float):
    graph = GraphBuilder()
    matrix = graph.input("matrix", (size, size), dtype)
    value = newtonschulz.trace_of_root(graph, matrix)
    return graph.model([graph.op("Identity", value, output="trace")])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e7])
def test_trace(scale):
    matrix = scale * symmetric(np.geomspace(3e-6, 3, 9))
    (value,) = evaluate(root_model(9), {"matrix": matrix}).values()
    assert value.shape == (1,)
    assert value[0] == pytest.approx(np.trace(linalg.sqrtm(matrix)), rel=1e-5)


def test_small_eigenvalues_count_too_little():
    """As with the covariances of a deep layer, which are not of full rank."""
    values = np.append(np.geomspace(1, 1e-14, 64), np.zeros(16))
    matrix = symmetric(values)
    (value,) = evaluate(root_model(80), {"matrix": matrix}).values()
    exact = np.sqrt(values).sum()
    small = np.sqrt(values[values < 1e-6 * np.linalg.norm(values)]).sum()
    assert exact - small * 1.1 < value[0] < exact
    assert value[0] == pytest.approx(exact, rel=1e-3)


def test_trace_in_float32():
    """Rounding does not build up."""
    values = np.geomspace(1e4, 1e-1, 128)
    matrix = symmetric(values).astype(np.float32)
    (value,) = run(root_model(128, np.float32), {"matrix": matrix}).values()
    assert value[0] == pytest.approx(np.sqrt(values).sum(), rel=1e-5)


def test_gradient():
    """Half the inverse root; and beside differences, also where eigenvalues are tiny."""
    matrix = symmetric(np.linspace(0.5, 3, 5))
    model = value_and_gradient(root_model(5), "trace", ["matrix"])
    gradient = evaluate(model, {"matrix": matrix})["gradient/matrix"]
    np.testing.assert_allclose(gradient, linalg.inv(linalg.sqrtm(matrix)) / 2, rtol=1e-4)
    check_vjp(root_model(5), {"matrix": matrix})
    check_vjp(root_model(5), {"matrix": symmetric(np.geomspace(1, 1e-9, 5))}, step=1e-10)


def test_trace_of_the_matrix_itself():
    graph = GraphBuilder()
    matrix = graph.input("matrix", (4, 4), float)
    model = graph.model([newtonschulz.trace(graph, matrix)])
    value = np.random.default_rng(0).standard_normal((4, 4))
    (result,) = evaluate(model, {"matrix": value}).values()
    assert result == pytest.approx([np.trace(value)])
