"""Painted frames put together into a film, with what its source has besides."""

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from styletransfer.images import sizes
from styletransfer.jobs.film import Chosen, Plan
from styletransfer.jobs.frames import read
from styletransfer.video import sink
from styletransfer.video.order import Order


def open_sink(plan: Plan) -> sink.Sink:
    """Open the film to write."""
    return sink.Sink(
        Order(
            plan.task.output,
            plan.source,
            plan.begin if plan.task.film.begin is not None else Fraction(0),
            plan.end if plan.task.film.end is not None else None,  # sound may last longer
            plan.rate,
            plan.source.alpha,
            plan.shots[0][0].number,
        )
    )


def write(plan: Plan, picture_of: Callable[[Chosen], np.ndarray]) -> None:
    """Put the film together of its frames, and of what the source has besides."""
    frames = list(plan.frames)
    none: Iterator[np.ndarray | None] = itertools.repeat(None)
    opacities = none
    if plan.source.alpha:
        opacities = itertools.chain((frame.alpha for frame in read(plan, frames)), none)
    with open_sink(plan) as target:
        for chosen, alpha in zip(frames, opacities, strict=False):
            picture = picture_of(chosen)
            target.add(picture, chosen.time, chosen.duration, fitted(alpha, picture))


def fitted(alpha: np.ndarray | None, picture: np.ndarray) -> np.ndarray | None:
    """Return the opacity of a frame at the size that it is painted at."""
    if alpha is None or alpha.shape == picture.shape[:2]:
        return alpha
    unit = alpha / np.float32(np.iinfo(alpha.dtype).max)
    return np.clip(sizes.resize_smoothly(unit, picture.shape[:2]), 0, 1).astype(np.float32)
