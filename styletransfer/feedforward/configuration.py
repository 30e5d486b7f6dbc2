"""What a training is told: the keys of the published trainers' files, and further ones."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from styletransfer.errors import UsageError
from styletransfer.feedforward.architecture import ARCHITECTURES, ENLARGING
from styletransfer.settings.kinds import Choice, Number, Text
from styletransfer.settings.options import Options, describe, option

AUTO = "auto"
_TRAINER, _NETWORK, _LOSS = "training", "the network", "the loss"
_FAMILIES = ("tf", "pytorch")
_PICTURES, _RECORDS = "the pictures", "what is written"
_MOST_STYLES = 64
_NAMING = re.compile(r"[\w-][\w.-]{0,99}")
_LEARNS = ("style", "all")
_MOST_STYLES_OF_NETWORKS = 4096
_ARCH_OF_BASE = "base"  # until that is read
_OF_BASE: Mapping[str, object] = {
    "arch": _ARCH_OF_BASE,
    "learning_rate": 1e-2,
    "image_size": 160,
    "style_weight": AUTO,
    "tv_weight": 1e-7,
    "steps": 300,
    "checkpoint_every": 100,
    "crop": "random",
    "zoom": 1.5,
    "flip": True,
}
"""Defaults of a training with a base, which has few steps, and perhaps few photographs."""
# What super-resolution compares by default, as Johnson's: what is seen alone.
_OF_ENLARGING: Mapping[str, object] = {"content_layers": ["conv2_2"], "style_layers": []}
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

    least: int = 1
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
        if len(layers) < self.least:
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
class Pictures:
    """The path of a picture, or a list of such."""

    metavar: str = "FILE"
    nargs: str = "+"

    def read(self, value: object) -> tuple[str, ...]:
        """See `Kind`."""
        one = Text("the path of a picture, or a list of such")
        several = isinstance(value, Sequence) and not isinstance(value, str)
        items: Sequence[object] = value if several else [value]  # type: ignore[assignment]
        if not 0 < len(items) <= _MOST_STYLES:
            raise ValueError(f"{one.wanted}, at most {_MOST_STYLES}")
        return tuple(one.read(item) for item in items)


@dataclass(frozen=True)
class Switch:
    """Yes or no."""

    metavar: str = "yes|no"
    nargs: None = None

    def read(self, value: object) -> bool:
        """See `Kind`."""
        known = {"yes": True, "true": True, "no": False, "false": False}
        if isinstance(value, bool):
            return value
        if not isinstance(value, str) or value.lower() not in known:
            raise ValueError("yes or no")
        return known[value.lower()]


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

    have_flags = False

    style_image: tuple[str, ...] | None = option(
        None, Pictures(), "the style; several with the arch multi", _PICTURES
    )
    naming: str = option(
        "style",
        Text("a name of letters, digits, - and _", lambda x: bool(_NAMING.fullmatch(x))),
        "what files are called",
        _TRAINER,
    )
    model_path: str = option(
        "models", Text("a folder"), "where files go, in a folder of that name", _TRAINER
    )
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
    stability: float = option(
        0.0,
        _weight("a number that is not negative, such as 20"),
        "weight of how much the painting changes where noise is added to the picture",
        _LOSS,
    )
    shift: float = option(
        0.0,
        _weight("a number that is not negative, such as 20"),
        "weight of how much the painting changes where the picture is moved by some pixels",
        _LOSS,
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
        LayerWeights(least=0),
        "where the style is compared; without any there is no style_image",
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
    base: str | None = option(
        None,
        Text("multistyle26, or the path of a network that was trained"),
        "a trained network to begin from",
        _NETWORK,
    )
    learns: str | None = option(
        None,
        Choice(_LEARNS),
        "with a base: one more style, which is the default, or all of the network",
        _NETWORK,
    )
    styles: int | None = option(
        None,
        Number(
            "nothing: it follows from the base",
            lambda x: 0 < x <= _MOST_STYLES_OF_NETWORKS,
            True,
        ),
        "how many the network has, found out from its base",
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

    steps: int | None = option(
        None, _positive("a whole number, such as 40000", True), "in place of epoch", _TRAINER
    )
    style_size: int | None = option(
        None,
        _positive("a whole number of pixels, such as 512", True),
        "the shorter side of the style, by default image_size; strokes grow with it",
        _PICTURES,
    )
    crop: str = option(
        "centre", Choice(("centre", "random")), "which square of a picture is taken", _PICTURES
    )
    zoom: float = option(
        1.0,
        Number("a number from 1 to 8, such as 1.5", lambda x: 1 <= x <= 8),
        "up to how many times a picture is enlarged, by chance",
        _PICTURES,
    )
    flip: bool = option(
        False, Switch(), "whether every other picture is mirrored, by chance", _PICTURES
    )
    checkpoint_every: int = option(
        1000, _positive("a whole number of steps, such as 1000", True), "steps", _RECORDS
    )
    checkpoints_kept: int = option(
        3, _positive("a whole number, such as 3", True), "the newest ones", _RECORDS
    )
    preview_every: int = option(
        50, _positive("a whole number of steps, such as 50", True), "steps", _RECORDS
    )
    licence: str | None = option(
        None, Text("a text"), "told in the network that is written", _RECORDS
    )

    @property
    def learns_all(self) -> bool:
        """Whether all of the network is learnt, not one more style of a base."""
        return self.base is None or self.learns == "all"

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
    if values.get("arch") in tuple(ENLARGING):
        values = {**_OF_ENLARGING, **values}
    for name in values:
        if name in known:
            continue
        near = difflib.get_close_matches(str(name), known, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise UsageError(f"there is no key {str(name)[:100]!r} in {where}; {hint}")
    # What is written of a training with a base has the number of styles: all is settled there.
    if values.get("base") is None:
        _check_without_base(values)
    elif values.get("styles") is None:
        values = _with_base(values)
    return Configuration(**values)  # type: ignore[arg-type]  # Options checks them


def _check_without_base(values: Mapping[str, object]) -> None:
    for name in ("learns", "styles"):
        if values.get(name) is not None:
            raise UsageError(f"{name} goes with a base; give --base multistyle26, or leave it out")


def _with_base(values: Mapping[str, object]) -> Mapping[str, object]:
    """Return what somebody wrote of a training with a base, with the defaults that suit one."""
    for name in ("arch", "width"):
        if values.get(name) not in (None, _ARCH_OF_BASE):
            raise UsageError(f"{name} is that of the base; leave out one of {name} and base")
    defaults = dict(_OF_BASE)
    if values.get("epoch") is not None:
        del defaults["steps"]
    if values.get("learns") == "all":
        defaults["learning_rate"] = 1e-3
    images = values.get("style_image")
    if isinstance(images, list | tuple) and len(images) == 1:
        (images,) = images
    if isinstance(images, str):
        stem = re.sub(r"[^\w.-]", "_", PurePath(images).stem)[:100]
        if _NAMING.fullmatch(stem):
            defaults["naming"] = stem
    return defaults | {name: value for name, value in values.items() if value is not None}
