"""The HTTP service: its routes, and what each answers."""

import base64
import mimetypes
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

import styletransfer
from styletransfer.errors import StyleTransferError
from styletransfer.web import orders, uploads
from styletransfer.web.describing import DOCUMENTATION, body
from styletransfer.web.limits import Limits
from styletransfer.web.queue import FullError, Queue
from styletransfer.web.records import BEFORE, ENDED, QUEUED, RUNNING, Job

_KEPT_PRIVATE = {"cache-control": "private, no-store"}


def application(queue: Queue, limits: Limits) -> FastAPI:
    """Return the service of a queue, without the page and without `access`."""
    app = FastAPI(
        title="styletransfer",
        version=styletransfer.__version__,
        description="Pictures in the style of others.",
        docs_url=None,  # FastAPI's own pages fetch their scripts from elsewhere
        redoc_url=None,
    )
    _handle_errors(app)
    for kind in orders.KINDS:
        _add_kind(app, kind, queue, limits)
    _add_jobs(app, queue)

    @app.get("/health", summary="Whether the service runs")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/docs", include_in_schema=False)
    def documentation() -> HTMLResponse:
        return HTMLResponse(DOCUMENTATION)

    return app


def _handle_errors(app: FastAPI) -> None:
    """Have every error answered in a sentence."""

    @app.exception_handler(FullError)
    async def full(request: Request, error: FullError) -> Response:
        text = "so many jobs wait that no other one is taken; try again later"
        return _error(503, text, {"retry-after": str(error.seconds)})

    @app.exception_handler(StyleTransferError)
    async def refused(request: Request, error: StyleTransferError) -> Response:
        return _error(400, error.text)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return _error(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return _error(400, "a parameter of the address has a value that cannot be")

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        return _error(400, "the request was cut short")

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        return _error(500, "the server has failed; its log says how")


def _error(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": text}, status, dict(headers or {}))


def _add_kind(app: FastAPI, kind: str, queue: Queue, limits: Limits) -> None:
    @app.post(
        f"/api/{kind}",
        status_code=202,
        summary=_SUMMARIES[kind],
        operation_id=kind,
        openapi_extra={"requestBody": body(kind)},
    )
    async def submit(request: Request) -> dict[str, str]:
        queue.check_room()
        with queue.room() as name:
            values, files = await uploads.read(request, kind, queue.folder(name))
            await run_in_threadpool(submit_files, queue, limits, name, kind, values, files)
        return {"id": name, "job": f"/api/jobs/{name}"}


_SUMMARIES = {
    "stylize": "Paint a picture in one pass of a network",
    "optimise": "Render a picture in the style of others by optimisation",
    "film": "Paint a film in one pass of a network, or by optimisation",
}


def submit_files(
    queue: Queue,
    limits: Limits,
    name: str,
    kind: str,
    values: Mapping[str, Any],
    files: uploads.Files,
) -> Job:
    """Check what a request brings into a job's folder, and queue the job.

    Raises
    ------
    UsageError
        If there is anything wrong with it.
    FullError
        If too many jobs wait.
    """
    checked, names = orders.enter(kind, values, files, limits)
    return queue.submit(name, kind, checked, names)


def _add_jobs(app: FastAPI, queue: Queue) -> None:
    def found(name: str) -> Job:
        job = queue.get(name)
        if job is None:
            raise HTTPException(404, "there is no such job")
        return job

    @app.get("/api/jobs/{name}", summary="How far a job is")
    def state(name: str) -> dict[str, Any]:
        return described(queue, found(name))

    @app.get("/api/jobs/{name}/result", summary="What was made; ?as=json for base64 in JSON")
    def result(name: str, request: Request) -> Response:
        job = found(name)
        path = queue.path(job, job.result)
        if path is None:
            why = f": {job.error}" if job.error else ""
            raise HTTPException(409, f"the job is {job.state}, and there is no result{why}")
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        if request.query_params.get("as") == "json":
            text = base64.b64encode(path.read_bytes()).decode()
            return JSONResponse({"result": text, "type": kind}, headers=_KEPT_PRIVATE)
        name = f"{job.kind}-{job.id[:6]}{path.suffix}"
        download = "download" in request.query_params
        return FileResponse(
            path,
            media_type=kind,
            filename=name,
            content_disposition_type="attachment" if download else "inline",
            headers=_KEPT_PRIVATE,
        )

    @app.get("/api/jobs/{name}/preview", summary="The picture so far, or what was made, small")
    def preview(name: str) -> Response:
        return _small(queue.preview(found(name)))

    @app.get("/api/jobs/{name}/before", summary="What came in, small")
    def before(name: str) -> Response:
        return _small(queue.path(found(name), BEFORE))

    @app.delete("/api/jobs/{name}", summary="Cancel a job; delete one that has ended")
    def cancel(name: str) -> dict[str, Any]:
        job = found(name)
        return described(queue, job) if queue.cancel(job.id) else {"id": job.id, "state": "deleted"}


def _small(path: Any) -> Response:
    if path is None:
        raise HTTPException(404, "there is no such picture yet")
    return FileResponse(path, media_type="image/jpeg", headers=_KEPT_PRIVATE)


def described(queue: Queue, job: Job) -> dict[str, Any]:
    """Return a job as a request sees it."""
    course = queue.course(job.id)
    facts = {**course.facts, **job.facts} if job.state == RUNNING else dict(job.facts)
    facts.pop("done", None)
    facts.pop("preview", None)
    place = f"/api/jobs/{job.id}"
    answer: dict[str, Any] = {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "progress": round(course.done, 4) if job.state == RUNNING else float(job.state == "done"),
        "preview": f"{place}/preview?v={course.version}" if queue.preview(job) else None,
        "result": f"{place}/result" if job.state in ENDED and job.result else None,
        "settings": job.values,
        **facts,
    }
    if job.state == QUEUED:
        answer["before"] = queue.position(job.id)
    if job.state == RUNNING and course.done and "seconds" in facts:
        answer["eta"] = round(facts["seconds"] * (1 / course.done - 1), 1)
    for name in ("error", "note"):
        if getattr(job, name):
            answer[name] = getattr(job, name)
    return answer
