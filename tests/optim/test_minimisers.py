"""The minimisers on functions whose minimum is known."""

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from styletransfer.optim import adam, lbfgs
from styletransfer.optim.minimisers import OPTIMIZERS, Iterate

SHAPE = (1, 3, 4, 5)
LOWER = np.full((1, 3, 1, 1), -1.0)
UPPER = np.array([2.0, 1.0, 0.5]).reshape(1, 3, 1, 1)


class Quadratic:
    """½ Σ h (x − c)², some of whose c lie outside the box; counts its evaluations."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.curvature = np.exp(random.normal(size=SHAPE)).astype(np.float32)
        self.centre = random.normal(size=SHAPE).astype(np.float32) * 2
        self.evaluations = 0

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        self.evaluations += 1
        assert x.shape == SHAPE
        assert x.dtype == np.float32
        assert (x >= LOWER - 1e-6).all()
        assert (x <= UPPER + 1e-6).all()
        gradient = self.curvature * (x - self.centre)
        return float(np.sum(gradient * (x - self.centre), dtype=np.float64) / 2), gradient

    @property
    def minimum(self) -> np.ndarray:
        return np.clip(self.centre, LOWER, UPPER)


def minimise(name: str, function, iterations: int, first=None, **options) -> tuple:
    """Return the reason and the iterates."""
    found: list[Iterate] = []
    first = np.zeros(SHAPE, np.float32) if first is None else first
    reason = OPTIMIZERS[name](function, first, LOWER, UPPER, iterations, found.append, **options)
    return reason, found


@pytest.mark.parametrize("name", ["lbfgsb", "lbfgs"])
def test_quadratic_with_bounds(name: str) -> None:
    function = Quadratic()
    reason, found = minimise(name, function, 200)
    assert np.abs(found[-1].image - function.minimum).max() < 3e-3
    assert reason in ("the loss no longer falls", "the gradient has vanished")
    assert [iterate.iteration for iterate in found] == list(range(1, len(found) + 1))
    losses = [iterate.loss for iterate in found]
    assert losses == sorted(losses, reverse=True)


def test_adam_reaches_the_minimum() -> None:
    function = Quadratic()
    reason, found = minimise("adam", function, 400, step=0.02, decay=0.99)
    assert reason == "all 400 iterations are done"
    assert np.abs(found[-1].image - function.minimum).max() < 1e-2


@pytest.mark.parametrize("name", ["lbfgsb", "lbfgs"])
def test_a_curved_valley(name: str) -> None:
    """Rosenbrock's function needs the curvature: the gradient alone is lost in it."""

    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        flat = x.ravel().astype(np.float64)
        return float(rosen(flat)), rosen_der(flat).reshape(SHAPE).astype(np.float32)

    _, found = minimise(name, function, 400, np.full(SHAPE, -0.5, np.float32))
    steps = min(len(found), 400)
    assert found[-1].loss < 1e-2 * function(np.full(SHAPE, -0.5, np.float32))[0]
    assert steps > 10


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_callback_ends_it(name: str) -> None:
    function = Quadratic()
    seen = []

    def stop(iterate: Iterate) -> str | None:
        seen.append(iterate.iteration)
        return "enough" if iterate.iteration == 3 else None

    first = np.zeros(SHAPE, np.float32)
    assert OPTIMIZERS[name](function, first, LOWER, UPPER, 50, stop) == "enough"
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_limit_on_iterations(name: str) -> None:
    reason, found = minimise(name, Quadratic(), 2)
    assert reason == "all 2 iterations are done"
    assert len(found) == 2


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_tolerance(name: str) -> None:
    reason, found = minimise(name, Quadratic(), 1000, tolerance=0.1)
    assert reason == "the loss no longer falls"
    assert len(found) < 200


def test_vanished_gradient() -> None:
    function = Quadratic()
    reason, found = minimise("lbfgs", function, 10, function.minimum.astype(np.float32))
    assert reason == "the gradient has vanished"
    assert not found


def test_a_wrong_gradient_is_told() -> None:
    reason, found = minimise("lbfgs", lambda x: (float(np.sum(x)), -np.ones_like(x)), 10)
    assert reason == "the line search found no better image"
    assert not found


def test_first_step_does_not_overshoot() -> None:
    """However steep the function, the first trial changes no pixel by more than a tenth."""
    trials = []

    def steep(x: np.ndarray) -> tuple[float, np.ndarray]:
        trials.append(x.copy())
        return 1e12 * float(np.sum(x * x) / 2), 1e12 * x

    minimise("lbfgs", steep, 1, np.full(SHAPE, 0.3, np.float32))
    assert np.abs(trials[1] - trials[0]).max() <= 1.01 * lbfgs.FIRST_CHANGE * 3


def test_lbfgs_direction_is_that_of_the_two_loops() -> None:
    """The direction from coefficients equals the textbook's recursion on the free pixels."""
    random = np.random.default_rng(1)
    n, m = 40, 4
    image = random.normal(size=n).astype(np.float32)
    curvature = np.exp(random.normal(size=n))

    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        return float(np.sum(curvature * x * x) / 2), (curvature * x).astype(np.float32)

    state = lbfgs.start(function, image, m, image.shape)
    low, high = np.full(n, -9, np.float32), np.full(n, 9, np.float32)
    for _ in range(7):
        assert lbfgs.step(function, state, low, high, 0.0) is None
    held = np.array([3, 17, 30])
    projected = state.gradient.copy()
    projected[held] = 0

    pairs = []
    for i in state.order:
        s, y = (np.delete(state.vectors[j], held).astype(float) for j in (i, m + i))
        pairs.append((s, y))
    q = np.delete(projected, held).astype(float)
    kept = []
    for s, y in reversed(pairs):
        kept.append(s @ q / (s @ y))
        q -= kept[-1] * y
    s, y = pairs[-1]
    q *= (s @ y) / (y @ y)
    for (s, y), alpha in zip(pairs, reversed(kept), strict=True):
        q += (alpha - y @ q / (s @ y)) * s
    direction = lbfgs._direction(state, projected, held)
    assert direction[held] == pytest.approx(0)
    assert np.delete(direction, held) == pytest.approx(-q, rel=1e-3, abs=1e-4 * np.abs(q).max())


def test_adam_step_by_hand() -> None:
    """Two steps of algorithm 1 of the paper, in the form of its section 2."""
    state = adam.start(np.zeros(1, np.float32))
    low, high = np.float32(-9), np.float32(9)
    options = {"rate": 0.1, "betas": (0.9, 0.99), "epsilon": 0.5, "average": 0.5}
    adam.step(state, np.array([2.0], np.float32), low, high, **options)
    first = -0.1 * (np.sqrt(1 - 0.99) / (1 - 0.9)) * 0.2 / (np.sqrt(0.04) + 0.5)
    assert state.image[0] == pytest.approx(first, rel=1e-5)
    adam.step(state, np.array([-1.0], np.float32), low, high, **options)
    mean, square = 0.9 * 0.2 - 0.1, 0.99 * 0.04 + 0.01
    rate = 0.1 * np.sqrt(1 - 0.99**2) / (1 - 0.9**2)
    second = first - rate * mean / (np.sqrt(square) + 0.5)
    assert state.image[0] == pytest.approx(second, rel=1e-5)
    average = (0.25 * first + 0.5 * second) / 0.75
    assert adam.result(state, 0.5)[0] == pytest.approx(average, rel=1e-5)


def test_adam_goes_on_where_it_was() -> None:
    """Two runs of ten iterations, the state carried, are one run of twenty."""
    options = {"step": 0.05, "decay": 0.9, "average": 0.5}
    _, whole = minimise("adam", Quadratic(), 20, **options)
    _, half = minimise("adam", Quadratic(), 10, **options)
    state = half[-1].state
    _, rest = minimise("adam", Quadratic(), 10, state.image, state=state, **options)
    assert [iterate.iteration for iterate in rest] == list(range(1, 11))
    np.testing.assert_allclose(rest[-1].image, whole[-1].image, rtol=1e-6)


def test_adam_state_is_carried_to_another_size() -> None:
    state = adam.start(np.zeros(SHAPE, np.float32))
    state.first[:], state.second[:], state.iteration = 2, 3, 7
    state.average[..., :2] = 1
    larger = adam.enlarged(state, np.ones((1, 3, 7, 9), np.float32))
    assert larger.iteration == 7
    assert larger.image.min() == 1
    assert larger.first.shape == larger.average.shape == (1, 3, 7, 9)
    assert larger.first == pytest.approx(2)
    assert larger.second == pytest.approx(3)
    assert (larger.average[..., 0] > 0.99).all()
    assert (larger.average[..., -1] < 0.01).all()


def test_lbfgs_curvature_is_carried_to_another_size() -> None:
    """From its minimum a quadratic's twin of four times the pixels needs fewer evaluations."""

    def problem(height: int, width: int, weight: float):
        """A quadratic whose curvature varies smoothly, 1 to 100, away from the bounds."""
        across = np.linspace(0, 1, width) + np.zeros((1, 3, height, 1))
        curvature = (weight * 100**across).astype(np.float32)
        centre = np.float32(0.3 * np.sin(3 * across))

        def function(x: np.ndarray) -> tuple[float, np.ndarray]:
            gradient = curvature * (x - centre)
            return 1 + float(np.sum(gradient * (x - centre), dtype=np.float64) / 2), gradient

        return function

    _, coarse = minimise("lbfgs", problem(6, 8, 1), 9, np.zeros((1, 3, 6, 8), np.float32))
    first = np.zeros((1, 3, 12, 16), np.float32)
    # The loss as a mean over the pixels, or as a sum.
    for weight in (0.25, 1.0):
        _, anew = minimise("lbfgs", problem(12, 16, weight), 5, first)
        _, carried = minimise("lbfgs", problem(12, 16, weight), 5, first, state=coarse[-1].state)
        assert carried[-1].loss - 1 < 0.3 * (anew[-1].loss - 1)
