"""Minimisers of a function over an image whose pixels are bounded."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from styletransfer.optim.adam import Adam
from styletransfer.optim.lbfgs import Lbfgs
from styletransfer.optim.lbfgsb import Lbfgsb
from styletransfer.optim.protocol import (
    Accept,
    Function,
    Image,
    Iterate,
    Minimiser,
    State,
    drive,
    from_arrays,
    restored,
    to_arrays,
)
from styletransfer.optim.resampling import stretched
from styletransfer.progress import Stop

__all__ = [
    "OPTIMIZERS",
    "Accept",
    "Adam",
    "Function",
    "Image",
    "Iterate",
    "Lbfgs",
    "Lbfgsb",
    "Minimiser",
    "State",
    "Stop",
    "blank",
    "drive",
    "from_arrays",
    "minimise",
    "restored",
    "stretched",
    "to_arrays",
]


def _adam(lower: np.ndarray, upper: np.ndarray, **parameters: Any) -> Adam:
    """Make an `Adam`; its `step` is a method, so the parameter has another name there."""
    if "step" in parameters:
        parameters["step_size"] = parameters.pop("step")
    return Adam(lower, upper, **parameters)


OPTIMIZERS: Mapping[str, Callable[..., Adam | Lbfgs | Lbfgsb]] = {
    "lbfgsb": Lbfgsb,
    "lbfgs": Lbfgs,
    "adam": _adam,
}
"""The minimisers by the names that the command knows them by."""


def minimise(
    name: str,
    function: Function,
    image: Image,
    bounds: tuple[np.ndarray, np.ndarray],
    iterations: int,
    accept: Accept,
    before: Any = None,
    state: Any = None,
    **parameters: Any,
) -> Stop:
    """Minimise a function over bounded images.

    Parameters
    ----------
    name : str
        A key of `OPTIMIZERS`.
    function : callable
        From a float32 image to the loss and its gradient.
    image : ndarray, shape (1, C, H, W)
        Where to begin, float32.
    bounds : tuple of ndarray
        The least and the greatest image; they broadcast to it.
    iterations : int
        The most to make.
    accept : callable
        Gets an `Iterate` after each iteration; a `Stop` that it returns ends the minimisation.
    before : State, optional
        That of the same minimiser at another size, to go on with what it has learnt. SciPy's
        begins anew.
    state : State, optional
        Where to go on, instead of an image: one of the same minimiser at this size.
    **parameters
        Those of the minimiser.

    Returns
    -------
    Stop
        Why it ended; the result is the image that `accept` got last.
    """
    method = OPTIMIZERS[name](*bounds, **parameters)
    if isinstance(method, Lbfgsb):
        return method.minimise(function, image, iterations, accept)
    return drive(method, function, image, iterations, accept, before, state)


def blank(
    name: str, image: Image, bounds: tuple[np.ndarray, np.ndarray], **parameters: Any
) -> State | None:
    """Return a state as a minimiser has it at such an image, for `restored`; SciPy's has none.

    The arguments are those of `minimise`.
    """
    method = OPTIMIZERS[name](*bounds, **parameters)
    if isinstance(method, Lbfgsb):
        return None
    return method.start(lambda image: (0.0, np.zeros_like(image)), image)
