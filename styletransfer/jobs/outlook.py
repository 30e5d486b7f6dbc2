"""A look at a film before it is painted: what it will take, and a few of its frames."""

import logging
import sys
import time
from dataclasses import dataclass, replace

import numpy as np

from styletransfer import images
from styletransfer.images import sizes
from styletransfer.images.reading import over_white
from styletransfer.jobs.film import Plan
from styletransfer.jobs.frames import Start, at_length, paint, read
from styletransfer.jobs.local import Watch
from styletransfer.jobs.painters import Opened, open_painter
from styletransfer.jobs.task import Machine
from styletransfer.settings import Painting
from styletransfer.video.painter import FramePainter

logger = logging.getLogger(__name__)

SHEET_SIDE = 256
"""The longest side of a frame on a contact sheet."""


@dataclass(frozen=True)
class Estimate:
    """What a film will take.

    Attributes
    ----------
    size : tuple of int
        Width and height of what is painted.
    seconds : float
        How long all frames take, at the rate of the first one.
    memory : int or None
        The most bytes that the process had by then; None where the system does not say.
    device, model : str
        What paints, and where.
    """

    size: tuple[int, int]
    seconds: float
    memory: int | None
    device: str
    model: str


def estimate(plan: Plan, machine: Machine, watch: Watch) -> Estimate:
    """Paint a few frames, with few iterations by optimisation, and return what all will take."""
    task, settings = plan.task, plan.task.settings
    firsts = len(plan.shots)
    if isinstance(settings, Painting):
        opened = open_painter(task, machine, watch)
        first, following, size = _timed(plan, opened)
        total = firsts * first + (plan.count - firsts) * following
    else:
        few, more = 2, 6
        times = []
        for iterations in (few, more):
            tried = replace(
                task,
                settings=replace(settings, n_iter=iterations),
                film=replace(task.film, next_iters=iterations),
            )
            opened = open_painter(tried, machine, watch)
            *seconds, size = _timed(replace(plan, task=tried), opened)
            times.append(seconds)
        total = 0.0
        wanted = settings.n_iter, task.film.following(settings.n_iter)
        for count, fast, slow, iterations in zip(
            (firsts, plan.count - firsts), *times, wanted, strict=True
        ):
            one = max(slow - fast, 0.0) / (more - few)
            total += count * (max(fast - few * one, 0.0) + iterations * one)
        total *= task.film.passes
    return Estimate(size, total, _peak_memory(), opened.device, settings.model)


_TRIED = 3  # frames


def _timed(plan: Plan, opened: Opened) -> tuple[float, float, tuple[int, int]]:
    """Return the seconds of a shot's first frame and of one that follows, and the result's size."""
    shot = max(plan.shots, key=len)[:_TRIED]
    for _ in range(2):  # the first time graphs are made
        times, start = [], time.perf_counter()
        for made in paint(plan, opened.painter, shot, Start()):
            if made.error is not None:
                raise made.error
            times.append(time.perf_counter() - start)
            start = time.perf_counter()
            assert made.picture is not None
            size = (made.picture.shape[1], made.picture.shape[0])
    return times[0], float(np.mean(times[1:] or times)), size


def _peak_memory() -> int | None:
    """Return the most bytes that this process has had, None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def preview_with(plan: Plan, machine: Machine, watch: Watch) -> None:
    """Write the contact sheet alone."""
    preview(plan, open_painter(plan.task, machine, watch).painter)


def preview(plan: Plan, painter: FramePainter) -> None:
    """Write a contact sheet of frames evenly spread, each painted alone."""
    frames = list(plan.frames)
    count = min(plan.task.extras.preview or 0, len(frames))
    places = np.unique(np.linspace(0, len(frames) - 1, count).round().astype(int))
    pictures, labels = [], []
    for place in places:
        (frame,) = read(plan, [frames[place]])
        picture, _, _ = painter.paint(at_length(plan, frame), painter.begin(), None)
        if frame.alpha is not None:
            opacity = frame.alpha / np.float32(np.iinfo(frame.alpha.dtype).max)
            opacity = np.clip(sizes.resize_smoothly(opacity, picture.shape[:2]), 0, 1)
            picture = over_white(picture, opacity)
        scale = min(1.0, SHEET_SIDE / max(picture.shape[:2]))
        size = tuple(max(round(scale * side), 1) for side in picture.shape[:2])
        pictures.append(np.clip(sizes.resize_smoothly(picture, size), 0, 1))
        labels.append(f"{float(frames[place].time):.2f} s")
    images.save(plan.task.preview, images.contact_sheet(pictures, labels))
    logger.info("a preview of %d frames is in %s", len(pictures), plan.task.preview)
