"""SciPy's L-BFGS-B, the minimiser of the original."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from styletransfer.optim.protocol import Accept, Function, Image, Iterate
from styletransfer.progress import Stop
from styletransfer.runtime import blas
from styletransfer.settings.choices import HISTORY, TOLERANCE


@dataclass(frozen=True)
class Lbfgsb:
    """SciPy's L-BFGS-B; it runs its own loop and hands out no state.

    So it cannot go on where it was stopped, nor with what it has learnt at another size: it begins
    anew at the image there.

    Parameters
    ----------
    lower, upper : ndarray
        The bounds, broadcastable to the image.
    history : int
        How many pairs of steps and gradient differences approximate the curvature.
    tolerance : float
        It stops once an iteration lowers the loss by no more than this part of it.

    References
    ----------
    Zhu, Byrd, Lu, Nocedal: Algorithm 778: L-BFGS-B (1997).
    """

    lower: np.ndarray
    upper: np.ndarray
    history: int = HISTORY
    tolerance: float = TOLERANCE

    def minimise(self, function: Function, image: Image, iterations: int, accept: Accept) -> Stop:
        """Minimise from an image and return why it ended."""
        shape = image.shape
        iteration = 0
        stopped: Stop | None = None

        def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
            loss, gradient = function(x.reshape(shape).astype(np.float32))
            return loss, gradient.ravel().astype(np.float64)

        def report(intermediate_result: Any) -> None:
            nonlocal iteration, stopped
            iteration += 1
            accepted = intermediate_result.x.reshape(shape).astype(np.float32)
            stopped = accept(Iterate(iteration, accepted, float(intermediate_result.fun)))
            if stopped:
                raise StopIteration

        lower, upper = (
            np.broadcast_to(bound, shape).ravel().astype(float)
            for bound in (self.lower, self.upper)
        )
        loop = _loop if _known() else _loop_of_scipy
        first = image.ravel().astype(np.float64)
        limits = _Limits(iterations, self.history, self.tolerance)
        import scipy.optimize  # noqa: F401  # before its linear algebra is kept to one thread

        with blas.one_thread():
            message = loop(evaluate, first, (lower, upper), report, limits)
        return stopped or _reason(message)


@dataclass(frozen=True)
class _Limits:
    iterations: int
    history: int
    tolerance: float


_Evaluate = Callable[[np.ndarray], tuple[float, np.ndarray]]
_Bounds = tuple[np.ndarray, np.ndarray]


def _loop_of_scipy(
    evaluate: _Evaluate,
    first: np.ndarray,
    bounds: _Bounds,
    report: Callable[[Any], None],
    limits: _Limits,
) -> str:
    """Minimise by SciPy's public function and return its message."""
    from scipy.optimize import Bounds, minimize

    result = minimize(
        evaluate,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(*bounds),
        callback=report,
        options={
            "maxiter": limits.iterations,
            "maxcor": limits.history,
            "ftol": limits.tolerance,
        },
    )
    return str(result.message)


def _known() -> bool:
    """Whether SciPy's L-BFGS-B is called as `_loop` calls it: a test compares them."""
    import scipy

    version = re.match(r"(\d+)\.(\d+)\.", scipy.__version__)
    return version is not None and (1, 15) <= tuple(map(int, version.groups())) < (1, 18)


# What SciPy's L-BFGS-B asks for, and how SciPy's own loop answers.
_NEW_ITERATE, _EVALUATION, _STOP = 1, 3, 5
_REQUESTED, _ITERATIONS, _EVALUATIONS = 505, 504, 502
_MESSAGES = {
    401: "PROJECTED GRADIENT",
    402: "REDUCTION",
    503: "PROJECTED GRADIENT",
    _EVALUATIONS: "EVALUATIONS",
    _ITERATIONS: "ITERATIONS",
}
_GRADIENT_TOLERANCE, _MOST_EVALUATIONS, _MOST_IN_A_SEARCH = 1e-5, 15000, 20  # SciPy's defaults


def _loop(
    evaluate: _Evaluate,
    first: np.ndarray,
    bounds: _Bounds,
    report: Callable[[Any], None],
    limits: _Limits,
) -> str:
    """Minimise as `_loop_of_scipy`, number for number, and return a message like its own.

    SciPy's function takes the bounds of each pixel through lists and a loop in Python: at 512 a
    second and a half before the second evaluation. What it calls then is not public, so that this
    is done only with versions of SciPy that are known to be the same.
    """
    from scipy.optimize import OptimizeResult, _lbfgsb

    x, n, m = np.clip(first, *bounds), first.size, limits.history
    both = np.full(n, 2, np.int32)  # each pixel has both bounds
    loss, gradient = 0.0, np.zeros(n)
    work = np.zeros(2 * m * n + 5 * n + 11 * m * m + 8 * m), np.zeros(3 * n, np.int32)
    task, search, flags, counts = (np.zeros(size, np.int32) for size in (2, 2, 4, 44))
    numbers = np.zeros(29)
    tolerances = limits.tolerance / np.finfo(float).eps, _GRADIENT_TOLERANCE
    seen: np.ndarray | None = None
    iterations = evaluations = 0
    while True:
        _lbfgsb.setulb(
            m, x, *bounds, both, loss, gradient.copy(), *tolerances, *work, task, flags, counts,
            numbers, _MOST_IN_A_SEARCH, search,
        )  # fmt: skip
        if task[0] == _EVALUATION:
            if seen is None or not np.array_equal(x, seen):
                seen = x.copy()
                loss, gradient = evaluate(seen)
                evaluations += 1
        elif task[0] == _NEW_ITERATE:
            iterations += 1
            try:
                report(OptimizeResult(x=x, fun=loss))
            except StopIteration:
                task[:] = _STOP, _REQUESTED
            if iterations >= limits.iterations:
                task[:] = _STOP, _ITERATIONS
            elif evaluations > _MOST_EVALUATIONS:
                task[:] = _STOP, _EVALUATIONS
        else:
            return _MESSAGES.get(int(task[1]), "")


def _reason(message: str) -> Stop:
    """Translate SciPy's message."""
    for part, stop in (
        ("ITERATIONS", Stop.ITERATIONS),
        ("PROJECTED GRADIENT", Stop.NO_GRADIENT),
        ("REDUCTION", Stop.NO_PROGRESS),
        ("EVALUATIONS", Stop.EVALUATIONS),
    ):
        if part in message:
            return stop
    return Stop.NO_STEP
