"""A worker process that is none: what it does with a job is said by the test."""

import queue
from pathlib import Path
from typing import Any

from styletransfer.web.workplace import GoneError

MADE = {"result": "result.png", "error": "", "stopped": False, "facts": {"size": [4, 3]}}
STOPPED = MADE | {"stopped": True}
GONE = "gone"


class FakeProcess:
    """Does with each job what is next in `script`; with nothing left, or "made", it makes it.

    Attributes
    ----------
    script : list
        "made", "gone" (the process dies), "wait" (until it is stopped or told to go on), or a
        message.
    jobs : list
        What it was given.
    """

    pid = 1

    def __init__(self, script: list[Any] | None = None) -> None:
        self.script = script if script is not None else []
        self.jobs: list[dict[str, Any]] = []
        self.killed = False
        self._says: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def tell(self, message: dict[str, Any]) -> None:
        if "stop" in message:
            self.go_on({"ended": STOPPED})
            return
        self.jobs.append(message)
        step = self.script.pop(0) if self.script else "made"
        if step == "wait":
            return
        if step == GONE:
            self._says.put(GONE)
        elif step == "made":
            self.go_on({"ended": MADE})
        else:
            self._says.put(step)

    def go_on(self, message: dict[str, Any]) -> None:
        if "ended" in message and message["ended"]["result"]:
            folder = Path(self.jobs[-1]["folder"])
            (folder / message["ended"]["result"]).write_bytes(b"a picture")
        self._says.put(message)

    def listen(self, seconds: float) -> Any:
        try:
            said = self._says.get(timeout=seconds)
        except queue.Empty:
            return None
        if said == GONE:
            raise GoneError
        return said

    def kill(self) -> None:
        self.killed = True
