"""Jobs made here, by a process of their own: begun, asked, listened to, and ended."""

import json
import multiprocessing
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from styletransfer.jobs.task import Machine
from styletransfer.web import worker
from styletransfer.web.limits import Limits
from styletransfer.web.workplace import GRACE_SECONDS, POLL_SECONDS, STOPPED, GoneError, Order

_END_SECONDS = 10.0


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


class Here:
    """A workplace of one process, with one job at a time.

    Parameters
    ----------
    start : callable
        Starts the process.
    """

    def __init__(self, start: Callable[[], Process]) -> None:
        self._start = start
        self._process: Process | None = start()

    @property
    def pid(self) -> int | None:
        """The number of the process."""
        return None if self._process is None else self._process.pid

    def slots(self) -> int:
        """Return 1."""
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
            if self._process is None:
                self._process = self._start()
            ended = _followed(self._process, order, folder, tell, stop)
        except GoneError:
            self._restart(stop)
            raise
        if ended is None:
            self._restart(stop)
        return ended or STOPPED

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()

    def _restart(self, stop: Callable[[], bool]) -> None:
        if self._process is not None:
            self._process.kill()
        self._process = None if stop() else self._start()


def _followed(
    process: Process,
    order: Order,
    folder: Path,
    tell: Callable[[Mapping[str, Any]], None],
    stop: Callable[[], bool],
) -> Mapping[str, Any] | None:
    """Follow a process to the end of a job; return what it made, None if it does not stop."""
    process.tell(asdict(order) | {"folder": str(folder.resolve())})
    told = 0.0
    while True:
        message = process.listen(POLL_SECONDS) or {}
        if "ended" in message:
            ended: dict[str, Any] = message["ended"]
            return ended
        if "progress" in message:
            tell(message["progress"])
        now = time.monotonic()
        if told and now - told > GRACE_SECONDS:
            return None
        if not told and stop():
            process.tell({"stop": True})
            told = now
