"""Clients that send slowly or nothing, or do not read, on real sockets."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from styletransfer.web import access, connections
from styletransfer.web.server import answering, protected
from tests.web.conftest import LIMITS
from tests.web.test_server import eventually

SHORT = 0.1  # seconds
ASK = b"GET /openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n"
BRING = b"POST /api/stylize HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
JSON = b"content-type: application/json\r\n"


@pytest.fixture
def port(queue) -> Iterator[int]:
    server = answering(protected(queue, LIMITS, None, True, page=False))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def connected(port: int, sent: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        client.sendall(sent)
        yield client


def told(client: socket.socket, more: bytes = b"") -> bytes:
    """Return all that comes until the connection ends; little by little more is sent."""
    found = b""
    client.settimeout(SHORT / 4 if more else 60)
    for _ in range(1000):
        try:
            if not (data := client.recv(1 << 16)):
                return found
            found += data
        except TimeoutError:
            assert more, "the connection stays"
            with contextlib.suppress(ConnectionError):
                client.sendall(more)
        except ConnectionError:
            return found
    raise AssertionError("the connection stays")


def sentence(answer: bytes, status: int) -> str:
    """Check the status of an answer, and return its error."""
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    text: str = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    return text


def test_connections_end_on_which_no_request_comes(port, monkeypatch):
    monkeypatch.setattr(connections, "_STILL_SECONDS", SHORT)
    with connected(port) as client:
        assert told(client) == b""
    with connected(port, ASK) as client:
        assert told(client, b"x: y\r\n") == b""
    # The rest of a body that nobody reads: its request was answered before.
    with connected(port, ASK + b"content-length: 10000\r\n\r\n") as client:
        told(client, b"x")


def test_a_connection_ends_whose_client_does_not_read(port, monkeypatch):
    monkeypatch.setattr(connections, "_STILL_SECONDS", SHORT)
    with connected(port) as client, pytest.raises(ConnectionError):
        client.sendall(1_000_000 * (ASK + b"\r\n"))  # more than buffers hold


@pytest.mark.parametrize("kind", [b"multipart/form-data; boundary=x", b"application/json"])
def test_bodies_that_take_too_long_are_refused(port, monkeypatch, kind):
    monkeypatch.setattr(access, "_BODY_SECONDS", SHORT)
    head = BRING + b"content-length: 10000\r\ncontent-type: " + kind + b"\r\n\r\n--x\r\n"
    with connected(port, head) as client:
        assert sentence(told(client, b"x"), 408) == "the request took too long to come"


def test_a_long_body_may_take_longer(port, monkeypatch):
    monkeypatch.setattr(access, "_BODY_SECONDS", SHORT)
    monkeypatch.setattr(access, "_BODY_RATE", 1)  # each byte gives a second
    with connected(port, BRING + JSON + b"content-length: 90\r\n\r\n" + 80 * b" ") as client:
        threading.Event().wait(3 * SHORT)
        client.sendall(10 * b" ")
        assert sentence(told(client), 400) == "the body is no JSON"


def test_connections_that_wait_make_room(port, monkeypatch):
    monkeypatch.setattr(connections, "_MOST", 3)

    def health() -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False)

    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(connected(port)) for _ in range(9)]
        assert health().is_success
        assert told(waiting[0]) == b""  # the one that has waited longest
        head = BRING + JSON + b"content-length: 90\r\nexpect: 100-continue\r\n\r\n"
        for _ in range(3):
            busy = stack.enter_context(connected(port, head))
            assert busy.recv(100).startswith(b"HTTP/1.1 100 ")  # it is being answered
        answer = health()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert "try again later" in answer.json()["error"]
        busy.close()
        eventually(lambda: health().is_success)
