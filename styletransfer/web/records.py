"""Jobs as they lie on the disk: a folder each, with what came in, what came out, and a record."""

import json
import logging
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from styletransfer import storage

logger = logging.getLogger(__name__)

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
STATES = (QUEUED, RUNNING, DONE, FAILED, CANCELLED)
ENDED = (DONE, FAILED, CANCELLED)

PREVIEW = "preview.jpg"
"""The picture so far, or what was made, small."""

BEFORE = "before.jpg"
"""What came in, small."""

_RECORD = "job.json"
_ID = re.compile(r"[A-Za-z0-9_-]{22}")
_LONGEST_RECORD = 1 << 20


@dataclass
class Job:
    """What is asked for, and what has become of it.

    Attributes
    ----------
    id : str
        Names it, and cannot be guessed.
    kind : str
        See `orders.KINDS`.
    values : dict
        The parameters, as they were given.
    files : dict of str to list of str
        The names of the files that came in, in the job's folder, by what they are.
    state : str
        One of `STATES`.
    made, ended : float
        When it was asked for and when it ended, in seconds since 1970; 0 is not yet.
    tries : int
        How often it was begun.
    error, note : str
        Why it failed; what else is to be said.
    result : str
        The name of the file that was made, in the job's folder.
    facts : dict
        Of what was made: size, seconds, iterations, loss.
    """

    id: str
    kind: str
    values: dict[str, Any]
    files: dict[str, list[str]]
    state: str = QUEUED
    made: float = field(default_factory=time.time)
    ended: float = 0.0
    tries: int = 0
    error: str = ""
    note: str = ""
    result: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


_KINDS: Mapping[str, Any] = {
    **dict.fromkeys(("id", "kind", "state", "error", "note", "result"), str),
    **dict.fromkeys(("values", "files", "facts"), dict),
    **dict.fromkeys(("made", "ended"), int | float),
    "tries": int,
}


class Store:
    """The folder of all jobs.

    Parameters
    ----------
    folder : Path
        It is made if need be, and only its owner may read it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder

    def new(self) -> str:
        """Make a job's folder, and return its id."""
        name = secrets.token_urlsafe(16)
        self.folder(name).mkdir(mode=0o700)
        return name

    def folder(self, name: str) -> Path:
        """Return the folder of a job; its id comes from `new` or `load`, never from a request."""
        assert _ID.fullmatch(name)
        return self._folder / name

    def save(self, job: Job) -> None:
        """Write a job's record."""
        with storage.replacing(self.folder(job.id) / _RECORD) as stream:
            stream.write(json.dumps(asdict(job)).encode())

    def settle(self, name: str) -> None:
        """Delete what a job that has ended would have gone on from."""
        folder = self.folder(name)
        (folder / "checkpoint.npz").unlink(missing_ok=True)
        for frames in folder.glob("result.*.frames"):
            shutil.rmtree(frames, ignore_errors=True)

    def remove(self, name: str) -> None:
        """Delete a job's folder."""
        shutil.rmtree(self.folder(name), ignore_errors=True)

    def load(self) -> list[Job]:
        """Return all jobs, the oldest first; what a request left that was cut short is deleted."""
        found = []
        for folder in self._folder.iterdir():
            if not _ID.fullmatch(folder.name) or not folder.is_dir():
                continue
            if not (folder / _RECORD).exists():
                self.remove(folder.name)
                continue
            try:
                found.append(_read(folder))
            except (OSError, ValueError, TypeError, RecursionError) as error:
                logger.warning("%s is left out: its record is damaged (%s)", folder, error)
        return sorted(found, key=lambda job: job.made)


def _read(folder: Path) -> Job:
    """Return the job of a folder; raise ValueError or TypeError if its record is none."""
    path = folder / _RECORD
    if path.stat().st_size > _LONGEST_RECORD:
        raise ValueError("it is too long")
    values = json.loads(path.read_bytes())
    if not isinstance(values, dict):
        raise ValueError("it is no table")
    job = Job(**values)
    for name, kind in _KINDS.items():
        if not isinstance(getattr(job, name), kind):
            raise ValueError(f"{name} is of another kind")
    if job.id != folder.name or job.state not in STATES:
        raise ValueError("it is of another job")
    names = [name for several in job.files.values() for name in several] + [job.result]
    if any(Path(name).name != name for name in names):
        raise ValueError("it names files elsewhere")
    return job
