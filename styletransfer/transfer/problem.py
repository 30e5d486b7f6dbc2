"""One stage of a run as a function to minimise."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from styletransfer import images
from styletransfer.errors import NetworkError
from styletransfer.objective import tiled
from styletransfer.objective.protocol import Objective
from styletransfer.objective.statistics import statistics
from styletransfer.objective.term import Matching
from styletransfer.objective.tiled import TiledObjective
from styletransfer.objective.whole import WholeObjective
from styletransfer.runtime.devices import Device
from styletransfer.settings import Settings
from styletransfer.transfer import goals, sizes, temporal
from styletransfer.transfer.inputs import Inputs
from styletransfer.transfer.stages import Stage
from styletransfer.transfer.tiling import Patient, Tiling, Work, fits, side, smaller
from styletransfer.weights.loading import LoadedNetwork

logger = logging.getLogger(__name__)

MOST_STYLES = 32
"""For how many style images, each at a size, statistics are kept: some MB each."""

MOST_SIZES = 3
"""For how many sizes an objective is kept, where the memory allows: a session of its own each."""


@dataclass(frozen=True)
class Problem:
    """A function to minimise, and the pictures behind it at the size of the stage.

    Attributes
    ----------
    objective : Objective
        Bound to its targets.
    content : ndarray, shape (1, 3, H, W)
        Preprocessed.
    styles : tuple of ndarray
        Preprocessed, each of its own size.
    work : Work
        What the objective is made of.
    tile : int or None
        Pixels a side of its tiles; None for the whole.
    tiles : int
        How many there are.
    """

    objective: Objective
    content: np.ndarray
    styles: tuple[np.ndarray, ...]
    work: Work
    tile: int | None = None
    tiles: int = 1


class ProblemMaker:
    """Makes problems on one device.

    It keeps the last objectives, for pictures of the same sizes, since making one takes seconds;
    and the statistics of style images, which do not depend on the content, for the rest of a batch.

    Attributes
    ----------
    tiling : Tiling
        Whether they are computed in tiles.
    """

    def __init__(self, device: Device, tiling: Tiling | None = None) -> None:
        self._device = device
        self.tiling = tiling or Tiling()
        # By what they are of, the one used last at the end; and the sides of their tiles.
        self._kept: dict[object, WholeObjective | TiledObjective] = {}
        self._sides: dict[object, int | None] = {}
        self._styles: dict[object, dict[str, np.ndarray]] = {}

    def make(
        self, settings: Settings, network: LoadedNetwork, given: Inputs, stage: Stage
    ) -> Problem:
        """Return the problem of a stage; those made before are then of no more use.

        Raises
        ------
        UsageError
            If an image would be too small, or the settings fit neither pictures nor network.
        NetworkError
            If the network lacks a layer that is asked for.
        """
        content, *styles = _at_size(settings, network, given, stage)
        wanted = goals.choose(
            settings,
            network,
            len(styles),
            bool(given.style_masks),
            given.content_mask is not None,
            given.expected is not None,
        )
        weights = goals.factors(settings, network, len(styles), stage.ratio, given.expected)
        sizes.check(settings, network, given, stage, wanted)
        work = Work(network.model, content.shape, wanted.terms, self._device, settings.conv)
        key = (content.shape, wanted, settings.pooling, settings.conv)
        if key not in self._kept:
            self._make_room(work, settings)
            width, height = content.shape[:1:-1]
            logger.info("preparing %d x %d pixels on %s", width, height, self._device)
            if key not in self._sides:
                self._sides[key] = side(self.tiling, work, settings)
                if self._sides[key] is not None:
                    logger.info("in tiles of %d pixels", self._sides[key])

        def bound() -> Objective:
            targets = self._statistics(work, content, wanted.content, self._sides[key])
            if given.expected is not None:
                picture = images.resize(given.expected.picture, content.shape[2:])
                targets[temporal.TERM.name] = images.preprocess(picture, network.mean)
            for style, terms in zip(styles, wanted.styles, strict=True):
                targets |= self._of_style(settings, work, style, terms, self._sides[key])
            objective = self._objective(key, work)
            regions = goals.regions(given.style_masks, given.content_mask, given.expected)
            objective.bind(targets, weights, regions)
            return objective

        def again(lack: MemoryError) -> Objective:
            while True:
                self._take_less(key, content.shape, lack)
                try:
                    return bound()
                except MemoryError as other:
                    lack = other
                except NetworkError:
                    raise lack from None

        try:
            objective = bound()
        except MemoryError as lack:
            objective = again(lack)
        tiles = len(objective.layout.grid.tiles) if isinstance(objective, TiledObjective) else 1
        tile = self._sides[key] if tiles > 1 else None
        return Problem(Patient(objective, again), content, tuple(styles), work, tile, tiles)

    def _take_less(self, key: object, shape: Sequence[int], lack: MemoryError) -> None:
        """Let go of other objectives; where there is none make smaller tiles, or raise the lack."""
        alone = not self._kept.keys() - {key}
        self._kept.clear()
        if not alone:
            return
        less = smaller(self._sides[key], shape) if self.tiling.tile != "off" else None
        if less is None:
            raise lack
        logger.warning("the memory is not enough (%s); going on in tiles of %d pixels", lack, less)
        self._sides[key] = less

    def forget_last(self) -> None:
        """Let go of the objective made last, a coarse scale's: its memory is the next scale's."""
        if self._kept:
            self._kept.popitem()

    def _make_room(self, work: Work, settings: Settings) -> None:
        """Let go of kept objectives where another would be too many, or too much beside them."""
        while len(self._kept) >= MOST_SIZES:
            del self._kept[next(iter(self._kept))]
        if self._kept and not fits(self.tiling, work, settings):
            self._kept.clear()
        self._sides = {key: pixels for key, pixels in self._sides.items() if key in self._kept}

    def _objective(self, key: object, work: Work) -> WholeObjective | TiledObjective:
        """Return an objective, that kept if it is of the same."""
        found = self._kept.pop(key, None)
        if found is None:
            arguments = work.network, work.shape, work.terms, work.device, work.convolution
            pixels = self._sides[key]
            found = (
                WholeObjective(*arguments)
                if pixels is None
                else TiledObjective(*arguments, side=pixels)
            )
        self._kept[key] = found  # the latest at the end
        return found

    def _statistics(
        self, work: Work, picture: np.ndarray, terms: Sequence[Matching], pixels: int | None
    ) -> dict[str, np.ndarray]:
        if pixels is None or pixels >= max(picture.shape[2:]):
            return statistics(work.network, picture, terms, self._device)
        return tiled.statistics(work.network, picture, terms, self._device, pixels)

    def _of_style(
        self,
        settings: Settings,
        work: Work,
        style: np.ndarray,
        terms: Sequence[Matching],
        pixels: int | None,
    ) -> dict[str, np.ndarray]:
        """Return what terms match of a style image, computed once for a batch."""
        seen = hashlib.sha256(style.tobytes()).hexdigest()
        key = (seen, style.shape, tuple(terms), settings.pooling, pixels)
        found = self._styles.pop(key, None)
        if found is None:
            found = self._statistics(work, style, terms, pixels)
        self._styles[key] = found  # the latest at the end
        while len(self._styles) > MOST_STYLES:
            del self._styles[next(iter(self._styles))]
        return found


def _at_size(
    settings: Settings, network: LoadedNetwork, given: Inputs, stage: Stage
) -> list[np.ndarray]:
    """Return the content and the styles at the size of a stage, as the network sees them."""
    pictures = (given.content, *given.styles)
    return [
        images.preprocess(images.rescale(picture, scale), network.mean)
        for picture, scale in zip(pictures, sizes.scales(settings, given, stage), strict=True)
    ]
