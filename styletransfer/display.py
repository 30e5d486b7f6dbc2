"""How far something is, on the terminal: bars there, a line now and then elsewhere; on stderr."""

import sys
import time
from types import TracebackType
from typing import Any, Self

from styletransfer.progress import Download, Progress, TrainingProgress

INTERVAL = 10.0
"""Seconds between two lines where there is no terminal, so that the log of a long run is short."""

LOG_EVERY = 10
"""Steps between two lines of a training where there is no terminal."""


class Display:
    """Shows what it is told, if it is `shown`: what the callbacks of the library get.

    A bar has the percentage, the rate, the time left and the loss. Without a terminal downloads are
    not shown.
    """

    def __init__(self, shown: bool = True) -> None:
        self._shown = shown
        self._terminal = shown and sys.stderr.isatty()
        self._bar: Any = None
        self._what = ""
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """End the bar that is shown, if there is one; the next step begins another."""
        if self._bar is not None:
            self._bar.finish(dirty=True)
            self._bar = None

    def show(self, step: Progress | TrainingProgress | Download) -> None:
        """Show one step."""
        if isinstance(step, Download):
            if self._terminal:
                self._transferred(step)
        elif self._terminal:
            self._iterated(step)
        elif isinstance(step, TrainingProgress):
            self._print_losses(step)
        elif self._shown:
            self._print_line(step)

    def _iterated(self, step: Progress | TrainingProgress) -> None:
        import progressbar

        done, total = _steps(step)
        if self._bar is None:
            widgets = [
                progressbar.Percentage(),
                " ",
                progressbar.Bar(),
                " ",
                progressbar.SimpleProgress(),
                " ",
                progressbar.Variable("rate", format="{formatted_value}", width=10),
                " ",
                progressbar.ETA(),
                " ",
                # The number itself goes in, with the digits that the widget gives it.
                progressbar.Variable("loss", format="loss {formatted_value}", width=9, precision=4),
            ]
            self._bar = progressbar.ProgressBar(max_value=total, widgets=widgets)
            self._bar.start()
        self._bar.update(done, rate=_rate(step), loss=step.loss)

    def _transferred(self, step: Download) -> None:
        import progressbar

        if self._bar is None or step.what != self._what:
            self.end()
            self._what = step.what
            length = step.total or progressbar.UnknownLength
            self._bar = progressbar.DataTransferBar(prefix=f"{step.what} ", max_value=length)
            self._bar.start()
        self._bar.update(step.done)

    def _print_losses(self, step: TrainingProgress) -> None:
        """Print a line every few steps, as hzy46's trainer does."""
        if (step.iteration % LOG_EVERY and step.iteration < step.iterations) or not self._shown:
            return
        done, total = _steps(step)
        left = step.seconds / done * (total - done)
        print(
            f"step: {step.iteration},  total Loss {step.loss:.6f},"
            f" secs/step: {step.step_seconds:.6f} ({left:.0f} s left)",
            file=sys.stderr,
            flush=True,
        )

    def _print_line(self, step: Progress) -> None:
        now = time.monotonic()
        if step.iteration < step.iterations and now - self._last_line < INTERVAL:
            return
        self._last_line = now
        left = step.seconds / step.iteration * (step.iterations - step.iteration)
        print(
            f"{step.iteration}/{step.iterations} ({_rate(step)}, {left:.0f} s left)"
            f" loss {step.loss:.3e}",
            file=sys.stderr,
            flush=True,
        )


def _steps(step: Progress | TrainingProgress) -> tuple[int, int]:
    """Return how many iterations there were in this run, and how many there are to be."""
    before = step.begun if isinstance(step, TrainingProgress) else 0
    return step.iteration - before, step.iterations - before


def _rate(step: Progress | TrainingProgress) -> str:
    """Return iterations a second, or seconds an iteration where there are fewer than one."""
    rate = _steps(step)[0] / max(step.seconds, 1e-9)
    return f"{rate:.1f} it/s" if rate >= 1 else f"{1 / rate:.1f} s/it"
