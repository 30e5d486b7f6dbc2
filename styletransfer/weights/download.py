"""Files over HTTP: resumed where they broke off, bounded in size, checked before they are used.

A file under way is called ``<name>.<process>-<random>.part``; one that was broken off is left as
``<name>.part`` for the next try. Two processes that want the same file never share one of these.
"""

import hashlib
import http.client
import os
import queue
import re
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from styletransfer.errors import WeightsError

ByteProgress = Callable[[int, int | None, str], None]
"""Called with the bytes so far, the bytes in all (None: unknown) and the file's name."""

OPEN_SECONDS = 10.0  # until the answer's headers are here: name, connections, TLS and redirects
STALL_SECONDS = 20.0  # the rate is looked at once in that time
MINIMUM_RATE = 1024.0  # bytes a second; below it another source is the better choice
ATTEMPTS = 3
ABANDONED_SECONDS = 120.0  # a part that nobody has written to for so long has no owner any more
CHUNK = 1 << 18


class _BrokenOffError(Exception):
    """The transfer ended early; what has come is good, the rest can be asked for."""


class WrongFileError(WeightsError):
    """A file that is not the one that was asked for: nothing of it is worth keeping."""


def digest(path: Path, algorithm: str) -> str:
    """Return the hexadecimal digest of a file, algorithm being a name that hashlib knows.

    Parameters
    ----------
    path : Path
        The file.
    algorithm : str
        A name that hashlib knows.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def check(path: Path, expected: str) -> None:
    """Raise WrongFileError unless the file has the digest expected, given as ``algorithm:hex``.

    Parameters
    ----------
    path : Path
        The file.
    expected : str
        ``algorithm:hex``.

    Raises
    ------
    WrongFileError
        If it has another one.
    """
    algorithm, _, wanted = expected.partition(":")
    found = digest(path, algorithm)
    if found != wanted:
        raise WrongFileError(
            f"the file is not the expected one: its {algorithm} is {found}, not {wanted}"
        )


def matches(path: Path, expected: str) -> bool:
    """Tell whether a file has the digest expected, given as ``algorithm:hex``.

    Parameters
    ----------
    path : Path
        The file.
    expected : str
        ``algorithm:hex``.
    """
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
        An existing folder.
    expected : str or None
        ``algorithm:hex``; the file is refused if it has another digest. None: not checked here.
    limit : int
        Bytes; a longer file is refused.
    progress : callable
        See `ByteProgress`.

    Returns
    -------
    Path
        The whole file under a name of this process alone; the caller removes it after use.

    Raises
    ------
    WeightsError
        One clause that says why: unreachable, refused, broken off, too slow, too long, or (as
        `WrongFileError`) not the expected file.
    """
    name = url.rpartition("/")[2]
    path = _adopt(folder, name)
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
    except BaseException:  # Ctrl-C too: the part is worth keeping
        if path.exists():
            path.replace(folder / f"{name}.part")
        raise
    return path


def _adopt(folder: Path, name: str) -> Path:
    """Return a name of this process's own, with the bytes of an ownerless part if there is one."""
    own = folder / f"{name}.{os.getpid()}-{secrets.token_hex(4)}.part"
    stale = time.time() - ABANDONED_SECONDS
    left = [folder / f"{name}.part"]
    pattern = re.compile(re.escape(name) + r"\.\d+-[0-9a-f]{8}\.part")
    for path in folder.iterdir():
        if pattern.fullmatch(path.name) and path.stat().st_mtime < stale:
            left.append(path)
    for path in left:
        try:
            path.rename(own)  # atomic: of two processes one gets it
        except OSError:
            continue
        os.utime(own)
        return own
    return own


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
    try:
        response = _open(request)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # nothing beyond the part, so it was whole; its digest decides
                return
            raise WeightsError(
                f"the server answered {error.code} {error.reason or ''}".rstrip()
            ) from None
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(f"could not connect: {_reason(error)}") from None
    with response:
        start, total = _extent(response, start)
        if total is not None and total > limit:
            raise WrongFileError(f"the file has {total} bytes, more than the {limit} expected")
        with path.open("ab") as file:
            file.truncate(start)
            _receive(response, file, start, total, name, limit, progress)


def _reason(error: Exception) -> str:
    """Return what went wrong, without the wrapper and the number that Python puts around it."""
    error = getattr(error, "reason", error)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _extent(response: http.client.HTTPResponse, start: int) -> tuple[int, int | None]:
    """Return where in the file the body begins, and how long the whole file is, if that is said."""
    if response.status == 206:
        stated = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
        )
        if stated is None or int(stated[1]) != start:
            raise WrongFileError("the server sent another part of the file than was asked for")
        return start, None if stated[2] == "*" else int(stated[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _receive(
    response: http.client.HTTPResponse,
    file,
    done: int,
    total: int | None,
    name: str,
    limit: int,
    progress: ByteProgress,
) -> None:
    progress(done, total, name)
    since, mark = time.monotonic(), done
    while True:
        try:
            chunk = response.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenOffError(
                f"the transfer stopped after {done} bytes: {_reason(error)}"
            ) from None
        if not chunk:
            break
        done += len(chunk)
        if done > limit:
            raise WrongFileError(f"the file has more than the {limit} bytes expected")
        file.write(chunk)
        progress(done, total, name)
        elapsed = time.monotonic() - since
        if elapsed > STALL_SECONDS:
            if done - mark < MINIMUM_RATE * elapsed:
                raise WeightsError(
                    f"the server is too slow: {(done - mark) / elapsed:.0f} bytes a second"
                )
            since, mark = time.monotonic(), done
    if total is not None and done < total:
        raise _BrokenOffError(f"the transfer broke off after {done} of {total} bytes")


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    """Open an address within OPEN_SECONDS in all.

    urlopen's own timeout holds for each of a host's addresses in turn, and not for the look-up of
    its name: behind a firewall that drops packets that adds up to minutes. Hence the thread.
    """
    answers: queue.SimpleQueue = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(request, timeout=STALL_SECONDS))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=OPEN_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer within {OPEN_SECONDS:g} seconds") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
