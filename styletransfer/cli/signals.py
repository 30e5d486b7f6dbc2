"""Ctrl-C, and what a system sends to end a program: nothing that is made gets lost."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupted(KeyboardInterrupt):
    """A signal ends the command."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number
        """The exit code, as shells count."""


class Signals:
    """Turns the first signal into `Interrupted`, or, while something is to be saved, into a flag.

    Later ones change nothing: what the first one saves is not disturbed. Signals that were ignored
    when the program began, as SIGHUP under nohup, stay ignored.

    Attributes
    ----------
    received : int or None
        The first signal.
    saving : bool
        Whether there is something to be saved, so that the run ends by `stopped` and not at once.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.saving = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # where no handlers can be set
        for name in _NAMES:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def stopped(self) -> bool:
        """Whether a signal has come."""
        return self.received is not None

    @property
    def code(self) -> int:
        """The exit code for the signal that came."""
        return 128 + (self.received or signal.SIGINT)

    def _note(self, number: int, frame: FrameType | None) -> None:
        first = self.received is None
        if first:
            self.received = number
        if first and not self.saving:
            raise Interrupted(number)
