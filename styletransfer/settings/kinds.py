"""The kinds of values that a parameter can have, however it was written.

A value may come from Python, from a command line (a text, or a list of texts), from a TOML file or
from a picture; `read` brings it to one form, or raises `ValueError` with what would do.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from styletransfer.text import suggestion

_LONGEST_TEXT = 4096
_LONGEST_LIST = 256


class Kind(Protocol):
    """A kind of value; `nargs` and `metavar` are argparse's."""

    @property
    def nargs(self) -> str | None:
        """How many words there are on a command line."""

    @property
    def metavar(self) -> str | tuple[str, ...]:
        """What stands for them in the help; empty where there is no flag."""

    def read(self, value: object) -> object:
        """Return the value in its one form, or raise ValueError with what would do."""


@dataclass(frozen=True)
class Number:
    """A finite number that a condition accepts; `wanted` says which, with an example."""

    wanted: str
    accepts: Callable[[float], bool]
    whole: bool = False
    metavar: str = "N"
    nargs: None = None

    def read(self, value: Any) -> float:
        """See `Kind`."""
        try:
            # Texts of whole numbers are not rounded through a float; True is no number.
            number = int(value) if self.whole and isinstance(value, str) else float(value)
            if isinstance(value, bool) or not math.isfinite(number) or not self.accepts(number):
                raise ValueError
            if self.whole and number != int(number):
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            raise ValueError(self.wanted) from None
        return int(number) if self.whole else number


@dataclass(frozen=True)
class Numbers:
    """A list of numbers, or a single one."""

    each: Number
    count: int | None = None
    nargs: str = "+"

    @property
    def metavar(self) -> str:
        """See `Kind`."""
        return self.each.metavar

    def read(self, value: object) -> tuple[float, ...]:
        """See `Kind`."""
        items = _items(value)
        if not items or self.count not in (None, len(items)):
            what = "a list of numbers" if self.count is None else f"{self.count} numbers"
            raise ValueError(f"{what}, each {self.each.wanted}")
        return tuple(self.each.read(item) for item in items)


@dataclass(frozen=True)
class Switch:
    """Yes or no; its flag takes no value."""

    nargs: None = None
    metavar: str = ""

    def read(self, value: object) -> bool:
        """See `Kind`."""
        if not isinstance(value, bool):
            raise ValueError("true or false")
        return value


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]
    nargs: None = None

    @property
    def metavar(self) -> str:
        """See `Kind`."""
        return "|".join(self.words)

    def read(self, value: object) -> str:
        """See `Kind`."""
        if not isinstance(value, str) or value not in self.words:
            raise ValueError(f"one of {', '.join(self.words)}{suggestion(value, self.words)}")
        return value


@dataclass(frozen=True)
class Text:
    """A word, a path, or whatever `accepts` takes; numbers are taken as they are written.

    A path object stands for its text.
    """

    wanted: str
    accepts: Callable[[str], bool] = bool
    metavar: str = "TEXT"
    nargs: None = None

    def read(self, value: object) -> str:
        """See `Kind`."""
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT or "\0" in value:
            raise ValueError(self.wanted)
        if not self.accepts(value):
            raise ValueError(self.wanted)
        return value


@dataclass(frozen=True)
class Colors:
    """A method to keep colours, and whether it works before the run or after it."""

    usual: Mapping[str, tuple[str, ...]]
    nargs: str = "+"

    @property
    def metavar(self) -> tuple[str, str]:
        """See `Kind`."""
        return "|".join(self.usual), "before|after"

    def read(self, value: object) -> tuple[str, str]:
        """See `Kind`."""
        method, *when = _items(value) or [None]
        times = self.usual.get(method) if isinstance(method, str) else None
        if times is None or len(when) > 1 or any(time not in times for time in when):
            ways = (f"{name} ({' or '.join(times)})" for name, times in self.usual.items())
            raise ValueError(f"one of {', '.join(ways)}")
        return str(method), str(when[0] if when else times[0])


@dataclass(frozen=True)
class Layers:
    """Layers and the weight of each; those without one share 1 evenly."""

    metavar: str = "LAYER[=WEIGHT]"
    nargs: str = "+"

    def read(self, value: object) -> dict[str, float]:
        """See `Kind`."""
        wanted = "layers such as conv4_2, or with weights such as conv4_2=0.5"
        if isinstance(value, Mapping):
            pairs = list(value.items())
        else:
            pairs = [_layer(item, wanted) for item in _items(value)]
        if not 0 < len(pairs) <= _LONGEST_LIST:
            raise ValueError(wanted)
        weight = Number("a weight that is not negative, such as 0.5", lambda x: x >= 0)
        layers = {}
        for name, number in pairs:
            if not isinstance(name, str) or not name or name in layers:
                raise ValueError(f"{wanted}, each once")
            layers[name] = 1 / len(pairs) if number is None else weight.read(number)
        return layers


def _layer(item: object, wanted: str) -> tuple[str, object]:
    """Parse ``name`` or ``name=weight``."""
    if not isinstance(item, str):
        raise ValueError(wanted)
    name, equals, weight = item.rpartition("=")
    return (name, weight) if equals else (item, None)


def _items(value: object) -> Sequence[object]:
    """Return a list of values, of one if there is a single one."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return [value]
    if len(value) > _LONGEST_LIST:
        raise ValueError(f"at most {_LONGEST_LIST} values")
    return value
