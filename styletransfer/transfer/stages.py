"""The stages of a run: coarse to fine, each from the image before."""

from collections.abc import Sequence
from dataclasses import dataclass

from styletransfer import images
from styletransfer.errors import UsageError
from styletransfer.images.sizes import scaled
from styletransfer.settings import Settings

SMALLEST = 64
"""The least short side of a coarse scale: below it the deep layers are left with few positions."""

AUTOMATIC = 224
"""The least short side of a coarse scale that ``scales="auto"`` chooses.

Scales below it take time, graphs of their own above all, and the loss at the full size is no lower
for them; see docs/optimisers.md.
"""


@dataclass(frozen=True)
class Stage:
    """One optimisation at one size.

    Attributes
    ----------
    length : float
        The longest side, before the bound on the shortest.
    shrink : float
        Factor of both sides after that.
    ratio : float
        The weight of the style over that of the content.
    n_iter : int
        The most iterations.
    least : int
        The least short side, before `shrink`.
    """

    length: float
    shrink: float
    ratio: float
    n_iter: int
    least: int

    def scale_for(self, shape: Sequence[int]) -> float:
        """Return the factor from the size of a picture (H, W, ...) to that of this stage."""
        return self.shrink * images.scale_for(tuple(shape), self.length, self.least)

    def size(self, shape: Sequence[int]) -> tuple[int, int]:
        """Return height and width of a picture (H, W, ...) at this stage."""
        return scaled(tuple(shape), self.scale_for(shape))


def plan(settings: Settings, shape: Sequence[int], input_size: int) -> list[Stage]:
    """Return the stages that a picture goes through.

    Parameters
    ----------
    settings : Settings
        Its length, ratio, iterations, stages and scales.
    shape : sequence of int
        (H, W, ...) of the content picture as it is.
    input_size : int
        Side of the network's nominal input.

    Returns
    -------
    list of Stage
        The last has the size of the result. Iterations add up to those of the settings.

    Raises
    ------
    UsageError
        If there are more stages than iterations, or a scale would be too small.
    """
    least = 1 if settings.any_size else input_size
    parts = settings.stages
    if parts:
        counts = _shares(settings.n_iter, [part.n_iter for part in parts])
        return [
            Stage(settings.length * part.length, 1.0, settings.ratio * part.ratio, count, least)
            for part, count in zip(parts, counts, strict=True)
        ]
    short = min(shape[:2]) * images.scale_for(tuple(shape), settings.length, least)
    number = _scales(settings.scales, short)
    counts = _shares(settings.n_iter, [1.0] * number)
    return [
        Stage(settings.length, 2 ** (-(number - 1 - k) / 2), settings.ratio, count, least)
        for k, count in enumerate(counts)
    ]


def _scales(scales: str, short: float) -> int:
    """Return how many scales there are, having checked that the coarsest is large enough."""
    least = AUTOMATIC if scales == "auto" else SMALLEST
    possible = 1
    while short * 2 ** (-possible / 2) >= least:
        possible += 1
    if scales == "auto":
        return possible
    if int(scales) > possible:
        raise UsageError(
            f"scales is {scales}, but with a short side of {short:.0f} pixels there is room for"
            f" {possible} (the coarsest has {SMALLEST} pixels or more); give fewer, or auto"
        )
    return int(scales)


def _shares(total: int, weights: Sequence[float]) -> list[int]:
    """Divide a number of iterations in proportion to weights, at least 1 each."""
    if total < len(weights):
        raise UsageError(
            f"n_iter (--num-iters) is {total}, but the run has {len(weights)} stages;"
            " give at least one iteration to each"
        )
    shares, done, before = [], 0.0, 0
    for left, weight in zip(range(len(weights) - 1, -1, -1), weights, strict=True):
        done += weight
        end = round(total * done / sum(weights))
        end = min(max(end, before + 1), total - left)
        shares.append(end - before)
        before = end
    return shares
