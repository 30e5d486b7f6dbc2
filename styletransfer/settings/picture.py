"""Every parameter that makes a picture, in one value.

From `Settings` come the keyword arguments of `StyleTransfer.transfer_style`, the flags of the
command with their defaults and help, the keys of a preset, and what is stored in a picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any, get_args

from styletransfer.errors import UsageError
from styletransfer.settings import choices
from styletransfer.settings.kinds import Choice, Colors, Layers, Number, Numbers, Switch, Text
from styletransfer.settings.options import Options, compact, describe, label, option

OPTIONS_OF: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "optimizer": {name: tuple(known) for name, known in choices.OPTIMIZERS.items()},
    "style_loss": {"gram": ("gram",), "wasserstein": ()},
}
"""Parameters that choose among methods, and for each method the parameters that it alone takes."""

_ADAM = {
    name: " ".join(map(compact, value)) if isinstance(value, tuple) else compact(value)
    for name, value in choices.OPTIMIZERS["adam"].items()
}

_RATIOS = ", ".join(
    f"{compact(ratio)} for {' '.join(filter(None, losses))}"
    for losses, ratio in choices.RATIOS.items()
    if losses != ("gram", "caffe", "sum")
)

COUNT = Number("a whole number of at least 1, up to 1e9", lambda x: 1 <= x <= 1e9, whole=True)
HISTORY = Number("a whole number from 1 to 1000", lambda x: 1 <= x <= 1000, whole=True)
POSITIVE = Number("a number above 0", lambda x: x > 0)
# What is weighted is float32, which ends at 3e38.
FACTOR = Number("a number that is not negative, up to 1e38", lambda x: 0 <= x <= 1e38)
SHARE = Number("a number from 0 to below 1", lambda x: 0 <= x < 1)
DECAY = Number("a number above 0 and at most 1", lambda x: 0 < x <= 1)
SECONDS = Number("a number of seconds above 0", lambda x: x > 0, metavar="SECONDS")
LEVELS = Number("from 0 to 255", lambda x: 0 <= x <= 255)


def is_picture(init: str) -> bool:
    """Whether a first image is given by a path, and not by a word or a number."""
    return not is_number(init) and "." in init


STEEPEST = 20
"""The largest exponent of a noise; its powers stay far within float64 for any picture."""


def _is_init(text: str) -> bool:
    if is_number(text):
        return abs(float(text)) <= STEEPEST
    return text in ("content", "mixed", "colours", "stylized") or is_picture(text)


def is_number(text: str) -> bool:
    """Whether a text is a finite number: as a first image, the exponent of a noise."""
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _is_scales(text: str) -> bool:
    return text == "auto" or (text.isdecimal() and 1 <= int(text) <= 16)


@dataclass(frozen=True)
class Part:
    """A part of a run in stages, relative to the parameters of the whole.

    Attributes
    ----------
    length, ratio : float
        Factors of the run's own.
    n_iter : float
        The part of the iterations, in proportion to those of the others.
    """

    length: float = 1.0
    ratio: float = 1.0
    n_iter: float = 1.0


class _Parts:
    """The kind of `Settings.stages`: a list of tables; there is no flag for it."""

    nargs = None
    metavar = ""

    def read(self, value: object) -> tuple[Part, ...]:
        """See `Kind`."""
        wanted = "tables of length, ratio and n_iter, each a factor above 0"
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > 16:
            raise ValueError(wanted)
        return tuple(self._read(item, wanted) for item in value)

    def _read(self, item: object, wanted: str) -> Part:
        if isinstance(item, Part):
            item = asdict(item)
        names = [f.name for f in fields(Part)]
        if not isinstance(item, Mapping) or not set(item) <= set(names):
            raise ValueError(wanted)
        return Part(**{name: POSITIVE.read(number) for name, number in item.items()})


@dataclass(frozen=True)
class Settings(Options):
    """What makes a picture, besides the pictures that go in.

    The attributes are the parameters that `describe` lists, each with what it means and takes;
    ``styletransfer image --help`` prints the same. None means that the network, the optimiser or
    the stage has a value of its own. The defaults are those of the original command.

    Raises
    ------
    UsageError
        If a parameter has a value that cannot work; it names the parameter, the value and what
        would do.
    """

    model: str = option(
        "vgg16",
        Text("the name of a network or a folder", metavar="NAME"),
        f"{', '.join(choices.NETWORK_NAMES)}, or a folder with a Caffe network",
        "picture",
        "-m",
        "--model",
    )
    init: str = option(
        "content",
        Text(
            "content, mixed, colours, stylized, a file, or the exponent of a noise such as -1"
            f" (within {STEEPEST} of 0)",
            _is_init,
            "INIT",
        ),
        "the first image: content, mixed, colours (the content in the style's colours), stylized"
        " (painted in one pass by a network), the exponent of a noise such as -1 or 0, or a file",
        "picture",
        "-i",
        "--init",
    )
    ratio: float = option(
        None,
        Number(
            "a number that is not negative, up to 1e38, such as 1e4",
            lambda x: 0 <= x <= 1e38,
            metavar="RATIO",
        ),
        "the weight of the style over that of the content; by default what makes a picture like"
        f" that of Gram matrices with sums at 1e4: {_RATIOS}",
        "picture",
        "-r",
        "--ratio",
    )
    n_iter: int = option(512, COUNT, "the most iterations", "picture", "-n", "--num-iters")
    length: float = option(
        512,
        Number("a number of pixels above 0, such as 512", lambda x: x > 0, metavar="PIXELS"),
        "the longest side of the result; the shortest is never below the network's input size,"
        " unless --any-size",
        "picture",
        "-l",
        "--length",
    )
    any_size: bool = option(
        False,
        Switch(),
        "let the short side be below the network's input size",
        "picture",
    )
    seed: int | None = option(
        None,
        Number("a whole number that is not negative", lambda x: x >= 0, whole=True),
        "makes the noise of a first image repeatable",
        "picture",
    )
    style_layers: Mapping[str, float] | None = option(
        None,
        Layers(),
        "the layers that the style is matched at (default: the network's own)",
        "losses",
    )
    content_layers: Mapping[str, float] | None = option(
        None,
        Layers(),
        "the layers that the content is matched at (default: the network's own)",
        "losses",
    )
    style_weights: tuple[float, ...] | None = option(
        None, Numbers(FACTOR), "how much each style counts beside the others", "losses"
    )
    style_scale: tuple[float, ...] = option(
        (1.2,),
        Numbers(POSITIVE),
        "the size of each style image, in lengths of the result; one for all, or one each",
        "losses",
    )
    style_loss: choices.StyleLoss = option(
        "gram",
        Choice(get_args(choices.StyleLoss)),
        "what is compared of styles: Gram matrices, or the distributions of features",
        "losses",
    )
    gram: choices.Normalization | None = option(
        None,
        Choice(get_args(choices.Normalization)),
        "what Gram matrices are divided by: as in the original, H W, or C H W (default: caffe)",
        "losses",
    )
    reduction: choices.Reduction = option(
        "sum",
        Choice(get_args(choices.Reduction)),
        "sums of squares with the paper's factors, or plain means; wasserstein has neither",
        "losses",
    )
    tv: float = option(0.0, FACTOR, "the weight of the total variation", "losses")
    tv_kind: choices.Variation = option(
        "l1",
        Choice(get_args(choices.Variation)),
        "of absolute differences, of squares, or of squares with diagonals",
        "losses",
    )
    pooling: choices.Pooling = option(
        "caffe",
        Choice(get_args(choices.Pooling)),
        "how the network pools; caffe: as it is, by averages",
        "losses",
    )
    mean: tuple[float, ...] | None = option(
        None,
        Numbers(LEVELS, 3),
        "blue, green and red that are taken off the image (default: the network's own)",
        "losses",
    )
    optimizer: str = option(
        "lbfgsb",
        Choice(tuple(choices.OPTIMIZERS)),
        "the minimiser: SciPy's L-BFGS-B, our own L-BFGS, or Adam",
        "optimiser",
    )
    history: int | None = option(
        None,
        HISTORY,
        f"L-BFGS: how many steps it remembers (default: {choices.HISTORY})",
        "optimiser",
    )
    tolerance: float | None = option(
        None,
        FACTOR,
        "stop when an iteration lowers the loss by less than this part (default:"
        f" {choices.TOLERANCE:.0e}; adam: {_ADAM['tolerance']})",
        "optimiser",
    )
    step: float | None = option(
        None,
        POSITIVE,
        f"adam: the step, 1 being from black to white (default: {_ADAM['step']})",
        "optimiser",
    )
    betas: tuple[float, ...] | None = option(
        None,
        Numbers(SHARE, 2),
        f"adam: its two decays of means (default: {_ADAM['betas']})",
        "optimiser",
    )
    epsilon: float | None = option(
        None,
        POSITIVE,
        f"adam: what keeps its divisor above 0 (default: {_ADAM['epsilon']})",
        "optimiser",
    )
    decay: float | None = option(
        None,
        DECAY,
        f"adam: factor of the step at each iteration (default: {_ADAM['decay']})",
        "optimiser",
    )
    average: float | None = option(
        None,
        SHARE,
        "adam: the result is a running mean that keeps this part at each iteration (default:"
        f" {_ADAM['average']})",
        "optimiser",
    )
    time: float | None = option(None, SECONDS, "stop after so long", "optimiser")
    scales: str = option(
        "1",
        Text("a number of scales from 1 to 16, or auto", _is_scales, "N|auto"),
        "from coarse to fine in so many scales, a factor of 1.41 apart",
        "stages",
    )
    stages: tuple[Part, ...] = option((), _Parts(), "parts of the run", "stages")
    conv: choices.Convolution = option(
        "auto",
        Choice(get_args(choices.Convolution)),
        "how 3x3 convolutions are computed; auto: by Winograd's method where that is faster",
        "optimiser",
    )
    preserve_colors: tuple[str, str] | None = option(
        None,
        Colors(choices.COLOUR_METHODS),
        "keep the content's colours: in the result, or in the style before the run",
        "colours",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_together()
        if self.ratio is None:
            object.__setattr__(self, "ratio", self.usual_ratio)

    def _check_together(self) -> None:
        """Refuse what excludes each other."""
        if self.stages and self.scales != "1":
            raise UsageError("scales and stages exclude each other; leave one of them out")
        for choice in OPTIONS_OF:
            method = getattr(self, choice)
            for name in not_taken(choice, method):
                if getattr(self, name) is not None:
                    of = label(choice, describe(Settings)[choice])
                    raise UsageError(
                        f"{name} is no parameter of the {of} {method}, which takes"
                        f" {', '.join(OPTIONS_OF[choice][method]) or 'none'}; leave it out"
                    )

    @property
    def usual_ratio(self) -> float:
        """The ratio that is taken where none is given; it belongs to the losses."""
        normalization = None if self.style_loss == "wasserstein" else self.gram or "caffe"
        return choices.RATIOS[self.style_loss, normalization, self.reduction]

    @property
    def optimizer_options(self) -> dict[str, Any]:
        """The keyword arguments of the minimiser; what is not given has its own default."""
        values = {name: getattr(self, name) for name in choices.OPTIMIZERS[self.optimizer]}
        return {name: value for name, value in values.items() if value is not None}

    def options(self) -> dict[str, Any]:
        """Return the arguments of `StyleTransfer.transfer_style`: all but the model."""
        return {name: value for name, value in vars(self).items() if name != "model"}

    def plain(self) -> dict[str, Any]:
        """Return the parameters as what JSON has."""
        values = {name: getattr(self, name) for name in describe(Settings)}
        return values | {"stages": [asdict(part) for part in self.stages]}


def not_taken(choice: str, method: str) -> list[str]:
    """Return the parameters that other methods take, and this one does not; of an unknown one all.

    `choice` is a key of `OPTIONS_OF`, and `method` one that it can choose.
    """
    methods = OPTIONS_OF[choice]
    return sorted(
        {name for names in methods.values() for name in names} - {*methods.get(method, ())}
    )
