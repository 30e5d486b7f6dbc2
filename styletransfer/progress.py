"""How far something is, and why it ended: the values that the library hands out."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Progress:
    """How far a run is, handed to a callback after each iteration.

    Attributes
    ----------
    iteration, iterations : int
        The iteration just done, from 1, and how many there are to be.
    evaluations : int
        How often loss and gradient have been computed.
    loss : float
        The loss of the image accepted last.
    terms : dict of str to float
        Each term of that loss, with its weight; they add up to it.
    seconds : float
        Time since the optimisation began.
    image : callable
        Returns the image accepted last, float RGB in [0, 1], (H, W, 3); made only when called.
    """

    iteration: int
    iterations: int
    evaluations: int
    loss: float
    terms: dict[str, float]
    seconds: float
    image: "Callable[[], np.ndarray]"


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is, handed to a callback after each step.

    Attributes
    ----------
    iteration, iterations : int
        The step just done, from 1, and how many there are to be.
    begun : int
        How many there were when this run began: those of the run that it goes on from.
    loss : float
        Of the step's batch, before it.
    terms : dict of str to float
        Each term of that loss, without its weight, and the sums of them: content, style, tv.
    learning_rate : float
        Of the step.
    seconds, step_seconds : float
        Time since the run began, and of this step.
    """

    iteration: int
    iterations: int
    begun: int
    loss: float
    terms: dict[str, float]
    learning_rate: float
    seconds: float
    step_seconds: float


@dataclass(frozen=True)
class FilmProgress:
    """How far a film is, handed to a callback after each frame.

    Attributes
    ----------
    done, total : int
        How many frames are painted or failed, and how many there are to be.
    begun : int
        How many there were when this run began.
    name : str
        Which frame it is.
    iterations : int
        How many it took.
    loss : float or None
        The loss at its end; None in one pass of a network.
    seconds, frame_seconds : float
        Time since the run began, and of this frame.
    error : str or None
        Why it could not be painted.
    image : callable or None
        Returns the frame as it was painted, float RGB in [0, 1], (H, W, 3); made only when called.
    """

    done: int
    total: int
    begun: int
    name: str
    iterations: int
    loss: float | None
    seconds: float
    frame_seconds: float
    error: str | None = None
    image: "Callable[[], np.ndarray] | None" = None


@dataclass(frozen=True)
class PaintingProgress:
    """How far a large picture is that is painted in tiles.

    Attributes
    ----------
    done : float
        The part that is done, above 0, at most 1.
    seconds : float
        Time since it was begun.
    """

    done: float
    seconds: float


@dataclass(frozen=True)
class BatchProgress:
    """How far pictures are that several machines make at once.

    Attributes
    ----------
    done, total : int
        How many are made or failed, and how many there are to be.
    seconds : float
        Time since the first was begun.
    workers : int
        How many make them.
    """

    done: int
    total: int
    seconds: float
    workers: int


@dataclass(frozen=True)
class Download:
    """How far a download is.

    Attributes
    ----------
    what : str
        Its name; another one is another download.
    done : int
        Bytes so far.
    total : int or None
        Bytes in all, None where that is not known.
    """

    what: str
    done: int
    total: int | None = None


@dataclass(frozen=True)
class Begun:
    """A picture of several is begun.

    Attributes
    ----------
    number, total : int
        Which one it is, from 1, and how many there are.
    name : str
        What it is made of.
    """

    number: int
    total: int
    name: str


class Stop(enum.Enum):
    """Why a run ended; `Summary.reason` says it in words."""

    ITERATIONS = "iterations"
    NO_GRADIENT = "no gradient"
    NO_PROGRESS = "no progress"
    NO_STEP = "no step"
    NOT_FINITE = "not finite"
    EVALUATIONS = "evaluations"
    TIME = "time"
    INTERRUPTED = "interrupted"
    MEMORY = "memory"
    FAILED = "failed"

    @property
    def finished(self) -> bool:
        """Whether the picture is what was asked for."""
        return self not in (Stop.INTERRUPTED, Stop.MEMORY, Stop.FAILED)

    @property
    def complete(self) -> bool:
        """Whether going on would change nothing: it is finished, and not for lack of time."""
        return self.finished and self is not Stop.TIME
