"""Which of a network's own styles to paint with: a number, or a blend of several."""

from collections.abc import Mapping, Sequence
from numbers import Integral

import numpy as np

from styletransfer.errors import UsageError
from styletransfer.text import clause

Choice = int | str | Mapping[int, float] | Sequence[float] | np.ndarray
"""A style's number, ``"7"`` or ``"3:0.5,12:0.5"``, {number: weight}, or a weight for each style."""


def style_weights(choice: Choice, count: int) -> np.ndarray:
    """Return a weight for each of a network's styles; they add up to 1.

    Raises
    ------
    UsageError
        If there is no such style, or a weight is no number of at least 0.
    """
    if isinstance(choice, str):
        choice = _parsed(choice)
    if isinstance(choice, Integral):
        choice = {int(choice): 1.0}
    if isinstance(choice, Mapping):
        weights = np.zeros(count)
        for number, weight in choice.items():
            if not isinstance(number, Integral) or not 0 <= number < count:
                raise UsageError(
                    f"the network has no style {clause(number)}; its styles are 0 to {count - 1}"
                )
            weights[number] += _number(weight)
    else:
        values = np.ravel(choice)
        weights = np.array([_number(value) for value in values])
        if len(weights) != count:
            raise UsageError(f"there are {len(weights)} weights for the network's {count} styles")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise UsageError("weights of styles are numbers of at least 0, and not all 0")
    shares: np.ndarray = weights / weights.sum()
    return shares


def _parsed(text: str) -> dict[int, float]:
    weights: dict[int, float] = {}
    for part in text.split(","):
        number, _, weight = part.partition(":")
        try:
            key = int(number)
            weights[key] = weights.get(key, 0.0) + (float(weight) if weight else 1.0)
        except ValueError:
            raise UsageError(
                f"{clause(text)!r} is no style: give its number, such as 7, or numbers with"
                " weights, such as 3:0.5,12:0.5"
            ) from None
    return weights


def _number(value: object) -> float:
    try:
        # NumPy makes a float of a complex number, with a warning; Python does not.
        if not isinstance(value, np.complexfloating):
            return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        pass
    raise UsageError(f"{clause(value)!r} is no weight of a style")
