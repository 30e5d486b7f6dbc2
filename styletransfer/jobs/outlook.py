"""A look at a film before it is painted: what it will take, and a few of its frames."""

import logging
import sys
import time
from dataclasses import dataclass, replace

import numpy as np

from styletransfer import images
from styletransfer.images import sizes
from styletransfer.jobs.film import Plan
from styletransfer.jobs.frames import read
from styletransfer.jobs.local import Watch
from styletransfer.jobs.painters import open_painter
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
    """Paint the first frame, a part of it by optimisation, and return what all will take."""
    task, settings = plan.task, plan.task.settings
    frame = next(read(plan, plan.shots[0][:1])).picture()
    if isinstance(settings, Painting):
        opened = open_painter(task, machine, watch)
        _timed(opened.painter, frame)  # the first time graphs are made
        seconds, picture = _timed(opened.painter, frame)
        total = seconds * plan.count
    else:
        few, more = 2, 6
        times = []
        for iterations in (few, more):
            tried = replace(task, settings=replace(settings, n_iter=iterations))
            opened = open_painter(tried, machine, watch)
            seconds, picture = _timed(opened.painter, frame)
            times.append(seconds)
        iteration = max(times[1] - times[0], 0) / (more - few)
        following = task.film.following(settings.n_iter)
        first = len(plan.shots)
        total = iteration * (first * settings.n_iter + (plan.count - first) * following)
        total *= task.film.passes
    size = (picture.shape[1], picture.shape[0])
    return Estimate(size, total, _peak_memory(), opened.device, settings.model)


def _timed(painter: FramePainter, frame: np.ndarray) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    picture, _, _ = painter.paint(frame, painter.begin(), None)
    return time.perf_counter() - start, picture


def _peak_memory() -> int | None:
    """Return the most bytes that this process has had, None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def preview(plan: Plan, painter: FramePainter) -> None:
    """Write a contact sheet of frames evenly spread, each painted alone."""
    frames = list(plan.frames)
    count = min(plan.task.extras.preview or 0, len(frames))
    places = np.unique(np.linspace(0, len(frames) - 1, count).round().astype(int))
    pictures, labels = [], []
    for place in places:
        (frame,) = read(plan, [frames[place]])
        picture, _, _ = painter.paint(frame.picture(), painter.begin(), None)
        scale = min(1.0, SHEET_SIDE / max(picture.shape[:2]))
        size = tuple(max(round(scale * side), 1) for side in picture.shape[:2])
        pictures.append(np.clip(sizes.resize_smoothly(picture, size), 0, 1))
        labels.append(f"{float(frames[place].time):.2f} s")
    images.save(plan.task.preview, images.contact_sheet(pictures, labels))
    logger.info("a preview of %d frames is in %s", len(pictures), plan.task.preview)
