"""What a request may ask for, checked, and made a task of."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from styletransfer.errors import ImageError, StyleTransferError, UsageError
from styletransfer.images.reading import opened
from styletransfer.jobs.task import Extras, Task
from styletransfer.settings import Painting, Settings, describe, make, presets
from styletransfer.settings.choices import NETWORK_NAMES, PAINTERS, SAMPLES
from styletransfer.settings.film import Film
from styletransfer.settings.kinds import Switch
from styletransfer.settings.options import Option, by_names
from styletransfer.settings.picture import is_picture
from styletransfer.text import clause, suggestion
from styletransfer.web.limits import Limits

ARBITRARY = Painting().model
MODELS: Mapping[str, tuple[str, ...]] = {
    "stylize": (ARBITRARY, PAINTERS[0], SAMPLES),
    "optimise": NETWORK_NAMES,
    "film": (ARBITRARY, PAINTERS[0], SAMPLES, *NETWORK_NAMES),
}
"""The networks of each kind of job: names, never files."""

KINDS = tuple(MODELS)

UPLOADS: Mapping[str, Mapping[str, int]] = {
    "stylize": {"content": 1, "style": 8},
    "optimise": {"content": 1, "style": 8, "style_mask": 8, "content_mask": 1, "init": 1},
    "film": {"content": 1, "style": 8},
}
"""The files that come with each kind of job, and how many of each at most."""

FORMATS: Mapping[str, tuple[str, ...]] = {
    "stylize": ("png", "jpg", "webp"),
    "optimise": ("png", "jpg", "webp"),
    "film": ("mp4", "webm", "gif"),
}
"""What results are written as, the usual first."""

_OTHERS = {"stylize": ("format",), "optimise": ("preset", "format"), "film": ("format",)}
_FILM = {"optimizer": "lbfgs", "any_size": True}  # as `video` has it by optimisation
_OF_FILES = ("order", "takes", "gives")  # parameters of a network's file, which no request names
_SUFFIXES = {
    "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif",
    "AVIF": ".avif", "HEIF": ".heic",
}  # fmt: skip


def parameters(kind: str) -> dict[str, Option]:
    """Return what there is to know of each parameter of a kind of job, by its name."""
    known: dict[str, Option] = {}
    if kind != "stylize":
        known |= describe(Settings)
    if kind != "optimise":
        known |= describe(Painting)
    if kind == "film":
        known |= describe(Film)
    return {name: option for name, option in known.items() if name not in _OF_FILES}


def optimises(kind: str, values: Mapping[str, object]) -> bool:
    """Whether a job is made by optimisation, and not in one pass."""
    return kind == "optimise" or (kind == "film" and values.get("model") in NETWORK_NAMES)


def check(
    kind: str, values: Mapping[str, object], files: Mapping[str, Sequence[str]], limits: Limits
) -> dict[str, Any]:
    """Return the parameters of a job, within the limits.

    Raises
    ------
    UsageError
        If there is no such parameter, it cannot be so, or a file is missing or too many.
    """
    values = dict(values)
    for name, most in UPLOADS[kind].items():
        if len(files.get(name, ())) > most:
            raise UsageError(f"there are {len(files[name])} of {name}; give at most {most}")
    if not files.get("content"):
        raise UsageError("there is no content; send a picture under that name")
    named = values.get("format", FORMATS[kind][0])
    if named not in FORMATS[kind]:
        raise UsageError(f"format is {clause(named)}; give one of {', '.join(FORMATS[kind])}")
    try:
        how = task(kind, values, files, Path()).settings
    except UsageError as error:
        raise UsageError(_named(error.text)) from None
    _check_model(kind, how.model)
    if isinstance(how, Settings):
        if not files.get("style"):
            raise UsageError("there is no style; send one picture, or several, under that name")
        for name, size in (("length", _longest(how)), ("style_scale", _longest_style(how))):
            if size > limits.length * (1 if name == "length" else 2):
                raise UsageError(f"{name} makes {size:g} pixels; {limits.length} are the most here")
        if is_picture(how.init) and not files.get("init"):
            raise UsageError(
                "init is the name of a file, and a request names none: send a picture itself"
            )
        return values
    _check_sizes(how, limits)
    if (how.model == ARBITRARY) != bool(files.get("style")):
        raise UsageError(
            "there is no style; send one picture, or several, under that name, or choose a model"
            f" with styles of its own: {', '.join(MODELS['stylize'][1:])}"
            if how.model == ARBITRARY
            else f"{how.model} has styles of its own; choose one by style, or leave out the model"
        )
    return values


def task(
    kind: str, values: Mapping[str, object], files: Mapping[str, Sequence[str]], folder: Path
) -> Any:
    """Return the `Task` or `FilmTask` of a job whose files are in a folder.

    Raises
    ------
    UsageError
        As `check`, of the parameters alone.
    """
    known = parameters(kind)
    for name in values:
        if name not in {*known, *_OTHERS[kind]}:
            raise UsageError(
                f"there is no parameter {clause(name)}; there are"
                f" {', '.join([*known, *_OTHERS[kind]])}{suggestion(name, known)}"
            )
    given = {name: _plain(known.get(name), value) for name, value in values.items()}
    ending = given.pop("format", FORMATS[kind][0])
    paths = {name: tuple(folder / one for one in several) for name, several in files.items()}
    content, styles = paths["content"][0], paths.get("style", ())
    output = folder / f"result.{ending}"
    if kind == "film":
        from styletransfer.jobs.film import FilmTask

        film = {name: given.pop(name) for name in describe(Film) if name in given}
        how = make(Settings, _FILM | given) if optimises(kind, given) else make(Painting, given)
        return FilmTask(content, styles, output, how, make(Film, film))
    if kind == "stylize":
        return Task(content, styles, output, make(Painting, given))
    preset = given.pop("preset", None)
    if preset is not None and preset not in presets.names():
        raise UsageError(
            f"there is no preset {clause(preset)}; choose one of {', '.join(presets.names())}"
            f"{suggestion(preset, presets.names())}"
        )
    if paths.get("init"):
        given["init"] = str(paths["init"][0])
    read = {} if preset is None else presets.read(preset).values
    extras = Extras(checkpoint=True, checkpoint_file=folder / "checkpoint.npz", resume=True)
    return Task(
        content,
        styles,
        output,
        presets.override(read, given),
        paths.get("style_mask", ()),
        paths.get("content_mask", (None,))[0],
        extras,
    )


def enter(
    kind: str,
    values: Mapping[str, object],
    uploads: Mapping[str, Sequence[Path]],
    limits: Limits,
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Check what a request brings, and return its parameters and the names of its files.

    The files get the endings of their formats.

    Raises
    ------
    UsageError
        If there is anything wrong with it.
    """
    brought = {name: [path.name for path in paths] for name, paths in uploads.items()}
    checked = check(kind, values, brought, limits)
    names: dict[str, list[str]] = {}
    for name, paths in uploads.items():
        for path in paths:
            if kind == "film" and name == "content":
                names[name] = [path.name]
                continue
            found, longest = _checked_picture(path, name, limits)
            names.setdefault(name, []).append(found.name)
            if (kind, name) == ("stylize", "content") and longest > limits.length:
                checked.setdefault("length", limits.length)
    return checked, names


def _checked_picture(path: Path, name: str, limits: Limits) -> tuple[Path, int]:
    """Look at a picture's header; return its path with the ending of its format, and its length.

    `name` is what the request calls it.
    """
    try:
        with opened(path) as image:
            width, height = image.size
            ending = _SUFFIXES.get(image.format or "", ".jpg")
    except ImageError as error:
        raise UsageError(error.text.replace(str(path), name)) from None
    if width * height > limits.pixels:
        raise UsageError(
            f"{name} has {width}x{height} pixels; {limits.pixels // 10**6} million are the most"
            " here: make it smaller first"
        )
    return path.rename(path.with_suffix(ending)), max(width, height)


def sentence(error: Exception, folder: Path) -> str:
    """Return what went wrong with a job, without where its files are."""
    if isinstance(error, MemoryError):
        return "the memory is not enough; ask for a smaller length"
    if not isinstance(error, StyleTransferError):
        return f"it could not be made ({type(error).__name__}: {clause(error, 200)})"
    return _named(clause(str(error), 1000).replace(f"{folder}/", ""))


def _named(text: str) -> str:
    """Return a message of parameters, by their names."""
    for kind in (Settings, Painting, Film):
        text = by_names(text, kind)
    return text


def _check_sizes(how: Painting, limits: Limits) -> None:
    """Refuse parameters of one pass with which a network would see too many pixels."""
    length = how.length or limits.length
    if length > limits.length:
        raise UsageError(f"length is {length:g}; {limits.length} pixels are the most here")
    if length / how.style_scale > 2 * limits.length:
        raise UsageError(
            f"style_scale is {how.style_scale:g}; at this length"
            f" {length / (2 * limits.length):.2g} is the least here"
        )


def _check_model(kind: str, model: str) -> None:
    if model not in MODELS[kind]:
        raise UsageError(
            f"there is no network {clause(model)} here; choose one of {', '.join(MODELS[kind])}"
            f"{suggestion(model, MODELS[kind])}"
        )


def _longest(how: Settings) -> float:
    return how.length * max([1.0, *(part.length for part in how.stages)])


def _longest_style(how: Settings) -> float:
    return _longest(how) * max(how.style_scale)


def _plain(known: Option | None, value: object) -> object:
    """Return a value of a form, where all is text, as it stands in JSON."""
    if known is not None and isinstance(known.kind, Switch) and value in ("true", "false"):
        return value == "true"
    return value
