"""How far something is, on the terminal: bars there, a line now and then elsewhere; on stderr."""

import sys
import time
from types import TracebackType
from typing import Any, Self

from styletransfer.progress import (
    BatchProgress,
    Begun,
    Download,
    FilmProgress,
    PaintingProgress,
    Progress,
    TrainingProgress,
)
from styletransfer.text import counted, encodable, printable

INTERVAL = 10.0
"""Seconds between two lines where there is no terminal, so that the log of a long run is short."""

LOG_EVERY = 10
"""Steps between two lines of a training where there is no terminal."""


class Display:
    """Shows what it is told, if it is `shown`: what the callbacks of the library get.

    A bar has the percentage, the time so far, the rate, the time left and the loss. Without a
    terminal downloads are not shown.
    """

    def __init__(self, shown: bool = True) -> None:
        self._shown = shown
        self._terminal = shown and sys.stderr.isatty()
        self._bar: Any = None
        self._what = ""
        self._begun = self._last_line = time.monotonic()

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

    def show(
        self,
        step: Progress
        | TrainingProgress
        | FilmProgress
        | BatchProgress
        | PaintingProgress
        | Download
        | Begun,
    ) -> None:
        """Show one step."""
        if isinstance(step, Begun):
            self._begin(step)
        elif isinstance(step, Download):
            if self._terminal:
                self._transferred(step)
        elif isinstance(step, PaintingProgress):
            if self._shown:
                self._painted(step)
        elif self._terminal:
            self._iterated(step)
        elif isinstance(step, BatchProgress):
            self._print_batch(step)
        elif isinstance(step, TrainingProgress):
            self._print_losses(step)
        elif isinstance(step, FilmProgress):
            self._print_frame(step)
        elif self._shown:
            self._print_line(step)

    def _begin(self, step: Begun) -> None:
        """Say which picture of several comes, and how long all will take."""
        now = time.monotonic()
        if step.number == 1:
            self._begun = now
        self._last_line = now
        if not self._shown or step.total < 2:
            return
        left = ""
        if step.number > 1:
            seconds = (now - self._begun) / (step.number - 1) * (step.total - step.number + 1)
            left = f", {_duration(seconds)} left for all"
        self._print(f"{step.number} of {step.total}: {step.name}{left}")

    def _iterated(self, step: "_Counted") -> None:
        import progressbar

        done, total = _steps(step)
        if self._bar is None:
            widgets = [
                progressbar.Percentage(),
                " ",
                progressbar.Bar(),
                " ",
                progressbar.SimpleProgress(),
                # The bar's own times begin with the first iteration's end, and disagree with the
                # rate; the numbers themselves go in, with the digits that the widgets give them.
                *(
                    widget
                    for name in ("time", "rate", "left")
                    for widget in (
                        " ",
                        progressbar.Variable(name, format="{formatted_value}", width=6),
                    )
                ),
            ]
            if _loss(step) is not None:
                form = "loss {formatted_value}"
                widgets += [" ", progressbar.Variable("loss", format=form, width=9, precision=4)]
            self._bar = progressbar.ProgressBar(max_value=total, widgets=widgets)
            self._bar.start()
        self._bar.update(
            done,
            time=_duration(step.seconds),
            rate=_rate(step),
            left=f"{_duration(_left(step))} left",
            **({} if _loss(step) is None else {"loss": _loss(step)}),
        )

    def _transferred(self, step: Download) -> None:
        import progressbar

        if self._bar is None or step.what != self._what:
            self.end()
            self._what = step.what
            length = step.total or progressbar.UnknownLength
            prefix = f"{printable(step.what, 80)} "
            self._bar = progressbar.DataTransferBar(prefix=prefix, max_value=length)
            self._bar.start()
        self._bar.update(step.done)

    def _painted(self, step: PaintingProgress) -> None:
        left = f"{_duration(step.seconds / step.done * (1 - step.done))} left"
        if not self._terminal:
            if self._is_time():
                self._print(f"{step.done:.0%} painted, {left}")
            return
        import progressbar

        if self._bar is None:
            widgets = [
                progressbar.Percentage(),
                " ",
                progressbar.Bar(),
                " ",
                progressbar.Variable("left", format="{formatted_value}", width=6),
            ]
            self._bar = progressbar.ProgressBar(max_value=1, widgets=widgets)
            self._bar.start()
        self._bar.update(step.done, left=left)

    def _print_losses(self, step: TrainingProgress) -> None:
        """Print a line every few steps, as hzy46's trainer does."""
        if (step.iteration % LOG_EVERY and step.iteration < step.iterations) or not self._shown:
            return
        self._print(
            f"step: {step.iteration},  total Loss {step.loss:.6f},"
            f" secs/step: {step.step_seconds:.6f} ({_left(step):.0f} s left)"
        )

    def _print_frame(self, step: FilmProgress) -> None:
        if self._shown:
            self._print(f"{frame_line(step)}, {_duration(_left(step))} left")

    def _print_batch(self, step: BatchProgress) -> None:
        if self._shown and 0 < step.done < step.total and self._is_time():
            self._print(
                f"{step.done} of {step.total} ({_rate(step)}, {counted(step.workers, 'worker')},"
                f" {_duration(_left(step))} left)"
            )

    def _print_line(self, step: Progress) -> None:
        if step.iteration < step.iterations and not self._is_time():
            return
        self._last_line = time.monotonic()
        self._print(
            f"{step.iteration}/{step.iterations} ({_rate(step)}, {_left(step):.0f} s left)"
            f" loss {step.loss:.3e}"
        )

    def _is_time(self) -> bool:
        """Whether the next line is due, in which case the time until another begins."""
        now = time.monotonic()
        due = now - self._last_line >= INTERVAL
        self._last_line = now if due else self._last_line
        return due

    def _print(self, line: str) -> None:
        text = encodable(printable(line), sys.stderr.encoding)
        print(text, file=sys.stderr, flush=True)


def frame_line(step: FilmProgress) -> str:
    """Return a line about a frame."""
    start = f"{step.done}/{step.total} {step.name}"
    if step.error is not None:
        return f"{start} failed: {step.error}"
    loss = "" if step.loss is None else f", {step.iterations} iterations, loss {step.loss:.3e}"
    return f"{start}: {step.frame_seconds:.2f} s{loss}"


_Counted = Progress | TrainingProgress | FilmProgress | BatchProgress


def _loss(step: _Counted) -> float | None:
    return None if isinstance(step, BatchProgress) else step.loss


def _left(step: _Counted) -> float:
    """Return the seconds that are left, at the rate so far."""
    done, total = _steps(step)
    return step.seconds / max(done, 1) * (total - done)


def _steps(step: _Counted) -> tuple[int, int]:
    """Return how many iterations there were in this run, and how many there are to be."""
    if isinstance(step, BatchProgress):
        return step.done, step.total
    if isinstance(step, FilmProgress):
        return step.done - step.begun, step.total - step.begun
    before = step.begun if isinstance(step, TrainingProgress) else 0
    return step.iteration - before, step.iterations - before


def _rate(step: _Counted) -> str:
    """Return iterations a second, or seconds an iteration where there are fewer than one."""
    rate = _steps(step)[0] / max(step.seconds, 1e-9)
    what = {FilmProgress: "frame", BatchProgress: "picture"}.get(type(step), "it")
    if not rate:
        return ""
    return f"{rate:.1f} {what}/s" if rate >= 1 else f"{1 / rate:.1f} s/{what}"


def _duration(seconds: float) -> str:
    """Return a time in words: 40 s, 12 min, 3 h 20 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
