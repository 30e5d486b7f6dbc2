"""What of Gradio is let through: what the page asks for; errors are told in sentences."""

import logging
from http import HTTPStatus

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

_SERVICE = ("/api/", "/health", "/docs", "/openapi.json")  # which answers in sentences itself
_PLACES = {
    "/",
    "/config",
    "/theme.css",
    "/favicon.ico",
    "/manifest.json",
    "/robots.txt",
    "/gradio_api/app_id",  # by which a page that lost its connection knows that it is back
    "/gradio_api/cancel",
    "/gradio_api/queue/data",
    "/gradio_api/queue/join",
    "/gradio_api/run/predict",
    "/gradio_api/startup-events",
    "/gradio_api/upload",
    "/gradio_api/upload_progress",
}
_FOLDERS = ("/assets/", "/static/", "/gradio_api/file=", "/gradio_api/heartbeat/")
_SENTENCES = {
    403: "this file is not handed out",
    404: "there is nothing at this address",
    413: "the request is too long",
    422: "the request lacks something, or has a value that cannot be",
    503: "so many events of the page wait that no other one is taken; try again later",
}


class Narrow:
    """Middleware before the page; Gradio has routes besides that nothing here needs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(_SERVICE):
            await self._app(scope, receive, send)
            return
        if path not in _PLACES and not path.startswith(_FOLDERS):
            await _told(404)(scope, receive, send)
            return
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            if status < 400:
                await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            logger.warning("a request of the page failed: %s", error)
            logger.debug("", exc_info=True)
            if status and status < 400:  # what was begun is ended
                await send({"type": "http.response.body", "body": b""})
                return
            status = status or 500
        if status >= 400:
            await _told(status)(scope, receive, send)


def _told(status: int) -> JSONResponse:
    """Return the answer of an error."""
    phrase = HTTPStatus(status).phrase.lower()
    text = f"the page cannot answer this ({phrase})"
    return JSONResponse({"error": _SENTENCES.get(status, text)}, status)
