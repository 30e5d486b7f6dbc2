"""A network with its weights and their provenance in one ONNX file, ``<network>.onnx``.

The file is a plain forward graph with every blob named as in Caffe, for any ONNX tool to open. This
program takes only the weights out of it and builds the graph anew, so that an old file never brings
back an old graph.
"""

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from styletransfer import networks, storage, wire
from styletransfer.errors import WeightsError
from styletransfer.networks import Network
from styletransfer.text import clause
from styletransfer.weights import containers
from styletransfer.weights.containers import Weights

_METADATA = "styletransfer."
_MAX_BYTES = 1 << 30  # the largest network has half of it
_MAX_TEXT = 5000  # the longest is a path


class CacheError(WeightsError):
    """The cached file cannot be used; fetching replaces it."""


@dataclass(frozen=True)
class Provenance:
    """Where a network's weights are from, as kept in the metadata of the cached file.

    Attributes
    ----------
    source : str
        A source's name, or ``"user's file"``.
    origin : str
        The address, the package, or the path of the user's file.
    identity : str
        ``"original"``, or that nothing is known of them.
    precision, licence : str
        As in `Source`.
    file_digest : str
        ``algorithm:hex`` of the file that they were read from.
    weights_digest : str
        sha256 of the tensors themselves, see `containers.weights_digest`.
    date : str
        When they were converted, UTC.
    stamp : str
        Size and time of a user's file, so that a changed one is noticed; otherwise empty.
    """

    source: str
    origin: str
    identity: str
    precision: str
    licence: str
    file_digest: str
    weights_digest: str
    date: str
    stamp: str = ""


Found = tuple[Path, Weights, Provenance]
"""The file that a network's weights are in, the weights, and where they are from."""


def read(path: Path, network: Network) -> tuple[Weights, Provenance]:
    """Return what `write` has written.

    The digest of the tensors is checked every time: it takes a tenth of a second, and a damaged
    file gives one clear sentence instead of a strange picture.

    Raises
    ------
    CacheError
        If it is damaged, of another network, or not by this program.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise WeightsError("it is too large")
        model = wire.parse(path.read_bytes(), onnx.ModelProto)
        metadata = {str(entry.key): str(entry.value) for entry in model.metadata_props}
        names = [entry.name for entry in fields(Provenance)]
        if not all(_METADATA + name in metadata for name in names):
            raise WeightsError("it does not say where its weights are from")
        if any(len(text) > _MAX_TEXT for text in metadata.values()):
            raise WeightsError("what it says of its weights is too long")
        provenance = Provenance(**{name: metadata[_METADATA + name] for name in names})
        tensors = containers.onnx_tensors(model)
        weights = containers.fit(
            {
                layer: (tensors[f"{layer}/weight"], tensors[f"{layer}/bias"])
                for layer in networks.weight_shapes(network)
                if {f"{layer}/weight", f"{layer}/bias"} <= tensors.keys()
            },
            network,
        )
        if containers.weights_digest(weights) != provenance.weights_digest:
            raise WeightsError("its weights have another digest than when it was written")
    except (WeightsError, OSError, DecodeError, ValueError, TypeError) as error:
        raise CacheError(
            f"{path} is damaged or was not written by this program: {clause(error, 300)}. "
            f"`styletransfer models fetch {network.name}` replaces it."
        ) from None
    return weights, provenance


def graph(network: Network, weights: Weights) -> onnx.ModelProto:
    """Return the graph as far as the weights go, which must be as far as its layers to match."""
    result = networks.to_onnx(network, weights)
    blobs = {output.name for output in result.graph.output}
    for layer in (*network.style_layers, *network.content_layers):
        if layer not in blobs:
            raise WeightsError(f"the weights end before layer {layer!r} of {network.name}")
    return result


def model(network: Network, weights: Weights, provenance: Provenance) -> onnx.ModelProto:
    """Return `graph` with metadata that say where the weights are from."""
    result = graph(network, weights)
    onnx.helper.set_model_props(
        result, {_METADATA + key: value for key, value in asdict(provenance).items()}
    )
    return result


def weights_digest(model: onnx.ModelProto) -> str:
    """Return the sha256 of a model's weights; what one that `model` has made says is believed."""
    for entry in model.metadata_props:
        if entry.key == f"{_METADATA}weights_digest":
            return entry.value
    tensors = containers.onnx_tensors(model)
    return containers.weights_digest({name: (tensor,) for name, tensor in tensors.items()})


def write(network: Network, weights: Weights, provenance: Provenance, folder: Path) -> Path:
    """Write ``<network>.onnx`` with its provenance; it appears whole or not at all."""
    path = folder / f"{network.name}.onnx"
    whole = model(network, weights, provenance)
    with storage.replacing(path) as stream:
        stream.write(whole.SerializeToString())
    return path


def now() -> str:
    """Return the time as `Provenance.date` has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
