"""Jobs of the service made by the workers of a cluster."""

import contextlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from styletransfer import storage
from styletransfer.errors import ClusterError, explain
from styletransfer.jobs.cluster import worker
from styletransfer.jobs.cluster.client import Cluster, connected, refuse
from styletransfer.jobs.cluster.parcel import Terms, raised
from styletransfer.jobs.cluster.place import Place
from styletransfer.jobs.task import Machine
from styletransfer.web import errand
from styletransfer.web.errand import Errand
from styletransfer.web.limits import Limits
from styletransfer.web.orders import FORMATS
from styletransfer.web.records import BEFORE, PREVIEW
from styletransfer.web.workplace import GRACE_SECONDS, POLL_SECONDS, STOPPED, LostError, Order

logger = logging.getLogger(__name__)

_WAIT_SECONDS = 5.0  # until another try to reach a scheduler that is gone


class Elsewhere:
    """A workplace of all workers of a cluster, with one job at a time each.

    Parameters
    ----------
    place : Place
        Where they are.
    machine : Machine
        What each of them works on.
    limits : Limits
        How large a film may be.

    Raises
    ------
    ClusterError
        If there are none, or one is not fit for the work.
    """

    def __init__(self, place: Place, machine: Machine, limits: Limits) -> None:
        self._place, self._machine, self._limits = place, machine, limits
        self._topic = f"styletransfer-{uuid.uuid4().hex}"
        self._open = contextlib.ExitStack()
        self._lock = threading.Lock()
        self._listeners: dict[str, Callable[[Mapping[str, Any]], None]] = {}
        self._to_stop: set[str] = set()
        self._weights: dict[str, str] = {}
        self._cluster: Cluster | None = None
        self._connect()

    def slots(self) -> int:
        """Return how many jobs are made at a time: one a GPU, or else one a worker."""
        cluster = self._cluster
        with contextlib.suppress(Exception):  # a scheduler that is gone
            return 1 if cluster is None else cluster.slots()
        return 1

    def make(
        self,
        order: Order,
        folder: Path,
        tell: Callable[[Mapping[str, Any]], None],
        stop: Callable[[], bool],
    ) -> Mapping[str, Any]:
        """Have a job made, see `Workplace`."""
        try:
            cluster = self._connect()
        except ClusterError as error:
            raise self._lost(error, stop) from None
        name, at, told = folder.name, "", 0.0

        def heard(said: Mapping[str, Any]) -> None:
            nonlocal at
            at = said["worker"]
            _write(folder, said["files"])
            if said["progress"]:
                tell(said["progress"])

        def stopped() -> bool:
            nonlocal told
            if not stop():
                return False
            if not told:
                told = time.monotonic()
                self._say_stop(cluster, name, True)
            return not at or time.monotonic() - told > GRACE_SECONDS

        jobs = iter([(name, self._packed(order, folder, cluster))])
        self._listeners[name] = heard
        try:
            done = next(cluster.run(errand.make, jobs, stopped), None)
        except Exception as error:
            self._forget(cluster)
            raise self._lost(error, stop) from None
        finally:
            del self._listeners[name]
            if told:
                self._say_stop(cluster, name, False)
        if done is None:
            if at:  # it has been told, and goes on
                cluster.restart(at)
            return STOPPED
        if done.error is not None:
            return {**STOPPED, "stopped": False, "error": explain(done.error)}
        return self._taken(folder, done.answer)

    def close(self) -> None:
        """End the connection, and the workers if they are of this machine."""
        self._forget(self._cluster)

    def _connect(self) -> Cluster:
        """Return the cluster; connect to it anew where that was lost."""
        with self._lock:
            if self._cluster is None:
                try:
                    cluster = self._open.enter_context(connected(self._place, self._machine))
                    cluster.hear(self._topic, self._heard)
                    self._welcome(cluster)
                except BaseException:
                    self._open.close()
                    raise
                self._cluster = cluster
            return self._cluster

    def _lost(self, error: Exception, stop: Callable[[], bool]) -> LostError:
        """Return what says that a job waits, after a while."""
        logger.warning("the cluster is lost, and its jobs wait for it (%s)", explain(error))
        end = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < end and not stop():
            time.sleep(POLL_SECONDS)
        return LostError()

    def _forget(self, cluster: Cluster | None) -> None:
        with self._lock:
            if cluster is not None and self._cluster is cluster:
                self._cluster = None
                self._open.close()

    def _welcome(self, cluster: Cluster) -> None:
        """Have networks made ready, and compare what workers are."""
        problems = []
        asked = (cluster.machine, self._limits)
        for address, done in cluster.everywhere(errand.welcome, asked, lambda: False):
            if done.error is not None:
                problems.append(f"{address}: {explain(done.error)}")
                continue
            facts = json.loads(done.answer)
            differs = worker.differences(facts["versions"], worker.versions())
            if "error" in facts:
                differs.append(str(raised(facts["error"])))
            for model, digest in facts.get("weights", {}).items():
                known = self._weights.setdefault(model, digest)
                if known != digest:
                    differs.append(
                        f"weights of {model} {digest[:12]} there and {known[:12]} elsewhere"
                    )
            if differs:
                problems.append(f"{address}: {', '.join(differs)}")
        refuse(problems)

    def _heard(self, said: Mapping[str, Any]) -> None:
        listener = self._listeners.get(said["name"])
        if listener is not None:
            listener(said)

    def _say_stop(self, cluster: Cluster, name: str, wanted: bool) -> None:
        """Tell workers which jobs are to stop."""
        with self._lock, contextlib.suppress(Exception):
            (self._to_stop.add if wanted else self._to_stop.discard)(name)
            cluster.say(self._topic, sorted(self._to_stop))

    def _packed(self, order: Order, folder: Path, cluster: Cluster) -> Errand:
        """Return a job ready to travel; on a shared folder files are left where they are."""
        shared = cluster.place.shared
        names = [] if shared else [name for several in order.files.values() for name in several]
        return Errand(
            folder.name,
            self._topic,
            order,
            str(folder.resolve()) if shared else "",
            {name: (folder / name).read_bytes() for name in names},
            cluster.machine,
            self._limits,
            Terms(worker.versions(), dict(self._weights)),
        )

    def _taken(self, folder: Path, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write what came back into the job's folder, and return what became of the job."""
        made: dict[str, Any] = json.loads(answer["made"])
        for model, digest in json.loads(answer["weights"]).items():
            self._weights.setdefault(model, digest)
        _write(folder, answer["files"])
        if made["result"] not in {"", *_RESULTS}:
            raise ClusterError("a worker has answered what no job has asked for")
        return made


_RESULTS = {f"result.{ending}" for endings in FORMATS.values() for ending in endings}


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write what a worker has sent, under the names that a job has."""
    for name in {*_RESULTS, PREVIEW, BEFORE} & {*files}:
        with storage.replacing(folder / name) as stream:
            stream.write(files[name])
