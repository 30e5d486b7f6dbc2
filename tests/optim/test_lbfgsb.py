"""SciPy's L-BFGS-B by a loop of one's own, against SciPy's."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from styletransfer.optim import Iterate, Lbfgsb, Stop, lbfgsb

SHAPE = (1, 3, 6, 7)
LOWER = np.full((1, 3, 1, 1), -1.0)
UPPER = np.array([2.0, 1.0, 0.5]).reshape(1, 3, 1, 1)

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]


def valley(x: np.ndarray) -> tuple[float, np.ndarray]:
    flat = x.ravel().astype(np.float64)
    return 1e3 * float(rosen(flat)), 1e3 * rosen_der(flat).reshape(SHAPE).astype(np.float32)


def bowl(x: np.ndarray) -> tuple[float, np.ndarray]:
    return float(np.sum((x - 0.25) ** 2, dtype=np.float64)), 2 * (x - np.float32(0.25))


def slope(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Down to the bounds, then nowhere."""
    return float(x.sum(dtype=np.float64)), np.ones_like(x)


def uphill(x: np.ndarray) -> tuple[float, np.ndarray]:
    """A gradient that is wrong: no step helps."""
    return float(x.sum(dtype=np.float64)), -np.ones_like(x)


def course(function: Function, iterations: int, last: int, history: int) -> tuple:
    """Return why a minimisation ended, the images it evaluated, and its iterates."""
    evaluated, accepted = [], []

    def noted(image: np.ndarray) -> tuple[float, np.ndarray]:
        evaluated.append(image.tobytes())
        return function(image)

    def accept(iterate: Iterate) -> Stop | None:
        accepted.append((iterate.iteration, iterate.loss, iterate.image.tobytes()))
        return Stop.TIME if iterate.iteration == last else None

    first = np.random.default_rng(5).uniform(-1.5, 2.5, SHAPE).astype(np.float32)
    stop = Lbfgsb(LOWER, UPPER, history).minimise(noted, first, iterations, accept)
    return stop, evaluated, accepted


@pytest.mark.parametrize(
    ("function", "iterations", "last", "history"),
    [
        (valley, 60, 0, 10),
        (valley, 300, 0, 3),
        (valley, 60, 7, 10),
        (valley, 7, 7, 10),
        (bowl, 60, 0, 10),
        (slope, 60, 0, 10),
        (uphill, 60, 0, 10),
    ],
)
def test_the_loop_is_scipys(
    function: Function, iterations: int, last: int, history: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not lbfgsb._known():
        pytest.skip("this SciPy is newer than those whose loop is known: its public one is taken")
    own = course(function, iterations, last, history)
    monkeypatch.setattr(lbfgsb, "_known", lambda: False)
    assert own == course(function, iterations, last, history)


@pytest.mark.parametrize("version", ["1.14.1", "1.18.0", "1.18.0.dev0+3", "2.0rc1", "odd"])
def test_another_scipy_goes_through_its_public_function(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scipy.__version__", version)
    monkeypatch.delattr("scipy.optimize._lbfgsb.setulb")
    monkeypatch.setattr(
        lbfgsb, "_loop_of_scipy", lambda *arguments: "TOTAL NO. OF ITERATIONS REACHED LIMIT"
    )
    assert course(bowl, 3, 0, 10)[0] is Stop.ITERATIONS


def test_what_the_function_raises_comes_out() -> None:
    def broken(image: np.ndarray) -> tuple[float, np.ndarray]:
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        course(broken, 3, 0, 10)
