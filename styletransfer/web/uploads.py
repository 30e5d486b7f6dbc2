"""What a request brings: a form with files, or JSON with files in base64."""

import base64
import binascii
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from styletransfer.errors import UsageError
from styletransfer.text import clause
from styletransfer.web import orders

_MOST_FILES = 32
_MOST_FIELDS = 200
_LONGEST_FIELD = 16 << 10  # bytes

Files = dict[str, list[Path]]
"""Files by what they are."""

Brought = tuple[dict[str, Any], Files]
"""The parameters that a request gives, and the files that it brings, by their names."""


async def read(request: Request, kind: str, folder: Path) -> Brought:
    """Read a request's body, and write its files into a folder, under names of our own.

    How long a body may be is checked while it comes, see `access`.

    Raises
    ------
    UsageError
        If it is neither a form nor JSON, or damaged.
    """
    form = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if form == "multipart/form-data":
        return await _form(request, kind, folder)
    if form == "application/json":
        body = await request.body()
        return await run_in_threadpool(_json, body, kind, folder)
    raise UsageError("send a form (multipart/form-data), or application/json")


async def _form(request: Request, kind: str, folder: Path) -> Brought:
    parser = MultiPartParser(
        request.headers,
        request.stream(),
        max_files=_MOST_FILES,
        max_fields=_MOST_FIELDS,
        max_part_size=_LONGEST_FIELD,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise UsageError(f"the form cannot be read: {error.message}") from None
    except (KeyError, ValueError, UnicodeError):
        raise UsageError("the form is damaged; send it anew") from None
    try:
        return await run_in_threadpool(_sorted, form.multi_items(), kind, folder)
    finally:
        await form.close()


def _sorted(items: Sequence[tuple[str, Any]], kind: str, folder: Path) -> Brought:
    """Return a form's fields as parameters, and its files as files."""
    values: dict[str, Any] = {}
    files: Files = {}
    for name, value in items:
        if isinstance(value, UploadFile):
            with _place(name, kind, folder, files).open("xb") as stream:
                shutil.copyfileobj(value.file, stream)
        elif name in values:
            before = values[name]
            values[name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            values[name] = value
    return values, files


def _json(body: bytes, kind: str, folder: Path) -> Brought:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        raise UsageError("the body is no JSON") from None
    if not isinstance(values, dict):
        raise UsageError("the body is no table; send one with content, style and parameters")
    files: Files = {}
    for name in orders.UPLOADS[kind]:
        if name not in values or _is_parameter(name, kind, values):
            continue
        given = values.pop(name)
        for text in given if isinstance(given, list) else [given]:
            data = _decoded(text, name)
            _place(name, kind, folder, files).write_bytes(data)
    return values, files


def _is_parameter(name: str, kind: str, values: Mapping[str, Any]) -> bool:
    """Whether a name is that of a network's own style, or of a kind of first image."""
    if name == "style" and not orders.optimises(kind, values):
        return values.get("model", orders.ARBITRARY) != orders.ARBITRARY
    return name == "init" and len(str(values[name])) < 40


def _decoded(text: object, name: str) -> bytes:
    if not isinstance(text, str):
        raise UsageError(f"{name} is no text; send a picture in base64")
    start, comma, rest = text.partition(",")
    if comma and start.startswith("data:"):
        text = rest
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UsageError(f"{name} is no base64; send a picture in that") from None


def _place(name: str, kind: str, folder: Path, files: Files) -> Path:
    """Return where a file goes."""
    if name not in orders.UPLOADS[kind]:
        known = ", ".join(orders.UPLOADS[kind])
        raise UsageError(f"there is no file {clause(name)} to send; there are {known}")
    several = files.setdefault(name, [])
    several.append(folder / f"{name}-{len(several)}")
    return several[-1]
