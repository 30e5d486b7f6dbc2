"""Pictures made by the workers of a cluster, and written here."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.jobs import painting, recipe
from styletransfer.jobs.cluster import worker
from styletransfer.jobs.cluster.client import Cluster
from styletransfer.jobs.cluster.parcel import Parcel, Terms, failed, pack, receive
from styletransfer.jobs.local import Outcome, Watch, open_transfer
from styletransfer.jobs.recipe import Recipe
from styletransfer.jobs.task import Task
from styletransfer.progress import BatchProgress
from styletransfer.settings import Painting, Settings
from styletransfer.weights import READY


def make_all(
    tasks: Sequence[Task], cluster: Cluster, watch: Watch, like: Recipe | None = None
) -> Iterator[Outcome]:
    """Have pictures made, and yield what became of each, in the order in which they come.

    One that fails does not keep the others from being made. When somebody stops, what is under way
    is cancelled.

    Raises
    ------
    UsageError
        If a task needs what these workers cannot have.
    ClusterError
        If a worker is not fit, or the scheduler is gone.
    StyleTransferError
        If there is no network for one of the tasks.
    """
    if not tasks:
        return
    shared = cluster.place.shared
    for task in tasks:
        _check(task, shared)
    terms = _terms(tasks, cluster, watch, like)
    for settings in _networks(tasks).values():
        cluster.check(settings, terms, watch.stopped)
    told: set[str] = set()
    began = time.monotonic()
    broken: list[Outcome] = []

    def parcels() -> Iterator[tuple[Task, Parcel]]:
        for task in tasks:
            try:
                if task.checkpoint is not None and not task.extras.resume:
                    task.checkpoint.unlink(missing_ok=True)  # the worker goes on from what is there
                yield task, pack(task, shared, cluster.machine, terms)
            except (StyleTransferError, OSError) as error:
                broken.append(failed(task, error))

    def outcomes() -> Iterator[Outcome]:
        for done in cluster.run(worker.make, parcels(), watch.stopped):
            if done.error is None:
                yield receive(done.job, done.answer, told)
            else:
                yield failed(done.job, done.error)
            while broken:
                yield broken.pop()
        while broken and not watch.stopped():
            yield broken.pop()

    watch.tell(BatchProgress(0, len(tasks), 0.0, cluster.slots()))
    for count, outcome in enumerate(outcomes(), 1):
        yield outcome
        seconds = time.monotonic() - began
        watch.tell(BatchProgress(count, len(tasks), seconds, cluster.slots()))


def _networks(tasks: Sequence[Task]) -> dict[str, Settings | Painting]:
    """Return settings with each of the networks, by its name."""
    return {task.settings.model: task.settings for task in reversed(tasks)}


def _check(task: Task, shared: bool) -> None:
    """Raise UsageError if a task needs what workers cannot have."""
    if task.extras.preview is not None:
        raise UsageError("a preview is of one run that lasts; leave --preview or --cluster out")
    if shared:
        return
    if task.checkpoint is not None:
        raise UsageError(
            "a checkpoint has to lie where all machines of the cluster see it; give --shared, with"
            " the results in a folder that they share, or leave --checkpoint out"
        )
    check_model(task.settings)


def check_model(settings: Settings | Painting) -> None:
    """Raise UsageError if a network is a file, which workers do not have."""
    from styletransfer.networks import NETWORKS
    from styletransfer.settings.choices import SAMPLES

    if settings.model not in {*NETWORKS, *READY, SAMPLES, Painting().model}:
        raise UsageError(
            f"the network {settings.model} is a file, which the machines of the cluster have to"
            " see; give --shared, and the network in a folder that they share"
        )


def _terms(tasks: Sequence[Task], cluster: Cluster, watch: Watch, like: Recipe | None) -> Terms:
    """Return what workers have to be: what would make the pictures here."""
    weights = {}
    for model, settings in _networks(tasks).items():
        weights[model] = _digest(settings, cluster, watch, like)
    return Terms(worker.versions(), weights)


def _digest(
    settings: Settings | Painting, cluster: Cluster, watch: Watch, like: Recipe | None
) -> str:
    """Return the sha256 of a network's weights here; say what is different now from a picture."""
    opened: Any
    threads = min(cluster.machine.threads, os.cpu_count() or 1)
    machine = replace(cluster.machine, threads=threads)
    if isinstance(settings, Painting):
        opened = painting.open_stylizer(settings, machine, watch)
        digest = opened.weights_digest
    else:
        opened = open_transfer(settings.model, machine, watch)
        digest = opened.network.weights_digest
    if like is not None:
        place = (str(opened.device), cluster.machine.threads, digest)
        recipe.warn_of_differences(like, settings.model, *place)
    return str(digest)
