"""The queue: what waits, what is made, what was made, on the disk and across restarts."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from styletransfer import locks
from styletransfer.errors import UsageError
from styletransfer.web.limits import Limits
from styletransfer.web.records import (
    CANCELLED,
    DONE,
    ENDED,
    FAILED,
    PREVIEW,
    QUEUED,
    RUNNING,
    Job,
    Store,
)
from styletransfer.web.workplace import GoneError, LostError, Order, Workplace

logger = logging.getLogger(__name__)

TRIES = 3
"""How often a job is begun whose worker dies."""

_LOOK_SECONDS = 5.0  # between two looks at what is old, and at how many jobs can be made
_MOST_POINTS = 500  # of the course of a loss


class FullError(Exception):
    """So many jobs wait that no other one is taken.

    Attributes
    ----------
    seconds : int
        After how many it may be worth another try.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass
class Course:
    """How far a job is, while it runs.

    Attributes
    ----------
    done : float
        The part that is done, in [0, 1].
    facts : dict
        What its worker has said last: iteration, iterations, loss, seconds, note.
    points : list of (int, float)
        Iterations and the loss after each; of many every second, fourth and so on.
    version : int
        Another one whenever there is something new.
    """

    done: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    points: list[tuple[int, float]] = field(default_factory=list)
    version: int = 0

    def note(self, progress: Mapping[str, Any]) -> None:
        """Take note of what a worker says."""
        self.version += 1
        self.done = progress.get("done", self.done)
        self.facts |= progress
        if "loss" in progress:
            self.points.append((progress["iteration"], progress["loss"]))
            if len(self.points) > _MOST_POINTS:
                del self.points[1::2]


class Queue:
    """All jobs, and a thread that has them made in their order.

    Parameters
    ----------
    folder : Path
        Where jobs lie; what is there is taken up again.
    limits : Limits
        How many wait and are kept, and how long one runs.
    workplace : Workplace
        Where jobs are made.
    """

    def __init__(self, folder: Path, limits: Limits, workplace: Workplace) -> None:
        self._limits, self._workplace = limits, workplace
        self._store = Store(folder / "jobs")
        self._folder = folder
        self._changed = threading.Condition()
        self._jobs: dict[str, Job] = {}
        self._courses: dict[str, Course] = {}
        self._asked_to_stop: set[str] = set()
        self._under_way: dict[str, threading.Thread] = {}
        self._closing = False
        self._seconds = 10.0  # that a job takes, about
        self._thread = threading.Thread(target=self._run, name="queue", daemon=True)
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._open.enter_context(locks.locked(self._folder / ".lock", self._taken))
        for job in self._store.load():
            if job.state == RUNNING:
                job.state = QUEUED
            self._jobs[job.id] = job
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop what is under way; the next server goes on with it."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        for thread in [*self._under_way.values()]:
            thread.join()
        self._open.close()

    @property
    def place(self) -> Path:
        """The folder that all lies in."""
        return self._folder

    @property
    def closing(self) -> bool:
        """Whether the server ends."""
        return self._closing

    def check_room(self) -> None:
        """Raise FullError if no job would be taken now."""
        with self._changed:
            waiting = sum(job.state == QUEUED for job in self._jobs.values())
            if waiting >= self._limits.waiting:
                raise FullError(max(round(self._seconds), 1))

    @contextlib.contextmanager
    def room(self) -> Iterator[str]:
        """Yield the id of a job to be, whose folder is there; it stays if the job is submitted."""
        name = self._store.new()
        try:
            yield name
        finally:
            if name not in self._jobs:
                self._store.remove(name)

    def folder(self, name: str) -> Path:
        """Return the folder of a job that is here, or being brought."""
        return self._store.folder(name)

    def submit(
        self, name: str, kind: str, values: dict[str, Any], files: dict[str, list[str]]
    ) -> Job:
        """Queue a job; raise FullError if too many wait."""
        job = Job(name, kind, values, files)
        with self._changed:
            self.check_room()
            self._store.save(job)
            self._jobs[name] = job
            self._changed.notify_all()
        return job

    def get(self, name: str) -> Job | None:
        """Return a job, if there is one of that id."""
        with self._changed:
            return self._jobs.get(name)

    def jobs(self) -> Sequence[Job]:
        """Return all jobs, the newest first."""
        with self._changed:
            return [*self._jobs.values()][::-1]

    def position(self, name: str) -> int:
        """Return how many jobs come before one that waits."""
        with self._changed:
            waiting = [job.id for job in self._jobs.values() if job.state == QUEUED]
            return waiting.index(name) if name in waiting else 0

    def course(self, name: str) -> Course:
        """Return how far a job is."""
        with self._changed:
            found = self._courses.get(name, Course())
            return Course(found.done, dict(found.facts), list(found.points), found.version)

    def wait(self, name: str, version: int, seconds: float) -> None:
        """Wait until there is something new of a job, or it ends, at most so long."""

        def new() -> bool:
            job = self._jobs.get(name)
            course = self._courses.get(name)
            seen = -1 if course is None else course.version
            return self._closing or job is None or job.state in ENDED or seen > version

        with self._changed:
            self._changed.wait_for(new, seconds)

    def cancel(self, name: str) -> bool:
        """Take a job out of the queue, stop the one at hand, forget one that has ended.

        Of a job that was stopped stays what there is. Returns whether it is there still.
        """
        with self._changed:
            job = self._jobs.get(name)
            if job is None:  # somebody else was faster
                return False
            if job.state == RUNNING:
                self._asked_to_stop.add(name)
                return True
            if job.state == QUEUED:
                self._end(job, CANCELLED)
                return True
            self._forget(job)
            return False

    def path(self, job: Job, name: str) -> Path | None:
        """Return a file of a job's folder, if it is there."""
        path = self._store.folder(job.id) / name
        return path if name and path.is_file() else None

    def preview(self, job: Job) -> Path | None:
        """Return the picture so far, or what was made, small."""
        return self.path(job, PREVIEW)

    def _taken(self) -> None:
        raise UsageError(f"another server uses {self._folder}; give another --state")

    def _run(self) -> None:
        while not self._closing:
            try:
                self._begin_next()
            except Exception:  # of a disk that is full, say, which may have room again
                logger.exception("no job could be begun")
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, _LOOK_SECONDS)

    def _begin_next(self) -> None:
        """Begin with a job, if there is one before long and a worker for it."""
        free = self._workplace.slots()

        def ready() -> bool:
            return self._closing or (len(self._under_way) < free and self._next() is not None)

        with self._changed:
            wanted = self._changed.wait_for(ready, _LOOK_SECONDS)
            self._clean()
            job = self._next()
            if self._closing or job is None or not wanted:
                return
            self._store.save(replace(job, state=RUNNING, tries=job.tries + 1))
            job.state, job.tries = RUNNING, job.tries + 1
            self._courses[job.id] = Course(version=1)
            thread = threading.Thread(target=self._make, args=(job,), name="job", daemon=True)
            self._under_way[job.id] = thread
            self._changed.notify_all()
        thread.start()

    def _next(self) -> Job | None:
        return next((job for job in self._jobs.values() if job.state == QUEUED), None)

    def _make(self, job: Job) -> None:
        """Have a job made, and take note of what becomes of it."""
        try:
            self._have_made(job)
        except Exception:
            logger.exception("a job could not be made")
            with self._changed, contextlib.suppress(OSError):  # which may be why
                self._end(job, FAILED, "the server could not have it made")
        finally:
            with self._changed:
                del self._under_way[job.id]
                self._changed.notify_all()

    def _have_made(self, job: Job) -> None:
        began = time.monotonic()

        def tell(progress: Mapping[str, Any]) -> None:
            with self._changed:
                self._courses[job.id].note(progress)
                self._changed.notify_all()

        def stop() -> bool:
            late = time.monotonic() - began > self._limits.seconds
            return late or self._closing or job.id in self._asked_to_stop

        order = Order(job.kind, job.values, job.files)
        try:
            ended = self._workplace.make(order, self._store.folder(job.id), tell, stop)
        except (GoneError, LostError) as error:
            with self._changed:
                if self._closing:
                    self._unbegin(job)
                elif job.id in self._asked_to_stop:
                    self._end(job, CANCELLED)
                elif isinstance(error, LostError):
                    self._unbegin(job)
                elif job.tries < TRIES:
                    job.state = QUEUED
                    self._store.save(job)
                else:
                    self._end(job, FAILED, f"its process has ended by itself {TRIES} times")
            return
        with self._changed:
            self._seconds += 0.3 * (time.monotonic() - began - self._seconds)
            self._take(job, ended)

    def _take(self, job: Job, ended: Mapping[str, Any]) -> None:
        """Take note of what has become of a job."""
        job.result, job.facts = ended["result"], dict(ended["facts"])
        if ended["error"]:
            self._end(job, FAILED, ended["error"])
        elif not ended["stopped"]:
            self._end(job, DONE)
        elif job.id in self._asked_to_stop:
            self._end(job, CANCELLED)
        elif self._closing:
            self._unbegin(job)
        elif job.result:
            job.note = f"stopped after {self._limits.seconds:g} seconds, the most here"
            self._end(job, DONE)
        else:
            self._end(job, FAILED, f"it took more than {self._limits.seconds:g} seconds")

    def _unbegin(self, job: Job) -> None:
        """Leave a job for the next server."""
        job.state, job.tries, job.result, job.facts = QUEUED, job.tries - 1, "", {}
        self._store.save(job)

    def _end(self, job: Job, state: str, error: str = "") -> None:
        job.state, job.error, job.ended = state, error, time.time()
        self._asked_to_stop.discard(job.id)
        if job.id in self._courses:
            self._courses[job.id].version += 1
        self._store.settle(job.id)
        self._store.save(job)
        self._changed.notify_all()

    def _forget(self, job: Job) -> None:
        del self._jobs[job.id]
        self._courses.pop(job.id, None)
        self._store.remove(job.id)
        self._changed.notify_all()

    def _clean(self) -> None:
        """Forget jobs that ended long ago, or are too many."""
        ended = sorted((j for j in self._jobs.values() if j.state in ENDED), key=lambda j: j.ended)
        oldest = time.time() - 3600 * self._limits.hours
        for place, job in enumerate(ended):
            if job.ended < oldest or len(ended) - place > self._limits.kept:
                self._forget(job)
