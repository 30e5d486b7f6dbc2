"""What a worker of this machine does when it begins."""

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C, which a terminal sends to all of its processes, to the command."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
