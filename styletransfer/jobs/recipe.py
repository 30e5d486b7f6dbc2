"""What made a picture: written into it, read from it, compared, and followed again."""

import json
import logging
import os
import platform
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import styletransfer
from styletransfer.errors import ImageError, UsageError
from styletransfer.images import provenance
from styletransfer.jobs import namedfiles
from styletransfer.jobs.task import Task
from styletransfer.progress import Stop
from styletransfer.settings import (
    Options,
    Painting,
    Settings,
    check_names,
    describe,
)

logger = logging.getLogger(__name__)

GRID, SHEET, RESTARTED = "grid", "sheet", "restarted"
_PATHS = {"model", "init"}  # parameters that may be a path

COMMANDS: Mapping[type[Options], str] = {Settings: "image", Painting: "stylize"}


@dataclass(frozen=True)
class Recipe:
    """What a picture says of how it was made.

    Attributes
    ----------
    picture : Path
        The picture that says it.
    values : mapping of str to object
        Parameters of `Settings`, not checked yet.
    content : Path or None
        The content image; none where it is given anew, as of the following.
    styles, style_masks : tuple of Path
        The style images and their masks.
    content_mask : Path or None
        The content's mask.
    threads : int
        Threads on the CPU; 0 is one a core.
    circumstances : mapping of str to object
        What `circumstances` returned then, not checked yet.
    """

    picture: Path
    values: Mapping[str, object]
    content: Path | None
    styles: tuple[Path, ...]
    style_masks: tuple[Path, ...]
    content_mask: Path | None
    threads: int
    circumstances: Mapping[str, object]


class Ending(Protocol):
    """How the making of a picture ended."""

    @property
    def iterations(self) -> int:
        """How many there were."""

    @property
    def stop(self) -> Stop:
        """Why there were no more."""


def describe_run(
    task: Task,
    digests: Mapping[str, Sequence[str]],
    circumstances: Mapping[str, object],
    end: Ending,
) -> dict[str, object]:
    """Return what is stored in a picture.

    `digests` are those of the task's files by kind, taken when they were read; paths are kept as
    they were given.
    """
    files = {
        kind: [[task.name_of(path), seen] for path, seen in zip(paths, digests[kind], strict=True)]
        for kind, paths in task.files.items()
    }
    if task.streamed_in:
        files["content"][0][0] = namedfiles.STDIN
    settings = task.settings.plain()
    settings |= {name: task.name_of(str(settings[name])) for name in _PATHS & settings.keys()}
    return {
        **circumstances,
        "settings": settings,
        "files": files,
        "depth": task.extras.depth,
        "iterations": end.iterations,
        "reason": end.stop.value,
    }


def of_grid(stored: Mapping[str, object]) -> dict[str, object]:
    """Return what is stored in a picture that shows another beside what that was made of."""
    return {**stored, GRID: True}


def of_sheet(stored: Mapping[str, object], axes: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """Return what is stored in a sheet, of what one of its pictures stores.

    `axes` are the values that its parameters have on it, and the preset's or presets' names.
    """
    return {**stored, SHEET: {name: list(values) for name, values in axes.items()}}


def of_restarted(stored: Mapping[str, object]) -> dict[str, object]:
    """Return what is stored in a picture whose minimiser, SciPy's, began anew on the way."""
    return {**stored, RESTARTED: True}


def circumstances(device: str, threads: int, weights: str) -> dict[str, object]:
    """Return what a picture depends on besides its parameters and the pictures that go in.

    Parameters
    ----------
    device : str
        What it is made on.
    threads : int
        Threads on the CPU; 0 is one a core.
    weights : str
        The sha256 of the network's weights.
    """
    return {
        "versions": versions(),
        "device": device,
        "threads": threads,
        "cores": os.cpu_count(),
        "weights": weights,
    }


@dataclass(frozen=True)
class Existing:
    """A file that is where a picture is to go.

    Attributes
    ----------
    differs : tuple of str
        In what it is another picture than the one that is to be made; empty where it is the same.
    finished : bool
        Whether its run came to its end.
    """

    differs: tuple[str, ...]
    finished: bool


def compare(path: Path, task: Task) -> Existing | None:
    """Say what a file that is there has to do with a task; None if there is none."""
    from styletransfer import images

    if not os.path.exists(path):
        return None
    try:
        stored = images.read_parameters(path)
    except ImageError:
        stored = None
    if stored is None:
        return Existing(("not made by this program, or damaged",), False)
    values, files = stored.get("settings"), stored.get("files")
    if not (isinstance(values, dict) and isinstance(files, dict)):
        return Existing(("damaged",), False)
    if GRID in stored or SHEET in stored:
        return Existing(("a grid or a sheet",), False)
    # What is stored went through JSON, where a tuple is a list.
    wanted = json.loads(json.dumps(task.settings.plain()))
    usual = json.loads(json.dumps(type(task.settings)().plain()))
    ignored = {"init"} if task.files["init"] else set()
    ignored |= {"seed"} if getattr(task.settings, "seed", None) is None else set()
    differs = [
        name
        for name, value in wanted.items()
        if name not in ignored and values.get(name, usual[name]) != value
    ]
    if stored.get("depth", 8) != task.extras.depth:
        differs.append("depth")
    inputs = {kind: [namedfiles.seen(p) for p in paths] for kind, paths in task.files.items()}
    if any(_digests(files.get(kind, [])) != seen for kind, seen in inputs.items()):
        differs.append("pictures that go in")
    return Existing(tuple(differs), is_finished(stored))


def is_finished(stored: Mapping[str, object]) -> bool:
    """Whether a picture says that its run came to its end."""
    # A list: what is stored may be anything that JSON has, dictionaries included.
    unfinished = [stop.value for stop in Stop if not stop.finished]
    return stored.get("reason") not in unfinished


def _digests(stored: object) -> list[object]:
    return [entry[1] for entry in entries(stored)]


def entries(stored: object) -> list[list[object]]:
    """Return pairs of a path and a digest, what is none left out."""
    if not isinstance(stored, list):
        return []
    return [entry for entry in stored if isinstance(entry, list) and len(entry) == 2]


def stored_in(picture: Path, kind: type[Options] | None = None) -> dict[str, object]:
    """Return what a picture says of how it was made, its names and kinds checked.

    `kind` is that of its parameters, by default what the picture says.

    Raises
    ------
    ImageError
        If it cannot be read, says nothing, or something that no picture of this program says.
    UsageError
        If it names parameters that there are not.
    """
    from styletransfer import images

    stored = images.read_parameters(picture)
    if stored is None:
        raise ImageError(
            f"{picture} does not say how it was made: it is not by this program, or no result"
            " (snapshots, previews and courses of the loss do not say it)"
        )
    values, files, threads = (stored.get(key) for key in ("settings", "files", "threads"))
    if not (isinstance(values, dict) and isinstance(files, dict) and isinstance(threads, int)):
        raise ImageError(f"{picture}: what it says of how it was made is damaged")
    own: type[Options] = kind_of(stored)
    if kind not in (None, own) and values.keys() <= describe(own).keys():
        name = COMMANDS[own]
        raise UsageError(
            f"{picture} was made by `styletransfer {name}`; use `styletransfer {name} --like`"
        )
    check_names(kind or own, values, str(picture))
    return stored


def kind_of(stored: Mapping[str, object]) -> type[Settings] | type[Painting]:
    """Return which parameters a picture was made from: those of one pass have no iterations."""
    values = stored.get("settings")
    return Settings if isinstance(values, dict) and "n_iter" in values else Painting


def read(picture: Path, anew: Collection[str] = (), kind: type[Options] = Settings) -> Recipe:
    """Return what a picture says of how it was made.

    Parameters
    ----------
    picture : Path
        A file that anyone may have written.
    anew : collection of str
        The kinds of files that are given anew, see `Task.files`: they are not looked for.
    kind : type
        `Settings`, or the `Painting` of pictures that were made in one pass.

    Raises
    ------
    ImageError
        If it cannot be read, says nothing, or something that no picture of this program says.
    UsageError
        If a file that went in is not to be found, or another one by now.
    """
    stored = stored_in(picture, kind)
    if SHEET in stored:
        raise UsageError(
            f"{picture} is a sheet, of which --like repeats nothing; `styletransfer show` prints"
            " the command that makes it"
        )
    values = cast(dict[str, object], stored["settings"])
    files = cast(dict[str, object], stored["files"])
    threads = cast(int, stored["threads"])
    shortened = stored.get(provenance.SHORTENED)
    if isinstance(shortened, list):
        gone = [name for name in _KINDS if name in shortened and name not in anew]
        if gone:
            raise UsageError(
                f"{picture} was made with more files than it could name ({', '.join(gone)}); give"
                " these anew by their flags"
            )
    found = {
        name: () if name in anew else namedfiles.find(files.get(name, []), name, picture)
        for name in _KINDS
    }
    if (
        ("content" not in anew and len(found["content"]) != 1)
        or ("styles" not in anew and not found["styles"] and kind is Settings)
        or len(found["content_mask"]) > 1
    ):
        raise ImageError(f"{picture}: what it says of how it was made is damaged")
    if found["init"]:
        values = values | {"init": str(found["init"][0])}
    if not is_finished(stored):
        logger.warning("%s is not finished; this run goes on to its end", picture)
    return Recipe(
        picture,
        values,
        found["content"][0] if found["content"] else None,
        found["styles"],
        found["style_masks"],
        found["content_mask"][0] if found["content_mask"] else None,
        min(max(threads, 0), os.cpu_count() or 1),
        stored,
    )


def versions() -> dict[str, str]:
    """Return the versions of what computes a picture."""
    import numpy
    import scipy

    from styletransfer import runtime

    return {
        "styletransfer": styletransfer.__version__,
        "onnxruntime": runtime.version(),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


_KINDS = ("content", "styles", "style_masks", "content_mask", "init")


def warn_of_differences(
    recipe: Recipe, model: str, device: str, threads: int, weights: str
) -> None:
    """Log in one line what may keep a picture from being made again to the pixel.

    Parameters
    ----------
    recipe : Recipe
        What it says of itself.
    model : str
        The network of now: where it is another one by intention, so are its weights.
    device, threads, weights
        Those of now, as for `circumstances`.
    """
    then, now = recipe.circumstances, circumstances(device, threads, weights)
    before = then.get("versions")
    before = before if isinstance(before, dict) else {}
    pairs: list[tuple[str, object, object]] = [
        (name, before.get(name), version) for name, version in versions().items()
    ]
    pairs.append(("device", then.get("device"), device))
    used = [c.get("threads") or c.get("cores") for c in (then, now)]
    pairs.append(("threads", used[0], used[1]))
    if model == recipe.values.get("model"):
        pairs.append(("weights", then.get("weights"), weights))
    told = [f"{name} {_shown(old)} -> {_shown(new)}" for name, old, new in pairs if old != new]
    if then.get(RESTARTED):
        told.append("its run was interrupted, and lbfgsb began anew in the middle")
    if told:
        logger.warning("%s may not come out the same: %s", recipe.picture, ", ".join(told))


def _shown(value: object) -> str:
    """Return what a picture says as it can be printed; the beginning will do for digests."""
    text = str(value)[:24]
    return text if value is not None and re.fullmatch(r"[\w. +-]+", text) else "unknown"
