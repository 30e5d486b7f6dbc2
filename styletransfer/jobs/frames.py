"""The frames of a film: read, and painted one after the other."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from styletransfer.errors import DamagedFilmError, StyleTransferError, UsageError
from styletransfer.jobs.film import Chosen, Plan
from styletransfer.jobs.painting import resized
from styletransfer.settings import Painting
from styletransfer.video import source
from styletransfer.video.flow import Link, Tracker, ahead
from styletransfer.video.frame import Frame
from styletransfer.video.painter import Facts, FramePainter, State, rounded

_CHUNK = 16  # frames that are in memory at a time where a film is read backwards


def read(plan: Plan, chosen: Sequence[Chosen]) -> Iterator[Frame]:
    """Read some of a film's frames, in the order of time or against it, as they are given."""
    if chosen[0].number > chosen[-1].number:
        for start in range(0, len(chosen), _CHUNK):
            part = list(reversed(chosen[start : start + _CHUNK]))
            yield from reversed(list(read(plan, part)))
        return
    wanted = {frame.number for frame in chosen}
    try:
        for frame in source.read(plan.source, chosen[0].number, chosen[-1].number + 1):
            if frame.number in wanted:
                wanted.remove(frame.number)
                yield frame
    except DamagedFilmError:
        if wanted:  # it went further when the plan was made
            raise


@dataclass(frozen=True)
class Start:
    """Where painting goes on in a shot.

    Attributes
    ----------
    seen : tuple of Chosen
        The frames that are painted already, and that flow looks back to.
    anchor : int
        The number of that which the next ones are held to.
    state : object
        What the painter remembers after the last one; None at the beginning of a shot.
    """

    seen: tuple[Chosen, ...] = ()
    anchor: int = 0
    state: State | None = None


@dataclass(frozen=True)
class Made:
    """A frame that is painted, or has failed.

    Attributes
    ----------
    chosen : Chosen
        Which one.
    frame : Frame or None
        As it was read; None where another machine has read it.
    seconds : float
        How long it took.
    before, anchor : Chosen or None
        What it goes on from, and what the next ones are held to.
    picture : ndarray or None
        As it is kept, uint16; None where it failed.
    state, facts
        What is remembered after it, and how it was painted.
    error : Exception or None
        Why it failed.
    """

    chosen: Chosen
    frame: Frame | None
    seconds: float
    before: Chosen | None
    anchor: Chosen
    picture: np.ndarray | None = None
    state: State | None = None
    facts: Facts = field(default_factory=Facts)
    error: Exception | None = None


def at_length(plan: Plan, frame: Frame) -> np.ndarray:
    """Return a frame as it is painted, float RGB: by a network at the length that is asked for."""
    picture, settings = frame.picture(), plan.task.settings
    if isinstance(settings, Painting) and settings.length is not None:
        return resized(picture, settings.length / max(picture.shape[:2]))
    return picture  # an optimisation has a length of its own


Brush = Callable[[Chosen, np.ndarray, State, Link | None], tuple[np.ndarray, State, Facts]]
"""What paints a frame, given what it is, its pixels, what is remembered, and its motion."""


def paint(
    plan: Plan,
    painter: FramePainter,
    run: Sequence[Chosen],
    start: Start,
    brush: Brush | None = None,
) -> Iterator[Made]:
    """Paint frames that follow each other in a shot; after one that fails there is no other.

    They come in the order of time, or against it; `brush` paints them, by default `painter`.
    """
    tracker = None
    if not plan.task.film.no_coherence:
        tracker = Tracker(painter.offsets, anchored=painter.anchored)
    seen = list(start.seen)
    state = painter.begin() if start.state is None else start.state
    known = {chosen.number: chosen for chosen in (*start.seen, *run)}
    ready = {chosen.number for chosen in start.seen}

    def linked() -> Iterator[tuple[Frame, Link | None]]:
        for frame in read(plan, [*start.seen, *run]):
            if tracker is None:
                yield frame, None
            elif frame.number in ready:
                tracker.remember(frame.pixels, anchor=frame.number == start.anchor)
            else:
                yield frame, tracker.follow(frame.pixels)

    with contextlib.closing(ahead(linked())) as stream:
        for frame, link in stream:
            chosen, begun = known[frame.number], time.monotonic()
            if link is None:
                seen, state = [], painter.begin()
            before = seen[-1] if seen else None
            anchor = seen[-link.anchor.offset] if link and link.anchor else before or chosen
            try:
                if brush is None:
                    picture, state, facts = painter.paint(at_length(plan, frame), state, link)
                else:
                    picture, state, facts = brush(chosen, at_length(plan, frame), state, link)
            except UsageError:  # it would be the same for every frame
                raise
            except (StyleTransferError, MemoryError, RuntimeError) as error:
                taken = time.monotonic() - begun
                yield Made(chosen, frame, taken, before, anchor, error=error)
                return
            taken = time.monotonic() - begun
            yield Made(chosen, frame, taken, before, anchor, rounded(picture), state, facts)
            seen.append(chosen)
