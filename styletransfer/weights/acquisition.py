"""How weights get into the folder: fetched from a source, or converted from a user's file."""

from collections.abc import Callable, Sequence
from pathlib import Path

from styletransfer.errors import WeightsError
from styletransfer.networks import Network
from styletransfer.weights import cache, containers
from styletransfer.weights.cache import Found, Provenance
from styletransfer.weights.download import ByteProgress, digest, matches
from styletransfer.weights.places import writable
from styletransfer.weights.sources import CAFFEMODELS, ORIGINAL_WEIGHTS, SOURCES, Source, obtain

Report = Callable[[str], None]
"""Gets a line where something takes long or fails."""

USER_FILE = "user's file"
_ORIGINAL = "original"
_UNKNOWN = "user-supplied, unknown"


def stamp(own: Path) -> str:
    """Return what tells a changed file from the one before, see `Provenance.stamp`."""
    facts = own.stat()
    return f"{own.name} {facts.st_size} {facts.st_mtime_ns}"


def convert(network: Network, own: Path, report: Report) -> Found:
    """Read the user's own caffemodel, and keep the result beside it.

    Parameters
    ----------
    network : Network
        The network that it is to hold.
    own : Path
        The caffemodel.
    report : callable
        See `Report`.

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
        identity=_ORIGINAL if known else _UNKNOWN,
        precision="exact" if known else "unknown",
        licence=known[0].licence if known else "unknown",
        file_digest="sha256:" + digest(own, "sha256"),
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
    folders: Sequence[Path],
    sources: Sequence[Source],
    report: Report,
    progress: ByteProgress | None,
) -> Found:
    """Try one source after the other; keep what the first good one gives.

    Parameters
    ----------
    network : Network
        The network whose weights are wanted.
    folders : sequence of Path
        Looked through for files placed by hand; the first that can be written gets the network.
    sources : sequence of Source
        In the order to try.
    report : callable
        See `Report`.
    progress : callable, optional
        See `ByteProgress`.

    Raises
    ------
    WeightsError
        No source could be used; its text lists each with its reason.
    """
    folder = writable(folders) / network.name
    folder.mkdir(exist_ok=True)
    reasons = []
    for source in sources:
        report(
            f"{network.name}: fetching {source.megabytes} MB of weights from {source.name} "
            f"({source.origin})"
        )
        try:
            found = _from_source(network, source, folders, folder, progress or (lambda *_: None))
        except (WeightsError, OSError) as error:
            reasons.append(f"  {source.name}, {source.origin}: {error}")
            report(f"{network.name}: {source.name} failed: {error}")
            continue
        report(f"{network.name}: weights of {source.name} ({source.precision}) kept in {found[0]}")
        return found
    raise WeightsError(_nothing_reachable(network.name, folder, sources, reasons))


def _from_source(
    network: Network, source: Source, folders: Sequence[Path], into: Path, progress: ByteProgress
) -> Found:
    placed = [folder / network.name for folder in folders]
    with obtain(source, placed, into, progress) as path:
        weights = containers.read(source.container, path, network)
    weights_digest = containers.weights_digest(weights)
    if source.digest is None and weights_digest != ORIGINAL_WEIGHTS[network.name]:
        raise WeightsError(
            f"its weights are not the original ones: their sha256 is {weights_digest}"
        )
    provenance = Provenance(
        source=source.name,
        origin=str(source.origin),
        identity=_ORIGINAL,
        precision=source.precision,
        licence=source.licence,
        file_digest=source.digest or "none published: the weights' own digest was checked",
        weights_digest=weights_digest,
        date=cache.now(),
    )
    return cache.write(network, weights, provenance, into), weights, provenance


def _nothing_reachable(
    name: str, folder: Path, sources: Sequence[Source], reasons: Sequence[str]
) -> str:
    by_hand = [source.filename for source in sources if isinstance(source.origin, str)]
    files = " or ".join(dict.fromkeys([*by_hand, CAFFEMODELS[name]]))
    return "\n".join(
        [
            f"The weights of {name} could not be fetched:",
            *reasons,
            f"Get one of these files on another machine and put it into {folder.resolve()}, under "
            f"the name it has there ({files}), or name a folder that has {name}/{name}.onnx "
            "with --models.",
        ]
    )
