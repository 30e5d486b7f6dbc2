"""SciPy's L-BFGS-B, the minimiser of the original."""

from dataclasses import dataclass

import numpy as np

from styletransfer.optim.protocol import Accept, Function, Image, Iterate
from styletransfer.progress import Stop
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
        from scipy.optimize import Bounds, OptimizeResult, minimize

        shape = image.shape
        iteration = 0
        stopped: Stop | None = None

        def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
            loss, gradient = function(x.reshape(shape).astype(np.float32))
            return loss, gradient.ravel().astype(np.float64)

        def report(intermediate_result: OptimizeResult) -> None:
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
        result = minimize(
            evaluate,
            image.ravel().astype(np.float64),
            jac=True,
            method="L-BFGS-B",
            bounds=Bounds(lower, upper),
            callback=report,
            options={"maxiter": iterations, "maxcor": self.history, "ftol": self.tolerance},
        )
        return stopped or _reason(result.message)


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
