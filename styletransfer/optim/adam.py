"""Adam over a box, in float32, with the running average of its iterates."""

from dataclasses import dataclass

import numpy as np

from styletransfer.optim.protocol import Function, Image
from styletransfer.optim.resampling import stretched
from styletransfer.progress import Stop
from styletransfer.settings.choices import OPTIMIZERS

_DEFAULTS = OPTIMIZERS["adam"]


@dataclass
class State:
    """Where a minimisation is; all that the next step needs, arrays and numbers only.

    Attributes
    ----------
    image : ndarray, shape (1, C, H, W)
        The latest iterate, float32.
    first, second : ndarray
        Running means of the gradient and of its square, not corrected for their start at zero.
    mean : ndarray
        Running mean of the iterates, not corrected.
    loss : float
        That of the iterate before.
    iteration : int
        Iterations done, those at other sizes included.
    """

    image: np.ndarray
    first: np.ndarray
    second: np.ndarray
    mean: np.ndarray
    loss: float = np.inf
    iteration: int = 0


@dataclass(frozen=True)
class Adam:
    """Adam that clips each iterate to the bounds.

    Parameters
    ----------
    lower, upper : ndarray
        The bounds, broadcastable to the image.
    step_size : float
        The length of a step, as a part of a pixel's range: 0.02 is 5 of 255 grey levels.
    betas : tuple of float
        How much of the running means of gradient and square stays at each iteration.
    epsilon : float
        Keeps the step finite where there is hardly a gradient; in units of the gradient by pixels
        in [0, 1], and added to the root of the uncorrected second mean: the form before section
        2.1 of the paper, and that of TensorFlow.
    decay : float
        The step is multiplied by it at each iteration.
    average : float
        How much of a running mean of the iterates stays at each iteration; the mean is then the
        result. With 0 the result is the last iterate.
    tolerance : float
        It stops once the loss has changed by less than this part of it; with 0 it never does.

    References
    ----------
    Kingma, Ba: Adam: A Method for Stochastic Optimization (2015), algorithm 1 and section 2.
    """

    lower: np.ndarray
    upper: np.ndarray
    step_size: float = _DEFAULTS["step"]
    betas: tuple[float, float] = _DEFAULTS["betas"]
    epsilon: float = _DEFAULTS["epsilon"]
    decay: float = _DEFAULTS["decay"]
    average: float = _DEFAULTS["average"]
    tolerance: float = _DEFAULTS["tolerance"]

    def start(self, function: Function, image: Image, before: State | None = None) -> State:
        """Return the state at a first image, with the means found at another size.

        These are stretched; they soon forget that a pixel's gradient there is of another magnitude.
        """
        lower, upper = np.float32(self.lower), np.float32(self.upper)
        first = np.clip(image, lower, upper).astype(np.float32)
        if before is None:
            zero = np.zeros_like(first)
            return State(first.copy(), zero, zero.copy(), zero.copy())
        one, two, mean = (
            stretched(m, first.shape) for m in (before.first, before.second, before.mean)
        )
        return State(first.copy(), one, two, mean, iteration=before.iteration)

    def step(self, function: Function, state: State) -> Stop | None:
        """Advance by one iteration; see `Minimiser`."""
        loss, gradient = function(state.image)
        lower, upper = np.float32(self.lower), np.float32(self.upper)
        span = float(np.max(upper - lower))
        rate = self.step_size * span * self.decay**state.iteration
        state.iteration += 1
        t, (beta1, beta2) = state.iteration, self.betas
        state.first += np.float32(1 - beta1) * (gradient - state.first)
        with np.errstate(over="ignore", invalid="ignore"):  # whoever accepts images looks at them
            state.second += np.float32(1 - beta2) * (gradient * gradient - state.second)
        correction = np.sqrt(1 - beta2**t) / (1 - beta1**t)
        change = state.first / (np.sqrt(state.second) + np.float32(self.epsilon / span))
        moved = state.image - np.float32(rate * correction) * change
        state.image = np.clip(moved, lower, upper)
        state.mean += np.float32(1 - self.average) * (state.image - state.mean)
        stalled = abs(state.loss - loss) < self.tolerance * abs(loss)
        state.loss = loss
        return Stop.NO_PROGRESS if stalled else None

    def image(self, state: State) -> Image:
        """Return the running mean of the iterates, corrected for its start at zero."""
        return state.mean / np.float32(1 - self.average**state.iteration)
