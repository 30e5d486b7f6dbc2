"""Options of a dataclass: each field has a kind, help and flags, from which all else comes.

From the fields of one dataclass come its checks, the flags of a command with their help, the keys
of a file, and what is stored. Nothing heavy is imported here: ``--help`` must come at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from styletransfer.errors import UsageError
from styletransfer.settings.kinds import Kind
from styletransfer.text import suggestion

T = TypeVar("T", bound="Options")


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
        Its flags on the command line, where they are not made of its name.
    """

    kind: Kind
    help: str
    group: str
    flags: tuple[str, ...] = ()


def option(default: object, kind: Kind, help: str, group: str, *flags: str) -> Any:
    """Return a dataclass field; see `Option`."""
    return field(default=default, metadata={"option": Option(kind, help, group, flags)})


@dataclass(frozen=True)
class Options:
    """Base of a frozen dataclass whose fields are made by `option`.

    Values are brought to one form when it is made. None stays where it is the default: it means
    that something else decides.

    Raises
    ------
    UsageError
        If a parameter has a value that cannot work; it names the parameter, the value and what
        would do.
    """

    have_flags: ClassVar[bool] = True
    """Whether the command line has a flag for each, which messages name beside it."""

    def __post_init__(self) -> None:
        for name, (known, default) in _known(type(self)).items():
            value = getattr(self, name)
            if value is None and default is None:
                continue
            try:
                object.__setattr__(self, name, known.kind.read(value))
            except ValueError as error:
                shown = label(name, known) if self.have_flags else name
                raise UsageError(f"{shown} is {_shown(value)}; give {error}") from None


def describe(kind: type[Options]) -> dict[str, Option]:
    """Return what there is to know of each parameter of a dataclass, by its name."""
    return {name: known for name, (known, _) in _known(kind).items()}


def make(kind: type[T], values: Mapping[str, object], where: str = "") -> T:
    """Return options of values that somebody wrote, by name; the rest has its default.

    Raises
    ------
    UsageError
        If there is no parameter of a name, or a value cannot work; `where` they are from is told.
    """
    check_names(kind, values, where)
    return kind(**values)


def check_names(kind: type[Options], names: Iterable[str], where: str = "") -> None:
    """Raise UsageError, which lists what there is, if a name is no parameter's."""
    known = describe(kind)
    for name in names:
        if name not in known:
            place = f" in {where}" if where else ""
            raise UsageError(
                f"there is no parameter {_shown(str(name))}{place}; there are {', '.join(known)}"
                f"{suggestion(name, known)}"
            )


def flags(name: str, known: Option) -> tuple[str, ...]:
    """Return a parameter's flags on the command line."""
    return known.flags or ("--" + name.replace("_", "-"),)


def compact(number: float) -> str:
    """Return a number in few characters, as somebody would type it: 1e4, 0.02, 512."""
    digits, exponent = f"{number:.5e}".split("e")
    scientific = f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
    return min(f"{number:g}", scientific, key=len)


def by_flags(text: str, kind: type[Options]) -> str:
    """Return a message with flags alone where it has names of parameters with them in brackets."""
    for name, known in describe(kind).items():
        text = text.replace(f"{name} ({flags(name, known)[-1]})", flags(name, known)[-1])
    return text


def by_names(text: str, kind: type[Options]) -> str:
    """Return a message without the flags that are in brackets behind names of parameters."""
    for name, known in describe(kind).items():
        text = text.replace(f"{name} ({flags(name, known)[-1]})", name)
    return text


def _known(kind: type[Options]) -> dict[str, tuple[Option, object]]:
    return {f.name: (f.metadata["option"], f.default) for f in fields(kind)}


def label(name: str, known: Option) -> str:
    """Return a parameter's name, and its flag where that is written otherwise."""
    flag = flags(name, known)[-1]
    return name if flag == f"--{name}" else f"{name} ({flag})"


def _shown(value: object) -> str:
    """Return a value as it can stand in a sentence, however long it is."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 200 else f"{text[:200]}…"
