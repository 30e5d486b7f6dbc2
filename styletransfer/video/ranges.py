"""A part of a film, from a place up to another one."""

from dataclasses import dataclass
from fractions import Fraction

from styletransfer.errors import UsageError

Place = int | Fraction
"""A place in a film: an int is the number of a frame, a Fraction a time in seconds."""


@dataclass(frozen=True)
class Range:
    """The frames from `begin` up to, but without, `end`; None is the film's own end."""

    begin: Place | None = None
    end: Place | None = None

    def __post_init__(self) -> None:
        for place in (self.begin, self.end):
            if place is not None and place < 0:
                raise UsageError(f"a place in a film is 0 or more, not {_text(place)}")
        if type(self.begin) is type(self.end) and self.begin is not None:
            assert self.end is not None
            if self.begin >= self.end:
                raise UsageError(
                    f"there is nothing from {_text(self.begin)} up to {_text(self.end)}; the end is"
                    " not part of the range"
                )

    def before(self, number: int, time: Fraction) -> bool:
        """Whether a frame lies before the range."""
        if self.begin is None:
            return False
        return number < self.begin if isinstance(self.begin, int) else time < self.begin

    def after(self, number: int, time: Fraction) -> bool:
        """Whether a frame, and all that follow, lie behind the range."""
        if self.end is None:
            return False
        return number >= self.end if isinstance(self.end, int) else time >= self.end

    def __str__(self) -> str:
        end = "the end" if self.end is None else _text(self.end)
        return f"{_text(self.begin or 0)} to {end}"


def _text(place: Place) -> str:
    return f"frame {place}" if isinstance(place, int) else f"{float(place):.3f} s"
