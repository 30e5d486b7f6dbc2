"""Minimisers of a function over an image whose pixels are bounded.

All take the same first six arguments: the function, the first image, (1, C, H, W), the lower and
the upper bounds, which broadcast to it, the most iterations to make, and a callback. All return why
they stopped, in words; the result is the image that the callback got last.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from styletransfer.optim import adam as adam_method
from styletransfer.optim import lbfgs as lbfgs_method

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""From a float32 image to the loss and its gradient, which has the image's shape."""

TOLERANCE = 2.220446049250313e-09
"""SciPy's: ten million times the resolution of float64."""


@dataclass(frozen=True)
class Iterate:
    """An image that a minimiser has accepted.

    Attributes
    ----------
    iteration : int
        Its number; the first is 1.
    image : ndarray
        The image itself, float32. It is the minimiser's own: copy what is to be kept.
    loss : float
        The function's value there; with Adam at the image before, since it looks no further.
    state : adam.State or lbfgs.State, optional
        All that the minimiser needs to go on; the minimiser's own, too. SciPy hands out none.
    """

    iteration: int
    image: np.ndarray
    loss: float
    state: adam_method.State | lbfgs_method.State | None = None


Callback = Callable[[Iterate], str | None]
"""Called after each iteration; a reason that it returns, in words, ends the minimisation."""


def lbfgsb(
    function: Function,
    image: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    iterations: int,
    callback: Callback,
    *,
    history: int = 8,
    tolerance: float = TOLERANCE,
) -> str:
    """Minimise with SciPy's L-BFGS-B, as the original does.

    Parameters
    ----------
    function, image, lower, upper, iterations, callback
        See the top of this module.
    history : int
        How many pairs of steps and gradient differences approximate the curvature.
    tolerance : float
        It stops once an iteration lowers the loss by no more than this part of it.

    References
    ----------
    Zhu, Byrd, Lu, Nocedal: Algorithm 778: L-BFGS-B (1997).
    """
    from scipy.optimize import Bounds, OptimizeResult, minimize

    shape = image.shape
    iteration = 0
    stopped: str | None = None

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = function(x.reshape(shape).astype(np.float32))
        return loss, gradient.ravel().astype(np.float64)

    def report(intermediate_result: OptimizeResult) -> None:
        nonlocal iteration, stopped
        iteration += 1
        accepted = intermediate_result.x.reshape(shape).astype(np.float32)
        stopped = callback(Iterate(iteration, accepted, float(intermediate_result.fun)))
        if stopped:
            raise StopIteration

    bounds = Bounds(*(np.broadcast_to(b, shape).ravel().astype(float) for b in (lower, upper)))
    result = minimize(
        evaluate,
        image.ravel().astype(np.float64),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        callback=report,
        options={"maxiter": iterations, "maxcor": history, "ftol": tolerance},
    )
    return stopped or _reason(result.message, iterations)


def _reason(message: str, iterations: int) -> str:
    """Say SciPy's reason for stopping in plain words."""
    if "ITERATIONS" in message:
        return _all_done(iterations)
    if "PROJECTED GRADIENT" in message:
        return lbfgs_method.NO_GRADIENT
    if "REDUCTION" in message:
        return lbfgs_method.NO_PROGRESS
    if "EVALUATIONS" in message:
        return "the limit on evaluations is reached"
    return f"{lbfgs_method.NO_STEP} ({message})"


def lbfgs(
    function: Function,
    image: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    iterations: int,
    callback: Callback,
    *,
    history: int = 8,
    tolerance: float = TOLERANCE,
    state: lbfgs_method.State | None = None,
) -> str:
    """Minimise with a projected L-BFGS in float32, see `styletransfer.optim.lbfgs`.

    Parameters
    ----------
    function, image, lower, upper, iterations, callback
        See the top of this module.
    history, tolerance
        As for `lbfgsb`.
    state : lbfgs.State, optional
        Begin with the curvature found there, at another size; see `lbfgs.carry`.
    """
    shape = image.shape

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = function(x.reshape(shape))
        return loss, gradient.ravel()

    low, high = (
        np.ascontiguousarray(np.broadcast_to(b, shape).ravel(), np.float32) for b in (lower, upper)
    )
    begun = lbfgs_method.start(evaluate, np.clip(image.ravel(), low, high), history, shape)
    if state is not None:
        lbfgs_method.carry(begun, state)
    state = begun
    while state.iteration < iterations:
        before = state.iteration
        reason = lbfgs_method.step(evaluate, state, low, high, tolerance)
        if state.iteration > before:
            accepted = Iterate(state.iteration, state.image.reshape(shape), state.loss, state)
            reason = callback(accepted) or reason
        if reason:
            return reason
    return _all_done(iterations)


def adam(
    function: Function,
    image: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    iterations: int,
    callback: Callback,
    *,
    step: float = 0.02,
    betas: tuple[float, float] = (0.9, 0.99),
    epsilon: float = 1e-8,
    decay: float = 1.0,
    average: float = 0.0,
    tolerance: float = 0.0,
    state: adam_method.State | None = None,
) -> str:
    """Minimise with Adam, clipping each iterate to the bounds, see `styletransfer.optim.adam`.

    Parameters
    ----------
    function, image, lower, upper, iterations, callback
        See the top of this module.
    step : float
        The length of a step, as a part of a pixel's range: 0.02 is 5 of 255 grey levels.
    betas : tuple of float
        How much of the running means of gradient and square stays at each iteration.
    epsilon : float
        Keeps the step finite where there is hardly a gradient; in units of the gradient by pixels
        in [0, 1], and added before the correction of the means, as in TensorFlow.
    decay : float
        The step is multiplied by it at each iteration.
    average : float
        How much of a running mean of the iterates stays at each iteration; the mean is then the
        result. With 0 the result is the last iterate.
    tolerance : float
        It stops once the loss has changed by less than this part of it; with 0 it never does.
    state : adam.State, optional
        Go on from here, at the first image; see `adam.enlarged`.
    """
    lower, upper = np.float32(lower), np.float32(upper)
    span = float(np.max(upper - lower))
    first = np.clip(image, lower, upper).astype(np.float32)
    state = adam_method.start(first) if state is None else adam_method.enlarged(state, first)
    before = np.inf
    for i in range(iterations):
        loss, gradient = function(state.image)
        adam_method.step(
            state,
            gradient,
            lower,
            upper,
            rate=step * span * decay**state.iteration,
            betas=betas,
            epsilon=epsilon / span,
            average=average,
        )
        reason = callback(Iterate(i + 1, adam_method.result(state, average), loss, state))
        if reason:
            return reason
        if abs(before - loss) < tolerance * abs(loss):
            return lbfgs_method.NO_PROGRESS
        before = loss
    return _all_done(iterations)


def _all_done(iterations: int) -> str:
    return f"all {iterations} iterations are done"


OPTIMIZERS: dict[str, Callable[..., str]] = {"lbfgsb": lbfgsb, "lbfgs": lbfgs, "adam": adam}
"""The minimisers by the names that the command knows them by."""
