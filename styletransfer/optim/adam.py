"""Adam over a box, in float32, with the running average of its iterates."""

from dataclasses import dataclass

import numpy as np

from styletransfer.optim.resampling import stretched


@dataclass
class State:
    """Where a minimisation is; all that the next step needs, arrays and numbers only.

    Attributes
    ----------
    image : ndarray
        The latest iterate, float32.
    first, second : ndarray
        Running means of the gradient and of its square, not corrected for their start at zero.
    average : ndarray
        Running mean of the iterates, not corrected.
    iteration : int
        Iterations done.
    """

    image: np.ndarray
    first: np.ndarray
    second: np.ndarray
    average: np.ndarray
    iteration: int = 0


def start(image: np.ndarray) -> State:
    """Return the state at the first image."""
    return State(image.copy(), *(np.zeros_like(image) for _ in range(3)))


def enlarged(state: State, image: np.ndarray) -> State:
    """Return the state with which to go on from an image of another size, (1, C, H, W).

    The running means are stretched to that size; they soon forget that a pixel's gradient there
    is of another magnitude.

    Parameters
    ----------
    state : State
        That of the image before, (1, C, h, w).
    image : ndarray, shape (1, C, H, W)
        Where to go on, float32.

    Returns
    -------
    State
        A new one, of the image's shape.
    """
    means = (stretched(mean, image.shape) for mean in (state.first, state.second, state.average))
    return State(image.copy(), *means, state.iteration)


def step(
    state: State,
    gradient: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    *,
    rate: float,
    betas: tuple[float, float],
    epsilon: float,
    average: float,
) -> None:
    """Advance by one iteration and clip to the bounds.

    Parameters
    ----------
    state : State
        Changed in place.
    gradient : ndarray
        The loss's gradient at ``state.image``.
    lower, upper : ndarray
        The bounds, broadcastable to the image.
    rate : float
        The step's length for a gradient of constant sign, in units of the image.
    betas : tuple of float
        How much of the running means of gradient and square stays at each iteration.
    epsilon : float
        Added to the root of the uncorrected second mean, in units of the gradient: the form before
        section 2.1 of the paper, and that of TensorFlow.
    average : float
        How much of the running mean of the iterates stays at each iteration.

    References
    ----------
    Kingma, Ba: Adam: A Method for Stochastic Optimization (2015), algorithm 1 and section 2.
    """
    state.iteration += 1
    t = state.iteration
    for mean, value, beta in zip(
        (state.first, state.second), (gradient, gradient * gradient), betas, strict=True
    ):
        mean += np.float32(1 - beta) * (value - mean)
    correction = np.sqrt(1 - betas[1] ** t) / (1 - betas[0] ** t)
    change = state.first / (np.sqrt(state.second) + np.float32(epsilon))
    state.image = np.clip(state.image - np.float32(rate * correction) * change, lower, upper)
    state.average += np.float32(1 - average) * (state.image - state.average)


def result(state: State, average: float) -> np.ndarray:
    """Return the running mean of the iterates, corrected for its start at zero.

    With ``average`` 0 that is the latest iterate.

    Parameters
    ----------
    state : State
        After at least one step.
    average : float
        As for the steps.
    """
    return state.average / np.float32(1 - average**state.iteration)
