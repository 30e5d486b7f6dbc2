"""``--cluster``: the same work on more machines."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from styletransfer.errors import UsageError
from styletransfer.progress import BatchProgress

if TYPE_CHECKING:
    from styletransfer.jobs.cluster.place import Place
    from styletransfer.jobs.film import Plan
    from styletransfer.jobs.filming import FilmOutcome
    from styletransfer.jobs.local import Watch
    from styletransfer.jobs.recipe import Recipe
    from styletransfer.jobs.task import Machine, Task

T = TypeVar("T")

Here = Callable[
    ["Sequence[Task]", "Machine", "Watch", "Recipe | None"],
    Iterator[T],
]
"""What makes tasks on this machine."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says where else work is done."""
    add = parser.add_argument_group("more machines").add_argument
    add(
        "--cluster",
        metavar="ADDRESS|local:N",
        help="have the work done by the workers of a Dask scheduler, tcp://HOST:PORT or"
        " tls://HOST:PORT, or by N workers on this machine, which share its cores",
    )
    add(
        "--shared",
        action="store_true",
        help="with an address: all machines see the same files under the same paths, so that"
        " pictures do not travel",
    )


def place(options: argparse.Namespace) -> "Place | None":
    """Return where the work is done, None if it is here."""
    from styletransfer.jobs.cluster.place import place

    if options.cluster is not None:
        return place(options.cluster, options.shared)
    if options.shared:
        raise UsageError("--shared goes with --cluster; leave it out, or give both")
    return None


def outcomes(
    options: argparse.Namespace,
    tasks: "Sequence[Task]",
    machine: "Machine",
    watch: "Watch",
    like: "Recipe | None",
    here: Here[T],
) -> Iterator[T]:
    """Yield what became of tasks, made here or on a cluster."""
    where = place(options)
    if where is None:
        yield from here(tasks, machine, watch, like)
        return
    from styletransfer.jobs.cluster import client, pictures

    def tell(step: Any) -> None:
        # What is under way elsewhere is to be called off first.
        options.signals.saving = options.signals.saving or isinstance(step, BatchProgress)
        watch.tell(step)

    with client.connected(where, machine) as cluster:
        made: Iterator[Any] = pictures.make_all(tasks, cluster, replace(watch, tell=tell), like)
        yield from made


def film(
    options: argparse.Namespace, plan: "Plan", machine: "Machine", watch: "Watch"
) -> "FilmOutcome":
    """Make a film here or on a cluster."""
    where = place(options)
    if where is None:
        from styletransfer.jobs import filming

        return filming.make(plan, machine, watch)
    from styletransfer.jobs.cluster import client
    from styletransfer.jobs.cluster import film as films

    with client.connected(where, machine) as cluster:
        return films.make(plan, cluster, watch)
