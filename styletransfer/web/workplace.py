"""Where jobs are made: what the queue asks of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

GRACE_SECONDS = 20.0
"""From the word to stop until a job is given up."""

POLL_SECONDS = 0.2
"""Between two looks at whether a job is to stop."""


class GoneError(Exception):
    """Who made a job has died."""


class LostError(Exception):
    """Nobody can be reached who makes jobs; no job is to blame."""


@dataclass(frozen=True)
class Order:
    """A job as it travels.

    Attributes
    ----------
    kind : str
        See `orders.KINDS`.
    values : mapping of str to object
        The parameters, as they were given.
    files : mapping of str to sequence of str
        The names of the files that came in, by what they are.
    """

    kind: str
    values: Mapping[str, Any]
    files: Mapping[str, Sequence[str]]


STOPPED: Mapping[str, Any] = {"result": "", "error": "", "stopped": True, "facts": {}}
"""What became of a job of which nothing is left."""


class Workplace(Protocol):
    """Where jobs are made."""

    def slots(self) -> int:
        """Return how many jobs are made at a time."""

    def make(
        self,
        order: Order,
        folder: Path,
        tell: Callable[[Mapping[str, Any]], None],
        stop: Callable[[], bool],
    ) -> Mapping[str, Any]:
        """Have a job made in its folder; return what became of it, as `workshop.Made` has it.

        Parameters
        ----------
        order : Order
            What is asked for.
        folder : Path
            Where its files lie, and where what is made goes.
        tell : callable
            Told how far it is.
        stop : callable
            Whether it is to end with what there is; asked several times a second.

        Raises
        ------
        GoneError
            If who made it has died.
        LostError
            If nobody can be reached.
        """

    def close(self) -> None:
        """End what makes jobs, and what is under way."""
