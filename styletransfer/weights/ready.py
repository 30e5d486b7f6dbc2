"""Networks that are used as published: ONNX files, kept as they are and known by their digests.

Such a file is kept as ``<models>/<network>/<network>.onnx``, its published name; one with another
digest is not used.
"""

import functools
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from styletransfer import locks, storage
from styletransfer.errors import WeightsError
from styletransfer.weights import acquisition
from styletransfer.weights.cache import CacheError, Provenance
from styletransfer.weights.download import ByteProgress, check
from styletransfer.weights.places import writable
from styletransfer.weights.sources import READY

ReadyFile = tuple[Path, Provenance]
"""The file that a network is in, and where it is from."""


def present(name: str, folders: Sequence[Path]) -> ReadyFile | None:
    """Return a network's file if it is on this machine; raise CacheError if it is another file."""
    for path in (folder / name / f"{name}.onnx" for folder in folders):
        if os.path.isfile(path):
            return path, _checked(name, path)
    return None


def fetch(
    name: str, folders: Sequence[Path], report: acquisition.Report, progress: ByteProgress
) -> ReadyFile:
    """Fetch a network's file, unless the right one is here, and return what is here then."""
    folder = writable(folders) / name
    folder.mkdir(exist_ok=True)
    waiting = functools.partial(report, f"{name}: waiting for another process, which fetches it")
    with locks.locked(folder / ".lock", waiting) as alone:
        if alone:
            storage.remove_leftovers(folder)
        try:
            found = present(name, folders)
        except CacheError as error:
            report(str(error))
            found = None
        return found or _fetched(name, folder, report, progress)


def _fetched(
    name: str, folder: Path, report: acquisition.Report, progress: ByteProgress
) -> ReadyFile:
    source = READY[name]
    path = folder / f"{name}.onnx"
    report(f"{name}: fetching {source.megabytes} MB from {source.name} ({source.origin})")
    try:
        with (
            acquisition.obtain(source, [], folder, progress) as given,
            storage.replacing(path) as stream,
            given.open("rb") as bytes_given,
        ):
            shutil.copyfileobj(bytes_given, stream)
    except (WeightsError, OSError) as error:
        raise WeightsError(
            f"The network {name} could not be fetched:",
            [
                f"  {source.name}, {source.origin}: {error}",
                f"Get the file {source.filename} on another machine and put it into"
                f" {folder.resolve()}, or name a folder that has {name}/{name}.onnx with --models.",
            ],
        ) from None
    report(f"{name}: kept in {path}")
    return path, _checked(name, path)


def _checked(name: str, path: Path) -> Provenance:
    """Return where a file is from, if it is the one known."""
    source = READY[name]
    digest = str(source.digest)
    try:
        if path.stat().st_size > source.limit:
            raise WeightsError(f"it has {path.stat().st_size} bytes")
        check(path, digest)
    except (WeightsError, OSError) as error:
        raise CacheError(
            f"{path} is not the network {name} as published: {error}."
            f" `styletransfer models fetch {name}` replaces it."
        ) from None
    return Provenance(
        source=source.name,
        origin=str(source.origin),
        identity=acquisition.ORIGINAL,
        precision=source.precision,
        licence=source.licence,
        file_digest=digest,
        weights_digest="",  # the file's own says all
        date="",
    )
