"""The worker process as the server sees it: begun, asked, listened to, and ended."""

import json
import multiprocessing
from collections.abc import Mapping
from typing import Any

from styletransfer.jobs.task import Machine
from styletransfer.web import worker
from styletransfer.web.limits import Limits

_END_SECONDS = 10.0


class GoneError(Exception):
    """The worker process has ended."""


class Process:
    """A worker process; it loads its networks while nobody waits for it.

    Attributes
    ----------
    pid : int or None
        Its number.
    """

    def __init__(self, machine: Machine, limits: Limits) -> None:
        # Spawned: a copy of a process with threads may wait for ever for a lock of one of them.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=worker.main, args=(theirs, machine, limits), daemon=True
        )
        self._process.start()
        theirs.close()
        self.pid = self._process.pid

    def tell(self, message: Mapping[str, Any]) -> None:
        """Give it a job, or the word to stop; raise GoneError if it has ended."""
        try:
            self._connection.send_bytes(json.dumps(message).encode())
        except OSError:
            raise GoneError from None

    def listen(self, seconds: float) -> dict[str, Any] | None:
        """Return what it says within so long, if anything; raise GoneError if it has ended."""
        try:
            if not self._connection.poll(seconds):
                return None
            message: dict[str, Any] = json.loads(self._connection.recv_bytes())
        except (EOFError, OSError):
            raise GoneError from None
        return message

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.join(_END_SECONDS)
        self._connection.close()
