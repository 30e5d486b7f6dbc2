"""One run of an optimisation: it counts, keeps the best image, and tells listeners."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from styletransfer.errors import UsageError
from styletransfer.objective.protocol import Evaluation, Objective
from styletransfer.optim.minimisers import Iterate
from styletransfer.progress import Progress


@dataclass(frozen=True)
class Summary:
    """How a run ended.

    Attributes
    ----------
    iterations, evaluations : int
        What was done.
    first_loss, last_loss : float
        The loss of the image that the last stage began with, and of the result.
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
        The image accepted last, as the network sees it; after an objective that could not be
        improved, the image that it began with.
    state : object
        That of the minimiser after it, see `optimizers.Iterate`.
    iteration : int
        How many are done.
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
        self._first: np.ndarray | None = None
        self._checked = False
        self._first_loss = self._loss = float("nan")
        self._terms: dict[str, float] = {}
        self.iteration = self._before = self._evaluations = 0
        self._started = time.monotonic()

    @property
    def improved(self) -> bool:
        """Whether the minimiser has accepted any image."""
        return self.iteration > 0

    def begin(self, objective: Objective, first: np.ndarray) -> None:
        """Go over to another objective; the count of iterations goes on.

        Parameters
        ----------
        objective : Objective
            Bound to its targets.
        first : ndarray
            The image that the minimiser begins with, of the objective's shape.
        """
        self._objective = objective
        self._first = first
        self._checked = False
        self._before = self.iteration

    def end(self) -> None:
        """Let go of the objective, whose minimiser has ended by itself."""
        if self.iteration == self._before:
            self.latest = self._first
        self._objective = self._first = None

    def evaluate(self, image: np.ndarray) -> tuple[float, np.ndarray]:
        """Compute the objective.

        Parameters
        ----------
        image : ndarray
            float32, of the objective's shape.

        Returns
        -------
        loss : float
        gradient : ndarray
            float32, of the image's shape.

        Raises
        ------
        UsageError
            If an objective is beyond float32 at the image that it begins with.
        """
        evaluation = self._objective.evaluate(image)
        if not self._checked:
            # Later ones may be: a line search takes a shorter step then.
            _check_finite(evaluation)
            self._checked = True
            # Those of another stage, of another ratio say, are not to be compared with.
            self._first_loss = self._loss = evaluation.loss
        self._evaluations += 1
        self._terms = evaluation.terms
        return evaluation.loss, evaluation.gradient

    def accept(self, iterate: Iterate) -> str | None:
        """Take note of an image that the minimiser has accepted; return why to stop, if so."""
        latest = self.latest = iterate.image.copy()
        self.state = iterate.state
        self.iteration = self._before + iterate.iteration
        self._loss = iterate.loss
        step = Progress(
            self.iteration,
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
        if self.iteration == self._iterations:
            reason = f"all {self._iterations} iterations are done"
        return Summary(
            self.iteration, self._evaluations, self._first_loss, self._loss, reason, seconds
        )


def _check_finite(evaluation: Evaluation) -> None:
    if not (np.isfinite(evaluation.loss) and np.isfinite(evaluation.gradient).all()):
        raise UsageError(
            f"the loss of the first image, {evaluation.loss:.3g}, or its gradient is beyond"
            " float32; give a smaller ratio (--ratio), tv, or weights of layers"
        )
