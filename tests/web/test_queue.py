"""The queue: order, ends, and what it survives."""

import json
import threading

import pytest

from styletransfer.errors import UsageError
from styletransfer.web import process
from styletransfer.web.limits import Limits
from styletransfer.web.process import Here
from styletransfer.web.queue import FullError, Queue
from styletransfer.web.records import Store
from styletransfer.web.workplace import STOPPED
from tests.web.conftest import LIMITS, ended, reached
from tests.web.fakeworker import GONE, MADE, FakeProcess


def test_jobs_are_made_in_order_and_kept_on_the_disk(queue, worker, submit):
    worker.script.append("wait")
    names = [submit() for _ in range(3)]
    reached(queue, names[0], "running")
    assert [queue.position(name) for name in names] == [0, 0, 1]
    worker.go_on({"progress": {"done": 0.5, "iteration": 2, "loss": 3.0}})
    queue.wait(names[0], 1, 20)
    assert queue.course(names[0]).done == 0.5
    assert queue.course(names[0]).points == [(2, 3.0)]
    worker.go_on({"ended": {"result": "result.png", "error": "", "stopped": False, "facts": {}}})
    for name in names:
        job = ended(queue, name)
        assert (job.state, job.result) == ("done", "result.png")
        assert json.loads((queue.folder(name) / "job.json").read_bytes())["state"] == "done"
        assert queue.path(job, job.result).read_bytes() == b"a picture"
    assert [job["folder"].rpartition("/")[2] for job in worker.jobs] == names


def test_a_full_queue_takes_no_more(queue, worker, submit):
    worker.script.append("wait")
    reached(queue, submit(), "running")
    for _ in range(LIMITS.waiting):
        submit()
    with pytest.raises(FullError) as error:
        submit()
    assert error.value.seconds >= 1
    # Nothing is left of what was not taken.
    assert len([*queue.folder("x" * 22).parent.iterdir()]) == 1 + LIMITS.waiting


def test_what_waits_is_cancelled_and_what_runs_is_stopped(queue, worker, submit):
    worker.script.append("wait")
    first, second = submit(), submit()
    reached(queue, first, "running")
    assert queue.cancel(second)
    assert queue.get(second).state == "cancelled"
    assert queue.cancel(first)
    job = ended(queue, first)
    assert (job.state, job.result) == ("cancelled", "result.png")
    assert not queue.cancel(first)  # it is forgotten
    assert queue.get(first) is None
    assert not queue.folder(first).exists()


def test_a_full_disk_ends_nothing(queue, submit, monkeypatch):
    monkeypatch.setattr("styletransfer.web.queue._LOOK_SECONDS", 0.1)
    save, saved = Store.save, []

    def full(store, job):
        saved.append(job.state)
        if len(saved) in (2, 4, 5):
            raise OSError(28, "No space left on device")
        save(store, job)

    monkeypatch.setattr(Store, "save", full)
    first = submit()
    assert ended(queue, first).state == "failed"
    assert ended(queue, submit()).state == "done"
    assert saved == ["queued", "running", "running", "done", "failed", "queued", "running", "done"]
    assert not queue.cancel("of nobody")


def test_a_worker_that_dies_costs_a_try(tmp_path, submit):
    workers = [FakeProcess([GONE]), FakeProcess([GONE]), FakeProcess()]
    started = iter(workers)
    with Queue(tmp_path / "other", LIMITS, Here(lambda: next(started))) as queue:
        job = ended(queue, submit(queue))
    assert (job.state, job.tries) == ("done", 3)
    assert [worker.killed for worker in workers] == [True, True, False]


def test_a_job_that_kills_three_workers_fails_and_the_next_is_made(tmp_path, submit):
    script = [GONE, GONE, GONE]
    with Queue(tmp_path / "other", LIMITS, Here(lambda: FakeProcess(script))) as queue:
        first, second = submit(queue), submit(queue)
        job = ended(queue, first)
        assert job.state == "failed"
        assert job.error == "its process has ended by itself 3 times"
        assert ended(queue, second).state == "done"


class Several:
    """A workplace of two, where each job waits until it is let go, or is to stop."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.at_a_time = self.most = 0
        self._lock = threading.Lock()

    def slots(self) -> int:
        return 2

    def make(self, order, folder, tell, stop):
        with self._lock:
            self.at_a_time += 1
            self.most = max(self.most, self.at_a_time)
        while not stop() and not self.let_go.wait(0.01):
            pass
        with self._lock:
            self.at_a_time -= 1
        return STOPPED if stop() else MADE

    def close(self) -> None:
        pass


def test_as_many_jobs_at_a_time_as_the_workplace_makes(tmp_path, submit):
    place = Several()
    with Queue(tmp_path / "other", LIMITS, place) as queue:
        names = [submit(queue) for _ in range(2)]
        for name in names:
            reached(queue, name, "running")
        names += [submit(queue) for _ in range(2)]
        assert [queue.position(name) for name in names] == [0, 0, 0, 1]
        queue.cancel(names[1])
        assert ended(queue, names[1]).state == "cancelled"
        reached(queue, names[2], "running")
        place.let_go.set()
        for name in (names[0], *names[2:]):
            assert ended(queue, name).state == "done"
        assert place.most == 2


def test_all_that_runs_is_left_to_the_next_server(tmp_path, submit):
    with Queue(tmp_path / "other", LIMITS, Several()) as queue:
        for name in [submit(queue) for _ in range(2)]:
            reached(queue, name, "running")
    found = Store(tmp_path / "other" / "jobs").load()
    assert [(job.state, job.tries) for job in found] == [("queued", 0), ("queued", 0)]


def test_a_worker_that_does_not_stop_is_ended(tmp_path, submit, monkeypatch):
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.0)
    limits = Limits(seconds=0.01)
    deaf = FakeProcess(["wait"])
    deaf.go_on = lambda message: None
    workers = iter([deaf, FakeProcess()])
    with Queue(tmp_path / "other", limits, Here(lambda: next(workers))) as queue:
        job = ended(queue, submit(queue))
        assert (job.state, job.error) == ("failed", "it took more than 0.01 seconds")
        assert deaf.killed


def test_what_takes_too_long_is_kept_as_it_is(tmp_path, submit):
    with Queue(tmp_path / "o", Limits(seconds=0.01), Here(lambda: FakeProcess(["wait"]))) as queue:
        job = ended(queue, submit(queue))
        assert (job.state, job.result) == ("done", "result.png")
        assert job.note == "stopped after 0.01 seconds, the most here"


def test_another_server_goes_on(tmp_path, submit):
    place = tmp_path / "other"
    with Queue(place, LIMITS, Here(lambda: FakeProcess(["wait"]))) as queue:
        running, waiting = submit(queue), submit(queue)
        reached(queue, running, "running")
    store = Store(place / "jobs")
    assert [(job.state, job.tries) for job in store.load()] == [("queued", 0), ("queued", 0)]
    # One that was killed has left it running.
    job = store.load()[0]
    job.state, job.tries = "running", 1
    store.save(job)
    worker = FakeProcess()
    with Queue(place, LIMITS, Here(lambda: worker)) as queue:
        assert ended(queue, running).tries == 2
        assert ended(queue, waiting).state == "done"
    assert len(worker.jobs) == 2


def test_damaged_records_and_what_was_cut_short_are_left_out(tmp_path, submit, caplog):
    place = tmp_path / "other"
    store = Store(place / "jobs")
    names = [store.new() for _ in range(7)]
    damaged = [
        "[1]",
        "{",
        json.dumps({"id": names[2], "kind": "stylize", "values": {}, "files": {}, "state": "odd"}),
        json.dumps({"id": names[0], "kind": "stylize", "values": {}, "files": {}}),
        json.dumps(
            {"id": names[4], "kind": "stylize", "values": {}, "files": {}, "result": "../x"}
        ),
        "[" * 100_000,
    ]
    for name, text in zip(names, damaged, strict=False):
        (store.folder(name) / "job.json").write_text(text)
    with Queue(place, LIMITS, Here(FakeProcess)) as queue:
        assert queue.jobs() == []
    assert caplog.text.count("its record is damaged") == 6
    assert not store.folder(names[6]).exists()


def test_two_servers_do_not_share_a_folder(queue, tmp_path):
    with (
        pytest.raises(UsageError, match=r"another server uses .*; give another --state"),
        Queue(tmp_path / "state", LIMITS, Here(FakeProcess)),
    ):
        pass


def test_old_jobs_are_forgotten(queue, submit):
    names = [submit() for _ in range(LIMITS.waiting)]
    for _ in range(5):
        ended(queue, names[-1])
        names.append(submit())
    ended(queue, names[-1])
    with queue._changed:
        queue._clean()
    assert [job.id for job in queue.jobs()] == names[: -LIMITS.kept - 1 : -1]
    assert not queue.folder(names[0]).exists()
    with queue._changed:
        for job in queue.jobs():
            job.ended -= 3600 * (LIMITS.hours + 1)
        queue._clean()
    assert queue.jobs() == []
