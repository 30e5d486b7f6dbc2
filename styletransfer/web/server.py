"""The server: the queue, the service and the page behind one socket."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from styletransfer.errors import UsageError
from styletransfer.web.access import Access
from styletransfer.web.connections import Connection
from styletransfer.web.limits import Limits
from styletransfer.web.queue import Queue
from styletransfer.web.service import application
from styletransfer.web.workplace import Workplace

_LAST_SECONDS = 2  # for requests that are being answered when it ends


@contextlib.contextmanager
def opened(state: Path, limits: Limits, workplace: Workplace) -> Iterator[Queue]:
    """Open the queue whose jobs lie in a folder; raise UsageError if they cannot."""
    try:
        queue = Queue(state, limits, workplace)
    except OSError as error:
        raise UsageError(
            f"{state} cannot be written: {error.strerror}; give another --state"
        ) from None
    with queue:
        yield queue


def protected(
    queue: Queue, limits: Limits, token: str | None, loopback: bool, page: bool = True
) -> Access:
    """Return the service, with the page, behind what says who may ask."""
    app = application(queue, limits)
    if page:
        from styletransfer.web.page import mount

        mount(app, queue, limits)
    return Access(app, limits, token, loopback)


def serve(
    queue: Queue,
    limits: Limits,
    listening: socket.socket,
    token: str | None,
    loopback: bool,
    page: bool,
) -> None:
    """Answer requests until a signal comes."""
    answering(protected(queue, limits, token, loopback, page)).run(sockets=[listening])


def answering(app: Access) -> uvicorn.Server:
    """Return what answers requests."""
    config = uvicorn.Config(
        app,
        http=Connection,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=_LAST_SECONDS,
        timeout_keep_alive=20,
        h11_max_incomplete_event_size=64 << 10,
    )
    return uvicorn.Server(config)
