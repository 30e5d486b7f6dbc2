"""What a minimiser is, and the one loop that drives all of them.

A minimiser is a frozen value: bounds and parameters. Where a minimisation is, is a *state* that it
makes and advances: plain arrays and numbers, so that it can be stored (`to_arrays`), read again
(`from_arrays`) and taken to another size (`Minimiser.start`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, TypeVar

import numpy as np

from styletransfer.progress import Stop
from styletransfer.runtime import blas

Image = np.ndarray
"""float32, (1, C, H, W)."""

Function = Callable[[Image], tuple[float, np.ndarray]]
"""From an image to the loss and its gradient, float32 of the image's shape."""


class State(Protocol):
    """Where a minimisation is; besides this what the method needs, arrays and numbers only."""

    loss: float
    iteration: int


S = TypeVar("S", bound=State)


class Minimiser(Protocol[S]):
    """A method that goes one step at a time."""

    def start(self, function: Function, image: Image, before: S | None = None) -> S:
        """Return the state at a first image; `before` is one reached at another size."""

    def step(self, function: Function, state: S) -> Stop | None:
        """Advance a state in place by one iteration; return why there should be no further one.

        It changes after the last evaluation only, so that a step which an evaluation breaks off
        can be taken again. Where no step is found the count of iterations stays as it is.
        """

    def image(self, state: S) -> Image:
        """Return the image that a state stands for; it may be the state's own."""


@dataclass(frozen=True)
class Iterate:
    """An image that a minimiser has accepted.

    Attributes
    ----------
    iteration : int
        Its number in this minimisation; the first is 1.
    image : ndarray
        The image itself, float32. It is the minimiser's own: copy what is to be kept.
    loss : float
        The function's value there; with Adam at the image before, since it looks no further.
    state : State or None
        All that the minimiser needs to go on; its own, too. SciPy hands out none.
    stop : Stop or None
        Why the minimiser takes no further step, where it does not.
    """

    iteration: int
    image: Image
    loss: float
    state: Any = None
    stop: Stop | None = None


Accept = Callable[[Iterate], Stop | None]
"""Called after each iteration; a reason that it returns ends the minimisation."""


def drive(
    method: Minimiser[S],
    function: Function,
    image: Image,
    iterations: int,
    accept: Accept,
    before: S | None = None,
    state: S | None = None,
) -> Stop:
    """Minimise step by step from an image, or with what a state at another size has learnt.

    With a `state` of this size it goes on from there, as if it had not been left.
    """
    with blas.one_thread():
        if state is None:
            state = method.start(function, image, before)
        for iteration in range(1, iterations + 1):
            done = state.iteration
            stop = method.step(function, state)
            if state.iteration > done:
                accepted = Iterate(iteration, method.image(state), state.loss, state, stop)
                stop = accept(accepted) or stop
            if stop:
                return stop
    return Stop.ITERATIONS


def to_arrays(state: State) -> dict[str, np.ndarray]:
    """Return a state as arrays by name: what a file can hold."""
    return {f.name: np.asarray(getattr(state, f.name)) for f in fields(state)}  # type: ignore[arg-type]


def from_arrays(kind: type[S], arrays: Mapping[str, np.ndarray]) -> S:
    """Return the state that `to_arrays` took apart.

    Raises
    ------
    ValueError
        If arrays are missing, or there are others.
    """
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    if set(names) != set(arrays):
        raise ValueError(f"a state has {', '.join(names)}, not {', '.join(sorted(arrays))}")
    values = {name: arrays[name].copy() for name in names}
    # Arrays of no axis were numbers; the classes' own conversions do the rest.
    return kind(**{n: v.item() if v.ndim == 0 else v for n, v in values.items()})


def restored(blank: S, arrays: Mapping[str, np.ndarray]) -> S:
    """Return a state that `to_arrays` took apart, which anyone may have changed since.

    `blank` is a state at an image of the same shape, of the same minimiser, whatever its numbers.

    Raises
    ------
    ValueError
        If there are other arrays, or their types, shapes or numbers are none of such a state.
    """
    for name, wanted in to_arrays(blank).items():
        found = arrays.get(name, wanted)
        kind: tuple[object, ...] = (wanted.dtype, wanted.shape)
        if not wanted.size:  # a list, which is empty where nothing has been done
            kind = (found.dtype if found.dtype.kind in "if" else None, (found.size,))
        if (found.dtype, found.shape) != kind or not np.isfinite(found).all():
            raise ValueError(f"{name} is {found.dtype} {found.shape}, or not finite")
        if wanted.dtype.kind == "i" and wanted.ndim and (found != wanted).any():
            raise ValueError(f"{name} is {found}, not {wanted}")
    state = from_arrays(type(blank), arrays)
    if state.iteration < 1:
        raise ValueError(f"it has {state.iteration} iterations")
    return state
