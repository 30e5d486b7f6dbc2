"""The networks' weights: where they lie on this machine, and how they get there.

What is fetched or converted is kept as ``<models>/<network>/<network>.onnx``: a plain forward graph
with every blob named as in Caffe, whose metadata say where its weights are from. A ``.caffemodel``
that the user has put into that folder comes before it, and is converted once.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from styletransfer import networks
from styletransfer.errors import NetworkError, WeightsError
from styletransfer.networks import Network
from styletransfer.weights import cache, containers, shipped
from styletransfer.weights.cache import CacheError, Provenance
from styletransfer.weights.containers import Weights
from styletransfer.weights.download import ByteProgress, digest, matches
from styletransfer.weights.sources import CAFFEMODELS, ORIGINAL_WEIGHTS, SOURCES, Source, obtain

Report = Callable[[str], None]

USER_FILE = "user's file"
_ORIGINAL = "original"
_STAND_IN = (
    "the weights of %s are neither here nor reachable; others stand in, so that the picture differs"
    " from the original program's: %s (%s). For the right ones put into models/%s/ a file %s"
)
_UNKNOWN = "user-supplied, unknown"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """What there is of a network's weights on this machine.

    Attributes
    ----------
    name : str
        The network.
    path : Path or None
        The file in use: the cached ONNX file, or a user's caffemodel that was not used so far.
    provenance : Provenance or None
        None where there is no file, or a user's caffemodel that was not used so far.
    problem : str
        A sentence if what is there cannot be used, otherwise empty.
    """

    name: str
    path: Path | None = None
    provenance: Provenance | None = None
    problem: str = ""

    @property
    def present(self) -> bool:
        """Whether the network can be used without fetching anything."""
        return self.path is not None


def model_directories(explicit: str | os.PathLike[str] | None = None) -> list[Path]:
    """Return the folders in which networks are looked for; the first that can be written gets them.

    They are the one given, ``$STYLETRANSFER_MODELS``, ``./models`` where there is one, and
    ``styletransfer/models`` in the user's data folder.
    """
    given = [explicit, os.environ.get("STYLETRANSFER_MODELS")]
    folders = [Path(folder).expanduser() for folder in given if folder]
    if Path("models").is_dir():
        folders.append(Path("models"))
    return [*folders, _user_data() / "styletransfer" / "models"]


def _user_data() -> Path:
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    stated = Path(os.environ.get("XDG_DATA_HOME", ""))  # ignored if relative, as its standard says
    return stated if stated.is_absolute() else home / ".local" / "share"


def load(
    name: str,
    models_dirs: Sequence[Path],
    fetch: bool = True,
    source: str | None = None,
    report: Report = _log.info,
    progress: ByteProgress | None = None,
) -> onnx.ModelProto:
    """Return a built-in network with its weights, fetching them on first use.

    Parameters
    ----------
    name : str
        A key of `networks.NETWORKS`.
    models_dirs : sequence of Path
        Where to look, see `model_directories`.
    fetch : bool
        Whether missing weights may be fetched.
    source : str, optional
        The name of the only source whose weights will do.
    report : callable
        Gets a line where something takes long or fails.
    progress : callable, optional
        Called with the bytes so far, the bytes in all or None, and the name of what is fetched.

    Returns
    -------
    onnx.ModelProto
        Input ``data`` (1, 3, height, width), BGR 0 to 255 minus the mean, both sizes symbolic;
        every blob is an output of its own name.

    Raises
    ------
    WeightsError
        There are no weights and none could be fetched, or a file is damaged or does not fit.
    NetworkError
        There is no such network.
    """
    network = _network(name)
    sources = _sources(name, source)
    found = _present(network, models_dirs, source, report)
    if found is None and not fetch:
        raise WeightsError(
            f"There are no weights of {name} in {_listed(models_dirs)}: "
            f"get them with `styletransfer models fetch {name}`."
        )
    if found is None:
        try:
            found = _fetch(network, models_dirs, sources, report, progress)
        except WeightsError:
            found = shipped.read(network) if source is None else None
            if found is None:
                raise
            _log.warning(_STAND_IN, name, found[2].identity, found[0], name, CAFFEMODELS[name])
    return cache.graph(network, found[1])


def fetch(
    name: str,
    models_dirs: Sequence[Path],
    source: str | None = None,
    report: Report = _log.info,
    progress: ByteProgress | None = None,
) -> Status:
    """Fetch a network's weights, unless good ones are here already, and say what is here then.

    Parameters
    ----------
    name, models_dirs, report, progress
        As in `load`.
    source : str, optional
        The name of the only source whose weights will do; a cached network from another one is
        replaced.

    Raises
    ------
    WeightsError
        No source could be used; its text lists each with its reason.
    NetworkError
        There is no such network.
    """
    network = _network(name)
    sources = _sources(name, source)
    try:
        found = _present(network, models_dirs, source, report)
    except CacheError as error:
        report(str(error))
        found = None
    if found is None:
        found = _fetch(network, models_dirs, sources, report, progress)
    return Status(name, found[0], found[2])


def status(name: str, models_dirs: Sequence[Path]) -> Status:
    """Say what there is of a network's weights, having checked the digest of cached ones."""
    network = _network(name)
    try:
        own = _own(name, models_dirs)
        cached = _cached(network, models_dirs, own)
    except WeightsError as error:
        return Status(name, problem=str(error))
    if cached is not None:
        return Status(name, cached[0], cached[2])
    return Status(name, own)


def verify(name: str, models_dirs: Sequence[Path], report: Report = _log.info) -> Status:
    """Check that a network's weights are here and undamaged; a user's file is read for that.

    Raises
    ------
    WeightsError
        They are missing, damaged, or of another network.
    """
    found = _present(_network(name), models_dirs, None, report)
    if found is None:
        raise WeightsError(f"There are no weights of {name} in {_listed(models_dirs)}.")
    return Status(name, found[0], found[2])


_Found = tuple[Path, Weights, Provenance]


def _network(name: str) -> Network:
    try:
        return networks.NETWORKS[name]
    except KeyError:
        raise NetworkError(
            f"There is no built-in network {name!r}: choose one of {', '.join(networks.NETWORKS)}."
        ) from None


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders))


def _sources(name: str, source: str | None) -> Sequence[Source]:
    """Return the network's sources in the order to try, or the one that was asked for."""
    chosen = [known for known in SOURCES[name] if source in (None, known.name)]
    if not chosen:
        names = ", ".join(known.name for known in SOURCES[name])
        raise WeightsError(f"{name} has no source {source!r}: choose one of {names}.")
    return chosen


def _present(
    network: Network, folders: Sequence[Path], source: str | None, report: Report
) -> _Found | None:
    """Return what is on this machine, the user's own file before a cached one."""
    own = _own(network.name, folders)
    if own is not None and source is not None:
        raise WeightsError(f"{own} is used before any source: move it away to have {source}.")
    found = _cached(network, folders, own)
    if found is not None:
        return found if source in (None, found[2].source) else None
    return _convert_own(network, own, report) if own is not None else None


def _own(name: str, folders: Sequence[Path]) -> Path | None:
    """Return the caffemodel that the user has put into the network's folder, if there is one."""
    for folder in folders:
        original = folder / name / CAFFEMODELS[name]
        if original.is_file():
            return original
        others = sorted((folder / name).glob("*.caffemodel"))
        if len(others) > 1:
            raise WeightsError(
                f"{folder / name} holds {len(others)} caffemodels "
                f"({', '.join(other.name for other in others)}): leave one there."
            )
        if others:
            return others[0]
    return None


def _stamp(own: Path) -> str:
    facts = own.stat()
    return f"{own.name} {facts.st_size} {facts.st_mtime_ns}"


def _cached(network: Network, folders: Sequence[Path], own: Path | None) -> _Found | None:
    """Return the first cached network, or of those made from the user's own file the first."""
    for folder in folders:
        path = _cache_file(network.name, folder)
        if not path.is_file():
            continue
        try:
            weights, provenance = cache.read(path, network)
        except CacheError:
            if own is None:
                raise
            continue
        if own is None or provenance.stamp == _stamp(own):
            return path, weights, provenance
    return None


def _cache_file(name: str, folder: Path) -> Path:
    return folder / name / f"{name}.onnx"


def _convert_own(network: Network, own: Path, report: Report) -> _Found:
    """Read the user's own caffemodel, and keep the result beside it."""
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
        stamp=_stamp(own),
    )
    try:
        return cache.write(network, weights, provenance, own.parent), weights, provenance
    except OSError as error:
        report(f"{network.name}: cannot be kept beside {own} ({error}): it is converted each time")
        return own, weights, provenance


def _fetch(
    network: Network,
    folders: Sequence[Path],
    sources: Sequence[Source],
    report: Report,
    progress: ByteProgress | None,
) -> _Found:
    """Try one source after the other; keep what the first good one gives."""
    folder = _writable(folders) / network.name
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
) -> _Found:
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


def _writable(folders: Sequence[Path]) -> Path:
    """Return the first folder that files can be made in, having made the folder if need be."""
    reasons = []
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError as error:
            reasons.append(f"{folder} ({error.strerror})")
    raise WeightsError(
        f"No folder for weights can be written: {', '.join(reasons)}. Name one with --models."
    )
