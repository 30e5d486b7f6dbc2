"""A trained network that another one begins from: with one more style, or to learn it all anew."""

import dataclasses
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from styletransfer import weights
from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.feedforward import architecture, trained
from styletransfer.feedforward.architecture import Architecture
from styletransfer.feedforward.configuration import Configuration
from styletransfer.text import clause

_logger = logging.getLogger(__name__)

PUBLISHED = "multistyle26"


@dataclass(frozen=True)
class Base:
    """A network that is begun from.

    Attributes
    ----------
    arch, width, styles : str, int or None, int
        What its architecture is made of.
    weights : sequence of ndarray
        What it has learnt, in forward order.
    digest : str
        The sha256 of its file.
    licence : str or None
        Its licence, if it tells it.
    """

    arch: str
    width: int | None
    styles: int
    weights: Sequence[np.ndarray]
    digest: str
    licence: str | None

    @property
    def network(self) -> Architecture:
        """Its architecture."""
        return architecture.architecture(self.arch, self.width, self.styles)


def load(name: str, models: str | Path | None) -> Base:
    """Return a base: the published network, or one that this program trained.

    Raises
    ------
    StyleTransferError
        If it is neither, or cannot be read.
    """
    if name == PUBLISHED:
        data = weights.load_ready(name, weights.model_directories(models), _logger.info)
        digest = hashlib.sha256(data).hexdigest()
        kind, licence = architecture.architecture(name, None, 26), weights.READY[name].licence
        return Base(name, None, kind.styles, _published(data, kind), digest, licence)
    path = Path(name)
    if not path.is_file():
        raise UsageError(
            f"the base {clause(name, 200)!r} is neither {PUBLISHED} nor a file; give that, or a"
            " network or a checkpoint that `train` wrote"
        )
    try:
        found = trained.read(path)
    except StyleTransferError as error:
        raise type(error)(f"it cannot be a base: {error.text}") from None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    settings = found.settings
    styles = found.network.styles
    return Base(settings.arch, settings.width, styles, found.weights, digest, settings.licence)


def settled(settings: Configuration, base: Base) -> Configuration:
    """Return a configuration with what follows from its base.

    Raises
    ------
    UsageError
        If the base has no scales and shifts that a style could be.
    """
    if settings.learns_all:
        styles = 1
    elif base.network.affine:
        styles = base.styles + 1
    else:
        raise UsageError(
            f"the base {clause(settings.base, 200)} has the arch {base.arch!r}, whose normalisation"
            " has no scales and shifts that a style could learn; give another one, or --all"
        )
    licences = dict.fromkeys([base.licence, settings.licence])
    if settings.styles is not None:
        licences = dict.fromkeys([settings.licence])  # settled already
    return dataclasses.replace(
        settings,
        arch=base.arch,
        width=base.width,
        styles=styles,
        licence="; ".join(filter(None, licences)) or None,
    )


def first_weights(settings: Configuration, base: Base) -> list[np.ndarray]:
    """Return what a network has learnt at its start; a new style is the mean of the base's."""
    values = []
    for entry, array in zip(architecture.parameters(base.network), base.weights, strict=True):
        if architecture.is_of_style(entry.name):
            rows = array.reshape(base.styles, -1)
            new = rows.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
            array = new[0] if settings.learns_all else np.concatenate([rows, new])
        values.append(array)
    return values


def _published(data: bytes, kind: Architecture) -> list[np.ndarray]:
    """Return the weights of multistyle26 as those of our network.

    Ours takes and gives 0..255: the first convolution divides by that. Ours ends in
    127.5 (tanh x + 1) = 255 sigmoid(2 x): the last scale and shift are halved.
    """
    graph = onnx.load_model_from_string(data).graph
    arrays = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    blocks = [f"res.{block}.{half}" for block in range(6) for half in range(2)]
    ends = [[f"{name}.{i}" for i in range(3)] for name in ("contract", "expand")]
    places = [*ends[0], *blocks, *ends[1]]
    roles = {"weight": "w", "scale": "norm.gamma", "shift": "norm.beta"}
    values = []
    for entry in architecture.parameters(kind):
        number, role = entry.name.split("/")
        if role == "bias":
            value = np.zeros(entry.shape)  # the norm takes it away
        else:
            value = arrays[f"{places[int(number)]}.{roles[role]}"].astype(np.float64)
        if entry.name == "00/weight":
            value = value / 255
        if int(number) == len(places) - 1 and role in ("scale", "shift"):
            value = value / 2
        values.append(value.astype(np.float32))
    return values
