"""Every parameter that makes a picture, in one value.

From `Settings` come the keyword arguments of `StyleTransfer.transfer_style`, the flags of the
command with their defaults and help, the keys of a preset, and what is stored in a picture.
Nothing heavy is imported here: ``--help`` must come at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from math import isfinite

from styletransfer.errors import UsageError
from styletransfer.kinds import Choice, Kind, Layers, Number, Text

NETWORK_NAMES = ("vgg16", "vgg19", "googlenet", "caffenet")

COUNT = Number("at least 1", lambda x: x >= 1, whole=True)
POSITIVE = Number("a number above 0", lambda x: x > 0)
FACTOR = Number("a number that is not negative", lambda x: x >= 0)


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


def _is_init(text: str) -> bool:
    """Whether a text is a first image's: a word, or the exponent of a noise."""
    if text in ("content", "mixed"):
        return True
    try:
        return isfinite(float(text))
    except ValueError:
        return False


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
        Text("content, mixed, or the exponent of a noise such as -1 or 0", _is_init, "INIT"),
        "the first image: content, mixed, or the exponent of a noise, such as -1 or 0",
        "picture",
        "-i",
        "--init",
    )
    ratio: float = _option(
        1e4,
        Number("a number that is not negative, such as 1e4", lambda x: x >= 0, metavar="RATIO"),
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
    optimizer: str = _option(
        "lbfgsb",
        Choice(("lbfgsb", "lbfgs")),
        "the minimiser: SciPy's L-BFGS-B, or our own L-BFGS, which costs less an iteration",
        "optimiser",
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

    def options(self) -> dict[str, object]:
        """Return the arguments of `StyleTransfer.transfer_style`: all but the model."""
        return {name: getattr(self, name) for name in describe() if name != "model"}


def describe() -> dict[str, Option]:
    """Return what there is to know of each parameter, by its name."""
    return {f.name: f.metadata["option"] for f in fields(Settings)}


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
    """Raise UsageError if a name is no parameter's."""
    known = describe()
    for name in names:
        if name not in known:
            place = f" in {where}" if where else ""
            raise UsageError(
                f"there is no parameter {str(name)!r}{place}; there are {', '.join(known)}"
            )


def flags(name: str, option: Option) -> tuple[str, ...]:
    """Return a parameter's flags on the command line."""
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
