"""What a training is told: the keys of the published trainers' files, and further ones."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from styletransfer.errors import UsageError
from styletransfer.feedforward.architecture import ARCHITECTURES
from styletransfer.settings.kinds import Choice, Number, Text
from styletransfer.settings.options import Options, describe, option

AUTO = "auto"
_TRAINER, _NETWORK, _LOSS = "training", "the network", "the loss"
_FAMILIES = ("tf", "pytorch")
VARIATIONS = ("mean-squares", "absolute", "squares")


def _positive(wanted: str, whole: bool = False) -> Number:
    return Number(wanted, lambda x: x > 0, whole)


def _weight(wanted: str) -> Number:
    return Number(wanted, lambda x: x >= 0)


@dataclass(frozen=True)
class LayerWeights:
    """Layers of the loss network and the weight of each, 1 where none is given.

    ``vgg_16/conv3/conv3_3`` and ``relu3_3`` are ``conv3_3``, which is meant after its ReLU.
    """

    metavar: str = "LAYER[=WEIGHT]"
    nargs: str = "+"

    def read(self, value: object) -> dict[str, float]:
        """See `Kind`."""
        wanted = "layers such as conv3_3, or with weights such as conv3_3=10"
        if isinstance(value, str):
            value = [value]
        if isinstance(value, Mapping):
            pairs: Sequence[tuple[Any, Any]] = list(value.items())
        elif isinstance(value, Sequence) and all(isinstance(item, str) for item in value):
            pairs = [(n, w if eq else 1) for n, eq, w in (_parted(item) for item in value)]
        else:
            raise ValueError(wanted)
        weight = _weight("a weight that is not negative, such as 0.5")
        layers: dict[str, float] = {}
        for name, number in pairs:
            layer = _layer(name) if isinstance(name, str) else ""
            if not layer or layer in layers:
                raise ValueError(f"{wanted}, each once")
            layers[layer] = weight.read(number)
        if not layers:
            raise ValueError(wanted)
        return layers


def _parted(item: str) -> tuple[str, bool, str]:
    name, equals, weight = item.rpartition("=")
    return (name, True, weight) if equals else (item, False, "")


def _layer(name: str) -> str:
    """Return our name of a layer of VGG; other names are left as they are."""
    match = re.fullmatch(r"(?:vgg_\d+/conv\d/)?(?:conv|relu)_?(\d_\d)", name)
    return f"conv{match[1]}" if match else name


@dataclass(frozen=True)
class Automatic:
    """A number, or ``auto``."""

    number: Number
    metavar: str = "N|auto"
    nargs: None = None

    def read(self, value: object) -> float | str:
        """See `Kind`."""
        if value == AUTO:
            return AUTO
        try:
            return self.number.read(value)
        except ValueError as error:
            raise ValueError(f"{error}, or {AUTO}") from None


@dataclass(frozen=True)
class LossNetwork:
    """A network by its name here or in TensorFlow, or the folder of one."""

    metavar: str = "NAME|FOLDER"
    nargs: None = None

    def read(self, value: object) -> str:
        """See `Kind`."""
        text = Text("a network such as vgg16, or the folder of one").read(value)
        return text.replace("_", "") if re.fullmatch(r"vgg_(16|19)", text) else text


@dataclass(frozen=True)
class Configuration(Options):
    """How a network is trained.

    The keys of hzy46's fast-neural-style-tensorflow mean what they mean there; those of its
    checkpoints, `checkpoint_exclude_scopes` and `loss_model_file`, are read and not used.
    """

    style_image: str | None = option(None, Text("the path of a picture"), "the style", _TRAINER)
    naming: str = option("style", Text("a name"), "what files are called", _TRAINER)
    model_path: str = option("models", Text("a folder"), "where files go", _TRAINER)
    content_weight: float = option(
        1.0, _weight("a number that is not negative, such as 1"), "weight of the content", _LOSS
    )
    style_weight: float | str = option(
        100.0,
        Automatic(_weight("a number that is not negative, such as 100")),
        "weight of the style; auto: that of each layer's loss is 1 over its value at the start",
        _LOSS,
    )
    tv_weight: float = option(
        0.0, _weight("a number that is not negative, such as 1e-6"), "weight of variation", _LOSS
    )
    image_size: int = option(
        256, _positive("a whole number of pixels, such as 256", True), "sides of crops", _TRAINER
    )
    batch_size: int = option(
        4, _positive("a whole number, such as 4", True), "pictures in a step", _TRAINER
    )
    epoch: float = option(2, _positive("a number, such as 2"), "passes over the pictures", _TRAINER)
    loss_model: str = option("vgg16", LossNetwork(), "the network that compares", _LOSS)
    content_layers: Mapping[str, float] = option(
        ("conv3_3",), LayerWeights(), "where the content is compared", _LOSS
    )
    style_layers: Mapping[str, float] = option(
        ("conv1_2", "conv2_2", "conv3_3", "conv4_3"),
        LayerWeights(),
        "where the style is compared",
        _LOSS,
    )
    checkpoint_exclude_scopes: str | None = option(None, Text("a text"), "read, not used", _TRAINER)
    loss_model_file: str | None = option(None, Text("a path"), "read, not used", _TRAINER)
    arch: str = option(
        "pytorch",
        Text(f"one of {', '.join(ARCHITECTURES)}, or layers such as c9s1-32,d64,d128,R128x5"),
        "the network that learns",
        _NETWORK,
    )
    width: int | None = option(
        None, _positive("a whole number, such as 32", True), "its channels at the ends", _NETWORK
    )
    seed: int = option(
        0, Number("a whole number, such as 1", lambda x: x >= 0, True), "of all chance", _NETWORK
    )
    learning_rate: float = option(
        1e-3, _positive("a positive number, such as 1e-3"), "Adam's steps", _TRAINER
    )
    losses: str | None = option(
        None, Choice(_FAMILIES), "whose formulas; by default those of the network's", _LOSS
    )
    reduction: str = option(
        "mean", Choice(("mean", "sum")), "of squares over all elements, for each term", _LOSS
    )
    variation: str | None = option(
        None, Choice(VARIATIONS), "which total variation; by default that of the losses", _LOSS
    )

    @property
    def family(self) -> str:
        """Whose formulas the losses are."""
        return self.losses or ("tf" if self.arch == "tf" else "pytorch")

    @property
    def total_variation(self) -> str:
        """Which total variation the loss has."""
        return self.variation or ("mean-squares" if self.family == "tf" else "absolute")


def read(values: Mapping[str, object], where: str = "the configuration") -> Configuration:
    """Return the configuration of a file's keys.

    Raises
    ------
    UsageError
        For a key that there is not, naming the nearest, or a value that cannot work.
    """
    known = describe(Configuration)
    for name in values:
        if name in known:
            continue
        near = difflib.get_close_matches(str(name), known, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise UsageError(f"there is no key {str(name)[:100]!r} in {where}; {hint}")
    return Configuration(**values)  # type: ignore[arg-type]  # Options checks them
