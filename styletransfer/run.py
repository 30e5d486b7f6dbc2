"""One run of an optimisation: it counts, keeps the best image, and tells listeners."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from styletransfer.objective import Objective
from styletransfer.optimizers import Iterate
from styletransfer.progress import Progress


@dataclass(frozen=True)
class Summary:
    """How a run ended.

    Attributes
    ----------
    iterations, evaluations : int
        What was done.
    first_loss, last_loss : float
        The loss of the first image and of the result.
    reason : str
        Why the optimiser stopped, in words.
    seconds : float
        Time from the images to the result.
    """

    iterations: int
    evaluations: int
    first_loss: float
    last_loss: float
    reason: str
    seconds: float


class Run:
    """Stands between the objectives and the minimiser of one picture.

    Parameters
    ----------
    iterations : int
        How many there are to be in all.
    to_picture : callable
        Makes RGB in [0, 1] of an image as the network sees it.
    listeners : sequence of callable
        Each gets a `Progress` after each iteration.
    limit : float, optional
        Seconds after which it ends.

    Attributes
    ----------
    latest : ndarray or None
        The image accepted last, as the network sees it.
    state : object
        That of the minimiser after it, see `optimizers.Iterate`.
    out_of_time : bool
        Whether the limit is reached.
    """

    def __init__(
        self,
        iterations: int,
        to_picture: Callable[[np.ndarray], np.ndarray],
        listeners: Sequence[Callable[[Progress], None]],
        limit: float | None = None,
    ) -> None:
        self.latest: np.ndarray | None = None
        self.state: object = None
        self.out_of_time = False
        self._limit = limit
        self._iterations = iterations
        self._to_picture = to_picture
        self._listeners = listeners
        self._objective: Objective | None = None
        self._first_loss = self._loss = float("nan")
        self._terms: dict[str, float] = {}
        self._before = self._iteration = self._evaluations = 0
        self._started = time.monotonic()

    def begin(self, objective: Objective) -> None:
        """Go over to another objective; the count of iterations goes on."""
        self._objective = objective
        self._before = self._iteration

    def end(self) -> None:
        """Let go of the objective."""
        self._objective = None

    def evaluate(self, image: np.ndarray) -> tuple[float, np.ndarray]:
        """Compute the objective."""
        evaluation = self._objective.evaluate(image)
        if not self._evaluations:
            self._first_loss = self._loss = evaluation.loss
        self._evaluations += 1
        self._terms = evaluation.terms
        return evaluation.loss, evaluation.gradient

    def accept(self, iterate: Iterate) -> str | None:
        """Take note of an image that the minimiser has accepted; return why to stop, if so."""
        latest = self.latest = iterate.image.copy()
        self.state = iterate.state
        self._iteration = self._before + iterate.iteration
        self._loss = iterate.loss
        step = Progress(
            self._iteration,
            self._iterations,
            self._evaluations,
            iterate.loss,
            self._terms,
            time.monotonic() - self._started,
            lambda: self._to_picture(latest),
        )
        for listener in self._listeners:
            listener(step)
        self.out_of_time = self._limit is not None and step.seconds >= self._limit
        return f"the {self._limit:g} seconds are over" if self.out_of_time else None

    def picture(self) -> np.ndarray:
        """Return the image accepted last as RGB in [0, 1], (H, W, 3)."""
        return self._to_picture(self.latest)

    def summary(self, reason: str) -> Summary:
        """Return how the run ended."""
        seconds = time.monotonic() - self._started
        if self._iteration == self._iterations:
            reason = f"all {self._iterations} iterations are done"
        return Summary(
            self._iteration, self._evaluations, self._first_loss, self._loss, reason, seconds
        )
