"""What the page does: jobs queued as the service queues them, and followed to their end."""

import base64
import binascii
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from styletransfer.errors import StyleTransferError
from styletransfer.web import views
from styletransfer.web.limits import Limits
from styletransfer.web.queue import FullError, Queue
from styletransfer.web.records import ENDED, Job
from styletransfer.web.service import described, submit_files

_LOOK_SECONDS = 1.0
_LONGEST_MASK = 4 << 20  # characters
_MASK_START = "data:image/png;base64,"

Shown = tuple[str, str | None]
"""What is shown of a job, and its id."""


class PageError(Exception):
    """What the page tells somebody in a sentence."""


class Maker:
    """Makes what the page asks for.

    Parameters
    ----------
    queue : Queue
        That of the service.
    limits : Limits
        What is the most.
    """

    def __init__(self, queue: Queue, limits: Limits) -> None:
        self.queue, self.limits = queue, limits

    def made(
        self, kind: str, values: Mapping[str, Any], files: Mapping[str, Sequence[Any]]
    ) -> Iterator[Shown]:
        """Queue a job, and yield what is to be seen of it, until it ends.

        Files are paths of uploads, or bytes. Raises PageError if the job is not taken.
        """
        given = {name: value for name, value in values.items() if value not in (None, "", ())}
        try:
            with self.queue.room() as name:
                placed = {
                    what: [
                        _placed(one, self.queue.folder(name) / f"{what}-{number}")
                        for number, one in enumerate(several)
                    ]
                    for what, several in files.items()
                    if several
                }
                submit_files(self.queue, self.limits, name, kind, given, placed)
        except StyleTransferError as error:
            raise PageError(error.text) from None
        except FullError:
            raise PageError("so many jobs wait that no other one is taken; try later") from None
        yield from self.followed(name)

    def followed(self, name: str) -> Iterator[Shown]:
        """Yield what is to be seen of a job whenever there is something new, until it ends."""
        while (job := self.queue.get(name)) is not None:
            ended = job.state in ENDED  # before it is shown: it may end while that is sent
            course = self.queue.course(name)
            facts = described(self.queue, job)
            yield views.progress(job, course, facts, self.queue.preview(job)), name
            if ended or self.queue.closing:
                return
            self.queue.wait(name, course.version, _LOOK_SECONDS)

    def mask_of(self, name: str) -> str:
        """Return a job's mask, if it was drawn here; see `mask`."""
        job = self.queue.get(name)
        names = () if job is None else job.files.get("style_mask", ())
        path = self.queue.path(job, names[0]) if job is not None and len(names) == 1 else None
        if path is None or path.suffix != ".png":
            return ""
        text = _MASK_START + base64.b64encode(path.read_bytes()).decode()
        return text if len(text) <= _LONGEST_MASK else ""

    def stop(self, name: str | None) -> None:
        """Stop a job that has not ended; what there is of it stays."""
        job = None if name is None else self.queue.get(name)
        if job is not None and job.state not in ENDED:
            self.queue.cancel(job.id)

    def delete(self, name: str | None) -> None:
        """Delete a job that has ended."""
        job = None if name is None else self.queue.get(name)
        if job is not None and job.state in ENDED:
            self.queue.cancel(job.id)

    def ended(self) -> list[Job]:
        """Return all that was made, the newest first."""
        return [job for job in self.queue.jobs() if job.state in ENDED]


def mask(data: object) -> list[bytes]:
    """Return the file of a mask that was drawn, none where nothing was.

    Raises
    ------
    PageError
        If it is none.
    """
    if not data:
        return []
    if not isinstance(data, str) or len(data) > _LONGEST_MASK or not data.startswith(_MASK_START):
        raise PageError("the mask is no picture; draw it anew")
    try:
        return [base64.b64decode(data[len(_MASK_START) :], validate=True)]
    except (binascii.Error, ValueError):
        raise PageError("the mask is damaged; draw it anew") from None


def _placed(given: bytes | str, path: Path) -> Path:
    """Put a file into a job's folder."""
    if isinstance(given, bytes):
        path.write_bytes(given)
    else:
        shutil.copyfile(given, path)
    return path
