"""How far a run or a download is: the values that the library hands out, and their displays."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Progress:
    """How far a run is, handed to a callback after each iteration.

    Attributes
    ----------
    iteration, iterations : int
        The iteration just done, from 1, and how many there are to be.
    evaluations : int
        How often loss and gradient have been computed.
    loss : float
        The loss of the image accepted last.
    terms : dict of str to float
        Each term of that loss, with its weight, at the image evaluated last.
    seconds : float
        Time since the optimisation began.
    image : callable
        Returns the image accepted last, float RGB in [0, 1], (H, W, 3); made only when called.
    """

    iteration: int
    iterations: int
    evaluations: int
    loss: float
    terms: dict[str, float]
    seconds: float
    image: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Download:
    """How far a download is, handed to a callback as it goes on.

    Attributes
    ----------
    what : str
        The name of what is fetched.
    done : int
        Bytes so far.
    total : int or None
        Bytes in all, None where that is not known.
    """

    what: str
    done: int
    total: int | None


class ProgressDisplay:
    """Shows a run: a bar on a terminal, a line now and then elsewhere; always on stderr.

    Notes
    -----
    A bar has the percentage, the rate, the time left and the loss. Lines come every ten seconds at
    most, so that the log of a long run stays short.
    """

    INTERVAL = 10.0

    def __init__(self) -> None:
        self._bar = None
        self._last_line = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.finish(dirty=True)

    def show(self, progress: Progress) -> None:
        """Show one step."""
        if self._terminal:
            self._update_bar(progress)
        else:
            self._print_line(progress)

    def _update_bar(self, progress: Progress) -> None:
        import progressbar

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
            self._bar = progressbar.ProgressBar(max_value=progress.iterations, widgets=widgets)
            self._bar.start()
        self._bar.update(progress.iteration, rate=_rate(progress), loss=progress.loss)

    def _print_line(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.iteration < progress.iterations and now - self._last_line < self.INTERVAL:
            return
        self._last_line = now
        left = progress.seconds / progress.iteration * (progress.iterations - progress.iteration)
        print(
            f"{progress.iteration}/{progress.iterations} ({_rate(progress)}, {left:.0f} s left)"
            f" loss {progress.loss:.3e}",
            file=sys.stderr,
            flush=True,
        )


class DownloadDisplay:
    """Shows a download: a bar on a terminal, nothing elsewhere; always on stderr."""

    def __init__(self) -> None:
        self._bar = None
        self._what = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.finish(dirty=True)

    def show(self, download: Download) -> None:
        """Show one step; another name begins another bar."""
        if not sys.stderr.isatty():
            return
        import progressbar

        if self._bar is None or download.what != self._what:
            self.__exit__()
            self._what = download.what
            length = download.total or progressbar.UnknownLength
            self._bar = progressbar.DataTransferBar(
                prefix=f"{download.what} ", max_value=length
            ).start()
        self._bar.update(download.done)


def _rate(progress: Progress) -> str:
    """Return iterations a second, or seconds an iteration where there are fewer than one."""
    rate = progress.iteration / max(progress.seconds, 1e-9)
    return f"{rate:.1f} it/s" if rate >= 1 else f"{1 / rate:.1f} s/it"
