"""A small clip whose motion is known: a window that moves over a photograph."""

import itertools

import numpy as np

from styletransfer import images
from tests.conftest import ROOT

SIZE = (96, 128)
STEP = (3, 1)
"""Pixels, x and y, that the window moves in a frame."""

FLOW = np.broadcast_to(np.array(STEP, np.float32), (*SIZE, 2))
"""The way back from a frame to the one before."""


def pan(count: int) -> list[np.ndarray]:
    """Return frames, uint8."""
    photo = images.load(str(ROOT / "images" / "content" / "cat.jpg"))
    frames = []
    for t in range(count):
        top, left = 60 + STEP[1] * t, 120 + STEP[0] * t
        part = photo[top : top + SIZE[0], left : left + SIZE[1]]
        frames.append(np.rint(255 * part).astype(np.uint8))
    return frames


def warping_error(pictures: list[np.ndarray]) -> float:
    """Return the mean square of what changes along the motion, where both frames show it."""
    (x, y), (height, width) = STEP, SIZE
    errors = [
        np.square(now[: height - y, : width - x] - before[y:, x:]).mean()
        for before, now in itertools.pairwise(pictures)
    ]
    return float(np.mean(errors))
