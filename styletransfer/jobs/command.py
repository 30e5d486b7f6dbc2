"""The command that makes a picture, from what is stored in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from styletransfer.errors import ImageError
from styletransfer.jobs import namedfiles, recipe
from styletransfer.settings import Options, Settings, compact, describe, flags, make


def command(picture: Path) -> list[str]:
    """Return the words of the command that makes a picture; raise as `recipe.stored_in` does.

    Files are named as they were given then, wherever they are now.
    """
    stored = recipe.stored_in(picture)
    kind = recipe.kind_of(stored)
    words = ["styletransfer", recipe.COMMANDS[kind]]
    usual = vars(kind())
    if recipe.SHEET in stored:
        values, more = _of_sheet(picture, kind, stored)
    else:
        settings = make(kind, cast(dict[str, object], stored["settings"]))
        values, more = vars(settings), ["--grid"] if recipe.GRID in stored else []
        if isinstance(settings, Settings):
            usual = {**usual, "ratio": settings.usual_ratio}
            if settings.stages:  # for which there is no flag
                return [*words, "--like", str(picture), *more]
    files = cast(dict[str, object], stored["files"])
    for role, flag in _FLAGS.items():
        paths = [str(entry[0]) for entry in recipe.entries(files.get(role, []))]
        # A name that begins with - would be a flag, and whose picture it is may have chosen that.
        stdin = namedfiles.STDIN if role == "content" else None
        paths = [f"./{p}" if p.startswith("-") and p != stdin else p for p in paths]
        words += [flag, *paths] if paths else []
    for name, option in describe(kind).items():
        value = values[name]
        if value == usual[name] or (name == "init" and files.get("init")):
            continue
        words += [flags(name, option)[0], *_typed(value)]
    threads = stored["threads"]
    return [*words, *more, "--threads", str(threads)] if threads else [*words, *more]


def _of_sheet(
    picture: Path, kind: type[Options], stored: Mapping[str, object]
) -> tuple[dict[str, object], list[str]]:
    """Return the parameters that all pictures of a sheet have, and the words that make it one."""
    known = describe(kind)
    values, axes = dict(vars(kind())), stored[recipe.SHEET]
    words = ["--sheet"]
    try:
        for name, value in cast(dict[str, object], stored["settings"]).items():
            values[name] = values[name] if value is None else known[name].kind.read(value)
        if not isinstance(axes, dict):
            raise ValueError
        for name, items in axes.items():
            flag = "--preset" if name == "preset" else flags(name, known[name])[-1]
            if not (isinstance(items, list) and all(map(namedfiles.is_text, items))):
                raise ValueError
            text = ",".join(items)
            # What begins with - would be a flag of its own.
            words += [f"{flag}={text}"] if text.startswith("-") else [flag, text]
            values[name] = getattr(kind(), name, None)
    except (ValueError, KeyError):
        raise ImageError(f"{picture}: what it says of how it was made is damaged") from None
    return values, words


_FLAGS = {
    "styles": "-s",
    "content": "-c",
    "style_masks": "--style-masks",
    "content_mask": "--content-mask",
    "init": "-i",
}


def _typed(value: object) -> list[str]:
    """Return a parameter's value as the words that somebody would type."""
    if isinstance(value, bool):
        return []
    if isinstance(value, float):
        short = compact(value)
        return [short if float(short) == value else repr(value)]
    if isinstance(value, tuple):
        return [word for item in value for word in _typed(item)]
    if isinstance(value, Mapping):
        return [f"{layer}={_typed(weight)[0]}" for layer, weight in value.items()]
    return [str(value)]
