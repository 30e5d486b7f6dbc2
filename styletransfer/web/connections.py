"""Connections: how many there are, and how long one stays on which nothing moves."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from styletransfer.web.access import Refusal

_MOST = 256
_STILL_SECONDS = 30.0
_FULL = Refusal(
    503,
    "so many requests are being answered that no other one is; try again later",
    {"retry-after": "10", "connection": "close"},
).response()


class Connection(H11Protocol):
    """A connection that ends where its client has the turn, and does nothing.

    Uvicorn itself waits for ever for a first request, for headers that trickle in, for the rest of
    a body that nobody reads, and for a client that does not read its answer.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for the connection, and begin to look at it."""
        super().connection_made(transport)
        self._since = self.loop.time()  # that it waits for a request
        self._resumed = 0
        self._make_room()
        self._look(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look at it no more."""
        self._next_look.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._since = self.loop.time()
        super().on_response_complete()

    def resume_writing(self) -> None:
        """Note that the client has read most of what was sent."""
        self._resumed += 1
        super().resume_writing()

    def _waits(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _make_room(self) -> None:
        """End those that have waited longest if there are too many; if none waits, refuse this."""
        over = len(self.connections) - _MOST
        if over <= 0:
            return
        others = [c for c in self.connections if isinstance(c, Connection) and c is not self]
        waiting = sorted((c for c in others if c._waits()), key=lambda c: c._since)
        for connection in waiting[:over]:
            connection.transport.abort()
            self.connections.discard(connection)
        if over > len(waiting):
            self.app = _FULL

    def _look(self, before: Any) -> None:
        """End it if the client has the turn, and nothing has moved since the last look."""
        now = (self._since, self._resumed, self.transport.get_write_buffer_size())
        if now == before and (self._waits() or self.flow.write_paused):
            self.transport.abort()
        else:
            self._next_look = self.loop.call_later(_STILL_SECONDS, self._look, now)
