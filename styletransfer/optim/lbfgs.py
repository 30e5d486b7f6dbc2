"""Projected limited-memory BFGS over a box, in float32.

A step costs three passes over the history: products of all its vectors with the new ones, the same
on the few pixels at their bounds, and one linear combination. All else happens in the small space
of coefficients. Inside, an image is flat, shape (N,).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from styletransfer.optim.protocol import Function, Image
from styletransfer.optim.resampling import stretched
from styletransfer.progress import Stop
from styletransfer.settings.choices import HISTORY, TOLERANCE

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

    def __post_init__(self) -> None:
        # Read from a file they are arrays.
        self.order = [int(row) for row in self.order]
        self.shape = tuple(int(n) for n in self.shape)
        rows = range(len(self.vectors) // 2)
        if len(set(self.order)) < len(self.order) or not set(self.order) <= set(rows):
            raise ValueError(f"the history has {len(rows)} rows, not those of {self.order}")
        if np.prod(self.shape) != self.image.size:
            raise ValueError(f"the image has {self.image.size} numbers, not {self.shape}")


@dataclass(frozen=True)
class Lbfgs:
    """L-BFGS whose trial images are clipped to the bounds.

    Parameters
    ----------
    lower, upper : ndarray
        The bounds, broadcastable to the image.
    history : int
        How many pairs of steps and gradient differences approximate the curvature.
    tolerance : float
        It stops once an iteration lowers the loss by no more than this part of it.
    """

    lower: np.ndarray
    upper: np.ndarray
    history: int = HISTORY
    tolerance: float = TOLERANCE

    def start(self, function: Function, image: Image, before: State | None = None) -> State:
        """Return the state at a first image, with the curvature found at another size.

        Steps and gradient differences are stretched. The latter would be smaller at a larger size
        if losses were means over pixels, and are not if they are sums; the first search makes up
        for that.
        """
        lower, upper = self._bounds(image.shape)
        first = np.clip(image.ravel(), lower, upper)
        loss, gradient = _flat(function, image.shape)(first)
        m = self.history
        vectors = np.zeros((2 * m, first.size), np.float32)
        state = State(first, gradient, loss, vectors, np.zeros((2 * m, 2 * m)), [], image.shape)
        if before is not None:
            for row in before.order:
                for i in (row, m + row):
                    vector = before.vectors[i].reshape(before.shape)
                    state.vectors[i] = stretched(vector, state.shape).ravel()
            state.products[:] = state.vectors @ state.vectors.T
            state.order[:] = before.order
        return state

    def step(self, function: Function, state: State) -> Stop | None:
        """Advance by one iteration; see `Minimiser`."""
        function = _flat(function, state.shape)
        lower, upper = self._bounds(state.shape)
        gradient = state.gradient
        at_bound = (gradient > 0) & (state.image <= lower)
        at_bound |= (gradient < 0) & (state.image >= upper)
        held = np.flatnonzero(at_bound)
        projected = gradient.copy()
        projected[held] = 0
        if not projected.any():
            return Stop.NO_GRADIENT
        found = _search(function, state, _direction(state, projected, held), lower, upper)
        if found is None and state.order:
            # The curvature gathered so far misleads; begin anew from the gradient alone.
            bare = replace(state, order=[])
            found = _search(function, bare, -projected, lower, upper)
            state.order.clear()
        if found is None:
            return Stop.NO_STEP
        image, loss, gradient = found
        _remember(state, image, gradient)
        before = state.loss
        state.image, state.loss, state.gradient = image, loss, gradient
        state.iteration += 1
        stalled = before - loss <= self.tolerance * max(abs(before), abs(loss))
        return Stop.NO_PROGRESS if stalled else None

    def image(self, state: State) -> Image:
        """Return the image accepted last."""
        return state.image.reshape(state.shape)

    def _bounds(self, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        lower, upper = (
            np.ascontiguousarray(np.broadcast_to(bound, shape).ravel(), np.float32)
            for bound in (self.lower, self.upper)
        )
        return lower, upper


def _flat(function: Function, shape: Sequence[int]) -> Function:
    """Return a function of images as one of flat images."""

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = function(x.reshape(shape))
        return loss, gradient.ravel()

    return evaluate


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
    direction: np.ndarray = coefficients.astype(np.float32) @ state.vectors
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
