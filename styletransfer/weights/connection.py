"""HTTP within bounds: nothing that a server sends is endless, from the first header to the last.

`http.client` alone takes whatever comes: headers, bodies of redirects and trailers without end.
Here every byte is counted where it comes out of the socket.
"""

import functools
import http.client
import io
import math
import queue
import threading
import time
import urllib.request
from typing import Any, cast

from styletransfer.errors import WeightsError

OPEN_SECONDS = 10.0  # until the answer's headers are here: name, connections, TLS and redirects
STALL_SECONDS = 20.0  # the rate is looked at once in that time
MINIMUM_RATE = 1024.0  # bytes a second; below it another source is the better choice
MEAN_RATE = 32_768.0  # bytes a second that a transfer must reach on the whole, see `seconds_for`
_HEAD_BYTES = 1 << 20


def seconds_for(size: int) -> float:
    """Return how long the transfer of so many bytes may take in all."""
    return 120 + size / MEAN_RATE


class Bounds:
    """What a server may send in all, how slowly, and until when."""

    def __init__(self) -> None:
        self._allow("before", _HEAD_BYTES, math.inf)

    def _allow(self, stage: str, size: int, until: float) -> None:
        self._stage, self._left, self._until = stage, size, until
        self._since, self._count = time.monotonic(), 0

    def allow_body(self, limit: int) -> None:
        """Allow for a body of at most so many bytes, and for what frames it."""
        self._allow("after", 2 * limit + _HEAD_BYTES, time.monotonic() + seconds_for(limit))

    def end(self) -> None:
        """Allow nothing more."""
        self._left = 0

    def took(self, count: int) -> None:
        """Count bytes; raise WeightsError if they are too many, too late or too few."""
        now = time.monotonic()
        self._left -= count
        self._count += count
        if self._left < 0:
            raise WeightsError(f"the server sends too much {self._stage} the file")
        if now > self._until:
            raise WeightsError("the transfer takes too long (the next try goes on from there)")
        elapsed = now - self._since
        if elapsed > STALL_SECONDS:
            rate = self._count / elapsed
            if rate < MINIMUM_RATE:
                raise WeightsError(f"the server is too slow: {rate:.0f} bytes a second")
            self._since, self._count = now, 0


def open_within(bounds: Bounds, request: urllib.request.Request) -> http.client.HTTPResponse:
    """Open an address within OPEN_SECONDS in all; redirects and the proxy variables are followed.

    A timeout of the socket's holds for each of a host's addresses in turn, and not for the look-up
    of its name: behind a firewall that drops packets that adds up to minutes. Hence the thread.
    """
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _Handler(bounds),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        director.add_handler(handler)
    answers: queue.SimpleQueue[http.client.HTTPResponse | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(cast(Any, director.open(request, timeout=STALL_SECONDS)))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=OPEN_SECONDS)
    except queue.Empty:
        bounds.end()  # so that the thread ends, too
        raise TimeoutError(f"no answer within {OPEN_SECONDS:g} seconds") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


class _Handler(urllib.request.AbstractHTTPHandler):
    """Opens http and https, with responses within bounds."""

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def __init__(self, bounds: Bounds) -> None:
        super().__init__()
        self._bounds = bounds

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(self._connect, http.client.HTTPConnection), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(self._connect, http.client.HTTPSConnection), request)

    def _connect(
        self, kind: type[http.client.HTTPConnection], host: str, **options: Any
    ) -> http.client.HTTPConnection:
        connection = kind(host, **options)
        connection.response_class = cast(Any, functools.partial(_Response, self._bounds))
        return connection


class _Response(http.client.HTTPResponse):
    def __init__(self, bounds: Bounds, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fp = io.BufferedReader(_Counted(self.fp.detach(), bounds))


class _Counted(io.RawIOBase):
    """A socket's bytes, counted."""

    def __init__(self, raw: io.RawIOBase, bounds: Bounds) -> None:
        super().__init__()
        self._raw = raw
        self._bounds = bounds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count: int | None = self._raw.readinto(buffer)
        self._bounds.took(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
