"""Projected limited-memory BFGS over a box, in float32.

Its first matrix is that of `metric`. What a step costs are five passes over one half of the
history, the steps or the gradient differences. Inside, an image is flat, shape (N,).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from styletransfer.optim import metric
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

MOST_GROWTH = 4.0
"""The largest change of a pixel in a step, as a multiple of that in the step before.

Where the loss hardly bends along the first steps, these say that the minimum is beyond all bounds.
"""

CURVATURE = 0.9
"""The part of the slope that may be left at the end of a step (Wolfe's condition).

With a half there is less loss after the same iterations, but more after the same evaluations.
"""

BOLDNESS = 1.5
"""How far a step goes along what no pair of the history speaks of, beside the newest pair's word.

That is the least step that fits the pair: a curvature is taken which is a mean that the stiffest
patterns dominate.
"""

MANY = 0.01
"""The part of all pixels from which on those that a step takes out of the box are held as well."""

TOO_FAR = 0.3
"""The part of a step that must be left after it was shortened, for the history to be kept.

Pairs from where the loss hardly bends suggest steps that are much too long, and go on to do so
until they are replaced. The first step tells nothing of the kind: at another size all pairs may be
off by one factor.
"""

LEAST_CURVATURE = 1e-8
"""The least product of step and gradient difference, as a part of the latter's square."""

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
    products : ndarray, shape (m, m)
        Inner products of steps, in rows, and gradient differences that are not older, float64.
    squares : ndarray, shape (m,)
        Those of the gradient differences with themselves, float64.
    energies : ndarray, shape (m, levels, 2)
        Those of `metric` of the gradient differences, float64.
    gains : ndarray, shape (levels, 2)
        Those of `metric`, as far as they have been learnt.
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
    squares: np.ndarray
    energies: np.ndarray
    gains: np.ndarray
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
        first = self._clip(image.astype(np.float32).ravel(), image.shape)
        loss, gradient = _flat(function, image.shape)(first)
        m = self.history
        vectors = np.zeros((2 * m, first.size), np.float32)
        gains = metric.first(image.shape)
        state = State(
            first,
            gradient,
            loss,
            vectors,
            np.zeros((m, m)),
            np.zeros(m),
            np.zeros((m, *gains.shape)),
            gains,
            [],
            image.shape,
        )
        if before is not None:
            for row in before.order:
                for i in (row, m + row):
                    vector = before.vectors[i].reshape(before.shape)
                    state.vectors[i] = stretched(vector, state.shape).ravel()
                state.energies[row] = metric.energies(state.vectors[m + row], state.shape)
            state.products[:] = state.vectors[:m] @ state.vectors[m:].T
            state.squares[:] = np.square(state.vectors[m:]).sum(axis=1)
            state.order[:] = before.order
            levels = min(len(state.gains), len(before.gains))
            state.gains[:levels] = before.gains[:levels]
        return state

    def step(self, function: Function, state: State) -> Stop | None:
        """Advance by one iteration; see `Minimiser`."""
        function = _flat(function, state.shape)
        direction = self._direction(state)
        if not direction.any():
            return Stop.NO_GRADIENT
        found = self._search(function, state, direction)
        if found is None and state.order:
            # The curvature gathered so far misleads; begin anew from the gradient alone.
            bare = replace(state, order=[])
            found = self._search(function, bare, self._direction(bare))
            state.order.clear()
        if found is None:
            return Stop.NO_STEP
        image, loss, gradient = found
        step = _remember(state, image, gradient)
        if state.iteration and np.dot(step, step) < TOO_FAR**2 * np.dot(direction, direction):
            del state.order[:-1]
        before = state.loss
        state.image, state.loss, state.gradient = image, loss, gradient
        state.iteration += 1
        stalled = before - loss <= self.tolerance * max(abs(before), abs(loss))
        return Stop.NO_PROGRESS if stalled else None

    def image(self, state: State) -> Image:
        """Return the image accepted last."""
        return state.image.reshape(state.shape)

    def _clip(self, flat: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """Clip a flat image in place."""
        image = flat.reshape(shape)
        np.clip(image, np.float32(self.lower), np.float32(self.upper), out=image)
        return flat

    def _direction(self, state: State) -> np.ndarray:
        """Return where to go from an image: to the bounds near by, or minus `_newton`.

        Pixels that a step along the gradient, as long as the newest pair suggests, would take out
        of the box go to their bound, which may be where they are. Were only those held that are
        there already, more would be clipped after the step, which then is not as computed. For the
        same reason, where the step that is found takes out many others, these are held, too, and
        the rest is computed anew; once, since a second time gains nothing.

        References
        ----------
        Bertsekas: Projected Newton methods for optimization problems with simple constraints
        (1982).
        """
        most = FIRST_CHANGE * float(np.max(self.upper - self.lower))
        scale = np.inf
        if state.order:
            newest = state.order[-1]
            most = MOST_GROWTH * _largest(state.vectors[newest])
            square = state.squares[newest]
            scale = max(state.products[newest, newest], 0.0) / square if square > 0 else 0.0
        steepest = _largest(state.gradient)
        scale = min(scale, most / steepest) if steepest > 0 else 0.0
        ahead = state.gradient * np.float32(-scale)
        ahead += state.image
        to_bound = self._clip(ahead.copy(), state.shape)
        held = to_bound != ahead
        direction = _shortened(_newton(state, ~held, ahead), most, not state.order)
        np.add(state.image, direction, out=ahead)
        inside = self._clip(ahead.copy(), state.shape)
        beyond = inside != ahead
        beyond &= ~held
        if np.count_nonzero(beyond) > MANY * beyond.size:
            held |= beyond
            np.copyto(to_bound, inside, where=beyond)
            direction = _shortened(_newton(state, ~held, ahead), most, not state.order)
        to_bound -= state.image
        to_bound *= held
        direction += to_bound
        return direction

    def _search(self, function: Function, state: State, direction: np.ndarray) -> Point | None:
        """Return a point along the clipped direction that lowers the loss enough.

        A step that does not is shortened by the parabola through the loss and slope here and the
        loss there. One at whose end the loss still falls nearly as steeply is lengthened by the
        secant of the slopes: the step's length is unknown only while there is no curvature to go
        by.
        """
        length = 1.0
        change = np.empty_like(direction)
        best: Point | None = None
        for _ in range(MAX_TRIALS):
            image = state.image + (direction if length == 1 else np.float32(length) * direction)
            self._clip(image, state.shape)
            np.subtract(image, state.image, out=change)
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
            if end_slope > CURVATURE * slope or not state.order:
                return best  # the first step's length is a guess; its pair says more than another
            longer = slope / (slope - end_slope) if end_slope > slope else np.inf
            length *= min(max(longer, 2.0), 10.0)
        return best


def _flat(function: Function, shape: Sequence[int]) -> Function:
    """Return a function of images as one of flat images."""

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = function(x.reshape(shape))
        return loss, gradient.ravel()

    return evaluate


def _largest(vector: np.ndarray) -> float:
    """Return the largest magnitude."""
    return float(max(vector.max(), -vector.min()))


def _shortened(step: np.ndarray, most: float, first: bool) -> np.ndarray:
    """Turn a step round, in place; it changes no pixel by more than `most`, the first by that."""
    farthest = _largest(step)
    step *= np.float32(-most / farthest if farthest > most or (first and farthest > 0) else -1)
    return step


def _newton(state: State, free: np.ndarray, space: np.ndarray) -> np.ndarray:
    """Return the inverse Hessian times the gradient; but where they are `free` both are zero.

    All that is as long as an image is made in place: `space` is for sums. A product with the mask
    takes a fifth of what `numpy.putmask` takes.

    References
    ----------
    Nocedal: Updating quasi-Newton matrices with limited storage (1980).
    """
    m = len(state.vectors) // 2
    steps, differences, products = state.vectors[:m], state.vectors[m:], state.products
    pairs = [i for i in state.order if products[i, i] > LEAST_CURVATURE * state.squares[i]]
    rest = state.gradient * free
    first, second = np.zeros(m), np.zeros(m)
    if pairs:
        inner = (steps @ rest).astype(np.float64)
        for k in range(len(pairs) - 1, -1, -1):
            i, newer = pairs[k], pairs[k + 1 :]
            first[i] = (inner[i] - products[i, newer] @ first[newer]) / products[i, i]
        rest -= np.matmul(first.astype(np.float32), differences, out=space)
        rest *= free
    found = metric.scaled(rest, state.shape, state.gains)
    if pairs:
        newest = pairs[-1]
        length = float(np.sum(np.exp(state.gains) * state.energies[newest]))
        found *= np.float32(BOLDNESS * products[newest, newest] / length)
        found *= free
        inner = (differences @ found).astype(np.float64)
        for k, i in enumerate(pairs):
            older = pairs[:k]
            back = inner[i] + second[older] @ products[older, i]
            second[i] = first[i] - back / products[i, i]
        found += np.matmul(second.astype(np.float32), steps, out=space)
    found *= free
    return found


def _remember(state: State, image: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Put the pair of differences into the history, and return the step.

    It takes the oldest one's place if the history is full.
    """
    m = len(state.vectors) // 2
    full = len(state.order) == m
    row = state.order.pop(0) if full else min(set(range(m)) - set(state.order))
    state.order.append(row)
    step: np.ndarray = state.vectors[row]
    difference = state.vectors[m + row]
    np.subtract(image, state.image, out=step)
    np.subtract(gradient, state.gradient, out=difference)
    state.products[row] = 0
    state.products[:, row] = state.vectors[:m] @ difference
    state.squares[row] = np.dot(difference, difference)
    state.energies[row] = metric.energies(difference, state.shape)
    of_step = metric.energies(step, state.shape)
    state.gains = metric.learnt(state.gains, of_step, state.energies[row])
    return step
