"""Who may ask, how often, and for how much: checked before anything else sees a request."""

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from styletransfer.web.limits import Limits

LOOPBACK = ("127.0.0.1", "localhost", "::1")

_COOKIE = "styletransfer"
_BODY_SECONDS = 30.0
_BODY_RATE = 16 << 10  # bytes a second: a long body may take as much longer
_MOST_ADDRESSES = 10_000
_CREATE = ("/api/", "/gradio_api/upload")
_GENTLE = 10  # requests that cost little are allowed so many times as often
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    # A browser that shows the page asks no other server for anything.
    "content-security-policy": "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval';"
    " frame-ancestors 'none'; form-action 'self'; base-uri 'self'",
}


class Refusal(Exception):
    """A request that is not answered, and why."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, dict(headers or {})

    def response(self) -> Response:
        """Return the answer."""
        return JSONResponse({"error": self.text}, self.status, self.headers)


class Rate:
    """Counts requests by address, as a bucket that fills with time.

    Parameters
    ----------
    most : int
        Requests a minute, and as many at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, count: float = 1) -> None:
        """Count a request; raise Refusal if it is one too many."""
        now = time.monotonic()
        left, seen = self._left.pop(address, (float(self._most), now))
        left = min(left + (now - seen) * self._most / 60, self._most)
        taken = left >= count
        self._left[address] = (left - count if taken else left, now)
        if len(self._left) > _MOST_ADDRESSES:
            self._left.popitem(last=False)
        if not taken:
            seconds = max(round((count - left) * 60 / self._most), 1)
            raise Refusal(429, "too many requests; wait a little", {"retry-after": str(seconds)})


class Access:
    """Lets through what may be asked.

    Parameters
    ----------
    app : callable
        The application behind.
    limits : Limits
        How much and how often.
    token : str or None
        What a request has to bring; None where only this machine can ask.
    loopback : bool
        Whether only this machine can ask: then by no other name, so that no page of another server
        can give its name this machine's address.
    """

    def __init__(self, app: ASGIApp, limits: Limits, token: str | None, loopback: bool) -> None:
        self._app, self._limits = app, limits
        self._token, self._loopback = token, loopback
        self._rate = Rate(limits.rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        try:
            answer = self._admitted(Request(scope))
        except Refusal as refusal:
            answer = refusal.response()
        if answer is not None:
            await answer(scope, receive, sending)
        else:
            await self._app(scope, self._bounded(receive), sending)

    def _admitted(self, request: Request) -> Response | None:
        """Return None if a request may go on, or what is answered; raise Refusal."""
        headers = request.headers
        host = headers.get("host", "")
        if self._loopback and _name(host) not in LOOPBACK:
            raise Refusal(421, "this is no name of this server; ask 127.0.0.1")
        origin = headers.get("origin")
        if origin is not None and _netloc(origin) != host:
            raise Refusal(403, "pages of other servers may not ask")
        if headers.get("sec-fetch-site") == "cross-site" and request.method != "GET":
            raise Refusal(403, "pages of other servers may not ask")
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()) or int(length[:20]) > self._limits.upload:
            raise self._too_long()
        address = request.client.host if request.client else ""
        if request.url.path.startswith(("/api/", "/gradio_api/")):
            creates = request.method == "POST" and request.url.path.startswith(_CREATE)
            self._rate.take(address, 1 if creates else 1 / _GENTLE)
        if self._token is None or request.url.path == "/health":
            return None
        return self._known(request, address)

    def _known(self, request: Request, address: str) -> Response | None:
        """Return None if a request brings the token; where that is in its address, a cookie."""
        assert self._token is not None
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _same(given.strip(), self._token):
            return None
        secret = hmac.new(self._token.encode(), b"cookie", sha256).hexdigest()
        if _same(request.cookies.get(_COOKIE, ""), secret):
            return None
        query = parse_qsl(request.url.query, keep_blank_values=True)
        given = next((value for name, value in query if name == "token"), "")
        if request.method == "GET" and _same(given, self._token):
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            # One slash: two would begin the name of another server.
            place = "/" + quote(request.scope["path"].lstrip("/\\")) + (f"?{rest}" if rest else "")
            answer = RedirectResponse(place, 303)
            answer.set_cookie(_COOKIE, secret, httponly=True, samesite="lax")
            return answer
        self._rate.take(address)
        raise Refusal(
            401,
            "a token is needed: the header Authorization: Bearer TOKEN, or ?token=TOKEN once in a"
            " browser",
            {"www-authenticate": "Bearer"},
        )

    def _bounded(self, receive: Receive) -> Receive:
        """Return what hands out a body up to the limits of length and time."""
        count, complete = 0, False
        began = time.monotonic()

        async def bounded() -> Message:
            nonlocal count, complete
            if complete:
                return await receive()
            left = began + _BODY_SECONDS + count / _BODY_RATE - time.monotonic()
            try:
                message = await asyncio.wait_for(receive(), max(left, 0.001))
            except TimeoutError:
                raise HTTPException(408, "the request took too long to come") from None
            if message["type"] == "http.request":
                count += len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if count > self._limits.upload:
                    raise HTTPException(413, self._too_long().text)
            return message

        return bounded

    def _too_long(self) -> Refusal:
        megabytes = self._limits.upload / (1 << 20)
        return Refusal(413, f"the request is too long; {megabytes:.0f} MB are the most")


def new_token() -> str:
    """Return a token that cannot be guessed."""
    return secrets.token_urlsafe(24)


def _name(host: str) -> str:
    """Return a Host header without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _netloc(origin: str) -> str | None:
    """Return the server of an address; None where it is no address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())
