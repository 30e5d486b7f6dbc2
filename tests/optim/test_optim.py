"""The minimisers on functions whose minimum is known."""

import io
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from styletransfer import optim
from styletransfer.optim import (
    OPTIMIZERS,
    Adam,
    Iterate,
    Lbfgs,
    Stop,
    adam,
    from_arrays,
    lbfgs,
    metric,
    to_arrays,
)

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
    """Return the stop and the iterates."""
    found: list[Iterate] = []
    first = np.zeros(SHAPE, np.float32) if first is None else first
    bounds = (LOWER, UPPER)
    stop = optim.minimise(name, function, first, bounds, iterations, found.append, **options)
    return stop, found


@pytest.mark.parametrize("name", ["lbfgsb", "lbfgs"])
def test_quadratic_with_bounds(name: str) -> None:
    function = Quadratic()
    stop, found = minimise(name, function, 200)
    assert np.abs(found[-1].image - function.minimum).max() < 3e-3
    assert stop in (Stop.NO_PROGRESS, Stop.NO_GRADIENT)
    assert [iterate.iteration for iterate in found] == list(range(1, len(found) + 1))
    losses = [iterate.loss for iterate in found]
    assert losses == sorted(losses, reverse=True)


def test_adam_reaches_the_minimum() -> None:
    function = Quadratic()
    stop, found = minimise("adam", function, 400, step=0.02, decay=0.99)
    assert stop is Stop.ITERATIONS
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

    def accept(iterate: Iterate) -> Stop | None:
        seen.append(iterate.iteration)
        return Stop.TIME if iterate.iteration == 3 else None

    first = np.zeros(SHAPE, np.float32)
    assert optim.minimise(name, function, first, (LOWER, UPPER), 50, accept) is Stop.TIME
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_limit_on_iterations(name: str) -> None:
    stop, found = minimise(name, Quadratic(), 2)
    assert stop is Stop.ITERATIONS
    assert len(found) == 2


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_tolerance(name: str) -> None:
    stop, found = minimise(name, Quadratic(), 1000, tolerance=0.1)
    assert stop is Stop.NO_PROGRESS
    assert len(found) < 200


def test_vanished_gradient() -> None:
    function = Quadratic()
    stop, found = minimise("lbfgs", function, 10, function.minimum.astype(np.float32))
    assert stop is Stop.NO_GRADIENT
    assert not found


def test_a_wrong_gradient_is_told() -> None:
    stop, found = minimise("lbfgs", lambda x: (float(np.sum(x)), -np.ones_like(x)), 10)
    assert stop is Stop.NO_STEP
    assert not found


def test_first_step_does_not_overshoot() -> None:
    """However steep the function, the first trial changes no pixel by more than a tenth."""
    trials = []

    def steep(x: np.ndarray) -> tuple[float, np.ndarray]:
        trials.append(x.copy())
        return 1e12 * float(np.sum(x * x) / 2), 1e12 * x

    minimise("lbfgs", steep, 1, np.full(SHAPE, 0.3, np.float32))
    assert np.abs(trials[1] - trials[0]).max() <= 1.01 * lbfgs.FIRST_CHANGE * 3


def test_steps_grow_slowly_where_the_loss_hardly_bends() -> None:
    """A pair almost without curvature says that the minimum is far beyond the bounds."""
    trials = []

    def slope(x: np.ndarray) -> tuple[float, np.ndarray]:
        trials.append(x.copy())
        bend = np.float32(1e-3)
        return float(np.sum(x + bend * x * x / 2)), 1 + bend * x

    minimise("lbfgs", slope, 2, np.full(SHAPE, 0.4, np.float32))
    first, second = (np.abs(b - a).max() for a, b in pairwise(trials[:3]))
    assert second == pytest.approx(min(lbfgs.MOST_GROWTH * first, 1.4 - first), rel=1e-3)


def test_lbfgs_holds_what_its_step_takes_out_of_the_box(monkeypatch) -> None:
    """Fewer pixels are clipped, and the loss falls faster, where patterns are coupled."""
    random = np.random.default_rng(0)
    centre = 4 * random.normal(size=(1, 3, 16, 16)).astype(np.float32)

    def coupled(x: np.ndarray) -> tuple[float, np.ndarray]:
        apart = x - centre
        means = apart.mean(axis=(2, 3), keepdims=True)
        gradient = apart + 30 * means
        return float(np.vdot(apart, gradient)) / 2, gradient

    lower, upper = np.float32(-1), np.float32(1)

    def clipped_and_loss() -> tuple[int, float]:
        method, clipped = Lbfgs(lower, upper), 0
        state = method.start(coupled, np.zeros_like(centre))
        for _ in range(6):
            ahead = state.image + method._direction(state)
            clipped += np.count_nonzero(np.abs(ahead) > 1 + 1e-6)
            method.step(coupled, state)
        return clipped, state.loss

    clipped, loss = clipped_and_loss()
    monkeypatch.setattr(lbfgs, "MANY", 1.0)
    clipped_before, loss_before = clipped_and_loss()
    assert 2 * clipped < clipped_before
    assert loss <= loss_before


@pytest.mark.parametrize(("times", "kept"), [(1, 6), (100, 1)])
def test_lbfgs_forgets_what_led_much_too_far(monkeypatch, times: int, kept: int) -> None:
    """After a step that had to be cut to a small part, its own pair is all that is left."""
    method = Lbfgs(np.float32(-9), np.float32(9))
    centre = np.linspace(-1, 1, 60, dtype=np.float32).reshape(SHAPE)

    def bowl(x: np.ndarray) -> tuple[float, np.ndarray]:
        apart = x - centre
        return float(np.sum(apart**4)), 4 * apart**3

    state = method.start(bowl, np.full(SHAPE, 2, np.float32))
    for _ in range(5):
        method.step(bowl, state)
    before = state.image.copy()
    direction = np.float32(times) * method._direction(state)
    monkeypatch.setattr(Lbfgs, "_direction", lambda self, state: direction)
    method.step(bowl, state)
    assert len(state.order) == kept
    np.testing.assert_array_equal(state.vectors[state.order[-1]], state.image - before)
    monkeypatch.undo()
    for _ in range(8):
        method.step(bowl, state)
    assert len(set(state.order)) == min(kept + 8, 8)
    assert state.loss < bowl(before.reshape(SHAPE))[0] / 10


def test_lbfgs_pixels_near_their_bounds_go_there() -> None:
    """And the others as if those were not there."""
    method = Lbfgs(LOWER, UPPER)
    state = method.start(Quadratic(), np.zeros(SHAPE, np.float32))
    for _ in range(3):
        method.step(Quadratic(), state)
    state.image[:4] = -1 + 1e-3
    state.gradient[:4] = np.abs(state.gradient).max()
    direction = method._direction(state)
    assert direction[:4] == pytest.approx(-1e-3, rel=1e-3)
    state.gradient[4:] = 0
    assert np.abs(method._direction(state)[4:]).max() == 0


def test_lbfgs_direction_is_that_of_the_two_loops() -> None:
    """It equals the textbook's recursion on whole vectors, with the first matrix of `metric`."""
    random = np.random.default_rng(1)
    shape, m = (1, 2, 4, 5), 4
    image = random.normal(size=shape).astype(np.float32)
    curvature = np.exp(random.normal(size=shape))

    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        return float(np.sum(curvature * x * x) / 2), (curvature * x).astype(np.float32)

    method = Lbfgs(np.float32(-9), np.float32(9), history=m, tolerance=0.0)
    state = method.start(function, image)
    for _ in range(7):
        assert method.step(function, state) is None
    held = np.zeros(image.size, bool)
    held[[3, 17, 30]] = True
    unit = np.eye(image.size, dtype=np.float32)
    first = np.stack([metric.scaled(row, shape, state.gains) for row in unit])

    pairs = [[state.vectors[j].astype(float) for j in (i, m + i)] for i in state.order]
    q = np.where(held, 0, state.gradient).astype(float)
    kept = []
    for s, y in reversed(pairs):
        kept.append(s @ q / (s @ y))
        q -= kept[-1] * y
    s, y = pairs[-1]
    scale = lbfgs.BOLDNESS * (s @ y) / (y @ first @ y)
    q = np.where(held, 0, first @ np.where(held, 0, q)) * scale
    for (s, y), alpha in zip(pairs, reversed(kept), strict=True):
        q += (alpha - y @ q / (s @ y)) * s
    direction = lbfgs._newton(state, ~held, np.empty_like(state.image))
    assert direction[held] == pytest.approx(0)
    assert direction[~held] == pytest.approx(q[~held], rel=1e-3, abs=1e-4 * np.abs(q).max())


def test_adam_step_by_hand() -> None:
    """Two steps of algorithm 1 of the paper, in the form of its section 2."""
    gradients = iter([2.0, -1.0])
    method = Adam(-9.0, 9.0, step_size=0.1 / 18, epsilon=0.5 * 18, average=0.5)

    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        return 1.0, np.array([next(gradients)], np.float32)

    state = method.start(function, np.zeros(1, np.float32))
    method.step(function, state)
    first = -0.1 * (np.sqrt(1 - 0.99) / (1 - 0.9)) * 0.2 / (np.sqrt(0.04) + 0.5)
    assert state.image[0] == pytest.approx(first, rel=1e-5)
    method.step(function, state)
    mean, square = 0.9 * 0.2 - 0.1, 0.99 * 0.04 + 0.01
    rate = 0.1 * np.sqrt(1 - 0.99**2) / (1 - 0.9**2)
    second = first - rate * mean / (np.sqrt(square) + 0.5)
    assert state.image[0] == pytest.approx(second, rel=1e-5)
    average = (0.25 * first + 0.5 * second) / 0.75
    assert method.image(state)[0] == pytest.approx(average, rel=1e-5)


def test_adam_goes_on_where_it_was() -> None:
    """Two runs of ten iterations, the state carried, are one run of twenty."""
    options = {"step": 0.05, "decay": 0.9, "average": 0.5}
    _, whole = minimise("adam", Quadratic(), 20, **options)
    _, half = minimise("adam", Quadratic(), 10, **options)
    state = half[-1].state
    _, rest = minimise("adam", Quadratic(), 10, state.image, before=state, **options)
    assert [iterate.iteration for iterate in rest] == list(range(1, 11))
    np.testing.assert_allclose(rest[-1].image, whole[-1].image, rtol=1e-6)


def test_adam_state_is_carried_to_another_size() -> None:
    method = Adam(LOWER, UPPER)
    state = method.start(Quadratic(), np.zeros(SHAPE, np.float32))
    state.first[:], state.second[:], state.iteration = 2, 3, 7
    state.mean[..., :2] = 1
    larger = method.start(Quadratic(), np.full((1, 3, 7, 9), 0.5, np.float32), state)
    assert larger.iteration == 7
    assert larger.image.min() == 0.5
    assert larger.first.shape == larger.mean.shape == (1, 3, 7, 9)
    assert larger.first == pytest.approx(2)
    assert larger.second == pytest.approx(3)
    assert (larger.mean[..., 0] > 0.99).all()
    assert (larger.mean[..., -1] < 0.01).all()


@pytest.mark.parametrize(("name", "kind"), [("lbfgs", lbfgs.State), ("adam", adam.State)])
def test_a_state_that_was_stored_goes_on_as_if_it_had_not_been(name: str, kind: type) -> None:
    """Bit by bit, through the arrays of a file."""
    method = OPTIMIZERS[name](LOWER, UPPER)

    def advanced(state, steps: int):
        for _ in range(steps):
            assert method.step(Quadratic(), state) is None
        return state

    whole = advanced(method.start(Quadratic(), np.zeros(SHAPE, np.float32)), 12)
    half = advanced(method.start(Quadratic(), np.zeros(SHAPE, np.float32)), 5)
    stream = io.BytesIO()
    np.savez(stream, **to_arrays(half))
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as stored:
        read = from_arrays(kind, dict(stored))
    again = to_arrays(advanced(read, 7))
    for key, value in to_arrays(whole).items():
        np.testing.assert_array_equal(again[key], value)


def test_arrays_of_another_state_are_refused() -> None:
    state = Adam(LOWER, UPPER).start(Quadratic(), np.zeros(SHAPE, np.float32))
    with pytest.raises(ValueError, match="a state has image, gradient, loss"):
        from_arrays(lbfgs.State, to_arrays(state))


def test_lbfgs_curvature_is_carried_to_another_size() -> None:
    """From its minimum a quadratic's twin of four times the pixels needs fewer evaluations."""

    def problem(height: int, width: int, weight: float):
        """A quadratic whose curvature varies smoothly, 1 to 30, away from the bounds."""
        across = np.linspace(0, 1, width) + np.zeros((1, 3, height, 1))
        curvature = (weight * 30**across).astype(np.float32)
        centre = np.float32(0.3 * np.sin(3 * across))

        def function(x: np.ndarray) -> tuple[float, np.ndarray]:
            gradient = curvature * (x - centre)
            return 1 + float(np.sum(gradient * (x - centre), dtype=np.float64) / 2), gradient

        return function

    _, coarse = minimise("lbfgs", problem(6, 8, 1), 12, np.zeros((1, 3, 6, 8), np.float32))
    first = np.zeros((1, 3, 12, 16), np.float32)
    # The loss as a mean over the pixels, or as a sum.
    for weight in (0.25, 1.0):
        _, anew = minimise("lbfgs", problem(12, 16, weight), 4, first)
        _, carried = minimise("lbfgs", problem(12, 16, weight), 4, first, before=coarse[-1].state)
        assert carried[-1].loss - 1 < 0.3 * (anew[-1].loss - 1)
