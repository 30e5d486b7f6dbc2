"""A job of the service on a worker of a cluster: how it travels, is made, and comes back.

What comes back is made of plain values, so that it is read without pickle.
"""

import contextlib
import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from styletransfer.jobs.cluster import worker
from styletransfer.jobs.cluster.extra import distributed
from styletransfer.jobs.cluster.parcel import Terms, failure
from styletransfer.jobs.task import Machine
from styletransfer.web import orders
from styletransfer.web.limits import Limits
from styletransfer.web.records import BEFORE, PREVIEW
from styletransfer.web.workplace import Order
from styletransfer.web.workshop import Made, Workshop

_ASK_SECONDS = 0.5  # between two looks at whether the job is to stop


@dataclass(frozen=True)
class Errand:
    """A job as it travels.

    Attributes
    ----------
    name : str
        The id of the job.
    topic : str
        Where its server hears how far it is, and says which jobs are to stop.
    order : Order
        What is asked for.
    folder : str
        Where its files lie, if all machines see that; empty where they travel along.
    data : mapping of str to bytes
        The files that travel along, by their names.
    machine : Machine
        What it is made on; 0 threads are as many as the worker has.
    limits : Limits
        How large a film may be.
    terms : Terms
        What the worker has to be.
    """

    name: str
    topic: str
    order: Order
    folder: str
    data: Mapping[str, bytes]
    machine: Machine
    limits: Limits
    terms: Terms


def welcome(machine: Machine, limits: Limits) -> str:
    """Return what this worker is, as JSON, having made networks ready.

    ``versions``, and ``weights``, the sha256 of each network's by its name, or ``error``.
    """
    facts: dict[str, object] = {"versions": worker.versions()}
    with worker.alone():
        try:
            facts["weights"] = _workshop(worker.resolved(machine), limits).warm_up()
        except Exception as error:
            facts["error"] = failure(error)
    return json.dumps(facts)


def make(errand: Errand) -> dict[str, Any]:
    """Make a job, and return what became of it.

    ``made``, JSON of `Made`; ``weights``, JSON, the sha256 of those that were used, by their names;
    ``files``, bytes by name, where the server does not see what is written here.
    """
    here = distributed().get_worker()
    called_off = worker.stopping()
    used: dict[str, str] = {}

    def tell(message: Mapping[str, Any]) -> None:
        files = _files(folder, errand, PREVIEW) if message.get("preview") else {}
        said = {"name": errand.name, "worker": here.address}
        here.log_event(errand.topic, {**said, "progress": dict(message), "files": files})

    def known(model: str, digest: str) -> None:
        used[model] = digest
        worker.check_weights(errand.terms, model, digest)

    with worker.alone(), _place(errand) as folder, _asking(here, errand) as asked:
        tell({})
        try:
            worker.check(errand.terms, worker.versions())
            workshop = _workshop(worker.resolved(errand.machine), errand.limits)
            made = workshop.make(
                errand.order, folder, tell, lambda: asked.is_set() or called_off(), known
            )
        except Exception as error:
            made = Made("", orders.sentence(error, folder), False, {})
        files = _files(folder, errand, made.result, PREVIEW, BEFORE)
    return {"made": json.dumps(vars(made)), "weights": json.dumps(used), "files": files}


def _workshop(machine: Machine, limits: Limits) -> Workshop:
    made: Workshop = worker.keep((machine, limits), lambda: Workshop(machine, limits))
    return made


@contextlib.contextmanager
def _place(errand: Errand) -> Iterator[Path]:
    """Yield the folder of a job."""
    if errand.folder:
        yield Path(errand.folder)
        return
    with tempfile.TemporaryDirectory(prefix="styletransfer-") as made:
        folder = Path(made)
        for name, data in errand.data.items():
            (folder / name).write_bytes(data)
        yield folder


@contextlib.contextmanager
def _asking(here: Any, errand: Errand) -> Iterator[threading.Event]:
    """Yield what is set once the server says that a job is to stop."""
    from distributed.utils import sync

    stop, ended = threading.Event(), threading.Event()
    ask: Callable[..., Any] = here.scheduler.get_metadata

    def look() -> None:
        while not ended.wait(_ASK_SECONDS):
            with contextlib.suppress(Exception):  # a scheduler that is gone says nothing
                if errand.name in sync(here.loop, ask, keys=[errand.topic], default=()):
                    stop.set()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        ended.set()


def _files(folder: Path, errand: Errand, *names: str) -> dict[str, bytes]:
    """Return files of a job that its server does not see, those that are there."""
    if errand.folder:
        return {}
    paths = [folder / name for name in names if name]
    return {path.name: path.read_bytes() for path in paths if path.is_file()}
