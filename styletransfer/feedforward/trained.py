"""A trained network as a file: written with all that is known of it, and read again."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from styletransfer import __version__, storage, wire
from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.feedforward import architecture, checkpoints, configuration, inference, step
from styletransfer.feedforward.architecture import Architecture
from styletransfer.feedforward.configuration import Configuration
from styletransfer.text import clause

_PREFIX = "styletransfer."
_MOST_BYTES = 512 << 20
_UNKNOWN = "not told; that of the pictures that it learnt from may bear on it"


@dataclass(frozen=True)
class Trained:
    """A network that has learnt.

    Attributes
    ----------
    settings : Configuration
        How.
    weights : sequence of ndarray
        What, in forward order.
    steps : int
        For how many steps.
    losses : mapping of str to float
        Of the last step, by term, without their weights; empty where they are not known.
    base : str
        The sha256 of the file that it began from, if it did.
    """

    settings: Configuration
    weights: Sequence[np.ndarray]
    steps: int
    losses: Mapping[str, float]
    base: str = ""

    @property
    def network(self) -> Architecture:
        """Its architecture."""
        return architecture_of(self.settings)


def architecture_of(settings: Configuration) -> Architecture:
    """Return the architecture that a configuration asks for."""
    styles = settings.styles or len(settings.style_image or [None])
    return architecture.architecture(settings.arch, settings.width, styles)


def plain(settings: Configuration) -> dict[str, Any]:
    """Return all keys of a configuration as JSON has them."""
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return values


def metadata(trained: Trained) -> dict[str, str]:
    """Return what a file tells of its network."""
    settings, network = trained.settings, trained.network
    facts = {
        "arch": settings.arch,
        "layers": network.text,
        "width": str(settings.width or ""),
        "styles": str(network.styles),
        "enlargement": str(network.times),
        "configuration": json.dumps(plain(settings)),
        "steps": str(trained.steps),
        "losses": json.dumps(dict(trained.losses)),
        "weights_sha256": digest(trained.weights),
        "licence": settings.licence or _UNKNOWN,
        "version": __version__,
        "input": f"{inference.IMAGE} (N, 3, H, W): RGB in [0, 1]",
        "output": f"{inference.STYLIZED} (N, 3, {_sides(network.times)}): RGB in [0, 1]",
    }
    if trained.base:
        facts["base_sha256"] = trained.base
    # ONNX's own words for what the numbers of pictures are.
    known = {
        "Image.BitmapPixelFormat": "Rgb8",
        "Image.ColorSpaceGamma": "SRGB",
        "Image.NominalPixelRange": "Normalized_0_1",
    }
    return known | {_PREFIX + key: value for key, value in facts.items()}


def _sides(times: int) -> str:
    return "H, W" if times == 1 else f"{times}*H, {times}*W"


def digest(arrays: Sequence[np.ndarray]) -> str:
    """Return the sha256 of arrays, their shapes and types included."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype.str}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def save(path: Path, trained: Trained, **options: Any) -> None:
    """Write a network as ONNX, see `inference.network` for options; whole or not at all.

    Raises
    ------
    StyleTransferError
        If it cannot be written.
    """
    model = inference.network(trained.network, trained.weights, metadata(trained), **options)
    try:
        with storage.replacing(path) as stream:
            stream.write(model.SerializeToString())
    except OSError as error:
        raise StyleTransferError(f"{path} cannot be written: {error}") from error


def read(path: Path) -> Trained:
    """Return the network in a file of ours: ONNX, or a checkpoint.

    Raises
    ------
    StyleTransferError
        If it is none.
    """
    if path.suffix == ".npz":
        checkpoint = checkpoints.read(path)
        settings = configuration.read(checkpoint.configuration, str(path))
        vector = checkpoint.state.get(step.PARAMETERS)
        base = str(checkpoint.digests.get("base", ""))
        return Trained(settings, _parts(path, settings, vector), checkpoint.steps, {}, base)
    model = _model(path)
    try:
        facts = {p.key.removeprefix(_PREFIX): p.value for p in model.metadata_props}
        settings = configuration.read(json.loads(facts["configuration"]), str(path))
        losses = {str(name): float(x) for name, x in json.loads(facts["losses"]).items()}
        steps = int(facts["steps"])
        arrays = {t.name.removesuffix(inference.HALF): t for t in model.graph.initializer}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{path} is no network that this program trained; give one of its .onnx or .npz files"
        ) from error
    weights = []
    for entry in architecture.parameters(architecture_of(settings)):
        tensor = arrays.get(entry.name)
        if tensor is None or tuple(tensor.dims) != entry.shape:
            raise StyleTransferError(f"{path} is damaged: it has no {entry.name} of its shape")
        try:
            weights.append(numpy_helper.to_array(tensor).astype(np.float32))
        except Exception as error:  # of a type that there is not, or of too few numbers, say
            raise StyleTransferError(
                f"{path} is damaged in {entry.name}: {clause(error)}"
            ) from None
    return Trained(settings, weights, steps, losses, facts.get("base_sha256", ""))


def _parts(path: Path, settings: Configuration, vector: np.ndarray | None) -> list[np.ndarray]:
    network = architecture_of(settings)
    size = sum(int(np.prod(entry.shape)) for entry in architecture.parameters(network))
    if vector is None or vector.shape != (size,) or vector.dtype != np.float32:
        raise StyleTransferError(f"{path} is damaged: its weights are not those of its network")
    return step.parted(vector, network)


def _model(path: Path) -> onnx.ModelProto:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise StyleTransferError(f"{path} cannot be read: {error.strerror}") from None
    try:
        if len(data) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES >> 20} MB")
        model: onnx.ModelProto = wire.parse(data, onnx.ModelProto)
        if any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer):
            raise ValueError("its weights are in another file")
    except (DecodeError, ValueError) as error:
        reason = clause(error, 100)
        raise StyleTransferError(f"{path} is no ONNX file of ours: {reason}") from None
    return model
