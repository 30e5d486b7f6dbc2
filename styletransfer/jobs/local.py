"""Pictures made on this machine, from their files to their files."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from styletransfer import images
from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.jobs import plot, recipe
from styletransfer.jobs.pictures import Pictures, read
from styletransfer.jobs.recipe import Recipe
from styletransfer.jobs.task import Machine, Task
from styletransfer.progress import (
    BatchProgress,
    Begun,
    Download,
    FilmProgress,
    PaintingProgress,
    Progress,
    Stop,
)
from styletransfer.settings import Painting, Settings
from styletransfer.transfer import Checkpoints, StyleTransfer, Summary
from styletransfer.transfer.forecast import Forecast
from styletransfer.transfer.inputs import Inputs
from styletransfer.transfer.sizes import check_beforehand

logger = logging.getLogger(__name__)


Step = Progress | PaintingProgress | FilmProgress | BatchProgress | Download | Begun
"""What somebody who watches is told."""


@dataclass(frozen=True)
class Watch:
    """How somebody follows what is made.

    Attributes
    ----------
    tell : callable
        Gets a `Begun` before each picture, a `Progress` after each iteration, a `PaintingProgress`
        while a large picture is painted in one pass, and a `Download` while networks are fetched;
        of a cluster a `BatchProgress` after each picture.
    stopped : callable
        Asked between evaluations; where it returns true, the run ends with the best image so far.
    verbose : bool
        Whether each iteration is logged.
    """

    tell: Callable[[Step], None] = lambda step: None
    stopped: Callable[[], bool] = lambda: False
    verbose: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes
    ----------
    task : Task
        What was asked for.
    summary : Summary or None
        How the run ended; None where there was none.
    output : Path or None
        Where the picture is; None where there is none.
    error : Exception or None
        What went wrong; there may be a picture all the same, the best so far.
    variations : (float, float) or None
        The total variation of the content, at the result's size, and of the result, where edges
        were asked for.
    checkpoint : Path or None
        What the run can be gone on with, where it is not complete.
    """

    task: Task
    summary: Summary | None = None
    output: Path | None = None
    error: Exception | None = None
    variations: tuple[float, float] | None = None
    checkpoint: Path | None = None


def make_all(
    tasks: Sequence[Task],
    machine: Machine,
    watch: Watch,
    like: Recipe | None = None,
    open_network: Callable[[str, Machine, Watch], StyleTransfer] | None = None,
    transfer: StyleTransfer | None = None,
) -> Iterator[Outcome]:
    """Make pictures one after the other, and yield what became of each.

    One that fails does not keep the others from being made. After one that was stopped there is no
    further one. `like` is the picture that is repeated: what is different now is told. Networks
    are got by `open_network`, by default `open_transfer`; that of the first picture is `transfer`,
    where it is open.

    Raises
    ------
    KeyboardInterrupt
        If a run is interrupted before there is an image.
    StyleTransferError
        If there is no network, or device, for one of them.
    """
    model = "" if transfer is None else tasks[0].settings.model
    known: dict[Path, tuple[str, np.ndarray]] = {}
    for number, task in enumerate(tasks, 1):
        watch.tell(Begun(number, len(tasks), task.title))
        try:
            pictures = read(task, known)
            if transfer is None or task.settings.model != model:
                _check_sizes(task.settings, pictures)
        except Exception as error:
            yield Outcome(task, error=error)
            continue
        if transfer is None or task.settings.model != model:
            transfer = None  # its memory is free before another network is loaded
            model = task.settings.model
            transfer = (open_network or open_transfer)(model, machine, watch)
            if like is not None:
                recipe.warn_of_differences(like, model, *_place(transfer, machine))
        outcome = _make(transfer, task, pictures, machine, watch)
        yield outcome
        interrupted = outcome.summary is not None and outcome.summary.stop is Stop.INTERRUPTED
        if interrupted or watch.stopped():
            return


def look(tasks: Sequence[Task], machine: Machine, watch: Watch) -> Iterator[tuple[Task, Forecast]]:
    """Yield what each picture would take; nothing is written. It raises as `make_all`."""
    transfer, model = None, ""
    known: dict[Path, tuple[str, np.ndarray]] = {}
    for task in tasks:
        if not isinstance(task.settings, Settings):
            raise UsageError("a picture that is painted in one pass has no forecast")
        pictures = read(task, known)
        if transfer is None or task.settings.model != model:
            _check_sizes(task.settings, pictures)
            transfer = None
            model = task.settings.model
            transfer = open_transfer(model, machine, watch)
        yield (
            task,
            transfer.forecast(
                pictures.styles,
                pictures.content,
                task.settings,
                style_masks=pictures.style_masks,
                content_mask=pictures.content_mask,
            ),
        )


def _check_sizes(settings: Settings | Painting, pictures: Pictures) -> None:
    """Refuse pictures that are too small, before a network is fetched or read."""
    if isinstance(settings, Settings):
        masks = pictures.style_masks, pictures.content_mask
        given = Inputs(pictures.content, pictures.styles, *masks, settings.init)
        check_beforehand(settings, given)


def open_transfer(model: str, machine: Machine, watch: Watch) -> StyleTransfer:
    """Return a network ready to optimise on a machine."""
    return StyleTransfer(
        model,
        False,
        gpu_id=machine.gpu_id,
        models=machine.models,
        threads=machine.threads,
        provider=machine.provider,
        progress=watch.tell,
        tile=machine.tile,
        memory_limit=machine.memory_limit,
    )


def _make(
    transfer: StyleTransfer, task: Task, pictures: Pictures, machine: Machine, watch: Watch
) -> Outcome:
    """Make a picture and write it, and what else was asked for.

    Whatever ends the run once there is an image, that image is written.
    """
    course = _Course()
    listeners: list[Callable[[Progress], None]] = [watch.tell]
    if task.extras.plot:
        listeners.append(course.note)
    if task.extras.save_every:
        listeners.append(lambda step: _take_snapshot(task, pictures, step))
    if task.extras.preview:
        listeners.append(_Preview(task.extras.preview, pictures.alpha).take)

    def tell(step: Progress) -> None:
        for listener in listeners:
            listener(step)

    error: Exception | None = None
    options = task.settings.options()
    if pictures.init is not None:
        options["init"] = pictures.init
    try:
        transfer.transfer_style(
            pictures.styles,
            pictures.content,
            verbose=watch.verbose,
            style_masks=pictures.style_masks,
            content_mask=pictures.content_mask,
            progress=tell,
            stopped=watch.stopped,
            checkpoint=_checkpoints(task),
            **options,
        )
    except KeyboardInterrupt:
        if not transfer.has_image:
            raise
    except Exception as failure:
        error = failure
    summary, output, variations = transfer.summary, None, None
    if transfer.has_image:
        try:
            output = _write(transfer, task, pictures, machine, course)
            variations = _variations(transfer, pictures) if task.extras.edges else None
        except Exception as failure:
            error = failure
    place = task.checkpoint
    if place is not None and output is not None and summary is not None and summary.stop.complete:
        place.unlink(missing_ok=True)
    left = place if place is not None and place.exists() else None
    return Outcome(task, summary, output, error, variations, left)


def _checkpoints(task: Task) -> Checkpoints | None:
    """Return where a task's run writes checkpoints, if it does."""
    extras, place = task.extras, task.checkpoint
    return None if place is None else Checkpoints(place, extras.checkpoint_every, extras.resume)


def _write(
    transfer: StyleTransfer, task: Task, pictures: Pictures, machine: Machine, course: "_Course"
) -> Path:
    """Write the picture and what belongs to it; return where the picture is."""
    result, summary = transfer.get_generated(), transfer.summary
    assert summary is not None
    parameters = recipe.describe_run(
        task, pictures.digests, recipe.circumstances(*_place(transfer, machine)), summary
    )
    if summary.restarted:
        parameters = recipe.of_restarted(parameters)
    output = images.save_somewhere(
        task.output, result, pictures.alpha, task.extras.depth, parameters
    )
    if output != task.output:
        logger.warning("%s could not be written; the picture is in %s", task.output, output)
    if task.extras.grid:
        row = images.side_by_side([pictures.content, *pictures.styles, result])
        _write_beside(task.grid, row, parameters=recipe.of_grid(parameters))
    if task.extras.plot and course.iterations:
        _write_beside(task.curves, plot.loss_curves(course.iterations, course.curves))
    if task.extras.edges:
        _write_beside(task.edges, images.edge_sheet(pictures.content, result))
    return output


def _variations(transfer: StyleTransfer, pictures: Pictures) -> tuple[float, float]:
    result = transfer.get_generated()
    content = images.resize(pictures.content, result.shape[:2])
    return images.total_variation(content), images.total_variation(result)


def _write_beside(
    path: Path,
    picture: np.ndarray,
    alpha: np.ndarray | None = None,
    depth: int = 8,
    parameters: Mapping[str, object] | None = None,
) -> None:
    """Write what belongs to a picture; where that fails, the picture itself is no worse."""
    try:
        images.save(path, picture, alpha, depth, parameters)
    except StyleTransferError as error:
        logger.warning("%s", error)


def _take_snapshot(task: Task, pictures: Pictures, step: Progress) -> None:
    """Write the image of an iteration if it is due."""
    every = task.extras.save_every
    if every and step.iteration % every == 0:
        path = task.snapshot(step.iteration)
        _write_beside(path, step.image(), pictures.alpha, task.extras.depth)


def _place(transfer: StyleTransfer, machine: Machine) -> tuple[str, int, str]:
    """Return what a picture depends on besides its parameters, see `recipe.circumstances`."""
    return str(transfer.device), machine.threads, transfer.network.weights_digest


class _Preview:
    """Rewrites one file every few seconds."""

    SECONDS = 2.0

    def __init__(self, path: Path, alpha: np.ndarray | None) -> None:
        self._path = path
        self._alpha = alpha
        self._last = 0.0

    def take(self, step: Progress) -> None:
        """Write the image if it is time, and after the last iteration that was asked for."""
        now = time.monotonic()
        if now - self._last >= self.SECONDS or step.iteration == step.iterations:
            _write_beside(self._path, step.image(), self._alpha)
            self._last = time.monotonic()


class _Course:
    """The course of the loss and its terms."""

    def __init__(self) -> None:
        self.iterations: list[int] = []
        self.curves: dict[str, list[float]] = {}

    def note(self, step: Progress) -> None:
        """Take note of an iteration."""
        self.iterations.append(step.iteration)
        for name, value in ({"loss": step.loss} | step.terms).items():
            self.curves.setdefault(name, []).append(value)
