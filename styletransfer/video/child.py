"""The process in which FFmpeg has to do with films: what `apart` asks for is done here.

Each request gets as many answers as are asked for; the next one is made before: a frame is decoded
while the one before it is painted.
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
from collections.abc import Callable, Iterator
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

Request = tuple[str, tuple[Any, ...]]
Requests = queue.SimpleQueue[Request]
Answer = tuple[dict[str, Any], tuple[np.ndarray | None, ...]]
"""What is told, and arrays behind it."""

_PULSE = 1.0  # seconds
_LEAST = 1 << 30  # bytes that it may take, however little there is


def main() -> NoReturn:
    """Do what the standard input asks for, until it ends: then the other process has."""
    channel = _Channel()
    _bound()
    requests: Requests = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    containers.each_packet = channel.pulse
    does: dict[str, Callable[..., Iterator[Answer]]] = {
        "probe": _probe, "left_out": _left_out, "read": _read, "small": _small, "rest": _rest,
        "write": lambda *arguments: _write(requests, *arguments),
    }  # fmt: skip
    what, arguments = requests.get()
    while True:
        what, arguments = _serve(channel, requests, does[what](*arguments))


def _serve(channel: "_Channel", requests: Requests, made: Iterator[Answer]) -> Request:
    """Give one answer each time that more is asked for; return the first other request."""
    while True:
        told, arrays = _next(made)
        what, arguments = requests.get()
        if what != "more":
            return what, arguments
        channel.send(told, *arrays)


def _next(made: Iterator[Answer]) -> Answer:
    """Return the next answer, which may be an error or the end."""
    try:
        return next(made, ({"end": None}, ()))
    except StyleTransferError as error:
        return {"error": type(error).__name__, "text": error.text}, ()
    except MemoryError:
        return {"error": "", "text": "the memory was not enough"}, ()
    except Exception as error:
        return {"error": "", "text": clause(getattr(error, "strerror", None) or error)}, ()


def _bound() -> None:
    """Take no more memory than there is now; leave Ctrl-C, and all memory, to the other process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    free, limits = memory.available(), resource.getrlimit(resource.RLIMIT_DATA)
    if free is not None:
        known = [limit for limit in limits if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_DATA, (min([max(free, _LEAST), *known]), limits[1]))
    with contextlib.suppress(OSError):  # on Linux: where memory runs out, this one is ended
        Path("/proc/self/oom_score_adj").write_text("1000")


def _listen(requests: Requests) -> None:
    """Take requests, one ahead at most, so that the end is seen whatever FFmpeg does meanwhile."""
    while True:
        try:
            requests.put(pickle.load(sys.stdin.buffer))
        except Exception:
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


def _probe(path: Path) -> Iterator[Answer]:
    yield {"end": answers.of_source(containers.probe(path))}, ()


def _left_out(source: Source, form: Format) -> Iterator[Answer]:
    yield {"end": tracks.left_out(source, form)}, ()


def _read(source: Source, part: Range) -> Iterator[Answer]:
    for frame in containers.read(source, part):
        yield _shown(frame), (frame.pixels, frame.alpha)


def _small(source: Source, part: Range, side: int | None) -> Iterator[Answer]:
    for shown in containers.decoded(source, part):
        if side is None:
            yield _shown(shown), ()
        else:
            picture = np.ascontiguousarray(colours.to_small_bgr(shown.image, side))
            yield {**_shown(shown), "shape": picture.shape[:2]}, (picture,)


def _shown(frame: Any) -> dict[str, Any]:
    times = {"time": of_fraction(frame.time), "duration": of_fraction(frame.duration)}
    return {"number": frame.number, **times}


def _write(requests: Requests, path: Path, form: Format, order: Order) -> Iterator[Answer]:
    """Write a film; the frames come as further requests."""
    film = FilmFile(path, form, order)
    yield {}, ()
    for _, arguments in iter(requests.get, ("finish", ())):
        film.write(*arguments)
        yield {}, ()
    film.finish()


def _rest() -> Iterator[Answer]:
    """Do nothing: what was under way is given up, and its film closed."""
    yield from ()
