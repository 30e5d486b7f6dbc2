"""Presets: parameters under a name, in TOML files beside this one or of a user's own."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from styletransfer.errors import UsageError
from styletransfer.settings.options import by_names, check_names, make
from styletransfer.settings.picture import OPTIONS_OF, Settings, not_taken
from styletransfer.text import clause, suggestion

_FOLDER = Path(__file__).parent
_MAX_BYTES = 1 << 16
_LONGEST_DESCRIPTION = 500


@dataclass(frozen=True)
class Preset:
    """Parameters under a name.

    Attributes
    ----------
    name : str
        Of a built-in one, or the path of a file.
    description : str
        A line.
    values : mapping of str to object
        Parameters of `Settings`, checked.
    """

    name: str
    description: str
    values: Mapping[str, object]


def names() -> list[str]:
    """Return the names of the built-in presets, the default first."""
    found = sorted(path.stem for path in _FOLDER.glob("*.toml"))
    return ["caffe", *(name for name in found if name != "caffe")]


def read(name: str) -> Preset:
    """Return a preset.

    Parameters
    ----------
    name : str
        A built-in one's, or the path of a TOML file: parameters of `Settings` as keys, and a
        `description`.

    Raises
    ------
    UsageError
        If there is none, or the file is no TOML, too large, or has keys or values that cannot be.
    """
    if not isinstance(name, str | os.PathLike):
        raise UsageError(f"a preset is a name or the path of a file, not {clause(repr(name))}")
    path = _FOLDER / f"{name}.toml" if name in names() else Path(name)
    if path.suffix != ".toml":
        raise UsageError(
            f"there is no preset {name!r}; choose one of {', '.join(names())}, or give a .toml file"
            f"{suggestion(name, names())}"
        )
    values = _parse(path)
    description = values.pop("description", "")
    if not isinstance(description, str) or len(description) > _LONGEST_DESCRIPTION:
        raise UsageError(f"{path}: description is a text of up to {_LONGEST_DESCRIPTION} letters")
    try:
        make(Settings, values)
    except UsageError as error:
        raise UsageError(f"{path}: {by_names(str(error), Settings)}") from None
    return Preset(name, description, values)


def override(values: Mapping[str, object], typed: Mapping[str, object]) -> Settings:
    """Return settings of a preset's values, and of others that come before them.

    A preset's options of its optimizer or its style loss are left out where another one is asked
    for, its ratio where other losses are, and its stages where scales are.

    Parameters
    ----------
    values : mapping of str to object
        Parameters of `Settings`: a preset's, or a picture's.
    typed : mapping of str to object
        Others, which win.

    Returns
    -------
    Settings
        What neither names has its default.

    Raises
    ------
    UsageError
        If there is no parameter of a name in `typed`, or a value cannot work.
    """
    check_names(Settings, typed)
    dropped = {"stages"} if "scales" in typed else set()
    others = [name for name in ("style_loss", "gram", "reduction") if name in typed]
    if any(typed[name] != values.get(name, getattr(Settings(), name)) for name in others):
        dropped.add("ratio")  # it belongs to the losses
    for choice in OPTIONS_OF:
        if choice in typed:
            dropped.update(not_taken(choice, str(typed[choice])))
    kept = {name: value for name, value in values.items() if name not in dropped}
    return make(Settings, kept | dict(typed))


def _parse(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise UsageError(f"{path} is no preset: it has more than {_MAX_BYTES} bytes")
        return tomllib.loads(data.decode())
    except FileNotFoundError:
        raise UsageError(f"there is no preset {path}: check the path") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be opened: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, nested too deep
        raise UsageError(f"{path} is no TOML file: {error}") from None
