"""Minimisers of a function over an image whose pixels are bounded."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from styletransfer import lbfgs as projected

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""From an image to the loss and its gradient, both of the image's shape."""


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
        The function's value there.
    """

    iteration: int
    image: np.ndarray
    loss: float


def lbfgsb(
    function: Function,
    image: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    iterations: int,
    callback: Callable[[Iterate], None],
    history: int = 8,
) -> str:
    """Minimise with SciPy's L-BFGS-B, as the original does.

    Parameters
    ----------
    function : callable
        From a float32 image to the loss and its gradient.
    image : ndarray, shape (1, C, H, W)
        Where to start.
    lower, upper : ndarray
        The bounds, broadcastable to the image's shape.
    iterations : int
        The most iterations to make.
    callback : callable
        Called with an `Iterate` after each iteration.
    history : int
        How many pairs of steps and gradient differences approximate the curvature.

    Returns
    -------
    str
        Why it stopped, in words. The result is the image accepted last; the original returned the
        last one evaluated, which a failed line search leaves worse.

    References
    ----------
    Zhu, Byrd, Lu, Nocedal: Algorithm 778: L-BFGS-B (1997).
    """
    from scipy.optimize import Bounds, OptimizeResult, minimize

    shape = image.shape
    iteration = 0

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = function(x.reshape(shape).astype(np.float32))
        return loss, gradient.ravel().astype(np.float64)

    def report(intermediate_result: OptimizeResult) -> None:
        nonlocal iteration
        iteration += 1
        accepted = intermediate_result.x.reshape(shape).astype(np.float32)
        callback(Iterate(iteration, accepted, float(intermediate_result.fun)))

    bounds = Bounds(
        np.broadcast_to(lower, shape).ravel().astype(np.float64),
        np.broadcast_to(upper, shape).ravel().astype(np.float64),
    )
    result = minimize(
        evaluate,
        image.ravel().astype(np.float64),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        callback=report,
        options={"maxiter": iterations, "maxcor": history},
    )
    return _reason(result.message, iterations)


def _reason(message: str, iterations: int) -> str:
    """Say SciPy's reason for stopping in plain words."""
    if "ITERATIONS" in message:
        return f"all {iterations} iterations are done"
    if "PROJECTED GRADIENT" in message or "PGTOL" in message:
        return "the gradient has vanished"
    if "REDUCTION" in message:
        return "the loss no longer falls"
    if "EVALUATIONS" in message:
        return "the limit on evaluations is reached"
    return f"the line search found no better image ({message})"


def lbfgs(
    function: Function,
    image: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    iterations: int,
    callback: Callable[[Iterate], None],
    history: int = 8,
) -> str:
    """Minimise with our own projected L-BFGS in float32, see `projected`.

    Parameters and result are those of `lbfgsb`.
    """
    shape = image.shape

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = function(x.reshape(shape))
        return loss, gradient.ravel()

    low, high = (
        np.ascontiguousarray(np.broadcast_to(b, shape).ravel(), np.float32) for b in (lower, upper)
    )
    state = projected.start(evaluate, np.clip(image.ravel(), low, high), history)
    for _ in range(iterations):
        reason = projected.step(evaluate, state, low, high)
        if reason:
            return reason
        callback(Iterate(state.iteration, state.image.reshape(shape), state.loss))
    return f"all {iterations} iterations are done"


OPTIMIZERS: dict[str, Callable[..., str]] = {"lbfgsb": lbfgsb, "lbfgs": lbfgs}
