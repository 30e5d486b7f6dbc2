"""Every parameter that makes a picture, in one value.

From `Settings` come the keyword arguments of `StyleTransfer.transfer_style`, the flags of the
command with their defaults and help, the keys of a preset, and what is stored in a picture.
Nothing heavy is imported here: ``--help`` must come at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import isfinite

from styletransfer.errors import UsageError
from styletransfer.settings.kinds import Choice, Colors, Kind, Layers, Number, Numbers, Text

NETWORK_NAMES = ("vgg16", "vgg19", "googlenet", "caffenet")

METHODS = {
    "luminance": ("after",),
    "lab": ("after",),
    "covariance": ("before", "after"),
    "cholesky": ("before", "after"),
}
"""The ways to keep the content's colours, and when each can be applied; the usual time first."""

OPTIMIZER_OPTIONS = {
    "lbfgsb": ("history", "tolerance"),
    "lbfgs": ("history", "tolerance"),
    "adam": ("step", "betas", "epsilon", "decay", "average", "tolerance"),
}
"""The parameters that each minimiser takes."""

OPTIONS_OF: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "optimizer": OPTIMIZER_OPTIONS,
    "style_loss": {"gram": ("gram",), "wasserstein": ()},
}
"""Parameters that choose among methods, and for each method the parameters that it alone takes."""

COUNT = Number("a whole number of at least 1", lambda x: x >= 1, whole=True)
HISTORY = Number("a whole number from 1 to 1000", lambda x: 1 <= x <= 1000, whole=True)
POSITIVE = Number("a number above 0", lambda x: x > 0)
# What is weighted is float32, which ends at 3e38.
FACTOR = Number("a number that is not negative, up to 1e38", lambda x: 0 <= x <= 1e38)
SHARE = Number("a number from 0 to below 1", lambda x: 0 <= x < 1)
DECAY = Number("a number above 0 and at most 1", lambda x: 0 < x <= 1)
SECONDS = Number("a number of seconds above 0", lambda x: x > 0, metavar="SECONDS")
LEVELS = Number("from 0 to 255", lambda x: 0 <= x <= 255)


@dataclass(frozen=True)
class Option:
    """What is known of a parameter besides its default.

    Attributes
    ----------
    kind : Kind
        What values it takes.
    help : str
        What it is for, a clause.
    group : str
        The heading that it stands under in the help of the command.
    flags : tuple of str
        Its flags on the command line.
    """

    kind: Kind
    help: str
    group: str
    flags: tuple[str, ...] = ()


def _option(default: object, kind: Kind, help: str, group: str, *flags: str) -> object:
    return field(default=default, metadata={"option": Option(kind, help, group, flags)})


def is_picture(init: str) -> bool:
    """Whether a first image is given by a path, and not by a word or a number."""
    return not is_number(init) and "." in init


STEEPEST = 20
"""The largest exponent of a noise; its powers stay far within float64 for any picture."""


def _is_init(text: str) -> bool:
    if is_number(text):
        return abs(float(text)) <= STEEPEST
    return text in ("content", "mixed") or is_picture(text)


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
class Settings:
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

    model: str = _option(
        "vgg16",
        Text("the name of a network or a folder", metavar="NAME"),
        f"{', '.join(NETWORK_NAMES)}, or a folder with a Caffe network",
        "picture",
        "-m",
        "--model",
    )
    init: str = _option(
        "content",
        Text(
            "content, mixed, a file, or the exponent of a noise such as -1"
            f" (within {STEEPEST} of 0)",
            _is_init,
            "INIT",
        ),
        "the first image: content, mixed, the exponent of a noise such as -1 or 0, or a file",
        "picture",
        "-i",
        "--init",
    )
    ratio: float = _option(
        1e4,
        Number(
            "a number that is not negative, such as 1e4",
            lambda x: 0 <= x <= 1e38,
            metavar="RATIO",
        ),
        "the weight of the style over that of the content",
        "picture",
        "-r",
        "--ratio",
    )
    n_iter: int = _option(512, COUNT, "the most iterations", "picture", "-n", "--num-iters")
    length: float = _option(
        512,
        Number("a number of pixels above 0, such as 512", lambda x: x > 0, metavar="PIXELS"),
        "the longest side of the result; the shortest is never below the network's input size",
        "picture",
        "-l",
        "--length",
    )
    seed: int | None = _option(
        None,
        Number("a whole number that is not negative", lambda x: x >= 0, whole=True),
        "makes the noise of a first image repeatable",
        "picture",
    )
    style_layers: Mapping[str, float] | None = _option(
        None,
        Layers(),
        "the layers that the style is matched at (default: the network's own)",
        "losses",
    )
    content_layers: Mapping[str, float] | None = _option(
        None,
        Layers(),
        "the layers that the content is matched at (default: the network's own)",
        "losses",
    )
    style_weights: tuple[float, ...] | None = _option(
        None, Numbers(FACTOR), "how much each style counts beside the others", "losses"
    )
    style_scale: tuple[float, ...] = _option(
        (1.2,),
        Numbers(POSITIVE),
        "the size of each style image, in lengths of the result; one for all, or one each",
        "losses",
    )
    style_loss: str = _option(
        "gram",
        Choice(("gram", "wasserstein")),
        "what is compared of styles: Gram matrices, or the distributions of features",
        "losses",
    )
    gram: str | None = _option(
        None,
        Choice(("caffe", "hw", "chw")),
        "what Gram matrices are divided by: as in the original, H W, or C H W (default: caffe)",
        "losses",
    )
    reduction: str = _option(
        "sum",
        Choice(("sum", "mean")),
        "sums of squares with the paper's factors, or plain means; wasserstein has neither",
        "losses",
    )
    tv: float = _option(0.0, FACTOR, "the weight of the total variation", "losses")
    tv_kind: str = _option(
        "l1",
        Choice(("l1", "l2", "nine-point")),
        "of absolute differences, of squares, or of squares with diagonals",
        "losses",
    )
    pooling: str = _option(
        "caffe",
        Choice(("caffe", "max", "avg", "l2")),
        "how the network pools; caffe: as it is, by averages",
        "losses",
    )
    mean: tuple[float, ...] | None = _option(
        None,
        Numbers(LEVELS, 3),
        "blue, green and red that are taken off the image (default: the network's own)",
        "losses",
    )
    optimizer: str = _option(
        "lbfgsb",
        Choice(tuple(OPTIMIZER_OPTIONS)),
        "the minimiser: SciPy's L-BFGS-B, our own L-BFGS, or Adam",
        "optimiser",
    )
    history: int | None = _option(
        None, HISTORY, "L-BFGS: how many steps it remembers (default: 8)", "optimiser"
    )
    tolerance: float | None = _option(
        None,
        FACTOR,
        "stop when an iteration lowers the loss by less than this part (default: 2e-9; adam: 0)",
        "optimiser",
    )
    step: float | None = _option(
        None, POSITIVE, "adam: the step, 1 being from black to white (default: 0.02)", "optimiser"
    )
    betas: tuple[float, ...] | None = _option(
        None, Numbers(SHARE, 2), "adam: its two decays of means (default: 0.9 0.99)", "optimiser"
    )
    epsilon: float | None = _option(
        None, POSITIVE, "adam: what keeps its divisor above 0 (default: 1e-8)", "optimiser"
    )
    decay: float | None = _option(
        None, DECAY, "adam: factor of the step at each iteration (default: 1)", "optimiser"
    )
    average: float | None = _option(
        None,
        SHARE,
        "adam: the result is a running mean that keeps this part at each iteration (default: 0)",
        "optimiser",
    )
    time: float | None = _option(None, SECONDS, "stop after so long", "optimiser")
    scales: str = _option(
        "1",
        Text("a number of scales from 1 to 16, or auto", _is_scales, "N|auto"),
        "from coarse to fine in so many scales, a factor of 1.41 apart",
        "stages",
    )
    stages: tuple[Part, ...] = _option((), _Parts(), "parts of the run", "stages")
    conv: str = _option(
        "auto",
        Choice(("auto", "direct", "winograd")),
        "how 3x3 convolutions are computed; auto: by Winograd's method where that is faster",
        "optimiser",
    )
    preserve_colors: tuple[str, str] | None = _option(
        None,
        Colors(METHODS),
        "keep the content's colours: in the result, or in the style before the run",
        "colours",
    )

    def __post_init__(self) -> None:
        for name, option in describe().items():
            value = getattr(self, name)
            if value is None and _defaults()[name] is None:
                continue
            try:
                object.__setattr__(self, name, option.kind.read(value))
            except ValueError as error:
                raise UsageError(f"{_label(name, option)} is {value!r}; give {error}") from None

        self._check_together()

    def _check_together(self) -> None:
        """Refuse what excludes each other."""
        if self.stages and self.scales != "1":
            raise UsageError("scales and stages exclude each other; leave one of them out")
        for choice in OPTIONS_OF:
            method = getattr(self, choice)
            for name in not_taken(choice, method):
                if getattr(self, name) is not None:
                    raise UsageError(
                        f"{name} is no parameter of the {choice} {method}, which takes"
                        f" {', '.join(OPTIONS_OF[choice][method]) or 'none'}; leave it out"
                    )

    @property
    def optimizer_options(self) -> dict[str, object]:
        """The keyword arguments of the minimiser; what is not given has its own default."""
        values = {name: getattr(self, name) for name in OPTIMIZER_OPTIONS[self.optimizer]}
        return {name: value for name, value in values.items() if value is not None}

    def options(self) -> dict[str, object]:
        """Return the arguments of `StyleTransfer.transfer_style`: all but the model."""
        return {name: getattr(self, name) for name in describe() if name != "model"}


def describe() -> dict[str, Option]:
    """Return what there is to know of each parameter, by its name."""
    return {f.name: f.metadata["option"] for f in fields(Settings)}


def not_taken(choice: str, method: str) -> list[str]:
    """Return the parameters that other methods take, and this one does not.

    Parameters
    ----------
    choice : str
        A key of `OPTIONS_OF`.
    method : str
        One that it can choose; of an unknown one, all are returned.
    """
    methods = OPTIONS_OF[choice]
    return sorted(
        {name for names in methods.values() for name in names} - {*methods.get(method, ())}
    )


def make(values: Mapping[str, object], where: str = "") -> Settings:
    """Return settings of values that somebody wrote, by name; the rest has its default.

    Parameters
    ----------
    values : mapping of str to object
        Checked, names included.
    where : str
        Where they are from, for the message.

    Raises
    ------
    UsageError
        If there is no parameter of a name, or a value cannot work.
    """
    check_names(values, where)
    return Settings(**values)


def check_names(names: Iterable[str], where: str = "") -> None:
    """Raise UsageError if a name is no parameter's.

    Parameters
    ----------
    names : iterable of str
        What stands for parameters.
    where : str
        Where they are from, for the message.

    Raises
    ------
    UsageError
        It lists the parameters that there are.
    """
    known = describe()
    for name in names:
        if name not in known:
            place = f" in {where}" if where else ""
            raise UsageError(
                f"there is no parameter {str(name)!r}{place}; there are {', '.join(known)}"
            )


def flags(name: str, option: Option) -> tuple[str, ...]:
    """Return a parameter's flags on the command line.

    Parameters
    ----------
    name : str
        The parameter's.
    option : Option
        What `describe` knows of it.
    """
    return option.flags or ("--" + name.replace("_", "-"),)


def compact(number: float) -> str:
    """Return a number in few characters, as somebody would type it: 1e4, 0.02, 512."""
    digits, exponent = f"{number:.5e}".split("e")
    scientific = f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
    return min(f"{number:g}", scientific, key=len)


def _label(name: str, option: Option) -> str:
    """Return a parameter's name, and its flag where that is another word."""
    flag = flags(name, option)[-1]
    return name if flag == "--" + name.replace("_", "-") else f"{name} ({flag})"


def _defaults() -> dict[str, object]:
    return {f.name: f.default for f in fields(Settings)}
