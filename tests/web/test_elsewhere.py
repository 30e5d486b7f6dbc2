"""Jobs of the service made by others: equal to those made here, whatever becomes of the others."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from styletransfer import images
from styletransfer.errors import ClusterError
from styletransfer.jobs.cluster import worker
from styletransfer.jobs.cluster.client import Cluster
from styletransfer.jobs.cluster.place import Place
from styletransfer.jobs.task import Machine
from styletransfer.web import elsewhere, server
from styletransfer.web.elsewhere import Elsewhere
from styletransfer.web.limits import Limits
from styletransfer.web.process import Here, Process
from tests.web.conftest import clip, ended, reached
from tests.web.test_server import CAT, LONG, WAVE, bring, eventually, iterations, serving

pytest.importorskip("distributed", reason="the extra cluster is not installed")
from distributed import get_worker

PAINTED = {"model": "samples", "style": "26", "length": "64"}
QUICK = {"model": "googlenet", "length": "64", "n_iter": "3", "any_size": "true"}


@pytest.fixture(scope="module")
def machine(quick_network) -> Machine:
    return Machine(gpu_id=-1, threads=1, models=quick_network[1])


@pytest.fixture(scope="module")
def workers(machine) -> Iterator[Elsewhere]:
    with contextlib.closing(Elsewhere(Place("", 2, True), machine, Limits())) as opened:
        yield opened


@pytest.fixture(scope="module")
def here(machine) -> Iterator[Here]:
    with contextlib.closing(Here(lambda: Process(machine, Limits()))) as opened:
        yield opened


@pytest.fixture
def apart(workers, machine, monkeypatch) -> Iterator[Elsewhere]:
    """The same workers, as if they did not see the files of this machine."""
    place = Place("tcp://127.0.0.1:1")

    @contextlib.contextmanager
    def connected(*_: object) -> Iterator[Cluster]:
        yield Cluster(workers._cluster._client, place, machine)

    monkeypatch.setattr(elsewhere, "connected", connected)
    with contextlib.closing(Elsewhere(place, machine, Limits())) as opened:
        yield opened


ORDERS: list[tuple[str, dict[str, Any], bytes]] = [
    ("optimise", QUICK, b""),
    ("stylize", PAINTED, b""),
    ("film", {"model": "samples", "format": "gif", "style": "3"}, clip()),
]
"""A job of each kind."""


@pytest.mark.parametrize("way", ["workers", "apart"])
def test_what_is_made_is_what_is_made_here(way, request, here, tmp_path: Path):
    pytest.importorskip("av", reason="the extra video is not installed")
    made = []
    for number, place in enumerate((request.getfixturevalue(way), here)):
        with server.opened(tmp_path / str(number), Limits(), place) as queue:
            jobs = [ended(queue, bring(queue, *order)) for order in ORDERS]
            assert [job.error for job in jobs] == ["", "", ""]
            assert (jobs[0].facts["iterations"], jobs[0].facts["size"]) == (3, [64, 43])
            assert all(queue.preview(job) for job in jobs)
            made.append([queue.path(job, job.result).read_bytes() for job in jobs])
    assert made[0] == made[1]


@pytest.mark.slow
def test_the_command_has_them_made_by_a_cluster(tmp_path: Path, quick_network):
    """Over HTTP, as programs ask."""
    pytest.importorskip("av", reason="the extra video is not installed")
    made = []
    for number, more in enumerate((["--cluster", "local:2"], [])):
        with serving(tmp_path / str(number), quick_network[1], "--no-page", *more) as (_, client):
            jobs = []
            for kind, values, content in ORDERS:
                files = {"content": content or CAT.read_bytes()}
                files |= {"style": WAVE.read_bytes()} if kind == "optimise" else {}
                answer = client.post(f"/api/{kind}", files=files, data=values)
                assert answer.status_code == 202, answer.text
                jobs.append(answer.json()["job"])
            for job in jobs:
                eventually(lambda job=job: client.get(job).json()["state"] in ("done", "failed"))
                assert client.get(job).json()["state"] == "done", client.get(job).json()
            made.append([client.get(f"{job}/result").content for job in jobs])
    assert made[0] == made[1]


@pytest.mark.parametrize("way", ["workers", "apart"])
def test_as_many_jobs_at_a_time_as_workers_which_stop_when_told(way, request, tmp_path):
    place = request.getfixturevalue(way)
    with server.opened(tmp_path, Limits(), place) as queue:
        names = [bring(queue, "optimise", LONG) for _ in range(3)]
        for name in names[:2]:
            eventually(lambda name=name: iterations(queue, name) > 2)
            assert queue.preview(queue.get(name)) is not None
        assert queue.get(names[2]).state == "queued"
        queue.cancel(names[2])
        for name in names[:2]:
            queue.cancel(name)
            job = ended(queue, name)
            assert (job.state, job.facts["size"]) == ("cancelled", [64, 43])
            assert images.load(queue.path(job, job.result)).shape == (43, 64, 3)
            assert (queue.folder(name) / "before.jpg").exists()
        # The workers are free again, and nothing of the queue's folders is in what is made.
        job = ended(queue, bring(queue, "stylize", PAINTED))
        assert (job.state, job.error) == ("done", "")
        stored = images.read_parameters(queue.path(job, job.result))
        assert stored["files"]["content"][0][0] == "content-0.jpg"
        assert str(tmp_path) not in str(stored)


def test_a_server_that_ends_leaves_what_runs_to_the_next(workers, here, tmp_path):
    with server.opened(tmp_path, Limits(), workers) as queue:
        name = bring(queue, "optimise", LONG)
        eventually(lambda: iterations(queue, name) > 2)
    assert (tmp_path / "jobs" / name / "checkpoint.npz").exists()
    # The next one has another workplace.
    with server.opened(tmp_path, Limits(), here) as queue:
        assert eventually(lambda: iterations(queue, name)) > 2
        queue.cancel(name)
        assert ended(queue, name).state == "cancelled"


def kill(workers: Elsewhere, busy: bool) -> None:
    """Kill a worker, one that makes a job or any."""
    client = workers._cluster._client
    found = client.run(os.getpid, on_error="ignore")
    if busy:
        at = [address for address, keys in client.processing().items() if keys]
        found = {address: found[address] for address in at if address in found}
    for pid in [*found.values()][:1]:
        os.kill(pid, signal.SIGKILL)


def test_a_killed_worker_loses_no_job(workers, tmp_path):
    with server.opened(tmp_path, Limits(), workers) as queue:
        name = bring(queue, "optimise", LONG)
        eventually(lambda: iterations(queue, name) > 100)
        kill(workers, busy=True)
        eventually(lambda: 0 < iterations(queue, name) < 100)  # another one has begun anew
        queue.cancel(name)
        assert ended(queue, name).result == "result.png"


@pytest.mark.slow
def test_no_job_is_lost_whenever_a_worker_is_killed(workers, here, tmp_path):
    rng = random.Random(7)
    values = QUICK | {"n_iter": "8"}
    with server.opened(tmp_path / "here", Limits(), here) as queue:
        name = bring(queue, "optimise", values)
        job = ended(queue, name)
        expected = queue.path(job, job.result).read_bytes()
    with server.opened(tmp_path / "there", Limits(), workers) as queue:
        for _ in range(10):
            names = [bring(queue, "optimise", values) for _ in range(3)]
            time.sleep(rng.uniform(0, 2))
            kill(workers, busy=False)
            for name in names:
                assert reached(queue, name, "done", "failed").error == ""
                assert queue.path(queue.get(name), "result.png").read_bytes() == expected


def die(errand: Any) -> None:
    """Stand in for `errand.make`: whoever makes it dies."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_poisoned_job_fails_alone(workers, tmp_path, monkeypatch):
    with server.opened(tmp_path, Limits(), workers) as queue:
        with monkeypatch.context() as patched:
            patched.setattr(elsewhere.errand, "make", die)
            job = reached(queue, bring(queue, "stylize", PAINTED), "failed")
        assert job.error == "3 workers died one after the other while they made it"
        assert ended(queue, bring(queue, "stylize", PAINTED)).state == "done"


def ignore(errand: Any) -> None:
    """Stand in for `errand.make`: it begins, and does not hear the word to stop."""
    here = get_worker()
    said = {"name": errand.name, "worker": here.address, "progress": {}, "files": {}}
    with worker.alone():
        here.log_event(errand.topic, said | {"progress": {"iteration": 1, "seconds": 0.0}})
        time.sleep(3600)


@pytest.mark.slow
def test_a_worker_that_does_not_stop_is_ended(workers, tmp_path, monkeypatch):
    monkeypatch.setattr(elsewhere, "GRACE_SECONDS", 0.1)
    before = {*workers._cluster._client.run(os.getpid).values()}
    with server.opened(tmp_path, Limits(), workers) as queue:
        with monkeypatch.context() as patched:
            patched.setattr(elsewhere.errand, "make", ignore)
            name = bring(queue, "stylize", PAINTED)
            eventually(lambda: iterations(queue, name))
            queue.cancel(name)
            assert ended(queue, name).state == "cancelled"
        # Two jobs at a time are made again: none waits for the one that was given up.
        eventually(lambda: len(workers._cluster._client.run(os.getpid, on_error="ignore")) == 2)
        for name in [bring(queue, "stylize", PAINTED) for _ in range(4)]:
            assert ended(queue, name).state == "done"
    now = {*workers._cluster._client.run(os.getpid).values()}
    assert len(before & now) == 1


@pytest.mark.slow
def test_jobs_wait_for_a_cluster_that_is_lost(workers, tmp_path, monkeypatch):
    monkeypatch.setattr(elsewhere, "_WAIT_SECONDS", 0.1)
    runs = []
    run = elsewhere.Cluster.run

    def lost(self, *rest: Any) -> Any:
        runs.append(self)
        if len(runs) == 1:
            raise ClusterError("the scheduler is gone")
        return run(self, *rest)

    monkeypatch.setattr(elsewhere.Cluster, "run", lost)
    with server.opened(tmp_path, Limits(), workers) as queue:
        job = reached(queue, bring(queue, "stylize", PAINTED), "done")
    assert job.tries == 1
    assert runs[0] is not runs[1]


def test_a_worker_that_differs_is_refused(machine, monkeypatch, workers, apart):
    other = worker.versions() | {"numpy": "1.0"}
    monkeypatch.setattr(elsewhere.worker, "versions", lambda: other)
    with pytest.raises(ClusterError, match=r"not fit.*numpy .* there and 1\.0 here"):
        Elsewhere(apart._place, machine, Limits())


def test_an_answer_writes_no_other_file(tmp_path):
    files = {"../x.png": b"x", "job.json": b"{}", "result.png": b"a picture"}
    elsewhere._write(tmp_path, files)
    assert [path.name for path in tmp_path.iterdir()] == ["result.png"]
