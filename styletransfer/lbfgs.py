"""Projected limited-memory BFGS over a box, in float32.

A step costs three passes over the history: products of all its vectors with the new ones, the same
on the few pixels at their bounds, and one linear combination. All else happens in the small space
of coefficients.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]

SUFFICIENT = 1e-4
"""The part of the first-order decrease that a step must bring (Armijo's condition)."""

FIRST_CHANGE = 0.02
"""The largest change of a pixel in the first trial step, as a part of its range."""

MAX_TRIALS = 20
"""Trial steps of one line search."""


@dataclass
class State:
    """Where a minimisation is; all that the next step needs, arrays and numbers only.

    Attributes
    ----------
    image, gradient : ndarray, shape (N,)
        The image accepted last and the loss's gradient there, float32.
    loss : float
        The loss there.
    vectors : ndarray, shape (2 m, N)
        Steps in the first m rows and gradient differences in the last m, float32.
    products : ndarray, shape (2 m, 2 m)
        Their inner products, float64.
    order : list of int
        The rows that hold a pair, oldest first.
    iteration : int
        Iterations done.
    """

    image: np.ndarray
    gradient: np.ndarray
    loss: float
    vectors: np.ndarray
    products: np.ndarray
    order: list[int]
    iteration: int = 0


def start(function: Function, image: np.ndarray, history: int) -> State:
    """Return the state at the first image, which lies inside the bounds.

    Parameters
    ----------
    function : callable
        From a float32 image, shape (N,), to the loss and its gradient.
    image : ndarray, shape (N,)
        Where to start, float32.
    history : int
        How many pairs of steps and gradient differences to keep.
    """
    loss, gradient = function(image)
    vectors = np.zeros((2 * history, image.size), np.float32)
    return State(image, gradient, loss, vectors, np.zeros((2 * history,) * 2), [])


def step(function: Function, state: State, lower: np.ndarray, upper: np.ndarray) -> str | None:
    """Advance by one iteration.

    Parameters
    ----------
    function : callable
        As for `start`.
    state : State
        Changed in place; left as it is where no step is found.
    lower, upper : ndarray, shape (N,)
        The bounds, float32.

    Returns
    -------
    str or None
        Why there is no further step, in words; None after a step.
    """
    at_bound = np.where(state.gradient > 0, state.image <= lower, state.image >= upper)
    projected = np.where(at_bound, np.float32(0), state.gradient)
    steepest = float(np.abs(projected).max())
    if steepest == 0:
        return "the gradient has vanished"
    direction = _direction(state, projected, at_bound)
    found = _search(function, state, direction, lower, upper)
    if found is None and state.order:
        # The curvature gathered so far misleads; begin anew from the gradient alone.
        state.order.clear()
        direction = _direction(state, projected, at_bound)
        found = _search(function, state, direction, lower, upper)
    if found is None:
        return "the line search found no better image"
    image, loss, gradient = found
    _remember(state, image, gradient)
    state.image, state.loss, state.gradient = image, loss, gradient
    state.iteration += 1
    return None


def _direction(state: State, projected: np.ndarray, at_bound: np.ndarray) -> np.ndarray:
    """Return minus the inverse Hessian, on the pixels that are free, times the gradient.

    The two loops of the classic recursion run on coefficients of the history's vectors. Inner
    products are over the free pixels only, so that the pixels held at a bound do not count.

    References
    ----------
    Nocedal: Updating quasi-Newton matrices with limited storage (1980).
    Chen, Wang, Zhou: Large-scale L-BFGS using MapReduce (2014).
    """
    m = len(state.vectors) // 2
    held = np.flatnonzero(at_bound)
    fixed = state.vectors[:, held]
    products = state.products - fixed @ fixed.T
    with_gradient = (state.vectors @ projected).astype(np.float64)
    # A pair without positive curvature on the free pixels would make the inverse indefinite.
    pairs = [i for i in state.order if products[i, m + i] > 1e-8 * products[m + i, m + i]]
    if not pairs:
        return -projected
    coefficients = np.zeros(2 * m)
    along = {}
    for i in reversed(pairs):
        inner = with_gradient[i] + coefficients @ products[:, i]
        along[i] = inner / products[i, m + i]
        coefficients[m + i] -= along[i]
    newest = pairs[-1]
    scale = products[newest, m + newest] / products[m + newest, m + newest]
    coefficients *= scale
    for i in pairs:
        inner = scale * with_gradient[m + i] + coefficients @ products[:, m + i]
        coefficients[i] += along[i] - inner / products[i, m + i]
    direction = coefficients.astype(np.float32) @ state.vectors
    direction += np.float32(scale) * projected
    np.negative(direction, out=direction)
    direction[held] = 0
    return direction


def _search(
    function: Function,
    state: State,
    direction: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
) -> tuple[np.ndarray, float, np.ndarray] | None:
    """Return the first image along the clipped direction that lowers the loss enough.

    Shorter steps follow the parabola through the loss and slope here and the loss there.
    """
    length = 1.0
    if not state.order:
        length = FIRST_CHANGE * float(np.max(upper - lower)) / float(np.abs(direction).max())
    for _ in range(MAX_TRIALS):
        image = np.clip(state.image + np.float32(length) * direction, lower, upper)
        slope = float(np.dot(state.gradient, image - state.image))
        if slope >= 0:
            return None
        loss, gradient = function(image)
        if loss <= state.loss + SUFFICIENT * slope:
            return image, loss, gradient
        shorter = -slope / (2 * (loss - state.loss - slope))
        length *= min(max(shorter, 0.1), 0.5) if np.isfinite(loss) else 0.1
    return None


def _remember(state: State, image: np.ndarray, gradient: np.ndarray) -> None:
    """Put the pair of differences into the history, in the oldest one's place if it is full."""
    m = len(state.vectors) // 2
    row = state.order.pop(0) if len(state.order) == m else len(state.order)
    state.order.append(row)
    np.subtract(image, state.image, out=state.vectors[row])
    np.subtract(gradient, state.gradient, out=state.vectors[m + row])
    for i in (row, m + row):
        # One vector at a time: BLAS is ten times slower on a matrix of two columns.
        state.products[i] = state.products[:, i] = state.vectors @ state.vectors[i]
