"""Files over HTTP: resumed where they broke off, bounded in size, checked before they are used.

A file under way, or one that was broken off, is called ``<name>.part``. Whoever downloads has the
folder to itself, see `locks.locked`.
"""

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from styletransfer.errors import WeightsError
from styletransfer.progress import Download
from styletransfer.storage import digest
from styletransfer.text import clause
from styletransfer.weights.connection import Bounds, open_within

ByteProgress = Callable[[Download], None]

ATTEMPTS = 3
CHUNK = 1 << 18


class _BrokenOffError(Exception):
    """The transfer ended early; what has come is good, the rest can be asked for."""


class WrongFileError(WeightsError):
    """A file that is not the one that was asked for: nothing of it is worth keeping."""


def check(path: Path, expected: str) -> None:
    """Raise WrongFileError unless the file has the digest expected, given as ``algorithm:hex``."""
    algorithm, _, wanted = expected.partition(":")
    found = digest(path, algorithm)
    if found != wanted:
        raise WrongFileError(
            f"the file is not the expected one: its {algorithm} is {found}, not {wanted}"
        )


def matches(path: Path, expected: str) -> bool:
    """Tell whether a file has the digest expected, given as ``algorithm:hex``."""
    algorithm, _, wanted = expected.partition(":")
    return digest(path, algorithm) == wanted


def download(
    url: str, folder: Path, *, expected: str | None, limit: int, progress: ByteProgress
) -> Path:
    """Fetch a file into a folder, going on from what an earlier try has left there.

    Parameters
    ----------
    url : str
        An http or https address; its last part names the file. Redirects and the usual proxy
        variables are followed.
    folder : Path
        An existing folder that nobody else downloads into.
    expected : str or None
        ``algorithm:hex``; the file is refused if it has another digest. None: not checked here.
    limit : int
        Bytes; a longer file is refused.
    progress : callable
        Gets a `Download` whenever bytes have come.

    Returns
    -------
    Path
        The whole file, which the caller removes after use.

    Raises
    ------
    WeightsError
        One clause that says why: unreachable, refused, broken off, too slow, too long, or (as
        `WrongFileError`) not the expected file.
    """
    name = url.rpartition("/")[2]
    path = folder / f"{name}.part"
    resumed = path.exists()
    try:
        _complete(url, path, name, limit, progress)
        if expected is not None and resumed and not matches(path, expected):
            path.unlink()  # what an earlier try left may be of another edition of the file
            _complete(url, path, name, limit, progress)
        if expected is not None:
            check(path, expected)
    except WrongFileError:
        path.unlink(missing_ok=True)
        raise
    return path


def _complete(url: str, path: Path, name: str, limit: int, progress: ByteProgress) -> None:
    """Transfer until the file is whole, asking again for the rest as long as something comes."""
    for attempt in range(1, ATTEMPTS + 1):
        before = path.stat().st_size if path.exists() else 0
        try:
            _transfer(url, path, before, name, limit, progress)
            return
        except _BrokenOffError as error:
            size = path.stat().st_size if path.exists() else 0
            if attempt == ATTEMPTS or size <= before:
                raise WeightsError(f"{error} (the next try goes on from there)") from None


def _transfer(
    url: str, path: Path, start: int, name: str, limit: int, progress: ByteProgress
) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "styletransfer"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    bounds = Bounds()
    try:
        response = open_within(bounds, request)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # nothing beyond the part, so it was whole; its digest decides
                return
            raise WeightsError(
                f"the server answered {error.code} {clause(error.reason or '')}".rstrip()
            ) from None
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(f"could not connect: {_reason(error)}") from None
    with response:
        start, total = _extent(response, start)
        if total is not None and total > limit:
            raise WrongFileError(f"the file has {total} bytes, more than the {limit} expected")
        bounds.allow_body(limit)
        with path.open("ab") as file:
            file.truncate(start)
            _receive(response, file, Download(name, start, total), limit, progress)


def _reason(error: Exception) -> str:
    """Return what went wrong, without the wrapper and the number that Python puts around it."""
    error = getattr(error, "reason", error)
    return clause(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _extent(response: http.client.HTTPResponse, start: int) -> tuple[int, int | None]:
    """Return where in the file the body begins, and how long the whole file is, if that is said."""
    number = "([0-9]{1,18})"
    if response.status == 206:
        stated = re.fullmatch(
            rf"bytes {number}-[0-9]+/(?:{number}|\*)",
            response.headers.get("Content-Range", "").strip(),
        )
        if stated is None or int(stated[1]) != start:
            raise WrongFileError("the server sent another part of the file than was asked for")
        return start, None if stated[2] is None else int(stated[2])
    length = re.fullmatch(number, response.headers.get("Content-Length", "").strip())
    return 0, None if length is None else int(length[1])


def _receive(
    response: http.client.HTTPResponse,
    file: BinaryIO,
    state: Download,
    limit: int,
    progress: ByteProgress,
) -> None:
    progress(state)
    while True:
        try:
            chunk = response.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenOffError(
                f"the transfer stopped after {state.done} bytes: {_reason(error)}"
            ) from None
        if not chunk:
            break
        state = Download(state.what, state.done + len(chunk), state.total)
        if state.done > limit:
            raise WrongFileError(f"the file has more than the {limit} bytes expected")
        file.write(chunk)
        progress(state)
    if state.total is not None and state.done < state.total:
        raise _BrokenOffError(f"the transfer broke off after {state.done} of {state.total} bytes")
