"""The process of this machine that makes jobs."""

import json
import os
import signal
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from styletransfer.jobs.task import Machine
from styletransfer.web.limits import Limits
from styletransfer.web.workplace import Order
from styletransfer.web.workshop import Workshop


def main(connection: Connection, machine: Machine, limits: Limits) -> None:
    """Make jobs until the server ends; it alone decides, so that signals are ignored.

    In and out goes JSON: a job, or the word to stop; how far it is, and what became of it.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    stop = threading.Event()
    jobs: SimpleQueue[dict[str, Any]] = SimpleQueue()

    def listen() -> None:
        """Take what the server says; where it is gone, so is this process."""
        while True:
            try:
                message = json.loads(connection.recv_bytes())
            except (EOFError, OSError):
                os._exit(1)
            if "stop" in message:
                stop.set()
            else:
                stop.clear()
                jobs.put(message)

    def tell(message: Mapping[str, Any]) -> None:
        connection.send_bytes(json.dumps(message).encode())

    def progress(message: Mapping[str, Any]) -> None:
        tell({"progress": message})

    threading.Thread(target=listen, daemon=True).start()
    workshop = Workshop(machine, limits)
    workshop.warm_up()
    tell({"ready": True})
    while True:
        job = jobs.get()
        folder = Path(job.pop("folder"))
        tell({"ended": vars(workshop.make(Order(**job), folder, progress, stop.is_set))})
