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

    def babbling(self, body: bytes, name: str, wanted: str | None) -> None:
        self.send_response(404, "no\x1b[31m" + "o" * 5000)
        self.end_headers()

    def superscript(self, body: bytes, name: str, wanted: str | None) -> None:
        """State a length that is a digit, but no number."""
        self._head(200, None, Content_Length="²")
        self.wfile.write(body)

    def many_digits(self, body: bytes, name: str, wanted: str | None) -> None:
        self._head(200, None, Content_Length="1" + "0" * 5000)
        self.wfile.write(body)

    def endless_trailer(self, body: bytes, name: str, wanted: str | None) -> None:
        """Send the file in one chunk, and then fields without end."""
        self._chunked(body)
        while not self.server.closing.is_set():
            self.wfile.write(b"field: value\r\n" * 1000)

    def dripping_trailer(self, body: bytes, name: str, wanted: str | None) -> None:
        self._chunked(body)
        while not self.server.closing.wait(0.02):
            self.wfile.write(b"a:b\r\n")

    def _chunked(self, body: bytes) -> None:
        self._head(200, None, Transfer_Encoding="chunked")
        self.wfile.write(b"%x\r\n%b\r\n0\r\n" % (len(body), body))

    def endless_head(self, body: bytes, name: str, wanted: str | None) -> None:
        """Answer that the answer follows, again and again."""
        while not self.server.closing.is_set():
            self.wfile.write(b"HTTP/1.1 100 Continue\r\nfield: value\r\n\r\n" * 100)

    def dripping_head(self, body: bytes, name: str, wanted: str | None) -> None:
        while not self.server.closing.wait(0.02):
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def endless_redirect(self, body: bytes, name: str, wanted: str | None) -> None:
        self._head(302, None, Location=self.server.address("good", name))
        while not self.server.closing.is_set():
            self.wfile.write(bytes(1 << 16))

    def to_ftp(self, body: bytes, name: str, wanted: str | None) -> None:
        self._head(302, 0, Location="ftp://127.0.0.1/weights.bin")

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
