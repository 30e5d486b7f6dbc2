"""What the process that reads films may answer, checked: it may be in an attacker's hands."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from styletransfer.images import MAX_PIXELS
from styletransfer.text import clause
from styletransfer.video.facts import Colour, Source

_LARGEST = 1 << 62
_BITS = 512  # of a fraction's halves: as a float it is finite
_FRACTIONS = ("rate", "time_base", "duration", "start", "end", "pixel_aspect")
_MAY_LACK = ("frames", "rate", "duration", "end")


class NonsenseError(Exception):
    """An answer that makes no sense; the text says what it was."""


class Shown(NamedTuple):
    """Which frame is seen when, and for how long."""

    number: int
    time: Fraction
    duration: Fraction


def line(data: bytes) -> dict[str, Any]:
    """Return an answer."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise NonsenseError("no answer")
    return told


def of_fraction(value: Fraction | None) -> list[int] | None:
    """Return a fraction as it is told."""
    return None if value is None else [value.numerator, value.denominator]


def of_source(source: Source) -> dict[str, Any]:
    """Return a film's facts as they are told."""
    told = asdict(source)
    del told["path"], told["files"]
    return told | {name: of_fraction(told[name]) for name in _FRACTIONS}


def source(path: Path, told: Any) -> Source:
    """Return a film's facts."""
    facts = _table(told)
    try:
        for name in _FRACTIONS:
            if facts[name] is not None or name not in _MAY_LACK:
                facts[name] = _fraction(facts[name], positive=name not in ("start", "end"))
        if facts["frames"] is not None:
            _whole(facts["frames"], 1)
        colour = _table(facts["colour"])
        for name in ("matrix", "primaries", "transfer"):
            _whole(colour[name], 0, 1000)
        colour |= {"full": colour["full"] is True, "pixel_format": _word(colour["pixel_format"])}
        facts |= {"path": path, "kind": "container", "format": _word(facts["format"])}
        facts |= {name: facts[name] is True for name in ("alpha", "has_audio")}
        if _whole(facts["width"], 1) * _whole(facts["height"], 1) > MAX_PIXELS:
            raise NonsenseError("a size that is not accepted")
        if _whole(facts["rotation"], 0, 270) % 90 or _whole(facts["depth"]) not in (8, 16):
            raise NonsenseError("frames that there are not")
        return Source(**facts | {"colour": Colour(**colour), "loops": 0})
    except (KeyError, TypeError):
        raise NonsenseError("facts that are incomplete") from None


def shown(told: dict[str, Any], last: Shown | None) -> Shown:
    """Return which frame is seen when; it is the next one behind the last."""
    number = _whole(told.get("number"))
    time = _fraction(told.get("time"))
    duration = _fraction(told.get("duration"))
    if last is not None and (number != last.number + 1 or time <= last.time):
        raise NonsenseError("frames out of order")
    return Shown(number, time, duration)


def shape(told: dict[str, Any], side: int) -> tuple[int, int, int]:
    """Return the shape of a small picture."""
    sides = told.get("shape")
    if not isinstance(sides, list) or len(sides) != 2:
        raise NonsenseError("a picture without a size")
    return _whole(sides[0], 1, side), _whole(sides[1], 1, side), 3


def phrases(told: Any) -> tuple[str, ...]:
    """Return some phrases."""
    if not isinstance(told, list):
        raise NonsenseError("no list")
    return tuple(clause(phrase) for phrase in told)


def _table(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise NonsenseError("no facts")
    return dict(told)


def _word(told: Any) -> str:
    return clause(told, 100)


def _whole(told: Any, least: int = 0, most: int = _LARGEST) -> int:
    if type(told) is not int or not least <= told <= most:
        raise NonsenseError("a number that cannot be")
    return told


def _fraction(told: Any, positive: bool = False) -> Fraction:
    halves: Sequence[Any] = told if isinstance(told, list) and len(told) == 2 else (0, 0)
    numerator, denominator = halves
    if type(numerator) is not int or type(denominator) is not int or denominator <= 0:
        raise NonsenseError("a number that cannot be")
    if max(numerator.bit_length(), denominator.bit_length()) > _BITS:
        raise NonsenseError("a number that cannot be")
    if positive and numerator <= 0:
        raise NonsenseError("a number that cannot be")
    return Fraction(numerator, denominator)
