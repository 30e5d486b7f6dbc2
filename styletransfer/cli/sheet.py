"""``--sheet``: small pictures over one or two parameters, on one sheet."""

import argparse
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain, count, product
from pathlib import Path

from styletransfer.cli.arguments import given
from styletransfer.cli.files import suffix
from styletransfer.cli.messages import say
from styletransfer.errors import ImageError, UsageError

LENGTH = "256"
"""The longest side of a picture on a sheet, if no length is given."""

MOST = 64
"""Pictures on a sheet."""


@dataclass(frozen=True)
class _Axis:
    """A parameter, or the preset, and its values as they were typed."""

    name: str
    values: tuple[str, ...]


def run(options: argparse.Namespace) -> int:
    """Make the sheet."""
    import numpy as np

    from styletransfer import images
    from styletransfer.cli.image import make, order
    from styletransfer.jobs.plan import check_sources, plan
    from styletransfer.jobs.task import Extras

    if options.dry_run:
        raise UsageError(
            "--dry-run says what one picture takes; give it without --sheet, and one value each"
        )
    axes = _axes(options)
    labels = [
        ", ".join(f"{axis.name} {value}" for axis, value in zip(axes, values, strict=True))
        for values in product(*(axis.values for axis in axes))
    ]
    cells = []
    with tempfile.TemporaryDirectory(prefix="styletransfer-") as folder:
        for number, values in enumerate(product(*(axis.values for axis in axes))):
            chosen = dict(zip((axis.name for axis in axes), values, strict=True))
            cell = Path(folder) / f"{number}.png"
            asked, machine, _ = order(_with(options, chosen, cell))
            if asked.is_batch:
                raise UsageError("a sheet is made of one content image; give one")
            cells += plan(replace(asked, extras=Extras()))
        stem = "-".join([cells[0].content.stem, "sheet", *(axis.name for axis in axes)])
        output = place(options, stem)
        try:
            images.check_writable(output)
        except ImageError as error:
            raise UsageError(str(error)) from error
        check_sources([replace(cell, output=output) for cell in cells])
        # The places of the cells, which do not last, are not told.
        quiet = argparse.Namespace(**vars(options) | {"streamed": True})
        titles = dict(zip((cell.output for cell in cells), labels, strict=True))
        code = make(cells, machine, quiet, True, titles=titles)
        made = {task.output: images.load(task.output) for task in cells if task.output.exists()}
        stored = next(map(images.read_parameters, made), None)
    if not made:
        return code or 1
    # What failed, or was not begun, stays white.
    blank = np.ones_like(next(iter(made.values())))
    pictures = [made.get(task.output, blank) for task in cells]
    images.save(
        output,
        images.contact_sheet(pictures, labels, len(axes[-1].values)),
        parameters=stored and _described(options, axes, stored),
    )
    if not (options.quiet or options.streamed):
        say(f"saved {output.resolve()}")
    return code


def _axes(options: argparse.Namespace) -> list[_Axis]:
    """Return the parameters that have several values, having checked that they make a sheet."""
    found = []
    typed: dict[str, object] = {"preset": options.preset} if options.preset else {}
    for name, value in (typed | given(options)).items():
        text = value[0] if isinstance(value, list) and len(value) == 1 else value
        values = tuple(text.split(",")) if isinstance(text, str) else ()
        if len(values) > 1:
            found.append(_Axis(name, values))
    if not 1 <= len(found) <= 2:
        raise UsageError(
            "a sheet needs one or two parameters with several values, such as -r 1e3,1e4,1e5;"
            f" there are {len(found)}"
        )
    count = len(found[0].values) * len(found[-1].values) if len(found) == 2 else 0
    if max(count, len(found[0].values)) > MOST:
        raise UsageError(f"the sheet would have more than {MOST} pictures; give fewer values")
    return found


def _described(
    options: argparse.Namespace, axes: list[_Axis], stored: dict[str, object]
) -> dict[str, object]:
    """Return what is stored in the sheet, of what one of its pictures stores."""
    from styletransfer.jobs import recipe
    from styletransfer.settings import Settings

    own = stored["settings"]
    assert isinstance(own, dict)
    typed = given(options)
    if options.preset:  # what it says is not typed
        own = Settings().plain() | {name: own[name] for name in (*typed, "length")}
    if "ratio" not in typed and options.like is None:
        own = {**own, "ratio": None}
    values = {"preset": [options.preset]} if options.preset else {}
    values |= {axis.name: list(axis.values) for axis in axes}
    return recipe.of_sheet({**stored, "settings": own}, values)


def _with(
    options: argparse.Namespace, chosen: Mapping[str, str], output: Path
) -> argparse.Namespace:
    """Return the arguments of one picture of the sheet."""
    one = argparse.Namespace(**vars(options))
    if not hasattr(one, "length"):
        one.length = LENGTH
    for name, value in chosen.items():
        before = getattr(one, name)
        setattr(one, name, [value] if isinstance(before, list) else value)
    one.output, one.format = str(output), None
    return one


def place(options: argparse.Namespace, stem: str) -> Path:
    """Return where a sheet goes; a name that is made is none that is taken."""
    given = options.output
    ending = suffix(options)
    is_folder = given is not None and (os.path.isdir(given) or given.endswith(("/", os.sep)))
    if given is not None and not is_folder:
        return Path(given)
    folder = Path(given) if is_folder else options.outputs
    names = chain([stem], (f"{stem}-{n}" for n in count(2)))
    paths = (folder / f"{name}{ending}" for name in names)
    return next(path for path in paths if not os.path.exists(path))
