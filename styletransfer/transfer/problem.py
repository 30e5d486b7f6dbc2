"""One stage of a run as a function to minimise."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from styletransfer import images
from styletransfer.errors import UsageError
from styletransfer.objective.statistics import statistics
from styletransfer.objective.whole import WholeObjective
from styletransfer.runtime.session import Device
from styletransfer.settings import Settings
from styletransfer.transfer import goals as targets
from styletransfer.transfer.goals import Goals
from styletransfer.transfer.inputs import Inputs
from styletransfer.transfer.stages import Stage
from styletransfer.weights.loading import LoadedNetwork

logger = logging.getLogger(__name__)

SMALLEST_STYLE = 32
"""The least short side of a style image: below it the deep layers of the networks are empty."""


@dataclass(frozen=True)
class Problem:
    """A function to minimise, and the pictures behind it at the size of the stage.

    Attributes
    ----------
    objective : WholeObjective
        Bound to its targets.
    content : ndarray, shape (1, 3, H, W)
        Preprocessed.
    styles : tuple of ndarray
        Preprocessed, each of its own size.
    """

    objective: WholeObjective
    content: np.ndarray
    styles: tuple[np.ndarray, ...]


class ProblemMaker:
    """Makes problems on one device.

    It keeps the last objective, for pictures of the same size: making one takes seconds.

    Parameters
    ----------
    device : Device
        Where the objectives run.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._kept: tuple[object, WholeObjective] | None = None

    def make(
        self, settings: Settings, network: LoadedNetwork, given: Inputs, stage: Stage
    ) -> Problem:
        """Return the problem of a stage; the one made before is then of no more use.

        Parameters
        ----------
        settings : Settings
            All parameters.
        network : LoadedNetwork
            Pooling and mean as the settings have them.
        given : Inputs
            The pictures as they are.
        stage : Stage
            The size to bring them to, and the ratio.

        Raises
        ------
        UsageError
            If a style image would be too small, or the settings fit neither pictures nor network.
        NetworkError
            If the network lacks a layer that is asked for.
        """
        size = network.input_size
        mean = network.mean
        scales = [stage.scale_for(given.content.shape, size)]
        factors = targets.each(settings.style_scale, len(given.styles), "style_scale")
        for style, factor in zip(given.styles, factors, strict=True):
            scales.append(factor * stage.scale_for(style.shape, size))
        content, *styles = (
            images.preprocess(images.rescale(picture, scale), mean)
            for picture, scale in zip((given.content, *given.styles), scales, strict=True)
        )
        least = min(SMALLEST_STYLE, size)
        for style in styles:
            if min(style.shape[2:]) < least:
                raise UsageError(
                    f"a style image would be {style.shape[3]} x {style.shape[2]} pixels, and needs"
                    f" {least} on its short side; give a larger style_scale"
                )
        goals = targets.goals(
            settings, network, len(styles), bool(given.style_masks), given.content_mask is not None
        )
        weights = targets.factors(settings, network, len(styles), stage.ratio)
        matched = self._targets(network, goals, content, styles)
        objective = self._objective(settings, network, goals, content.shape)
        objective.bind(matched, weights, targets.regions(given.style_masks, given.content_mask))
        return Problem(objective, content, tuple(styles))

    def _targets(
        self,
        network: LoadedNetwork,
        goals: Goals,
        content: np.ndarray,
        styles: Sequence[np.ndarray],
    ) -> dict[str, np.ndarray]:
        """Return what the terms match."""
        found = statistics(network.model, content, goals.content, self._device)
        for style, terms in zip(styles, goals.styles, strict=True):
            found |= statistics(network.model, style, terms, self._device)
        return found

    def _objective(
        self, settings: Settings, network: LoadedNetwork, goals: Goals, shape: Sequence[int]
    ) -> WholeObjective:
        """Return an objective, the one before if it is the same."""
        key = (tuple(shape), goals, settings.pooling, settings.conv)
        if self._kept is None or self._kept[0] != key:
            self._kept = None  # its memory is free before the next one is made
            objective = WholeObjective(
                network.model, shape, goals.terms, self._device, settings.conv
            )
            self._kept = key, objective
            logger.info("%d x %d pixels on %s", shape[3], shape[2], objective.provider)
        return self._kept[1]
