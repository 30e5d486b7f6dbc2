"""The process in which FFmpeg has to do with films: what `apart` asks for is done here.

Frames go out in the order of their numbers; while the one before is painted, the next one is
decoded, and waits in the pipe.
"""

import contextlib
import json
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from styletransfer.errors import StyleTransferError
from styletransfer.runtime import memory
from styletransfer.text import clause
from styletransfer.video import answers, colours, containers, tracks
from styletransfer.video.answers import of_fraction
from styletransfer.video.facts import Source
from styletransfer.video.filmfile import FilmFile
from styletransfer.video.formats import Format
from styletransfer.video.order import Order
from styletransfer.video.ranges import Range

Requests = queue.SimpleQueue[tuple[str, tuple[Any, ...]]]
_PULSE = 1.0  # seconds


def main() -> NoReturn:
    """Do what the standard input asks for, until it ends: then the other process has."""
    channel = _Channel()
    _bound()
    requests: Requests = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    containers.each_packet = channel.pulse
    does: dict[str, Callable[..., object]] = {
        "probe": _probe, "left_out": _left_out, "read": _read, "small": _small,
        "write": lambda channel, *arguments: _write(channel, requests, *arguments),
    }  # fmt: skip
    while True:
        what, arguments = requests.get()
        try:
            channel.send({"end": does[what](channel, *arguments)})
        except StyleTransferError as error:
            channel.send({"error": type(error).__name__, "text": error.text})
        except MemoryError:
            channel.send({"error": "", "text": "the memory was not enough"})
        except Exception as error:
            channel.send({"error": "", "text": clause(getattr(error, "strerror", None) or error)})


def _bound() -> None:
    """Take no more memory than there is now, and leave what is there to the other process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most, (_, hard) = memory.available(), resource.getrlimit(resource.RLIMIT_DATA)
    if most is not None and (hard == resource.RLIM_INFINITY or most < hard):
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    with contextlib.suppress(OSError):  # on Linux: where memory runs out, this one is ended
        Path("/proc/self/oom_score_adj").write_text("1000")


def _listen(requests: Requests) -> None:
    """Take requests, one ahead at most, so that the end is seen whatever FFmpeg does meanwhile."""
    while True:
        try:
            requests.put(pickle.load(sys.stdin.buffer))
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(0)


class _Channel:
    """The way back; what others print on the standard output does not get into it."""

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._last = time.monotonic()

    def send(self, told: dict[str, Any], *arrays: np.ndarray | None) -> None:
        """Send an answer, and arrays behind it."""
        self._stream.write(json.dumps(told).encode() + b"\n")
        for array in arrays:
            if array is not None:
                self._stream.write(array.data.cast("B"))
        self._stream.flush()
        self._last = time.monotonic()

    def pulse(self) -> None:
        """Say that something goes on, now and then."""
        if time.monotonic() - self._last > _PULSE:
            self.send({"alive": True})


def _probe(channel: _Channel, path: Path) -> object:
    return answers.of_source(containers.probe(path))


def _left_out(channel: _Channel, source: Source, form: Format) -> object:
    return tracks.left_out(source, form)


def _read(channel: _Channel, source: Source, part: Range) -> None:
    for frame in containers.read(source, part):
        channel.send(_shown(frame), frame.pixels, frame.alpha)


def _small(channel: _Channel, source: Source, part: Range, side: int | None) -> None:
    for shown in containers.decoded(source, part):
        if side is None:
            channel.send(_shown(shown))
        else:
            picture = np.ascontiguousarray(colours.to_small_bgr(shown.image, side))
            channel.send({**_shown(shown), "shape": picture.shape[:2]}, picture)


def _shown(frame: Any) -> dict[str, Any]:
    times = {"time": of_fraction(frame.time), "duration": of_fraction(frame.duration)}
    return {"number": frame.number, **times}


def _write(channel: _Channel, requests: Requests, path: Path, form: Format, order: Order) -> None:
    """Write a film; the frames come as further requests."""
    film = FilmFile(path, form, order)
    channel.send({})
    for what, arguments in iter(requests.get, ("finish", ())):
        assert what == "frame"
        film.write(*arguments)
        channel.send({})
    film.finish()
