"""Where each pixel of a frame was in earlier ones, and how far that can be trusted.

Flow is found by OpenCV's DIS in both directions; where the two disagree, where a pixel comes from
outside and at the edges of motion it is not trusted (Ruder, Dosovitskiy, Brox: Artistic Style
Transfer for Videos, 2016, which is where the constants come from).
"""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from styletransfer.images.arrays import as_rgb
from styletransfer.video import extra

LONGEST = 1280
"""Longest side that flow is computed at; larger frames are reduced to it."""

LEAST_TRUSTED = 0.3
"""The share of pixels that must be trusted for a frame to go on from the one before."""

LEAST_ANCHORED = 0.5
"""The share that must be trusted for a frame to be held to the shot's anchor."""

SMALL = 480
"""Longest side of frames whose flow is found at full resolution; that of larger ones at half.

On clips of 320 x 240 with known motion the error falls to a third, and twice as many of the pixels
that are to be seen in both frames are trusted; it takes four times as long.
"""

SMOOTHNESS = 80.0
"""How smooth flow is (the weight alpha of its refinement).

With the usual 20 the noise of a sensor moves a tenth of a still picture.
"""

STILL = 0.1
"""Median of the motion, in pixels, below which a camera stands still: noise makes 0.05 of none."""

STILL_PIXEL = 1.0
"""The most that noise moves a pixel of a camera that stands still."""

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)

Kernel = Literal["linear", "cubic", "lanczos"]

T = TypeVar("T")


@dataclass(frozen=True)
class Motion:
    """What is known of the way from a frame back to an earlier one.

    Attributes
    ----------
    offset : int
        How many frames earlier that is.
    flow : ndarray, shape (h, w, 2)
        For each pixel, where it was less where it is, (x, y) in pixels, float32.
    trust : ndarray, shape (h, w)
        From 0 to 1, float32.
    """

    offset: int
    flow: np.ndarray
    trust: np.ndarray


@dataclass(frozen=True)
class Link:
    """How a frame hangs together with earlier ones of its shot.

    Attributes
    ----------
    earlier : tuple of Motion
        To the frame before, and to some before that; the nearest first.
    anchor : Motion or None
        To the frame that the shot is held to, if it is: the first, or after a while a later one.
        Where its offset is 1, that is the frame before from now on.
    """

    earlier: tuple[Motion, ...]
    anchor: Motion | None = None


class Tracker:
    """Follows the frames of one shot after the other.

    Parameters
    ----------
    offsets : sequence of int
        How many frames to look back, 1 first.
    anchored : bool
        Whether to look back to an anchor, too.
    """

    def __init__(self, offsets: Sequence[int] = (1,), *, anchored: bool = False) -> None:
        extra.cv2()
        self._offsets = tuple(offsets)
        self._anchored = anchored
        self._grays: deque[np.ndarray] = deque(maxlen=max(offsets))  # the latest first
        self._anchor: tuple[int, np.ndarray] | None = None

    def restart(self) -> None:
        """Forget all frames: the next is a shot's first."""
        self._grays.clear()
        self._anchor = None

    def remember(self, frame: np.ndarray, *, anchor: bool = False) -> None:
        """Take note of a frame that was painted before, in the order of time."""
        self._keep(_luminance(frame), anchor)

    def follow(self, frame: np.ndarray) -> Link | None:
        """Return a frame's link to those before; None where a shot begins.

        That is at the first one, after `restart`, where the size changes, and where too little of
        a frame can be found in the one before.

        Parameters
        ----------
        frame : ndarray, shape (H, W, 3)
            RGB as `images.as_rgb` takes it: uint8, uint16, or float in [0, 1].
        """
        gray = _luminance(frame)
        link = self._link(gray)
        if link is None:
            self.restart()
        self._keep(gray, link is None)
        return link

    def _keep(self, gray: np.ndarray, anchor: bool) -> None:
        self._grays.appendleft(gray)
        if anchor or self._anchor is None:
            self._anchor = (0, gray)
        self._anchor = (self._anchor[0] + 1, self._anchor[1])  # seen from the next frame

    def _link(self, gray: np.ndarray) -> Link | None:
        if self._anchor is None or self._grays[0].shape != gray.shape:
            return None
        before = motion(self._grays[0], gray, 1)
        if before.trust.mean() < LEAST_TRUSTED:
            return None
        further = (n for n in self._offsets if 1 < n <= len(self._grays))
        earlier = (before, *(motion(self._grays[n - 1], gray, n) for n in further))
        if not self._anchored:
            return Link(earlier)
        offset, first = self._anchor
        known = {found.offset: found for found in earlier}
        anchor = known.get(offset) or motion(first, gray, offset)
        if anchor.trust.mean() < LEAST_ANCHORED:
            self._anchor = (1, self._grays[0])
            anchor = before
        return Link(earlier, anchor)


def motion(before: np.ndarray, now: np.ndarray, offset: int) -> Motion:
    """Return the motion between two frames given by their luminance, (h, w) uint8."""
    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(flow, before, now)
        backward = flow(now, before)
        trust = trusted(other.result(), backward)
    still = _still(before, now, backward)
    backward[still], trust[still] = 0, 1
    return Motion(offset, backward, trust)


def flow(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return for each pixel of a gray image where it is in another, (h, w, 2) float32.

    Both are uint8. Given are differences (x, y) in pixels.
    """
    cv2 = extra.cv2()
    # How the image is divided among threads would change the last digits.
    cv2.setNumThreads(1)
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0 if max(here.shape) <= SMALL else 1)
    dis.setVariationalRefinementAlpha(SMOOTHNESS)
    found: np.ndarray = dis.calc(here, there, None)
    return found


def trusted(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """Return 1 where flow back from a frame can be trusted, else 0, (h, w) float32.

    Parameters
    ----------
    forward : ndarray, shape (h, w, 2)
        From the earlier frame to this one.
    backward : ndarray, shape (h, w, 2)
        From this one to the earlier.
    """
    height, width = backward.shape[:2]
    x, y = np.moveaxis(_places(backward), 2, 0)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    there = warp(forward, backward, kernel="linear")
    size = _squares(backward)
    both = _squares(there) + size
    there += backward
    disoccluded = _squares(there) >= 0.01 * both + 0.5
    edge = _steepness(backward) > 0.01 * size + 0.002
    return np.asarray(inside & ~disoccluded & ~edge, np.float32)


def _still(before: np.ndarray, now: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Return which pixels stand still, (h, w): none of a camera that moves.

    There the noise of a sensor moves what is painted to and fro, and less than elsewhere is
    trusted. What changes no more than most of the frame, which is by noise, has not moved.
    """
    squares = _squares(flow)
    if np.median(squares[::2, ::2]) >= STILL**2:
        return np.zeros(squares.shape, bool)
    cv2 = extra.cv2()
    cv2.setNumThreads(1)
    difference = np.square(cv2.absdiff(now, before).astype(np.float32))
    difference = cv2.blur(difference, (7, 7))
    noise = np.median(difference[::2, ::2])
    return np.asarray((squares < STILL_PIXEL**2) & (difference <= 4 * noise + 1), bool)


def warp(picture: np.ndarray, flow: np.ndarray, *, kernel: Kernel = "cubic") -> np.ndarray:
    """Return what a picture, (h, w) or (h, w, c) float32, is where a flow of its size points.

    Outside it is as at its edge. Lanczos' kernel, of eight pixels a side, blurs the least.
    """
    cv2 = extra.cv2()
    cv2.setNumThreads(1)
    kinds = {
        "linear": cv2.INTER_LINEAR,
        "cubic": cv2.INTER_CUBIC,
        "lanczos": cv2.INTER_LANCZOS4,
    }
    warped: np.ndarray = cv2.remap(
        picture, _places(flow), None, kinds[kernel], borderMode=cv2.BORDER_REPLICATE
    )
    return warped


def scaled(motion: Motion, size: Sequence[int]) -> Motion:
    """Return a motion at another size, (height, width)."""
    height, width = motion.trust.shape
    if (height, width) == tuple(size):
        return motion
    cv2 = extra.cv2()
    cv2.setNumThreads(1)

    def resized(values: np.ndarray) -> np.ndarray:
        smaller = size[0] < height
        kind = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        result: np.ndarray = cv2.resize(values, (size[1], size[0]), interpolation=kind)
        return result

    factors = np.array([size[1] / width, size[0] / height], np.float32)
    return Motion(motion.offset, resized(motion.flow) * factors, resized(motion.trust))


def shares(trusts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return how far each of several earlier frames counts: where nearer ones are not trusted.

    That is max(c_j − Σ c_i, 0) over the nearer i, given the nearest first.
    """
    found = []
    nearer = np.zeros_like(trusts[0])
    for trust in trusts:
        found.append(np.maximum(trust - nearer, 0))
        nearer = nearer + trust
    return found


def ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield items, the next one being computed in a thread meanwhile."""
    with ThreadPoolExecutor(1) as thread:
        missing = object()
        waiting = thread.submit(next, items, missing)
        while (item := waiting.result()) is not missing:
            waiting = thread.submit(next, items, missing)
            yield item  # type: ignore[misc]


def _luminance(frame: np.ndarray) -> np.ndarray:
    """Return a frame's luminance, uint8, at the size that flow is found at."""
    levels = np.rint(as_rgb(frame).astype(np.float32) @ (255 * LUMINANCE))
    gray: np.ndarray = levels.astype(np.uint8)
    factor = LONGEST / max(gray.shape)
    if factor >= 1:
        return gray
    cv2 = extra.cv2()
    cv2.setNumThreads(1)
    height, width = (max(round(factor * side), 1) for side in gray.shape)
    reduced: np.ndarray = cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)
    return reduced


def _places(flow: np.ndarray) -> np.ndarray:
    """Return where each pixel of a flow points, (h, w, 2) float32."""
    height, width = flow.shape[:2]
    places = flow.copy()
    places[..., 0] += np.arange(width, dtype=np.float32)
    places[..., 1] += np.arange(height, dtype=np.float32)[:, np.newaxis]
    return places


def _squares(vectors: np.ndarray) -> np.ndarray:
    x, y = vectors[..., 0], vectors[..., 1]
    squares: np.ndarray = x * x
    squares += y * y
    return squares


def _steepness(flow: np.ndarray) -> np.ndarray:
    """Return the sum of the squares of a flow's slopes: `numpy.gradient` takes twice as long."""
    total = np.zeros(flow.shape[:2], np.float32)
    slope = np.empty_like(flow)
    for axis in (0, 1):
        values, along = np.moveaxis(flow, axis, 0), np.moveaxis(slope, axis, 0)
        np.subtract(values[2:], values[:-2], out=along[1:-1])
        along[1:-1] *= np.float32(0.5)
        along[0] = values[1] - values[0]
        along[-1] = values[-1] - values[-2]
        total += _squares(slope)
    return total
