"""One pass over a film that paints nothing: when its frames are seen, and where its shots begin."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from styletransfer.errors import DamagedFilmError
from styletransfer.video import apart, colours, extra
from styletransfer.video.facts import Source
from styletransfer.video.ranges import Place, Range
from styletransfer.video.source import empty, read

# Frames are compared so small: texture that moves would differ like a cut.
_SIDE = 16
# A flash lasts so many frames at most.
_FLASH = 5


@dataclass(frozen=True)
class Survey:
    """What a pass over a part of a film has found.

    Attributes
    ----------
    first : int
        The number of the first frame in the range.
    times, durations : tuple of Fraction
        Of every frame of the range, in seconds from the film's beginning.
    shots : tuple of int
        The number of every shot's first frame; the range's first frame begins one.
    damage : str or None
        A sentence on what is missing of the film.
    """

    first: int
    times: tuple[Fraction, ...]
    durations: tuple[Fraction, ...]
    shots: tuple[int, ...]
    damage: str | None = None

    def __len__(self) -> int:
        return len(self.times)


def survey(
    source: Source, begin: Place | None = None, end: Place | None = None, shots: bool = True
) -> Survey:
    """Read a part of a film once, in constant memory but for the times.

    Parameters
    ----------
    source, begin, end
        As in `source.read`.
    shots
        Whether to look for cuts; without, all is one shot.

    Raises
    ------
    FilmError
        As in `source.read`, but damage is told in the result.
    UsageError
        If there is no frame in the range.
    """
    part = Range(begin, end)
    numbers, times, durations = [], [], []
    damage = None
    cuts = _Cuts() if shots else None
    try:
        for number, time, duration, small in _small(source, part, shots):
            numbers.append(number)
            times.append(time)
            durations.append(duration)
            if cuts and small is not None:
                cuts.add(number, small)
    except DamagedFilmError as error:
        damage = error.text
    if not numbers:
        raise empty(source, begin, end, damage)
    found = [cut for cut in (cuts.end() if cuts else []) if cut > numbers[0]]
    return Survey(numbers[0], tuple(times), tuple(durations), (numbers[0], *found), damage)


def _small(
    source: Source, part: Range, pixels: bool
) -> Iterator[tuple[int, Fraction, Fraction, np.ndarray | None]]:
    """Yield the number, time, duration and small BGR picture of every frame."""
    if source.kind == "container":
        yield from apart.small(source, part, _SIDE if pixels else None)
        return
    cv2 = extra.cv2()
    for frame in read(source, part.begin, part.end):
        small = frame.pixels if frame.pixels.dtype == np.uint8 else frame.pixels >> 8
        size = colours.small(source.width, source.height, _SIDE)
        small = cv2.resize(small.astype(np.uint8), size, interpolation=cv2.INTER_AREA)
        yield frame.number, frame.time, frame.duration, np.ascontiguousarray(small[:, :, ::-1])


class _Cuts:
    """Looks for cuts in frames that come one by one.

    A frame begins a shot if it differs from the one before far more than its neighbours do from
    theirs: motion and changing light differ all along, and do not cut. Nor does a flash, behind
    which all is as it was before.
    """

    def __init__(self) -> None:
        self._detect = extra.scenedetect()
        self._detector = self._detect.AdaptiveDetector(min_scene_len=1, min_content_val=10.0)
        self._candidates: list[int] = []
        self._cuts: list[int] = []
        self._frames: dict[int, np.ndarray] = {}  # the last ones, by their numbers

    def add(self, number: int, small: np.ndarray) -> None:
        self._feed(number, small)
        self._frames[number] = small
        self._frames.pop(number - 3 * _FLASH, None)
        while self._candidates and self._candidates[0] + _FLASH <= number:
            self._judge(self._candidates.pop(0))

    def end(self) -> list[int]:
        """Return the first frames of shots."""
        if self._frames:
            # The detector looks at two frames behind each. Behind the last the film goes back, so
            # that what moves moves on: copies would make of the last change a cut.
            last = list(self._frames.items())
            for i in (1, 2):
                self._feed(last[-1][0] + i, last[max(-1 - i, -len(last))][1])
        for candidate in self._candidates:
            self._judge(candidate)
        return self._cuts

    def _feed(self, number: int, small: np.ndarray) -> None:
        code: Any = self._detect.FrameTimecode(number, fps=25.0)
        found = self._detector.process_frame(code, small)
        self._candidates += [cut.frame_num for cut in found]

    def _judge(self, number: int) -> None:
        """Take a frame as the first of a shot unless some before are like some behind."""
        frames = self._frames
        before = [frames[n] for n in range(number - _FLASH, number) if n in frames]
        behind = [frames[n] for n in range(number, number + _FLASH + 1) if n in frames]
        if before and behind:
            change = _difference(before[-1], behind[0])
            if min(_difference(a, b) for a in before for b in behind) >= change / 2:
                self._cuts.append(number)


def _difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(np.float32) - second).mean())
