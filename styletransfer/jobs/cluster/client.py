"""Work handed to the workers of a cluster, and what comes back, in the order in which it does."""

import contextlib
import importlib.util
import json
import logging
import os
import queue
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from styletransfer.errors import ClusterError, explain
from styletransfer.jobs.cluster import preload, worker
from styletransfer.jobs.cluster.extra import distributed
from styletransfer.jobs.cluster.parcel import Terms, located, raised
from styletransfer.jobs.cluster.place import Place
from styletransfer.jobs.task import Machine
from styletransfer.settings import Painting, Settings

logger = logging.getLogger(__name__)

TRIES = 3
"""Workers of a local cluster that may die of a task."""

_POLL = 0.2  # seconds between two looks at whether somebody wants to stop
_RESTART = 10.0  # seconds until a worker that is restarted has to be there again
_PATIENCE = 30.0  # seconds until a scheduler answers and has a worker


@dataclass(frozen=True)
class Done:
    """A job that has come back.

    Attributes
    ----------
    job : object
        What was handed out.
    answer : object
        What the worker returned, or None.
    error : Exception or None
        Why there is none.
    """

    job: Any
    answer: Any = None
    error: Exception | None = None


class Cluster:
    """Workers that are connected; made by `connected`.

    Attributes
    ----------
    place : Place
        Where they are.
    machine : Machine
        What each of them works on; 0 threads are as many as a worker has.
    """

    def __init__(self, client: Any, place: Place, machine: Machine, local: Any = None) -> None:
        self._client = client
        self._local = local
        self.place = place
        self.machine = machine

    def slots(self) -> int:
        """Return how many jobs are under way at a time: one a GPU, or else one a worker.

        Where there is no worker at the moment, one job waits for the next one.
        """
        return sum(self._gpus().values()) or len(self._workers()) or 1

    def check(
        self, settings: Settings | Painting, terms: Terms, stopped: Callable[[], bool]
    ) -> None:
        """Have each worker make a network ready, and compare what it is.

        Raises
        ------
        ClusterError
            If one differs in its versions or weights, or cannot have the network.
        """
        problems = []
        asked = (located(settings, self.place.shared), self.machine)
        for address, done in self.everywhere(worker.prepare, asked, stopped):
            if done.error is not None:
                problems.append(f"{address}: {explain(done.error)}")
                continue
            facts = json.loads(done.answer)
            differs = worker.differences(facts["versions"], terms.versions)
            if "error" in facts:
                differs.append(str(raised(facts["error"])))
            elif terms.weights.get(settings.model) != facts["weights"]:
                known = terms.weights.get(settings.model, "none")
                differs.append(
                    f"weights of {settings.model} {facts['weights'][:12]} there and {known[:12]}"
                    " here"
                )
            if differs:
                problems.append(f"{address}: {', '.join(differs)}")
        refuse(problems)

    def everywhere(
        self, function: Callable[..., Any], values: tuple[Any, ...], stopped: Callable[[], bool]
    ) -> Iterator[tuple[str, Done]]:
        """Have each worker call a function, and yield its address and what comes back."""
        here = list(self._workers())
        jobs = iter([(function, values, address) for address in here])
        for done in self._run(jobs, stopped, lambda: len(here)):
            yield done.job[2], done

    def hear(self, topic: str, heard: Callable[[Any], None]) -> None:
        """Have what workers say of a topic, plain values, told from now on."""
        self._client.subscribe_topic(topic, lambda event: heard(event[1]))

    def say(self, topic: str, what: Any) -> None:
        """Put plain values, in place of the last, where workers that ask for them find them."""
        self._client.set_metadata(topic, what)

    def restart(self, address: str) -> None:
        """End a worker with the task that it has; its keeper starts another one, if it has one."""
        with contextlib.suppress(Exception):  # it may be gone, or have no keeper
            self._client.restart_workers([address], _RESTART, raise_for_error=False)
            self._replace_dead()

    def run(
        self,
        function: Callable[..., Any],
        jobs: Iterator[tuple[Any, Any]],
        stopped: Callable[[], bool],
    ) -> Iterator[Done]:
        """Have workers call a function of each job's parcel, and yield what comes back.

        Parcels are made as workers become free. What is under way when somebody stops is
        cancelled.

        Parameters
        ----------
        function : callable
            Of a module that the workers have, too.
        jobs : iterator of (job, parcel)
            What `Done` names, and what travels.
        stopped : callable
            Whether somebody wants to stop.
        """
        handed = ((function, (parcel,), None, job) for job, parcel in jobs)
        for done in self._run(handed, stopped, self.slots):
            yield replace(done, job=done.job[3])

    def _run(
        self,
        jobs: Iterator[tuple[Any, ...]],
        stopped: Callable[[], bool],
        slots: Callable[[], int],
    ) -> Iterator[Done]:
        back: queue.SimpleQueue[Any] = queue.SimpleQueue()
        under_way: dict[Any, tuple[Any, ...]] = {}
        more = True

        def fill() -> None:
            nonlocal more
            while more and len(under_way) < slots():
                job = next(jobs, None)
                if job is None:
                    more = False
                    break
                future = self._submit(*job[:3])
                under_way[future] = job
                future.add_done_callback(back.put)

        try:
            fill()
            while under_way:
                try:
                    future = back.get(timeout=_POLL)
                except queue.Empty:
                    if stopped():
                        return
                    self._replace_dead()
                    self._drop_lost(under_way)
                    fill()  # there may be more workers by now
                    continue
                job = under_way.pop(future, None)
                if job is None:  # dropped, since its worker is gone
                    continue
                if not stopped():
                    fill()  # before what came back is written: workers do not wait for that
                done = self._result(job, future, stopped)
                if done is None:
                    return
                yield done
                if stopped():
                    return
        finally:
            for future in under_way:
                with contextlib.suppress(Exception):
                    future.cancel()

    def _submit(self, function: Callable[..., Any], values: tuple[Any, ...], address: Any) -> Any:
        key = f"styletransfer-{function.__name__}-{uuid.uuid4().hex}"
        only: dict[str, Any] = {"workers": [address]} if address else {}
        if not address and self._gpus():
            only["resources"] = {"GPU": 1}
        with warnings.catch_warnings():  # that a job is large: it is what travels
            warnings.filterwarnings("ignore", message="Sending large graph")
            return self._client.submit(function, *values, key=key, pure=False, **only)

    def _result(
        self, job: tuple[Any, ...], future: Any, stopped: Callable[[], bool]
    ) -> Done | None:
        """Return what came back; None where somebody stops while it comes."""
        from distributed.scheduler import KilledWorker

        # Lost is what a worker had when it died, before it was fetched: the job is done again.
        while future.status in ("finished", "pending", "lost"):
            try:
                return Done(job, future.result(timeout=1))
            except TimeoutError:
                if stopped():
                    return None
                self._replace_dead()
            except Exception:
                break
        if future.status != "error":
            raise ClusterError(
                f"the scheduler {self._where()} is gone; what was made so far is kept, and the same"
                " command makes the rest"
            )
        error = future.exception()
        if isinstance(error, KilledWorker):
            times = error.allowed_failures + 1
            error = ClusterError(f"{times} workers died one after the other while they made it")
        return Done(job, error=error)

    def _drop_lost(self, under_way: dict[Any, tuple[Any, ...]]) -> None:
        """Cancel what waits for a worker that is gone."""
        there = None
        for future, job in list(under_way.items()):
            if job[2] is not None:
                there = self._workers() if there is None else there
                if job[2] not in there:
                    del under_way[future]
                    future.cancel()

    def _replace_dead(self) -> None:
        """Start workers of this machine anew whose keepers have given them up.

        Dask's nanny starts a worker that died again, but not one that dies while it starts.
        """
        if self._local is not None and len(self._workers()) < self.place.workers:
            self._local.scale(self.place.workers)

    def _workers(self) -> dict[str, Any]:
        return dict(self._client.scheduler_info(n_workers=-1)["workers"])

    def _gpus(self) -> dict[str, int]:
        """Return how many GPUs each worker announces, those without left out."""
        found = {
            address: int(facts.get("resources", {}).get("GPU", 0))
            for address, facts in self._workers().items()
        }
        return {address: count for address, count in found.items() if count}

    def _where(self) -> str:
        return self.place.address or "of this machine"


def refuse(problems: list[str]) -> None:
    """Raise ClusterError if there is anything wrong with workers, a clause each."""
    if problems:
        count = "a worker is" if len(problems) == 1 else f"{len(problems)} workers are"
        raise ClusterError(
            f"{count} not fit for the work ({problems[0]}); nothing was sent", problems[1:]
        )


@contextlib.contextmanager
def connected(place: Place, machine: Machine) -> Iterator[Cluster]:
    """Connect to a cluster, or make one on this machine, for as long as the block lasts.

    Raises
    ------
    UsageError
        If the package is not installed.
    ClusterError
        If the scheduler does not answer, or has no workers.
    """
    dask = distributed()
    cluster = None
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        if place.address:
            client = _client(dask, place.address)
            stack.callback(_close, client)
            machine = replace(machine, models=machine.models if place.shared else None)
        else:
            machine = replace(machine, threads=machine.threads or _share(place.workers))
            cluster = stack.enter_context(_made_here(dask, place.workers))
            client = _client(dask, cluster)
            stack.callback(_close, client)
        if machine.models is not None:
            machine = replace(machine, models=machine.models.absolute())
        yield Cluster(client, place, machine, cluster)


def _share(workers: int) -> int:
    """Return how many threads each of several workers has."""
    return max((os.cpu_count() or 1) // workers, 1)


def _certified() -> bool:
    """Whether certificates that last as long as a cluster can keep other users out of it."""
    return importlib.util.find_spec("cryptography") is not None


@contextlib.contextmanager
def _made_here(dask: Any, workers: int) -> Iterator[Any]:
    """Start a scheduler and workers on this machine, which end with the block."""
    import dask.config as configuration

    # Workers compute as this process does: Dask's own rule, one thread for NumPy's libraries,
    # would change the last bits of sums.
    alike: dict[str, object] = {"distributed.nanny.pre-spawn-environ": {}}
    safe = _certified()
    with configuration.set(alike):
        cluster = dask.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            protocol="tls://" if safe else "tcp://",
            security=safe or None,
            dashboard_address=None,
            memory_limit=0,
            preload=[preload.__name__],
            silence_logs=logging.CRITICAL,
            scheduler_kwargs={"allowed_failures": TRIES - 1},
        )
        try:
            yield cluster
        finally:
            cluster.close(timeout=10)


def _client(dask: Any, where: Any) -> Any:
    """Return a connection that takes nothing pickled as an answer."""
    try:
        client = dask.Client(where, timeout=_PATIENCE, deserializers=["dask", "msgpack"])
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise ClusterError(
            f"the scheduler {where} does not answer ({explain(error)[:200]}); start it by `dask"
            " scheduler`, or check the address"
        ) from None
    end = time.monotonic() + _PATIENCE
    while not client.scheduler_info(n_workers=-1)["workers"]:
        if time.monotonic() > end:
            client.close()
            raise ClusterError(
                f"the scheduler {where} has no workers; start some by `dask worker {where}`"
            )
        time.sleep(_POLL)
    return client


def _close(client: Any) -> None:
    with contextlib.suppress(Exception):
        client.close(timeout=5)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log of what goes on between its parties off the terminal."""
    names = [
        name for name in logging.root.manager.loggerDict if f"{name}.".startswith("distributed.")
    ]
    levels = {name: logging.getLogger(name).level for name in names}  # some have one of their own
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
