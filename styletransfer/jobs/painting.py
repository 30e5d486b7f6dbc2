"""Pictures painted in one pass, from their files to their files."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer import images
from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.feedforward import Stylizer
from styletransfer.feedforward.stylizer import ARBITRARY, check_size
from styletransfer.images import colour, sizes
from styletransfer.images.reading import over_white
from styletransfer.jobs import recipe
from styletransfer.jobs.local import Outcome, Watch
from styletransfer.jobs.pictures import Pictures, read
from styletransfer.jobs.recipe import Recipe
from styletransfer.jobs.task import Machine, Task
from styletransfer.progress import PaintingProgress, Stop
from styletransfer.settings import Painting
from styletransfer.settings.choices import IN_ONE_PASS
from styletransfer.settings.painting import RANGES

logger = logging.getLogger(__name__)

SHEET_SIDE = 192
"""The longest side of a picture on a contact sheet."""


@dataclass(frozen=True)
class Painted:
    """How a picture was painted.

    Attributes
    ----------
    size : tuple of int
        Its width and height.
    seconds : float
        How long it took.
    """

    size: tuple[int, int]
    seconds: float
    iterations: int = 1
    stop: Stop = Stop.ITERATIONS


@dataclass(frozen=True)
class PaintedOutcome(Outcome):
    """What became of a task.

    Attributes
    ----------
    painted : Painted or None
        None where there is no picture.
    """

    painted: Painted | None = None


def make_all(
    tasks: Sequence[Task],
    machine: Machine,
    watch: Watch,
    like: Recipe | None = None,
    open_network: Callable[[Painting, Machine, Watch], Stylizer] | None = None,
) -> Iterator[PaintedOutcome]:
    """Paint pictures one after the other, and yield what became of each; one may fail.

    The network is got by `open_network`, by default `open_stylizer`.

    Raises
    ------
    StyleTransferError
        If there is no such network for any of them.
    """
    stylizer: Stylizer | None = None
    known: dict[Path, tuple[str, np.ndarray]] = {}
    for task in tasks:
        if watch.stopped():
            return
        try:
            check_style(_settings(task), bool(task.styles))
            pictures = read(task, known)
            content = _at_size(_settings(task), pictures.content)
        except Exception as error:
            yield PaintedOutcome(task, error=error)
            continue
        if stylizer is None:
            stylizer = (open_network or open_stylizer)(_settings(task), machine, watch)
            if like is not None:
                place = (stylizer.device, machine.threads, stylizer.weights_digest)
                recipe.warn_of_differences(like, _settings(task).model, *place)
            if stylizer.styles > 1 and _settings(task).style is None and not task.styles:
                logger.info(
                    "no --style is given: style 0 of 0 to %d is painted", stylizer.styles - 1
                )
        try:
            start = time.perf_counter()
            result = _painted(stylizer, _settings(task), content, pictures.styles, watch)
            size = (result.shape[1], result.shape[0])
            painted = Painted(size, time.perf_counter() - start)
            around = recipe.circumstances(stylizer.device, machine.threads, stylizer.weights_digest)
            stored = recipe.describe_run(task, pictures.digests, around, painted)
            output = _write(task, pictures, result, stored)
        except Exception as error:
            yield PaintedOutcome(task, error=error)
        else:
            yield PaintedOutcome(task, output=output, painted=painted)


def sheet(task: Task, machine: Machine, watch: Watch) -> Path:
    """Write a contact sheet of a task's photo in all styles of its network; return where it is."""
    settings = _settings(task)
    if settings.model == ARBITRARY:
        raise UsageError("the styles of arbitrary are paintings, which no sheet holds; give -m")
    stylizer = open_stylizer(settings, machine, watch)
    start = time.perf_counter()
    pictures = read(task, {})
    photo = pictures.content
    if pictures.alpha is not None:
        photo = over_white(photo, pictures.alpha)
    photo = resized(photo, SHEET_SIDE / max(photo.shape[:2]))
    styles: list[Any] = list(range(stylizer.styles)) if stylizer.styles > 1 else [None]
    paintings = [stylizer.stylize(photo, style) for style in styles]
    fitted = [sizes.resize_smoothly(p, photo.shape[:2]) for p in paintings]
    labels = ["photo", *(str(number) for number in range(stylizer.styles))]
    painted = Painted((photo.shape[1], photo.shape[0]), time.perf_counter() - start)
    around = recipe.circumstances(stylizer.device, machine.threads, stylizer.weights_digest)
    stored = recipe.describe_run(task, pictures.digests, around, painted)
    images.save(
        task.output,
        images.contact_sheet([photo, *fitted], labels),
        parameters=recipe.of_sheet(stored, {}),
    )
    return task.output


def open_stylizer(settings: Painting, machine: Machine, watch: Watch) -> Stylizer:
    """Return the network that settings name, ready to paint."""
    return Stylizer(
        settings.model,
        machine.gpu_id,
        threads=machine.threads,
        provider=machine.provider,
        models=machine.models,
        order=settings.order,
        takes=None if settings.takes is None else RANGES[settings.takes],
        gives=None if settings.gives is None else RANGES[settings.gives],
        report=logger.info,
        progress=watch.tell,
    )


def check_style(settings: Painting, paintings: bool) -> None:
    """Refuse a style that a network known by its name has not, before that is fetched."""
    if paintings and settings.style is not None:
        raise UsageError("paintings and --style exclude each other; leave one of them out")
    if settings.model == ARBITRARY and not paintings:
        raise UsageError("there is no -s; give a painting, or a network with styles by -m")
    if settings.model != ARBITRARY and settings.model in IN_ONE_PASS and paintings:
        raise UsageError(
            f"{settings.model} has styles of its own; choose one by --style, or give no -m"
        )


def style_of(settings: Painting, stylizer: Stylizer, paintings: Sequence[np.ndarray]) -> Any:
    """Return the style for `Stylizer.stylize`: paintings, or what a network has of its own."""
    check_style(settings, bool(paintings))
    if stylizer.styles and paintings:
        raise UsageError(
            f"{settings.model} has styles of its own; choose one by --style, or give no -m"
        )
    return list(paintings) or settings.style


def _settings(task: Task) -> Painting:
    assert isinstance(task.settings, Painting)
    return task.settings


def _at_size(settings: Painting, photo: np.ndarray) -> np.ndarray:
    """Return a photo at the size that is asked for, which no network's size depends on."""
    if settings.length is not None:
        photo = resized(photo, settings.length / max(photo.shape[:2]))
    check_size(photo.shape)
    return photo


def _painted(
    stylizer: Stylizer,
    settings: Painting,
    content: np.ndarray,
    paintings: Sequence[np.ndarray],
    watch: Watch,
) -> np.ndarray:
    """Return a photo painted."""
    method, when = settings.preserve_colors or ("", "")
    styles = list(paintings)
    if when == "before":
        styles = [colour.match(style, content, method) for style in styles]
    style = style_of(settings, stylizer, styles)
    start = time.monotonic()
    result = stylizer.stylize(
        content,
        style,
        style_weights=settings.style_weights,
        strength=settings.strength,
        style_scale=settings.style_scale,
        tell=lambda done: watch.tell(PaintingProgress(done, time.monotonic() - start)),
    )
    return colour.restore(result, content, method) if when == "after" else result


def _write(
    task: Task, pictures: Pictures, result: np.ndarray, parameters: Mapping[str, object]
) -> Path:
    """Write the picture and what belongs to it; return where the picture is."""
    output = images.save_somewhere(
        task.output, result, pictures.alpha, task.extras.depth, parameters
    )
    if output != task.output:
        logger.warning("%s could not be written; the picture is in %s", task.output, output)
    if task.extras.grid:
        row = images.side_by_side([pictures.content, *pictures.styles, result])
        try:
            images.save(task.grid, row, parameters=recipe.of_grid(parameters))
        except StyleTransferError as error:
            logger.warning("%s", error)
    return output


def resized(picture: np.ndarray, scale: float) -> np.ndarray:
    """Return a picture at so many times its size."""
    size = tuple(max(round(scale * side), 1) for side in picture.shape[:2])
    if size == picture.shape[:2]:
        return picture
    sizes.check(picture.shape, size)
    return sizes.resize_smoothly(picture, size).astype(np.float32)
