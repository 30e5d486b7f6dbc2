"""A task on its way to a worker, and what comes back: values, and files by their contents.

Both are made of plain values, so that what a worker answers is read without pickle.
"""

import json
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from styletransfer import errors, storage
from styletransfer.errors import ClusterError, ImageError, StyleTransferError, explain
from styletransfer.jobs.local import Outcome
from styletransfer.jobs.painting import Painted, PaintedOutcome
from styletransfer.jobs.task import Machine, Task
from styletransfer.progress import Stop
from styletransfer.settings import Painting, Settings, is_picture
from styletransfer.transfer import Summary

logger = logging.getLogger(__name__)

Reply = dict[str, Any]
"""What a worker answers: ``files``, bytes by name, and ``facts``, JSON."""


@dataclass(frozen=True)
class Terms:
    """What a worker has to be, so that it makes the pictures that would be made here.

    Attributes
    ----------
    versions : mapping of str to str
        Of what computes a picture, see `worker.versions`.
    weights : mapping of str to str
        The sha256 of each network's weights, by the name of the network.
    """

    versions: Mapping[str, str]
    weights: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Parcel:
    """A task as it travels.

    Attributes
    ----------
    task : Task
        Its paths are names in `files`, or paths of a folder that all machines share; where its
        result goes is a name.
    files : mapping of str to bytes
        The pictures that travel along.
    machine : Machine
        What it is made on; 0 threads are as many as the worker has.
    terms : Terms
        What the worker has to be.
    """

    task: Task
    files: Mapping[str, bytes]
    machine: Machine
    terms: Terms


def pack(task: Task, shared: bool, machine: Machine, terms: Terms) -> Parcel:
    """Return a task ready to travel; on a shared folder files are left where they are.

    Raises
    ------
    ImageError
        If a picture that goes in cannot be read.
    """
    files: dict[str, bytes] = {}
    places: dict[Path, str] = {}

    def place(path: Path) -> Path:
        if shared and not (task.streamed_in and path == task.content):
            return path.absolute()
        if path not in places:
            ending = re.sub(r"[^\w.]", "", path.suffix)[:16]
            places[path] = f"input.{len(places)}{ending}"
            try:
                files[places[path]] = path.read_bytes()
            except OSError as error:
                raise ImageError(f"{path} cannot be read: {error.strerror}.") from None
        return Path(places[path])

    moved = _moved(task, place)
    checkpoint = task.checkpoint
    extras = replace(
        task.extras,
        checkpoint_file=None if checkpoint is None else checkpoint.absolute(),
        resume=checkpoint is not None,  # what an earlier run has left is deleted before
        preview=None,
    )
    settings = located(moved.settings, shared)
    names = {**moved.names, settings.model: task.settings.model}
    output = Path(task.output.name)
    moved = replace(moved, output=output, extras=extras, settings=settings, names=names)
    return Parcel(moved, files, machine, terms)


def located(settings: Settings | Painting, shared: bool) -> Settings | Painting:
    """Return settings whose network, if that is a file on a shared folder, is found anywhere."""
    if shared and os.path.exists(settings.model):
        return replace(settings, model=os.path.abspath(settings.model))
    return settings


def unpack(parcel: Parcel, folder: Path) -> Task:
    """Return the task of a parcel, with its files in a folder and its results in another there."""
    for name, data in parcel.files.items():
        (folder / name).write_bytes(data)
    task = _moved(parcel.task, lambda path: folder / path if str(path) in parcel.files else path)
    results = folder / "results"
    results.mkdir()
    return replace(task, output=results / task.output)


def _moved(task: Task, place: Callable[[Path], Path]) -> Task:
    """Return a task whose pictures lie elsewhere, called as before."""
    paths = {path for found in task.files.values() for path in found}
    moved = {path: place(path) for path in sorted(paths)}
    names = {where: name for where, name in task.names.items() if Path(where) not in paths}
    names |= {str(moved[path]): task.name_of(path) for path in paths}
    settings = task.settings
    if isinstance(settings, Settings) and is_picture(settings.init):
        # It was given word for word, and a path reads ./x.png as x.png: it has a name of its own.
        own, there = settings.init, moved[Path(settings.init)]
        settings = replace(settings, init=os.path.join(there.parent, ".", there.name))
        names[settings.init] = task.name_of(own)
    return replace(
        task,
        content=moved[task.content],
        styles=tuple(moved[path] for path in task.styles),
        settings=settings,
        style_masks=tuple(moved[path] for path in task.style_masks),
        content_mask=None if task.content_mask is None else moved[task.content_mask],
        names=names,
    )


def reply(outcome: Outcome, log: Iterable[tuple[int, str]]) -> Reply:
    """Return what a worker answers: what became of a task, and the files that it wrote."""
    task = outcome.task
    files = {path.name: path.read_bytes() for path in sorted(task.output.parent.iterdir())}
    error = outcome.error
    if outcome.output not in (None, task.output):  # it went somewhere else on that machine
        error = ClusterError("the worker has no room for its results; free some there")
    facts: dict[str, object] = {
        "output": outcome.output == task.output,
        "error": None if error is None else failure(error),
        "variations": outcome.variations,
        "log": [[level, _called(task, text)] for level, text in log],
    }
    if facts["error"]:
        told = cast(dict[str, Any], facts["error"])
        told["text"] = _called(task, told["text"])
        told["details"] = [_called(task, line) for line in told["details"]]
    if outcome.summary is not None:
        facts["summary"] = asdict(outcome.summary) | {"stop": outcome.summary.stop.value}
    painted = getattr(outcome, "painted", None)
    if painted is not None:
        facts["painted"] = {"size": painted.size, "seconds": painted.seconds}
    return {"files": files, "facts": json.dumps(facts)}


def failure(error: Exception) -> dict[str, object]:
    """Return an error as JSON has it."""
    known = isinstance(error, StyleTransferError)
    kind = type(error).__name__ if known else ClusterError.__name__
    details = error.details if isinstance(error, StyleTransferError) else ()
    return {"kind": kind, "text": explain(error), "details": [*details]}


def raised(told: Mapping[str, Any]) -> StyleTransferError:
    """Return the error that a worker has told of."""
    kind = getattr(errors, str(told["kind"]), None)
    if not (isinstance(kind, type) and issubclass(kind, StyleTransferError)):
        kind = ClusterError
    return kind(str(told["text"]), [str(line) for line in told["details"]])


def _called(task: Task, text: str) -> str:
    """Return a worker's sentence with paths as they were given."""
    for where in sorted(task.names, key=len, reverse=True):
        text = text.replace(where, task.names[where])
    return text.replace(f"{task.output.parent}/", "")


def receive(task: Task, answer: Reply, told: set[str]) -> Outcome:
    """Write what came back where it belongs, and return what became of the task.

    What the worker has warned of is logged here, each line once, of which `told` keeps track; what
    else it has logged counts as details here.
    """
    facts = json.loads(answer["facts"])
    for level, text in facts["log"]:
        if text not in told:
            told.add(text)
            logger.log(level if level > logging.INFO else logging.DEBUG, "%s", text)
    error = None if facts["error"] is None else raised(facts["error"])
    output = None
    for name, data in answer["files"].items():
        if name == task.output.name:
            output = _write_somewhere(task.output, data)
        elif _belongs(task, name):
            try:
                _write(task.output.with_name(name), data)
            except OSError as problem:
                logger.warning("%s cannot be written: %s", name, problem.strerror or problem)
    summary = facts.get("summary")
    if summary is not None:
        summary = Summary(**summary | {"stop": Stop(summary["stop"])})
    variations = facts["variations"]
    variations = None if variations is None else (float(variations[0]), float(variations[1]))
    place = task.checkpoint
    left = place if place is not None and place.exists() else None
    painted = facts.get("painted")
    if isinstance(task.settings, Settings):
        return Outcome(task, summary, output, error, variations, left)
    if painted is not None:
        painted = Painted((painted["size"][0], painted["size"][1]), painted["seconds"])
    return PaintedOutcome(task, output=output, error=error, painted=painted)


def failed(task: Task, error: Exception) -> Outcome:
    """Return what became of a task that no worker could make."""
    kind = Outcome if isinstance(task.settings, Settings) else PaintedOutcome
    return kind(task, error=error)


def _belongs(task: Task, name: str) -> bool:
    """Whether a name is that of a file which a task writes beside its picture."""
    stem, suffix = map(re.escape, (task.output.stem, task.output.suffix))
    own = {path.name for path in (task.grid, task.curves, task.edges)}
    return name in own or re.fullmatch(rf"{stem}-\d{{5,}}{suffix}", name) is not None


def _write(path: Path, data: bytes) -> None:
    with storage.replacing(path) as stream:
        stream.write(data)


def _write_somewhere(path: Path, data: bytes) -> Path:
    """Write a picture that must not be lost: where its place fails, into a temporary folder."""
    try:
        _write(path, data)
    except OSError:
        elsewhere = Path(tempfile.mkdtemp(prefix="styletransfer-"), path.name)
        elsewhere.write_bytes(data)
        logger.warning("%s could not be written; the picture is in %s", path, elsewhere)
        return elsewhere
    return path
