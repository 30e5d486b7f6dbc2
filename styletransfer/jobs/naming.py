"""Names of results: the original's, and another where that is taken by another picture."""

import logging
import re
from collections.abc import Collection, Sequence
from itertools import chain, count
from pathlib import Path

from styletransfer.jobs import recipe
from styletransfer.jobs.recipe import Existing
from styletransfer.jobs.task import Task
from styletransfer.settings import Painting, Settings, compact, is_picture

logger = logging.getLogger(__name__)

_IN_THE_NAME = ("model", "init", "ratio", "n_iter")
_LONGEST_ADDITION = 60


def default(
    content: str, styles: Sequence[Path], settings: Settings | Painting, ratio: str | None
) -> str:
    """Return the original's name for a result, without its ending; the ratio as it was typed."""
    if isinstance(settings, Painting):
        parts = ["+".join(path.stem for path in styles), Path(settings.model).stem]
        own = re.sub(r"[^\w.+-]+", "_", settings.style or "")
        return "-".join(filter(None, [content, *parts, own]))
    init = Path(settings.init).stem if is_picture(settings.init) else settings.init
    style = "+".join(path.stem for path in styles)
    model = Path(settings.model).name
    ratio = ratio or compact(settings.ratio)
    return f"{content}-{style}-{model}-{init}-{ratio}-{settings.n_iter}"


def free(task: Task, taken: Collection[Path]) -> tuple[Path, Existing | None]:
    """Return where a task's picture goes without replacing another, and what is there already.

    That is its own output, if nothing is there or what the same parameters and pictures made;
    else a name with what differs from that, or with a number. `taken` are names of other tasks.
    """
    there = recipe.compare(task.output, task)
    if there is None or not there.differs:
        return task.output, there
    additions = chain([_addition(task, there.differs)], (f"-{n}" for n in count(2)))
    for path in (_with(task.output, addition) for addition in additions):
        if path == task.output or path in taken:
            continue
        other = recipe.compare(path, task)
        if other is None or not other.differs:
            logger.info(
                "%s is another picture (%s), which stays: this one becomes %s",
                task.output,
                ", ".join(there.differs),
                path.name,
            )
            return path, other
    raise AssertionError("numbers do not end")


def _addition(task: Task, differs: Sequence[str]) -> str:
    """Return what tells a picture from the other, nothing where that does not fit into a name."""
    parts = []
    values = task.settings.options() | {"depth": task.extras.depth}
    for name in differs:
        if name in _IN_THE_NAME or name not in values:
            return ""
        value = values[name]
        if value is None:  # nothing in a name says that it is not given
            return ""
        text = compact(value) if isinstance(value, float) else str(value)
        if not re.fullmatch(r"[\w.+-]+", text):
            return ""
        parts.append(f"-{name.replace('_', '')}{text}")
    addition = "".join(parts)
    return addition if len(addition) <= _LONGEST_ADDITION else ""


def _with(path: Path, addition: str) -> Path:
    return path.with_name(f"{path.stem}{addition}{path.suffix}")
