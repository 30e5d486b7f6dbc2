"""Where networks lie on this machine: their folders, and the caffemodels that users put there."""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from styletransfer.errors import UsageError, WeightsError
from styletransfer.text import clause
from styletransfer.weights.sources import CAFFEMODELS


def model_directories(explicit: str | os.PathLike[str] | None = None) -> list[Path]:
    """Return the folders in which networks are looked for; the first that can be written gets them.

    They are the one given, ``$STYLETRANSFER_MODELS``, ``./models`` where there is one, a
    checkout's ``models``, and ``styletransfer/models`` in the user's data folder.

    Parameters
    ----------
    explicit : path, optional
        The folder that a user names.
    """
    if not isinstance(explicit, str | os.PathLike | None):
        raise UsageError(f"models is {clause(repr(explicit))}; give the path of a folder")
    given = [explicit, os.environ.get("STYLETRANSFER_MODELS")]
    folders = [Path(folder).expanduser() for folder in given if folder]
    checkout = checkout_models()
    here = Path("models")
    if here.is_dir():
        folders.append(here)
    if checkout and not (here.is_dir() and here.samefile(checkout)):
        folders.append(checkout)
    return [*folders, user_data() / "styletransfer" / "models"]


def checkout_models() -> Path | None:
    """Return the folder ``models`` of the checkout that this is, None where it is installed."""
    root = Path(__file__).resolve().parents[2]
    models = root / "models"
    return models if (root / "pyproject.toml").is_file() and models.is_dir() else None


def user_data() -> Path:
    """Return the folder that programs of a user keep their data in."""
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    stated = Path(os.environ.get("XDG_DATA_HOME", ""))  # ignored if relative, as its standard says
    return stated if stated.is_absolute() else home / ".local" / "share"


def own_caffemodel(name: str, folders: Sequence[Path]) -> Path | None:
    """Return the caffemodel that the user has put into the network's folder, if there is one.

    Raises
    ------
    WeightsError
        If there are several.
    """
    for folder in folders:
        if not os.path.isdir(folder / name):
            continue
        original = folder / name / CAFFEMODELS[name]
        if os.path.isfile(original):
            return original
        others = sorted((folder / name).glob("*.caffemodel"))
        if len(others) > 1:
            raise WeightsError(
                f"{folder / name} holds {len(others)} caffemodels "
                f"({', '.join(other.name for other in others)}): leave one there."
            )
        if others:
            return others[0]
    return None


def writable(folders: Sequence[Path]) -> Path:
    """Return the first folder that files can be made in, having made the folder if need be.

    Raises
    ------
    WeightsError
        If there is none; it lists them with the reasons.
    """
    reasons = []
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError as error:
            reasons.append(f"{folder} ({error.strerror})")
    raise WeightsError(
        f"No folder for weights can be written: {', '.join(reasons)}. Name one with --models."
    )
