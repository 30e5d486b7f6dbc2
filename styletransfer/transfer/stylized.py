"""A first image that a network paints in one pass: the content in the run's own styles."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from styletransfer.errors import WeightsError
from styletransfer.feedforward import Stylizer
from styletransfer.feedforward.stylizer import SMALLEST
from styletransfer.images.sizes import resize_smoothly
from styletransfer.progress import Download
from styletransfer.runtime.devices import Device
from styletransfer.transfer.firstimage import by_masks
from styletransfer.transfer.inputs import Inputs

LONGEST = 448
"""The longest side that is painted: strokes of the network do not grow with the picture."""


def painter(
    device: Device, models: str | Path | None, fetching: Callable[[Download], None]
) -> Stylizer:
    """Return what paints first images; raise WeightsError if it is neither here nor to be had."""
    try:
        return Stylizer(
            gpu_id=device.index,
            threads=device.threads,
            provider=device.provider,
            models=models,
            progress=fetching,
        )
    except WeightsError as error:
        raise WeightsError(
            "init is 'stylized', which needs networks that are neither here nor to be had now; take"
            " another, such as 'content':",
            [error.text, *error.details],
        ) from error


def paint(
    stylizer: Stylizer,
    given: Inputs,
    weights: Sequence[float],
    size: tuple[int, int],
) -> np.ndarray:
    """Return the content as `stylizer` paints it, float RGB in [0, 1], of a height and width.

    Several styles are blended by their weights; with masks each is where its mask is, and the
    content where none is. It is painted at `LONGEST` pixels or fewer, and scaled up.
    """
    scale = min(LONGEST / max(size), 1.0)
    content = resize_smoothly(given.content, tuple(max(round(scale * n), SMALLEST) for n in size))
    if given.style_masks:

        def restyle(style: np.ndarray) -> np.ndarray:
            return stylizer.stylize(content, style)

        painting = by_masks(restyle, content, given, weights)
    else:
        painting = stylizer.stylize(content, given.styles, style_weights=weights)
    return resize_smoothly(painting, size).astype(np.float32)
