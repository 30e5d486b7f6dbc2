"""One run through the stages of a picture, and what is known when it ends."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from styletransfer import images
from styletransfer.errors import UsageError
from styletransfer.objective.protocol import Evaluation, Objective
from styletransfer.optim import Iterate, Stop, minimise, stretched
from styletransfer.progress import Progress
from styletransfer.settings import Settings, compact
from styletransfer.text import counted
from styletransfer.transfer.checkpoint import Keeper, Point, begins_anew
from styletransfer.transfer.firstimage import first_image
from styletransfer.transfer.inputs import Inputs
from styletransfer.transfer.problem import ProblemMaker
from styletransfer.transfer.stages import Stage, plan
from styletransfer.weights.loading import LoadedNetwork

logger = logging.getLogger(__name__)

_SENTENCES = {
    Stop.ITERATIONS: "all {iterations} are done",
    Stop.NO_GRADIENT: "the gradient has vanished",
    Stop.NO_PROGRESS: "the loss no longer falls",
    Stop.NO_STEP: "the line search found no better image",
    Stop.NOT_FINITE: "what followed is beyond float32",
    Stop.EVALUATIONS: "the limit on evaluations is reached",
    Stop.TIME: "the {limit:g} seconds are over",
    Stop.INTERRUPTED: "interrupted",
    Stop.MEMORY: "the memory was not enough for the next scale",
    Stop.FAILED: "of an error",
}


@dataclass(frozen=True)
class Summary:
    """How a run ended.

    Attributes
    ----------
    iterations, evaluations : int
        What was done.
    first_loss, last_loss : float
        The loss of the image that the last stage began with, and of the result.
    stop : Stop
        Why it ended.
    seconds : float
        Time from the images to the result.
    limit : float or None
        The seconds that it was given.
    restarted : bool
        Whether it went on from a checkpoint of SciPy's minimiser, which then began anew: a run
        that is not interrupted makes a slightly different picture.
    """

    iterations: int
    evaluations: int
    first_loss: float
    last_loss: float
    stop: Stop
    seconds: float
    limit: float | None = None
    restarted: bool = False

    @property
    def reason(self) -> str:
        """Why it ended, a clause."""
        if self.stop is Stop.ITERATIONS and self.iterations == 1:
            return "its iteration is done"
        return _SENTENCES[self.stop].format(
            iterations=counted(self.iterations, "iteration"), limit=self.limit
        )


@dataclass(frozen=True)
class Result:
    """What a run has made.

    Attributes
    ----------
    image : ndarray, shape (1, 3, H, W), or None
        As the network sees it: the image accepted last, or the first one where none was better;
        None where the run was broken off before its first step.
    summary : Summary
        How it ended.
    """

    image: np.ndarray | None
    summary: Summary


def run(
    problems: ProblemMaker,
    settings: Settings,
    network: LoadedNetwork,
    given: Inputs,
    tell: Callable[[Progress], None],
    to_picture: Callable[[np.ndarray], np.ndarray],
    stopped: Callable[[], bool] = lambda: False,
    keeper: Keeper | None = None,
    begun: Point | None = None,
) -> tuple[Result, BaseException | None]:
    """Go through the stages of a picture.

    `tell` gets a `Progress` after each iteration, whose picture `to_picture` makes; `stopped` is
    asked between evaluations. What is raised on the way is returned beside what there is by then.
    Lack of memory at a later scale ends the run without an error: the coarser picture is there.
    `keeper` writes checkpoints; with `begun`, what one says, the run goes on from there.
    """
    stages = plan(settings, given.content.shape, network.input_size)
    _tell_size(settings, stages[-1], given)
    course = _Course(settings, tell, to_picture, stopped, keeper)
    if begun is not None:
        course.restore(begun)
    error: BaseException | None = None
    try:
        stop = _stages(stages, course, problems, settings, network, given)
    except _Stopped:
        stop = Stop.INTERRUPTED
    except KeyboardInterrupt as interrupt:
        stop, error = Stop.INTERRUPTED, interrupt
    except MemoryError as lack:
        stop, error = Stop.MEMORY, None if course.improved else lack
        if course.improved:
            logger.warning("the memory is not enough for the next scale (%s)", lack)
    except Exception as other:
        stop, error = Stop.FAILED, other
    _warn_of_size(course, stages[-1], given)
    if keeper is not None and course.point is not None and course.whole and not stop.complete:
        keeper.write(course.point)
    if stop.finished:
        _warn_of_little_style(course, settings, given)
    return Result(course.latest, course.summary(stop)), error


def _stages(
    stages: Sequence[Stage],
    course: "_Course",
    problems: ProblemMaker,
    settings: Settings,
    network: LoadedNetwork,
    given: Inputs,
) -> Stop:
    """Minimise at one size after the other; return why that ended before it had to, if it did."""
    stop = Stop.ITERATIONS
    begun = course.point
    for number, stage in enumerate(stages):
        if begun is not None and number < begun.stage:
            continue
        here = begun if begun is not None and number == begun.stage else None
        before = course.iteration - (here.done if here else 0)
        if here is not None and (here.ended or here.done >= stage.n_iter):
            stop = here.ended or Stop.ITERATIONS
        else:
            stop = _stage(number, stage, course, problems, settings, network, given, here)
        if course.iteration - before < stage.n_iter:
            course.early = stop
        if stop is Stop.TIME:
            break
        if stage is not stages[-1]:
            problems.forget_last()
    if not course.improved:
        # Not an error: where it is a minimum, as the content is for a ratio of 0, the first image
        # is what was asked for; SciPy's minimisers return it, too.
        logger.warning(
            "no step was better than the first image, which is the result: %s; another init or"
            " ratio may do more",
            course.summary(course.early or stop).reason,
        )
    return course.early or stop


def _stage(
    number: int,
    stage: Stage,
    course: "_Course",
    problems: ProblemMaker,
    settings: Settings,
    network: LoadedNetwork,
    given: Inputs,
    here: Point | None,
) -> Stop:
    """Minimise at one size, from the image before; its memory is free again when this returns.

    With `here` the run goes on from that point of the stage.
    """
    problem = problems.make(settings, network, given, stage)
    if here is not None:
        first = here.image
    elif course.improved and course.latest is not None:
        first = _enlarged(course.latest, problem.content.shape, network.mean, settings)
    else:
        first = first_image(
            given.init, problem.content, problem.styles[0], network.mean, settings.seed
        )
    done = here.done if here else 0
    course.begin(problem.objective, first, number, done)
    stop = minimise(
        settings.optimizer,
        course.evaluate,
        first,
        images.bounds(network.mean),
        stage.n_iter - done,
        course.accept,
        course.state,
        here.state if here else None,
        **settings.optimizer_options,
    )
    course.end(stop)
    return stop


class _Stopped(Exception):
    """The caller wants no further evaluation."""


class _Course:
    """Stands between the objectives and the minimiser: counts, keeps the best image, tells."""

    def __init__(
        self,
        settings: Settings,
        tell: Callable[[Progress], None],
        to_picture: Callable[[np.ndarray], np.ndarray],
        stopped: Callable[[], bool],
        keeper: Keeper | None,
    ) -> None:
        self.latest: np.ndarray | None = None
        self.state: Any = None
        self.iteration = self.judged = 0  # in all, and in the first stage
        self.early: Stop | None = None  # why a stage ended before it had to
        self.point: Point | None = None  # the run as it stood after the last iteration
        self.whole = True  # whether the minimiser's state is that of the point still
        self.style = float("nan"), float("nan")  # its part of the loss: at first, after a stage
        self._keeper = keeper
        self._settings = settings
        self._tell = tell
        self._to_picture = to_picture
        self._stopped = stopped
        self._objective: Objective | None = None
        self._first: np.ndarray | None = None
        self._checked = False
        self._first_loss = self._loss = float("nan")
        # The terms of each loss since the last image that was accepted: a line search, and SciPy,
        # may accept another one than the last that was evaluated.
        self._terms: dict[float, dict[str, float]] = {}
        self._stage = self._start = self._before = self._evaluations = 0
        self._started = time.monotonic()
        self._restarted = False

    @property
    def improved(self) -> bool:
        """Whether the minimiser has accepted any image."""
        return self.iteration > 0

    def restore(self, point: Point) -> None:
        """Stand where another run stood."""
        self.point, self.early = point, point.early
        self.latest, self.state = point.image, point.state
        self.iteration, self.judged = point.iteration, point.judged
        self.style = point.first_style, point.last_style
        self._evaluations = point.evaluations
        self._first_loss, self._loss = point.first_loss, point.loss
        self._restarted = begins_anew(point, self._settings)

    def begin(self, objective: Objective, first: np.ndarray, stage: int, done: int) -> None:
        """Go over to another objective; the count of iterations goes on.

        It begins at its first image, or, where iterations of the stage are done, after these.
        """
        self._objective, self._first = objective, first
        self._stage, self._start, self._before = stage, self.iteration - done, self.iteration
        self._checked = done > 0

    def end(self, stop: Stop) -> None:
        """Let go of the objective, whose minimiser has ended by itself."""
        if self.iteration == self._before:
            self.latest = self._first
        if self.iteration > self._start and stop not in (Stop.TIME, Stop.ITERATIONS):
            assert self.point is not None
            self.point = replace(self.point, ended=stop, evaluations=self._evaluations)
        self.whole = True
        self._objective = self._first = None

    def evaluate(self, image: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient."""
        self.whole = True  # a step changes the state after its last evaluation
        if self.improved and self._stopped():
            raise _Stopped
        assert self._objective is not None
        evaluation = self._objective.evaluate(image)
        if not self._checked:
            # Later ones may be: a line search takes a shorter step then.
            _check_finite(evaluation)
            self._checked = True
            # Those of another stage, of another ratio say, are not to be compared with.
            self._first_loss = self._loss = evaluation.loss
            if not self._start:
                self.style = _of_style(evaluation.terms), float("nan")
        self._evaluations += 1
        self._terms[evaluation.loss] = evaluation.terms
        self.whole = False
        return evaluation.loss, evaluation.gradient

    def accept(self, iterate: Iterate) -> Stop | None:
        """Take note of an image that the minimiser has accepted; return why to stop, if so."""
        if not (np.isfinite(iterate.loss) and np.isfinite(iterate.image).all()):
            return Stop.NOT_FINITE  # Adam looks at no loss before it goes on
        latest = iterate.image.copy()
        terms = self._terms[iterate.loss]
        self.latest, self.state, self._loss = latest, iterate.state, iterate.loss
        self.iteration = self._before + iterate.iteration
        self._terms = {iterate.loss: terms}
        if not self._start:
            self.style, self.judged = (self.style[0], _of_style(terms)), self.iteration
        self.point = self._point(iterate)
        self.whole = True
        step = Progress(
            self.iteration,
            self._settings.n_iter,
            self._evaluations,
            iterate.loss,
            terms,
            time.monotonic() - self._started,
            lambda: self._to_picture(latest),
        )
        self._tell(step)
        if self._keeper is not None:
            self._keeper.take(self.point)
        limit = self._settings.time
        return Stop.TIME if limit is not None and step.seconds >= limit else None

    def _point(self, iterate: Iterate) -> Point:
        assert self.latest is not None
        return Point(
            self._stage,
            self.iteration - self._start,
            iterate.stop,
            self.early,
            self.iteration,
            self._evaluations,
            self.judged,
            self._first_loss,
            self._loss,
            *self.style,
            self.latest,
            iterate.state,
        )

    def summary(self, stop: Stop) -> Summary:
        """Return how the run ended."""
        done = self.iteration == self._settings.n_iter
        return Summary(
            self.iteration,
            self._evaluations,
            self._first_loss,
            self._loss,
            Stop.ITERATIONS if done else stop,
            time.monotonic() - self._started,
            self._settings.time,
            self._restarted,
        )


def _of_style(terms: Mapping[str, float]) -> float:
    """Return the part of a loss that is the style's."""
    return float(sum(value for name, value in terms.items() if name.startswith("style")))


def _enlarged(
    image: np.ndarray, shape: Sequence[int], mean: np.ndarray, settings: Settings
) -> np.ndarray:
    """Return an image, as the network sees it, stretched to another shape (1, 3, H, W).

    Between stages that were asked for it is done as in the original's demo. Between scales cubic
    splines keep the edges: where these are sharp the loss begins at half or less of a linear one's.
    """
    if settings.stages:
        picture = images.resize(images.deprocess(image, mean), (shape[2], shape[3]))
        return images.preprocess(picture, mean)
    return np.clip(stretched(image, shape, order=3), *images.bounds(mean)).astype(np.float32)


def _tell_size(settings: Settings, last: Stage, given: Inputs) -> None:
    """Say so where the result is not of the size that was asked for, and why."""
    height, width = last.size(given.content.shape)
    if max(height, width) > round(settings.length):
        logger.info(
            "the result has %d x %d pixels, not %g on its long side, so that the short one has the"
            " %d of the network's input; any_size (--any-size) lifts that bound",
            width,
            height,
            settings.length,
            last.least,
        )


def _warn_of_size(course: _Course, last: Stage, given: Inputs) -> None:
    """Say so where the run ended before the full size."""
    full = last.size(given.content.shape)[0]
    if course.latest is not None and course.improved and course.latest.shape[2] < full - 1:
        logger.warning(
            "the picture has the size of a coarse scale, %d x %d: the run ended before the"
            " last; more time or fewer iterations would reach it",
            *course.latest.shape[:1:-1],
        )


LITTLE = 4.0
"""A run whose style terms fell by less than this factor left the photograph nearly as it was.

Measured and looked at, VGG-16 and GoogLeNet: photographs fell by 1.1 to 2.3, a picture that is
partly in the style by 7, those with the default ratio of each loss by 40 to 1300.
"""


def _warn_of_little_style(course: _Course, settings: Settings, given: Inputs) -> None:
    """Say so where the style hardly took hold, and which ratio may do more.

    A picture to begin with may have the style already, as may what the first stage has made.
    """
    before, after = course.style
    begun_with_a_picture = isinstance(given.init, np.ndarray)
    if begun_with_a_picture or course.judged < FEW or not after * LITTLE > before:
        return
    more = max(settings.usual_ratio, 100 * settings.ratio)
    logger.warning(
        "the style hardly took hold: its part of the loss went from %.3g to %.3g; a ratio of %s"
        " (--ratio) may do more, now it is %s",
        before,
        after,
        compact(more),
        compact(settings.ratio),
    )


FEW = 10
"""Iterations before which nothing can be said of that."""


def _check_finite(evaluation: Evaluation) -> None:
    if not (np.isfinite(evaluation.loss) and np.isfinite(evaluation.gradient).all()):
        raise UsageError(
            f"the loss of the first image, {evaluation.loss:.3g}, or its gradient is beyond"
            " float32; give a smaller ratio (--ratio), tv, or weights of layers"
        )
