"""What a run matches: loss terms, the weight of each, and their targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from styletransfer.errors import UsageError
from styletransfer.objective.losses import Content, Gram, TotalVariation, Wasserstein
from styletransfer.objective.term import Term
from styletransfer.settings import Settings
from styletransfer.text import counted, some
from styletransfer.transfer import temporal
from styletransfer.transfer.temporal import Expected
from styletransfer.weights.loading import LoadedNetwork

CONTENT_MASK = "content"


@dataclass(frozen=True)
class Goals:
    """The terms of one objective.

    Attributes
    ----------
    content : tuple of Content
        One a layer.
    styles : tuple of tuple of Gram or Wasserstein
        For every style image one a layer.
    variation : tuple of TotalVariation
        One or none.
    expected : tuple of Content
        One or none, of the image itself.
    """

    content: tuple[Content, ...]
    styles: tuple[tuple[Gram | Wasserstein, ...], ...]
    variation: tuple[TotalVariation, ...]
    expected: tuple[Content, ...] = ()

    @property
    def terms(self) -> tuple[Term, ...]:
        """All of them, in one order."""
        styles = (term for style in self.styles for term in style)
        return (*self.content, *styles, *self.variation, *self.expected)


def choose(
    settings: Settings,
    network: LoadedNetwork,
    styles: int,
    style_masks: bool,
    content_mask: bool,
    expected: bool = False,
) -> Goals:
    """Return the terms that settings ask for.

    Parameters
    ----------
    settings : Settings
        Its layers and the kinds of its losses.
    network : LoadedNetwork
        Has layers of its own where the settings name none.
    styles : int
        How many style images there are.
    style_masks, content_mask : bool
        Whether the styles, the content have masks.
    expected : bool
        Whether the result should be near to a picture.

    Raises
    ------
    UsageError
        If neither names layers.
    """
    content_layers, style_layers = layers(settings, network)
    content = [
        Content(
            layer,
            reduction=settings.reduction,
            mask=CONTENT_MASK if content_mask else None,
        )
        for layer in content_layers
    ]
    matched = [
        tuple(_style_term(settings, layer, name, style_masks) for layer in style_layers)
        for name in _names(styles)
    ]
    variation = [TotalVariation(settings.tv_kind)] if settings.tv else []
    near = (temporal.TERM,) if expected else ()
    return Goals(tuple(content), tuple(matched), tuple(variation), near)


def _style_term(settings: Settings, layer: str, name: str, masked: bool) -> Gram | Wasserstein:
    mask = name if masked else None
    if settings.style_loss == "wasserstein":
        return Wasserstein(layer, name, mask=mask)
    return Gram(layer, name, settings.gram or "caffe", settings.reduction, mask=mask)


def factors(
    settings: Settings,
    network: LoadedNetwork,
    styles: int,
    ratio: float,
    expected: Expected | None = None,
) -> list[float]:
    """Return the weight of each of `Goals.terms`.

    Several styles share the ratio in proportion to their weights.

    Parameters
    ----------
    settings : Settings
        Its layers, and the weights of the styles and of the total variation.
    network : LoadedNetwork
        Has layers of its own where the settings name none.
    styles : int
        How many style images there are.
    ratio : float
        The weight of the style over that of the content.
    expected : Expected, optional
        What the result should be near to.

    Raises
    ------
    UsageError
        If there are not as many weights as styles, or all are 0.
    """
    content_layers, style_layers = layers(settings, network)
    result = [*content_layers.values()]
    weights = style_weights(settings, styles)
    total = sum(weights)
    for weight in weights:
        result += [ratio * weight / total * own for own in style_layers.values()]
    result += [settings.tv] if settings.tv else []
    return result if expected is None else [*result, expected.weight]


def style_weights(settings: Settings, styles: int) -> tuple[float, ...]:
    """Return the weight of each style, of which one at least is not 0; raise as `factors` does."""
    weights = each(settings.style_weights or (1.0,), styles, "style_weights")
    if not any(weights):
        raise UsageError(
            f"style_weights (--style-weights) are all 0 ({weights}); give one that is not"
        )
    return weights


def layers(
    settings: Settings, network: LoadedNetwork
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Return the content layers and the style layers, with their weights.

    Parameters
    ----------
    settings : Settings
        Its layers.
    network : LoadedNetwork
        Has layers of its own where the settings name none.

    Raises
    ------
    UsageError
        If neither names layers; it lists those that there are.
    """
    content = settings.content_layers or network.content_layers
    style = settings.style_layers or network.style_layers
    for kind, chosen in (("style", style), ("content", content)):
        if not chosen:
            raise UsageError(
                f"a network of one's own needs {kind}_layers (--{kind}-layers); it has "
                + some([output.name for output in network.model.graph.output])
            )
    return content, style


def regions(
    style_masks: Sequence[np.ndarray],
    content_mask: np.ndarray | None,
    expected: Expected | None = None,
) -> dict[str, np.ndarray]:
    """Return masks by the names that the terms have for them.

    Parameters
    ----------
    style_masks : sequence of ndarray, shape (H, W)
        One a style, or none.
    content_mask : ndarray, shape (H, W), or None
        That of the content.
    expected : Expected, optional
        What the result should be near to.
    """
    found = dict(zip(_names(len(style_masks)), style_masks, strict=True))
    if content_mask is not None:
        found[CONTENT_MASK] = content_mask
    if expected is not None:
        found[temporal.MASK] = expected.trust
    return found


def _names(styles: int) -> list[str]:
    """Return what each style is called in the terms."""
    return ["style"] if styles == 1 else [f"style {i + 1}" for i in range(styles)]


def each(values: Sequence[float], styles: int, name: str) -> tuple[float, ...]:
    """Return a value for each style, of one for all or one for each.

    Parameters
    ----------
    values : sequence of float
        One for all, or as many as styles.
    styles : int
        How many style images there are.
    name : str
        The parameter's, for the message.

    Raises
    ------
    UsageError
        If there is another number of values.
    """
    if len(values) == 1:
        return tuple(values) * styles
    if len(values) != styles:
        raise UsageError(
            f"{name} (--{name.replace('_', '-')}) has {len(values)} values for"
            f" {counted(styles, 'style image')}; give one each"
            + ("" if name == "style_weights" else ", or one for all")
        )
    return tuple(values)
