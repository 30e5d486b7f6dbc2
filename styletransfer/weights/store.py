"""The networks' weights on this machine: what is there, and having them there.

What is fetched or converted is kept as ``<models>/<network>/<network>.onnx``: a plain forward graph
with every blob named as in Caffe, whose metadata say where its weights are from. A ``.caffemodel``
that the user has put into that folder comes before it, and is converted once.

Of processes and threads that want the same network at once, one makes it and the others wait.
"""

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from styletransfer import locks, networks, storage
from styletransfer.errors import UnknownNameError, WeightsError
from styletransfer.networks import Network
from styletransfer.text import clause, suggestion
from styletransfer.weights import acquisition, cache, failures, ready, shipped
from styletransfer.weights.acquisition import Report
from styletransfer.weights.cache import CacheError, Found, Provenance
from styletransfer.weights.download import ByteProgress
from styletransfer.weights.places import own_caffemodel, writable
from styletransfer.weights.sources import CAFFEMODELS, READY, SOURCES, Source, known_weights

_STAND_IN = (
    "the weights of %s are neither here nor reachable, so others stand in (%s), and the picture"
    " differs from the original program's; for the right ones put %s into models/%s/"
)
_NOT_COMPARED = "original as the file says: there is no digest to compare with"
_UNKNOWN = "unknown: not the weights that it says"
_LOCK = ".lock"

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
        None where there is no file, or a user's caffemodel that was not used so far. What a file
        says of itself is not believed where its weights are known to be others.
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


def load(
    name: str,
    models_dirs: Sequence[Path],
    fetch: bool = True,
    source: str | None = None,
    report: Report = _log.info,
    progress: ByteProgress | None = None,
) -> onnx.ModelProto:
    """Return a built-in network with its weights, fetching them on first use.

    Sources that failed within the last hour are asked after the others, or, where there are
    weights that can stand in, not at all.

    Parameters
    ----------
    name : str
        A key of `networks.NETWORKS`.
    models_dirs : sequence of Path
        Where to look, see `model_directories`.
    fetch : bool
        Whether missing weights may be fetched; files that were placed by hand are used anyway.
    source : str, optional
        The name of the only source whose weights will do.
    report : callable
        Gets a line where something takes long or fails.
    progress : callable, optional
        Gets a `Download` whenever bytes have come.

    Returns
    -------
    onnx.ModelProto
        Input ``data`` (1, 3, height, width), BGR 0 to 255 minus the mean, both sizes symbolic;
        every blob is an output of its own name. Its metadata say where the weights are from, as
        the cached file's do.

    Raises
    ------
    WeightsError
        There are no weights and none could be fetched, or a file is damaged or does not fit.
    NetworkError
        There is no such network.
    """
    network = _network(name)
    published = _sources(name, source)
    found = _present(network, models_dirs, source, report)
    if found is None and not fetch:
        placed = _by_hand(network, published, models_dirs)
        if placed is None:
            raise WeightsError(
                f"There are no weights of {name} in {_listed(models_dirs)}: get them with"
                f" `styletransfer models fetch {name}` ({published[0].megabytes} MB), or put"
                f" {acquisition.files(network, published)} into"
                f" {(models_dirs[0] / network.folder).absolute()}."
            )
        found = _fetched(network, models_dirs, placed.name, _all, report, progress)
    if found is None:
        spare = source is None and shipped.path(name) is not None
        choose = _others if spare else _others_first
        try:
            found = _fetched(network, models_dirs, source, choose, report, progress, spare)
        except WeightsError:
            found = shipped.read(network) if spare else None
            if found is None:
                raise
            _log.warning(_STAND_IN, name, found[2].identity, CAFFEMODELS[name], name)
    doubt = _doubt(network, found)
    if doubt:
        _log.warning("%s", doubt)
    return cache.model(network, found[1], _believed(network, found))


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
    _sources(name, source)
    if name in READY:
        return Status(name, *ready.fetch(name, models_dirs, report, progress or (lambda _: None)))
    network = _network(name)
    try:
        found = _present(network, models_dirs, source, report)
        doubt = found and _doubt(network, found)
    except CacheError as error:
        found, doubt = None, str(error)
    if doubt:
        report(doubt)
    if found is None or doubt:
        found = _fetched(network, models_dirs, source, _all, report, progress)
    return Status(name, found[0], found[2])


def status(name: str, models_dirs: Sequence[Path]) -> Status:
    """Say what there is of a network's weights, having checked the digest of cached ones.

    Parameters
    ----------
    name, models_dirs
        As in `load`.

    Raises
    ------
    NetworkError
        There is no such network.
    """
    if name in READY:
        try:
            return Status(name, *(ready.present(name, models_dirs) or ()))
        except CacheError as error:
            return Status(name, problem=str(error))
    network = _network(name)
    try:
        own = own_caffemodel(network.folder, models_dirs)
        cached = _cached(network, models_dirs, own)
    except WeightsError as error:
        return Status(name, problem=str(error))
    if cached is not None:
        return Status(name, cached[0], _believed(network, cached))
    return Status(name, own)


def kept(name: str, models_dirs: Sequence[Path]) -> Path | None:
    """Return the file that a built-in network is kept in, without reading it; None without one."""
    network = _network(name)
    files = (folder / network.folder / f"{name}.onnx" for folder in models_dirs)
    return next(filter(os.path.isfile, files), None)


def verify(name: str, models_dirs: Sequence[Path], report: Report = _log.info) -> Status:
    """Check that a network's weights are here, undamaged, and those that they are said to be.

    A user's file is read for that. Not of all sources are the weights' digests known.

    Parameters
    ----------
    name, models_dirs, report
        As in `load`.

    Raises
    ------
    WeightsError
        They are missing, damaged, of another network, or others than they are said to be.
    NetworkError
        There is no such network.
    """
    if name in READY:
        kept = ready.present(name, models_dirs)
        if kept is None:
            raise WeightsError(f"There is no network {name} in {_listed(models_dirs)}.")
        return Status(name, *kept)
    network = _network(name)
    found = _present(network, models_dirs, None, report)
    if found is None:
        raise WeightsError(f"There are no weights of {name} in {_listed(models_dirs)}.")
    doubt = _doubt(network, found)
    if doubt:
        raise WeightsError(doubt)
    said = found[2]
    if said.identity == acquisition.ORIGINAL and known_weights(name, said.source) is None:
        said = replace(said, identity=_NOT_COMPARED)
    return Status(name, found[0], said)


def load_ready(
    name: str,
    models_dirs: Sequence[Path],
    report: Report = _log.info,
    progress: ByteProgress | None = None,
) -> bytes:
    """Return a network that is used as published, a serialised ONNX model, fetched on first use.

    Parameters
    ----------
    name : str
        A key of `sources.READY`.
    models_dirs, report, progress
        As in `load`.

    Raises
    ------
    WeightsError
        It is not here and cannot be fetched, or is another file than the one published.
    """
    found = ready.present(name, models_dirs)
    if found is None:
        found = ready.fetch(name, models_dirs, report, progress or (lambda _: None))
    return found[0].read_bytes()


def _network(name: str) -> Network:
    try:
        return {**networks.NETWORKS, **networks.CLASSIFIERS}[name]
    except KeyError:
        names = [*networks.NETWORKS, *networks.CLASSIFIERS]
        names += [other for other in READY if name not in READY]
        raise UnknownNameError(
            f"There is no built-in network {name!r}: choose one of {', '.join(names)}"
            f"{suggestion(name, names)}"
        ) from None


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(map(str, folders))


def _sources(name: str, source: str | None) -> Sequence[Source]:
    """Return the network's sources in the order to try, or the one that was asked for."""
    published = (READY[name],) if name in READY else SOURCES[_network(name).name]
    chosen = [known for known in published if source in (None, known.name)]
    if not chosen:
        names = ", ".join(known.name for known in published)
        raise WeightsError(f"{name} has no source {source!r}: choose one of {names}.")
    return chosen


def _present(
    network: Network, folders: Sequence[Path], source: str | None, report: Report
) -> Found | None:
    """Return what is on this machine, the user's own file before a cached one."""
    own = own_caffemodel(network.folder, folders)
    if own is not None and source is not None:
        raise WeightsError(f"{own} is used before any source: move it away to have {source}.")
    found = _cached(network, folders, own)
    if found is not None:
        return found if source in (None, found[2].source) else None
    if own is None:
        return None
    with locks.locked(own.parent / _LOCK, _waiting(network, report)) as alone:
        if alone:
            storage.remove_leftovers(own.parent)
        return _cached(network, folders, own) or acquisition.convert(network, own, report)


def _fetched(
    network: Network,
    folders: Sequence[Path],
    source: str | None,
    choose: Callable[[Sequence[Source], Sequence[Source]], Sequence[Source]],
    report: Report,
    progress: ByteProgress | None,
    spare: bool = False,
) -> Found:
    """Fetch a network, unless another process just has.

    Of all sources and those that failed lately `choose` returns the ones to ask, in their order.
    """
    folder = writable(folders) / network.folder
    folder.mkdir(exist_ok=True)
    placed = [f / network.folder for f in folders]
    sources = _sources(network.name, source)
    with contextlib.ExitStack() as stack:
        work = folder
        if not stack.enter_context(locks.locked(folder / _LOCK, _waiting(network, report))):
            work = stack.enter_context(storage.scratch(folder))  # which nobody else knows
        with contextlib.suppress(CacheError):
            found = _cached(network, folders, own_caffemodel(network.folder, folders))
            wanted = found is not None and source in (None, found[2].source)
            if found is not None and wanted and not _doubt(network, found):
                return found
        failed = failures.lately(folder, sources)
        failed = [known for known in failed if acquisition.by_hand(known, placed) is None]
        asked = choose(sources, failed)
        tell = progress or (lambda _: None)
        return acquisition.fetch(network, folder, work, placed, sources, asked, report, tell, spare)


def _waiting(network: Network, report: Report) -> Callable[[], None]:
    return functools.partial(
        report, f"{network.name}: waiting for another process, which fetches or converts it"
    )


def _all(sources: Sequence[Source], failed: Sequence[Source]) -> Sequence[Source]:
    return sources


def _by_hand(network: Network, sources: Sequence[Source], folders: Sequence[Path]) -> Source | None:
    """Return the first source whose file a user has put into the network's folder."""
    placed = [f / network.folder for f in folders]
    return next((s for s in sources if acquisition.by_hand(s, placed) is not None), None)


def _others(sources: Sequence[Source], failed: Sequence[Source]) -> Sequence[Source]:
    return [source for source in sources if source not in failed]


def _others_first(sources: Sequence[Source], failed: Sequence[Source]) -> Sequence[Source]:
    """Put sources that failed lately behind the others, but never behind less exact ones."""
    return sorted(sources, key=lambda source: (source.precision != "exact", source in failed))


def _cached(network: Network, folders: Sequence[Path], own: Path | None) -> Found | None:
    """Return the first cached network, or of those made from the user's own file the first."""
    for folder in folders:
        path = folder / network.folder / f"{network.name}.onnx"
        if not os.path.isfile(path):
            continue
        try:
            weights, provenance = cache.read(path, network)
        except CacheError:
            if own is None:
                raise
            continue
        if own is None or provenance.stamp == acquisition.stamp(own):
            return path, weights, provenance
    return None


def _doubt(network: Network, found: Found) -> str | None:
    """Say in a sentence that weights are others than they are said to be, where that is known."""
    path, _, claimed = found
    known = known_weights(network.name, claimed.source)
    if claimed.identity != acquisition.ORIGINAL or known in (None, claimed.weights_digest):
        return None
    return (
        f"{path} says that its weights are those of {clause(claimed.source)}, but they are unknown:"
        f" their sha256 is {claimed.weights_digest}, not {known}."
        f" `styletransfer models fetch {network.name}` replaces it."
    )


def _believed(network: Network, found: Found) -> Provenance:
    """Return where weights are from, as far as what their file says of them can be believed."""
    if _doubt(network, found) is None:
        return found[2]
    return replace(found[2], identity=_UNKNOWN, precision="unknown", licence="unknown")
