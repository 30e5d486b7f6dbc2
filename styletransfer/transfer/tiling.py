"""Whether a picture is computed in tiles, and how large they are: what the memory allows."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx

from styletransfer.errors import NetworkError, UsageError
from styletransfer.objective import memory, tilemodels, whole
from styletransfer.objective.protocol import Evaluation, Objective
from styletransfer.objective.statistics import forward
from styletransfer.objective.term import Matching, Term
from styletransfer.objective.tiles import Layout
from styletransfer.runtime.devices import Device
from styletransfer.runtime.memory import available, resident
from styletransfer.settings import Settings
from styletransfer.settings.choices import Convolution

logger = logging.getLogger(__name__)

SIDES = (2048, 1536, 1024, 768, 512, 384, 256, 192, 128)
"""The tiles that are tried, in pixels a side, without the halo."""

LEAST = 32
"""The smallest tile that can be asked for."""

# Measured, see benchmarks/RESULTS.md, "Tiles and memory": the runtime takes memory in pieces that
# grow; and while a session is made, the weights are there as arrays and as what the runtime makes
# of them.
SLACK = 1.15
MAKING, MADE = 2.1, 0.65


@dataclass(frozen=True)
class Tiling:
    """How pictures are divided.

    Attributes
    ----------
    tile : {"auto", "off"} or int
        ``auto``: in tiles as large as the memory allows, where it does not allow the whole. A
        number: tiles of so many pixels a side.
    limit : int or None
        The most bytes that the process may take, with what it takes already.
    """

    tile: str | int = "auto"
    limit: int | None = None

    def __post_init__(self) -> None:
        number = isinstance(self.tile, int) and not isinstance(self.tile, bool)
        if self.tile not in ("auto", "off") and not (number and self.tile >= LEAST):  # type: ignore[operator]
            raise UsageError(
                f"tile is {self.tile!r}; give auto, off, or a whole number of at least {LEAST}"
            )
        if self.limit is not None and self.limit <= 0:
            raise UsageError(f"memory_limit is {self.limit}; give a number of bytes above 0")

    @property
    def free(self) -> int | None:
        """How many bytes may be taken; None where nothing is known."""
        known = [n for n in (available(), self._left) if n is not None]
        return max(min(known), 0) if known else None

    @property
    def _left(self) -> int | None:
        return None if self.limit is None else self.limit - resident()


@dataclass(frozen=True)
class Need:
    """The bytes that a stage of a run takes, beside the pictures and the network.

    Attributes
    ----------
    weights : int
        The constants of the model.
    live : int
        The results that it holds at once.
    beside : int
        What lies beside it: targets, and models of the same weights.
    images : int
        Those of the minimiser, which come when it runs.
    """

    weights: int
    live: int
    beside: int
    images: int

    @property
    def total(self) -> int:
        """The most at once."""
        running = self.images + MADE * self.weights + SLACK * self.live
        return round(self.beside + max(MAKING * self.weights, running))


@dataclass(frozen=True)
class Work:
    """An objective that is to be made: the arguments of `WholeObjective`."""

    network: onnx.ModelProto
    shape: tuple[int, ...]
    terms: tuple[Term, ...]
    device: Device
    convolution: Convolution

    def need(self, side: int | None, settings: Settings) -> Need:
        """Return what it takes as a whole, or in tiles of a side."""
        arguments = (self.device, self.convolution)
        beside = self._targets()
        matching = [term for term in self.terms if isinstance(term, Matching)]
        if side is None or not matching:
            graph, outputs = whole.assemble(self.network, self.shape, self.terms, *arguments)
        else:
            layout = Layout.of(self.network, self.shape, matching, side)
            graph, outputs = tilemodels.assemble(self.network, layout, matching, *arguments)
            first = [name for name in outputs if name != tilemodels.GRADIENT]
            # Two models, and each keeps the memory that it had.
            weights, live = memory.weights(graph, first), memory.live(graph, first)
            beside += round(MADE * weights + SLACK * live)
            outputs = [tilemodels.GRADIENT]
        taken = memory.weights(graph, outputs), memory.live(graph, outputs)
        return Need(*taken, beside, images(settings, self.shape))

    def roughly(self) -> int:
        """Return about what it takes as a whole, and no less, in no time."""
        graph = forward(self.network, self.shape, self.terms)
        results = sum(4 * prod(graph.shape(node.output[0])) for node in graph.nodes)
        return 3 * results + 16 * sum(array.nbytes for array in graph.initializers.values())

    def _targets(self) -> int:
        graph = forward(self.network, self.shape, self.terms)
        pointwise = [t for t in self.terms if isinstance(t, Matching) and t.pointwise]
        return sum(4 * prod(graph.shape(term.layer)) for term in pointwise)


def images(settings: Settings, shape: Sequence[int]) -> int:
    """Return the bytes of the images that a minimiser and a run keep."""
    history = settings.history or 10
    own = {"lbfgs": 2 * history + 6, "lbfgsb": 4 * history + 16, "adam": 6}
    return 4 * prod(shape) * (own.get(settings.optimizer, 6) + 6)


def side(tiling: Tiling, work: Work, settings: Settings) -> int | None:
    """Return the side of the tiles of an objective; None for the whole.

    It is the largest that fits; where none does, the smallest that there is, and a warning.
    """
    if tiling.tile == "off":
        return None
    if isinstance(tiling.tile, int):
        return tiling.tile if tiling.tile < max(work.shape[2:]) else None
    free = tiling.free
    if free is None or fits(tiling, work, settings):
        return None
    need = work.need(None, settings)
    if need.total <= free:
        return None
    sides = [n for n in SIDES if n < max(work.shape[2:])]
    try:
        chosen, need = _largest(sides, lambda n: work.need(n, settings), free) or (None, need)
    except NetworkError as error:
        logger.warning("%s", error)
        return None
    if need.total > free:
        logger.warning(
            "the memory will hardly do: about %s are needed, %s are free; a smaller length"
            " (--length), or adam, takes less",
            megabytes(need.total),
            megabytes(free),
        )
    return chosen


def fits(tiling: Tiling, work: Work, settings: Settings) -> bool:
    """Return whether the memory is known to be enough for an objective as a whole, at a guess."""
    free = tiling.free
    return free is not None and work.roughly() + images(settings, work.shape) <= free


def _largest(
    sides: Sequence[int], need: Callable[[int], Need], free: int
) -> tuple[int, Need] | None:
    """Return the largest of some sides that fits, by halving, else the smallest; None if none."""
    known: dict[int, Need] = {}
    low, high = 0, len(sides) - 1
    while low < high:
        middle = (low + high) // 2
        known[middle] = need(sides[middle])
        if known[middle].total <= free:
            high = middle
        else:
            low = middle + 1
    if not sides:
        return None
    return sides[low], known.get(low) or need(sides[low])


def smaller(side: int | None, shape: Sequence[int]) -> int | None:
    """Return the next smaller side to try; None where there is none."""
    before = max(shape[2:]) if side is None else side
    return next((n for n in SIDES if n <= 0.75 * before), None)


def megabytes(count: int) -> str:
    """Return a number of bytes for a reader."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


class Patient:
    """An objective that is made anew in smaller tiles where the memory is not enough.

    The values are the same: whoever minimises it notices nothing.
    """

    def __init__(self, objective: Objective, again: Callable[[MemoryError], Objective]) -> None:
        self._objective: Objective | None = objective
        self._again = again

    def evaluate(self, image: np.ndarray) -> Evaluation:
        """Return the loss and its gradient at an image."""
        while True:
            assert self._objective is not None
            try:
                return self._objective.evaluate(image)
            except MemoryError as lack:
                self._objective = None  # its memory is free before another is made
                self._objective = self._again(lack)
