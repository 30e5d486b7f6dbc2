"""What runs on a worker: it keeps one network ready, makes tasks, and says what it is."""

import json
import logging
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from styletransfer.errors import ClusterError
from styletransfer.feedforward import Stylizer
from styletransfer.jobs import local, painting, recipe
from styletransfer.jobs.cluster.extra import distributed
from styletransfer.jobs.cluster.parcel import Parcel, Reply, Terms, failed, failure, reply, unpack
from styletransfer.jobs.local import Outcome, Watch
from styletransfer.jobs.task import Machine, Task
from styletransfer.settings import Painting, Settings
from styletransfer.transfer import StyleTransfer

_TELLING = logging.getLogger("styletransfer")
_MOST_LINES = 1000  # of the log of a task


def versions() -> dict[str, str]:
    """Return the versions that have to be the same so that pictures are."""
    found = recipe.versions()
    names = ("styletransfer", "onnxruntime", "numpy", "scipy")
    return {name: found[name] for name in names} | {
        "Python": ".".join(found["python"].split(".")[:2])
    }


def differences(there: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Return in what a worker differs, a clause each."""
    return [
        f"{name} {there.get(name, 'none')[:24]} there and {version[:24]} here"
        for name, version in here.items()
        if there.get(name) != version
    ]


def make(parcel: Parcel) -> Reply:
    """Make the pictures of a task and return them; whatever goes wrong is told in the answer."""
    stopped = stopping()
    with _turn, tempfile.TemporaryDirectory(prefix="styletransfer-") as folder, _noting() as log:
        try:
            check(parcel.terms, versions())
            machine = resolved(parcel.machine)
            task = unpack(parcel, Path(folder))
            outcome = _made(task, machine, parcel.terms, Watch(stopped=stopped))
            return reply(outcome, log)
        except Exception as error:
            return refusal(error)


def prepare(settings: Settings | Painting, machine: Machine) -> str:
    """Return what this worker is, as JSON, having made the network ready.

    ``versions``, and ``weights``, the sha256 of the network's, or ``error``.
    """
    with _turn, _noting():  # here it is logged, too
        facts: dict[str, object] = {"versions": versions()}
        try:
            facts["weights"] = _network(settings, resolved(machine))[1]
        except Exception as error:
            facts["error"] = failure(error)
        return json.dumps(facts)


def refusal(error: Exception) -> Reply:
    """Return the answer where nothing could be begun."""
    facts = {"output": False, "error": failure(error), "variations": None, "log": []}
    return {"files": {}, "facts": json.dumps(facts)}


def resolved(machine: Machine) -> Machine:
    """Return the machine with as many threads as this worker has, where no other number is said."""
    return replace(machine, threads=machine.threads or distributed().get_worker().state.nthreads)


def stopping() -> Callable[[], bool]:
    """Return what says whether the task of this thread is no longer wanted."""
    worker = distributed().get_worker()
    key = worker.get_current_task()

    def stopped() -> bool:
        known = worker.state.tasks.get(key)
        return known is None or known.state == "cancelled"

    return stopped


def check(terms: Terms, there: Mapping[str, str]) -> None:
    """Raise ClusterError if this worker, which may have come late, is not fit."""
    differs = differences(there, terms.versions)
    if differs:
        raise ClusterError(f"a worker has {', '.join(differs)}; install the same there")


def check_weights(terms: Terms, model: str, digest: str) -> None:
    """Raise ClusterError if a worker's network has learnt something else."""
    if terms.weights.get(model, digest) != digest:
        raise ClusterError(
            f"a worker has other weights of {model} ({digest[:12]}, and {terms.weights[model][:12]}"
            " here); delete them there, and they are fetched again"
        )


_turn = threading.Lock()


@contextmanager
def alone() -> Iterator[None]:
    """Do one task at a time in a process, whatever number of threads the scheduler counts."""
    with _turn, _noting():
        yield


_kept: dict[object, Any] = {}
"""The network of the last task, ready for the next one."""


def keep(key: object, make: Callable[[], Any]) -> Any:
    """Return what was made of a key last time, or make it."""
    if key not in _kept:
        _kept.clear()  # its memory is free before another network is loaded
        _kept[key] = make()
    return _kept[key]


def _network(settings: Settings | Painting, machine: Machine) -> tuple[Any, str]:
    """Return a network that is ready, and the sha256 of its weights."""
    if isinstance(settings, Painting):
        how = (settings.model, settings.order, settings.takes, settings.gives)
        stylizer: Stylizer = keep(
            (how, machine), lambda: painting.open_stylizer(settings, machine, Watch())
        )
        return stylizer, stylizer.weights_digest
    transfer: StyleTransfer = keep(
        (settings.model, machine), lambda: local.open_transfer(settings.model, machine, Watch())
    )
    return transfer, transfer.network.weights_digest


def _made(task: Task, machine: Machine, terms: Terms, watch: Watch) -> Outcome:
    """Return what became of a task, made as it is made anywhere."""
    network, digest = _network(task.settings, machine)
    check_weights(terms, task.name_of(task.settings.model), digest)
    if isinstance(task.settings, Painting):
        outcomes: Iterator[Outcome] = painting.make_all(
            [task], machine, watch, open_network=lambda *_: network
        )
    else:
        outcomes = local.make_all([task], machine, watch, transfer=network)
    return next(outcomes, None) or failed(task, ClusterError("the task was cancelled"))


@contextmanager
def _noting() -> Iterator[list[tuple[int, str]]]:
    """Collect what is logged, at most so many lines."""
    lines: list[tuple[int, str]] = []

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if len(lines) < _MOST_LINES:
                lines.append((record.levelno, record.getMessage()))

    before = _TELLING.handlers, _TELLING.level, _TELLING.propagate
    _TELLING.handlers, _TELLING.propagate = [Notes()], False
    _TELLING.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        _TELLING.handlers, _TELLING.propagate = before[0], before[2]
        _TELLING.setLevel(before[1])
