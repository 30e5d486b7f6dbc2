"""Every parameter of how the frames of a film hang together."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from styletransfer.settings.kinds import Number, Switch
from styletransfer.settings.options import Options, describe, option
from styletransfer.settings.picture import COUNT, FACTOR

_CLOCK = re.compile(r"(?:(\d{1,4}):)?(?:(\d{1,4}):)?(\d{1,9}(?:\.\d{1,9})?)s?", re.ASCII)


@dataclass(frozen=True)
class Place:
    """A frame by its number, an int, or a time in seconds, a Fraction."""

    metavar: str = "FRAME|TIME"
    nargs: None = None

    def read(self, value: Any) -> int | Fraction:
        """See `Kind`."""
        wanted = "a frame's number such as 120, or a time such as 4.8s or 1:02:03.5"
        if isinstance(value, bool):
            raise ValueError(wanted)
        if isinstance(value, int | Fraction) and value >= 0:
            return value
        if not isinstance(value, str) or len(value) > 40:
            raise ValueError(wanted)
        if value.isascii() and value.isdecimal():
            return int(value)
        match = _CLOCK.fullmatch(value)
        if match is None:
            raise ValueError(wanted)
        first, second, seconds = match.groups()
        hours, minutes = (first, second) if second else ("0", first or "0")
        return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)


@dataclass(frozen=True)
class Film(Options):
    """How the frames of a film are chosen and hang together; a frame is painted by other settings.

    Raises
    ------
    UsageError
        If a parameter has a value that cannot work; it names the parameter, the value and what
        would do.
    """

    begin: int | Fraction | None = option(
        None, Place(), "the first frame, as a number from 0 or a time", "film"
    )
    end: int | Fraction | None = option(
        None, Place(), "the frame up to which, without it, is painted", "film"
    )
    fps: float | None = option(
        None,
        Number("a number of frames a second from 0.01 to 1000", lambda x: 0.01 <= x <= 1000),
        "at most so many frames a second; of a folder of frames, exactly so many (default: 25)",
        "film",
    )
    no_coherence: bool = option(
        False, Switch(), "paint each frame as if there were no other", "film"
    )
    next_iters: int | None = option(
        None,
        COUNT,
        "optimise: the most iterations of a frame that goes on from another (default: half of -n)",
        "film",
    )
    temporal_weight: float = option(
        1.0,
        FACTOR,
        "optimise: how much a frame is held to those before, 1 being the usual",
        "film",
    )
    passes: int = option(
        1,
        Number("a whole number from 1 to 20", lambda x: 1 <= x <= 20, whole=True),
        "optimise: how often a shot is gone through, forward and backward in turns",
        "film",
    )

    def following(self, first: int) -> int:
        """Return the iterations of a frame that goes on from another, given a first one's."""
        if self.no_coherence:
            return first
        return self.next_iters if self.next_iters is not None else max(first // 2, 1)

    def plain(self) -> dict[str, Any]:
        """Return the parameters as what JSON has."""
        values = {name: getattr(self, name) for name in describe(Film)}
        return {k: str(v) if isinstance(v, Fraction) else v for k, v in values.items()}
