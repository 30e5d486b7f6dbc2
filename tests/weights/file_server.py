"""A local HTTP server that serves files well, or in the many ways in which that goes wrong.

The first part of an address's path says how, the last part which file: ``/truncated/weights.bin``.
"""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer(ThreadingHTTPServer):
    """Serves `files`; `requests` collects the path and the Range header of what was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.closing = threading.Event()

    def address(self, manner: str, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{manner}/{name}"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.requests.append((self.path, wanted))
        _, manner, name = self.path.split("/")
        with contextlib.suppress(OSError):  # a client that has seen enough hangs up
            getattr(self, manner)(self.server.files.get(name), name, wanted)

    def _head(self, status: int, length: int | None, **headers: str) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()

    def _start(self, body: bytes, wanted: str | None) -> bytes:
        """Send the head for what is wanted of the body, and return that part."""
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted else 0
        if start and start >= len(body):
            self._head(416, 0, Content_Range=f"bytes */{len(body)}")
            return b""
        if start:
            stated = f"bytes {start}-{len(body) - 1}/{len(body)}"
            self._head(206, len(body) - start, Content_Range=stated)
        else:
            self._head(200, len(body))
        return body[start:]

    def good(self, body: bytes, name: str, wanted: str | None) -> None:
        self.wfile.write(self._start(body, wanted))

    def no_ranges(self, body: bytes, name: str, wanted: str | None) -> None:
        self.good(body, name, None)

    def truncated(self, body: bytes, name: str, wanted: str | None) -> None:
        """Send half of what is asked for, and hang up."""
        part = self._start(body, wanted)
        self.wfile.write(part[: (len(part) + 1) // 2])

    def broken(self, body: bytes, name: str, wanted: str | None) -> None:
        """Send half of the file at first, and then never any more."""
        part = self._start(body, wanted)
        self.wfile.write(b"" if wanted else part[: len(part) // 2])

    def shifted(self, body: bytes, name: str, wanted: str | None) -> None:
        """Send another part than was asked for."""
        self._head(206, 1, Content_Range=f"bytes 0-0/{len(body)}")
        self.wfile.write(body[:1])

    def endless(self, body: bytes, name: str, wanted: str | None) -> None:
        self._head(200, None)
        while not self.server.closing.is_set():
            self.wfile.write(bytes(1 << 16))

    def missing(self, body: bytes, name: str, wanted: str | None) -> None:
        self.send_error(404)

    def redirect(self, body: bytes, name: str, wanted: str | None) -> None:
        self._head(302, 0, Location=self.server.address("good", name))

    def slow(self, body: bytes, name: str, wanted: str | None) -> None:
        """Send a byte every fiftieth of a second."""
        for byte in self._start(body, wanted):
            self.wfile.write(bytes([byte]))
            if self.server.closing.wait(0.02):
                return

    def stalled(self, body: bytes, name: str, wanted: str | None) -> None:
        """Send half of what is asked for, and keep the line open."""
        self.truncated(body, name, wanted)
        self.server.closing.wait()

    def silent(self, body: bytes, name: str, wanted: str | None) -> None:
        self.server.closing.wait()


@contextlib.contextmanager
def file_server() -> Iterator[FileServer]:
    """Run a server for as long as the context lasts."""
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
