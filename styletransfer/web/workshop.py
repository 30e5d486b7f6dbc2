"""What makes jobs, one after the other; networks stay open for the next one."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer import images, weights
from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.images.reading import decode, opened, over_white
from styletransfer.images.sizes import resize_smoothly
from styletransfer.jobs import local, painting
from styletransfer.jobs.local import Step, Watch
from styletransfer.jobs.task import Machine, Task
from styletransfer.progress import Download, FilmProgress, PaintingProgress, Progress
from styletransfer.settings import Painting, Settings
from styletransfer.settings.choices import SAMPLES
from styletransfer.web import orders
from styletransfer.web.limits import Limits
from styletransfer.web.records import BEFORE, PREVIEW
from styletransfer.web.workplace import Order

_TELL_SECONDS = 0.1
_PREVIEW_SECONDS = 1.0
_PREVIEW_SIDE = 512
_WARM_SIDE = 64


@dataclass(frozen=True)
class Made:
    """What became of a job.

    Attributes
    ----------
    result : str
        The name of the file that was made, empty where there is none.
    error : str
        A sentence, empty where nothing went wrong.
    stopped : bool
        Whether it ended before it was complete, because it was to.
    facts : dict
        Size, seconds, iterations, loss.
    """

    result: str
    error: str
    stopped: bool
    facts: Mapping[str, Any]


class Workshop:
    """The networks that are open, and the job at hand.

    Parameters
    ----------
    machine : Machine
        What jobs are made on.
    limits : Limits
        How large a film may be.
    """

    def __init__(self, machine: Machine, limits: Limits) -> None:
        self._machine, self._limits = machine, limits
        self._tell: Callable[[Mapping[str, Any]], None] = lambda message: None
        self._known: Callable[[str, str], None] = lambda model, digest: None
        self._watch = Watch(self._told)
        self._optimiser: tuple[str, Any] = ("", None)
        self._painters: dict[str, Any] = {}
        self._last_told = self._last_preview = 0.0

    def warm_up(self) -> dict[str, str]:
        """Open the networks that paint at once, if they are here, and run each once.

        Returns the sha256 of the weights of each, by its name.
        """
        folders = weights.model_directories(self._machine.models)
        here = all(
            any((folder / name / f"{name}.onnx").is_file() for folder in folders)
            for name in ("arbitrary_predict", "arbitrary_transform")
        )
        picture = np.zeros((_WARM_SIDE, _WARM_SIDE, 3), np.float32)
        for model in (SAMPLES, *([orders.ARBITRARY] if here else [])):
            try:
                self._painter(Painting(model)).stylize(
                    picture, None if model == SAMPLES else picture
                )
            except StyleTransferError:
                self._painters.pop(model, None)  # the job that needs it will say why
        return {model: painter.weights_digest for model, painter in self._painters.items()}

    def make(
        self,
        order: Order,
        folder: Path,
        tell: Callable[[Mapping[str, Any]], None],
        stopped: Callable[[], bool],
        known: Callable[[str, str], None] = lambda model, digest: None,
    ) -> Made:
        """Make a job in its folder, and return what became of it.

        Parameters
        ----------
        order : Order
            What is asked for.
        folder : Path
            Where its files lie, and where what is made goes.
        tell : callable
            Told how far it is.
        stopped : callable
            Whether it is to end with what there is.
        known : callable
            Gets the name of the network that is used, and the sha256 of its weights.
        """
        self._tell, self._known = tell, known
        self._watch = Watch(self._told, stopped)
        self._last_told = self._last_preview = 0.0
        try:
            # What is stored in pictures names files as they are seen from there.
            with contextlib.chdir(folder):
                return self._made(orders.task(order.kind, order.values, order.files, Path()))
        except Exception as error:
            return Made("", orders.sentence(error, folder), False, {})

    def _made(self, task: Any) -> Made:
        if not isinstance(task, Task):
            return self._film(task)
        if isinstance(task.settings, Painting):
            outcomes: Iterator[Any] = painting.make_all(
                [task], self._machine, self._watch, None, lambda how, *_: self._painter(how)
            )
        else:
            outcomes = local.make_all(
                [task], self._machine, self._watch, None, lambda model, *_: self._transfer(model)
            )
        outcome = next(outcomes, None)
        if outcome is None:
            return Made("", "", True, {})
        facts = _facts(outcome)
        error = "" if outcome.error is None else orders.sentence(outcome.error, Path())
        result = "" if outcome.output is None else outcome.output.name
        if result:
            rgb = images.load(outcome.output)
            facts["size"] = [rgb.shape[1], rgb.shape[0]]
            _write_small(rgb, PREVIEW)
            _write_before(task.content)
        summary = outcome.summary
        return Made(result, error, summary is not None and not summary.stop.finished, facts)

    def _film(self, task: Any) -> Made:
        """Paint a film."""
        from styletransfer.jobs import film, filming
        from styletransfer.jobs.painters import Opened, open_painter
        from styletransfer.video import source

        plan = film.plan(task)
        most = self._limits
        if plan.count > most.frames or plan.source.width * plan.source.height > most.pixels:
            raise UsageError(
                f"the film has {plan.count} frames of {plan.source.width}x{plan.source.height};"
                f" {most.frames} of {most.pixels // 10**6} million pixels are the most here"
            )
        if (
            task.settings.length is None
            and max(plan.source.width, plan.source.height) > most.length
        ):
            how = replace(task.settings, length=most.length)
            plan = replace(plan, task=replace(task, settings=how))
        opened: Opened = open_painter(plan.task, self._machine, self._watch, self._network)
        outcome = filming.make_with(plan, opened, self._watch)
        facts: dict[str, Any] = {
            "frames": outcome.painted + outcome.there,
            "seconds": outcome.seconds,
        }
        if outcome.failed:
            return Made("", next(iter(outcome.failed.values())), False, facts)
        if outcome.output is None:
            return Made("", "", True, facts)
        for frame in source.read(source.probe(outcome.output), 0, 1):
            facts["size"] = [frame.pixels.shape[1], frame.pixels.shape[0]]
            _write_small(frame.picture(), PREVIEW)
        return Made(outcome.output.name, "", False, facts)

    def _network(self, how: Settings | Painting) -> Any:
        """Return the network that settings need, ready."""
        return self._painter(how) if isinstance(how, Painting) else self._transfer(how.model)

    def _painter(self, settings: Painting) -> Any:
        """Return the network that paints at once; it stays open."""
        if settings.model not in self._painters:
            self._painters[settings.model] = painting.open_stylizer(
                settings, self._machine, self._watch
            )
        self._known(settings.model, self._painters[settings.model].weights_digest)
        return self._painters[settings.model]

    def _transfer(self, model: str) -> Any:
        """Return the network to optimise with; the last one stays open."""
        if self._optimiser[0] != model:
            self._optimiser = ("", None)  # its memory is free before another one is loaded
            self._optimiser = (model, local.open_transfer(model, self._machine, self._watch))
        self._known(model, self._optimiser[1].network.weights_digest)
        return self._optimiser[1]

    def _told(self, step: Step) -> None:
        """Pass on how far a job is, as often as somebody looks."""
        now = time.monotonic()
        last = isinstance(step, Progress) and step.iteration == step.iterations
        if now - self._last_told < _TELL_SECONDS and not last:
            return
        message: dict[str, Any] = {}
        image = step.image if isinstance(step, Progress | FilmProgress) else None
        if image is not None and now - self._last_preview >= _PREVIEW_SECONDS:
            _write_small(image(), PREVIEW)
            self._last_preview = time.monotonic()
            message["preview"] = True
        if isinstance(step, Progress):
            message |= {
                "done": step.iteration / step.iterations,
                "iteration": step.iteration,
                "iterations": step.iterations,
                "loss": step.loss,
                "seconds": step.seconds,
            }
        elif isinstance(step, PaintingProgress):
            message |= {"done": step.done, "seconds": step.seconds}
        elif isinstance(step, FilmProgress):
            message |= {
                "done": step.done / step.total,
                "iteration": step.done,
                "iterations": step.total,
                "seconds": step.seconds,
            }
        elif isinstance(step, Download):
            message |= {"note": f"fetching {step.what}, {step.done >> 20} MB so far"}
        if message:
            self._tell(message)
            self._last_told = time.monotonic()


def _facts(outcome: local.Outcome) -> dict[str, Any]:
    if isinstance(outcome, painting.PaintedOutcome) and outcome.painted is not None:
        return {"size": outcome.painted.size, "seconds": outcome.painted.seconds}
    summary = outcome.summary
    if summary is None:
        return {}
    return {
        "seconds": summary.seconds,
        "iterations": summary.iterations,
        "loss": summary.last_loss,
        "reason": summary.reason,
    }


def _write_before(content: Path) -> None:
    """Write what came in small, in a format that browsers show."""
    with opened(content) as image:
        image.draft("RGB", (2 * _PREVIEW_SIDE, 2 * _PREVIEW_SIDE))  # a JPEG is not decoded in full
        rgb, alpha = decode(image)
    _write_small(rgb if alpha is None else over_white(rgb, alpha), BEFORE, 2 * _PREVIEW_SIDE)


def _write_small(rgb: np.ndarray, name: str, side: int = _PREVIEW_SIDE) -> None:
    """Write a picture into the job's folder, at most so many pixels long."""
    scale = min(side / max(rgb.shape[:2]), 1)
    if scale < 1:
        rgb = resize_smoothly(rgb, tuple(max(round(scale * n), 1) for n in rgb.shape[:2]))
    images.save(Path(name), rgb)
