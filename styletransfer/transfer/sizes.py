"""Whether the pictures of a run are large enough for the layers that are matched."""

from bisect import bisect_left
from collections.abc import Sequence
from math import ceil

from styletransfer.errors import UsageError
from styletransfer.images.sizes import scaled
from styletransfer.networks import NETWORKS
from styletransfer.objective.statistics import forward
from styletransfer.objective.term import Matching
from styletransfer.settings import Settings
from styletransfer.transfer import goals
from styletransfer.transfer.inputs import Inputs
from styletransfer.transfer.stages import Stage, plan
from styletransfer.weights.loading import LoadedNetwork, without_weights

SMALLEST_STYLE = 32
"""The least short side of a style image: below it the deep layers of the networks are empty."""


def scales(settings: Settings, given: Inputs, stage: Stage) -> list[float]:
    """Return the factors that bring the content and the styles to the size of a stage."""
    factors = goals.each(settings.style_scale, len(given.styles), "style_scale")
    return [
        stage.scale_for(given.content.shape),
        *(
            factor * stage.scale_for(style.shape)
            for style, factor in zip(given.styles, factors, strict=True)
        ),
    ]


def check_beforehand(settings: Settings, given: Inputs) -> None:
    """Raise UsageError where it is known, before there are weights, that `check` will.

    Of a network of one's own that is not known: its layers are in its files.
    """
    table = NETWORKS.get(settings.model)
    if table is None:
        return
    stages = plan(settings, given.content.shape, table.input_size)
    sides = (min(size) for stage in stages for size in _sizes(settings, given, stage))
    if min(sides) >= table.input_size:
        return
    network = without_weights(table)
    masks = bool(given.style_masks), given.content_mask is not None
    wanted = goals.choose(settings, network, len(given.styles), *masks)
    for stage in stages:
        check(settings, network, given, stage, wanted)


def check(
    settings: Settings, network: LoadedNetwork, given: Inputs, stage: Stage, wanted: goals.Goals
) -> None:
    """Raise UsageError where a layer that is matched would have nothing of a picture."""
    shallow = min(SMALLEST_STYLE, network.input_size)
    matched: list[Matching] = [*wanted.content, *(t for style in wanted.styles for t in style)]
    for number, (height, width) in enumerate(_sizes(settings, given, stage)):
        if min(height, width) >= network.input_size:
            continue
        terms = wanted.styles[number - 1] if number else matched
        least = shallow if number else 1
        if min(height, width) >= least and _serves(network, terms, min(height, width)):
            continue
        least = max(least, _least_side(network, terms))
        name = "a style image" if number else "the result"
        reason = f"{name} would be {width} x {height} pixels, and needs {least} on its short side"
        if number:
            raise UsageError(f"{reason}; give a larger style_scale (--style-scale)")
        short, long = sorted(given.content.shape[:2])
        part = stage.shrink * stage.length / settings.length
        length = ceil(least * long / short / part)
        raise UsageError(
            f"{reason} for the layers that are matched; give a length of at least {length}, or"
            " other layers"
        )


def _sizes(settings: Settings, given: Inputs, stage: Stage) -> list[tuple[int, int]]:
    """Return height and width of the content and the styles at a stage."""
    pictures = (given.content, *given.styles)
    return [
        scaled(picture.shape, scale)
        for picture, scale in zip(pictures, scales(settings, given, stage), strict=True)
    ]


def _least_side(network: LoadedNetwork, terms: Sequence[Matching]) -> int:
    """Return the least side of a picture that serves."""
    sides = range(1, network.input_size)
    return bisect_left(sides, True, key=lambda side: _serves(network, terms, side)) + 1


def _serves(network: LoadedNetwork, terms: Sequence[Matching], side: int) -> bool:
    """Whether each layer of some terms has something of a picture with such a side."""
    graph = forward(network.model, (1, 3, side, side), terms)
    return all(min(graph.shape(term.layer)) > 0 for term in terms)
