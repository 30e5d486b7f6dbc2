"""Projected limited-memory BFGS over a box, in float32.

A step costs three passes over the history: products of all its vectors with the new ones, the same
on the few pixels at their bounds, and one linear combination. All else happens in the small space
of coefficients.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from styletransfer.optim.resampling import stretched

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]

Point = tuple[np.ndarray, float, np.ndarray]
"""An image, the loss and its gradient there."""

SUFFICIENT = 1e-4
"""The part of the first-order decrease that a step must bring (Armijo's condition)."""

FIRST_CHANGE = 0.1
"""The largest change of a pixel in the first trial step, as a part of its range."""

CURVATURE = 0.5
"""The part of the slope that may be left at the end of a step (Wolfe's condition).

The usual 0.9 saves up to a tenth of the evaluations, but is some per cent behind at the same
iteration, and then also behind SciPy's L-BFGS-B.
"""

MAX_TRIALS = 20
"""Trial steps of one line search."""

NO_GRADIENT = "the gradient has vanished"
NO_PROGRESS = "the loss no longer falls"
NO_STEP = "the line search found no better image"
"""Reasons to stop."""


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
    shape : tuple of int
        That of the image before it was made flat.
    iteration : int
        Iterations done.
    """

    image: np.ndarray
    gradient: np.ndarray
    loss: float
    vectors: np.ndarray
    products: np.ndarray
    order: list[int]
    shape: tuple[int, ...]
    iteration: int = 0


def start(function: Function, image: np.ndarray, history: int, shape: tuple[int, ...]) -> State:
    """Return the state at the first image, which lies inside the bounds.

    Parameters
    ----------
    function : callable
        From a float32 image, shape (N,), to the loss and its gradient.
    image : ndarray, shape (N,)
        Where to start, float32.
    history : int
        How many pairs of steps and gradient differences to keep.
    shape : tuple of int
        What the image is when it is not flat.
    """
    loss, gradient = function(image)
    vectors = np.zeros((2 * history, image.size), np.float32)
    return State(image, gradient, loss, vectors, np.zeros((2 * history,) * 2), [], shape)


def carry(state: State, before: State) -> None:
    """Give the state at a first image the curvature that was found at another size.

    Steps and gradient differences are stretched. The latter would be smaller at a larger size if
    losses were means over pixels, and are not if they are sums; the first search makes up for that.

    Parameters
    ----------
    state : State
        At the first image, with no pairs yet; changed in place.
    before : State
        At the image of the other size, with the same length of history.
    """
    m = len(state.vectors) // 2
    for row in before.order:
        for i in (row, m + row):
            vector = stretched(before.vectors[i].reshape(before.shape), state.shape)
            state.vectors[i] = vector.ravel()
    state.products[:] = state.vectors @ state.vectors.T
    state.order[:] = before.order


def step(
    function: Function, state: State, lower: np.ndarray, upper: np.ndarray, tolerance: float
) -> str | None:
    """Advance by one iteration.

    Parameters
    ----------
    function : callable
        As for `start`.
    state : State
        Changed in place; left as it is where no step is found.
    lower, upper : ndarray, shape (N,)
        The bounds, float32.
    tolerance : float
        The part of the loss by which it must fall for there to be another iteration.

    Returns
    -------
    str or None
        Why there should be no further iteration, in words.
    """
    gradient = state.gradient
    at_bound = ((gradient > 0) & (state.image <= lower)) | ((gradient < 0) & (state.image >= upper))
    held = np.flatnonzero(at_bound)
    projected = gradient.copy()
    projected[held] = 0
    if not projected.any():
        return NO_GRADIENT
    found = _search(function, state, _direction(state, projected, held), lower, upper)
    if found is None and state.order:
        # The curvature gathered so far misleads; begin anew from the gradient alone.
        state.order.clear()
        found = _search(function, state, -projected, lower, upper)
    if found is None:
        return NO_STEP
    image, loss, gradient = found
    _remember(state, image, gradient)
    before = state.loss
    state.image, state.loss, state.gradient = image, loss, gradient
    state.iteration += 1
    return NO_PROGRESS if before - loss <= tolerance * max(abs(before), abs(loss)) else None


def _direction(state: State, projected: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Return minus the inverse Hessian, on the pixels that are free, times the gradient.

    The two loops of the classic recursion run on coefficients of the history's vectors. Inner
    products are over the free pixels only, so that the pixels held at a bound do not count.

    References
    ----------
    Nocedal: Updating quasi-Newton matrices with limited storage (1980).
    Chen, Wang, Zhou: Large-scale L-BFGS using MapReduce (2014).
    """
    m = len(state.vectors) // 2
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
) -> Point | None:
    """Return a point along the clipped direction that lowers the loss enough.

    A step that does not is shortened by the parabola through the loss and slope here and the loss
    there. One at whose end the loss still falls nearly as steeply is lengthened by the secant of
    the slopes: the step's length is unknown only while there is no curvature to go by.
    """
    length = 1.0
    if not state.order:
        length = FIRST_CHANGE * float(np.max(upper - lower)) / float(np.abs(direction).max())
    best: Point | None = None
    for _ in range(MAX_TRIALS):
        image = np.float32(length) * direction
        image += state.image
        np.clip(image, lower, upper, out=image)
        change = image - state.image
        slope = float(np.dot(state.gradient, change))
        if slope >= 0:
            return best
        loss, gradient = function(image)
        if not loss <= state.loss + SUFFICIENT * slope:
            if best is not None:
                return best
            shorter = -slope / (2 * (loss - state.loss - slope))
            length *= min(max(shorter, 0.1), 0.5) if np.isfinite(loss) else 0.1
            continue
        if best is not None and loss >= best[1]:
            return best
        best = image, loss, gradient
        end_slope = float(np.dot(gradient, change))
        if end_slope > CURVATURE * slope:
            return best
        longer = slope / (slope - end_slope) if end_slope > slope else np.inf
        length *= min(max(longer, 2.0), 10.0)
    return best


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
