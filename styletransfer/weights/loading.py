"""A network by its name or its folder, with all that style transfer needs of it."""

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from styletransfer import caffe
from styletransfer.errors import UsageError
from styletransfer.networks import CLASSIFIERS, MEAN, NETWORKS, Network, to_onnx, weight_shapes
from styletransfer.networks.classifiers import SUFFIX
from styletransfer.settings.choices import IN_ONE_PASS
from styletransfer.text import clause, suggestion
from styletransfer.weights import store
from styletransfer.weights.acquisition import Report
from styletransfer.weights.cache import weights_digest
from styletransfer.weights.download import ByteProgress
from styletransfer.weights.places import model_directories


@dataclass(frozen=True)
class LoadedNetwork:
    """A network ready for use: its forward graph and what else its description fixes.

    Attributes
    ----------
    model : onnx.ModelProto
        Input ``data``, (1, 3, height, width), each layer an output of its name.
    mean : ndarray, shape (3,)
        Subtracted from the image, BGR, range 0 to 255.
    input_size : int
        Side of the images that it was trained on.
    style_layers, content_layers : mapping of str to float
        What it is usually matched at; empty for a network that a user brings.
    """

    model: onnx.ModelProto
    mean: np.ndarray
    input_size: int
    style_layers: Mapping[str, float]
    content_layers: Mapping[str, float]

    @functools.cached_property
    def weights_digest(self) -> str:
        """The sha256 of what it has learnt."""
        return weights_digest(self.model)


def load_network(
    name: str, models: str | Path | None, report: Report, progress: ByteProgress | None
) -> LoadedNetwork:
    """Return a built-in network by its name, or the Caffe network in a folder.

    Parameters
    ----------
    name : str
        A key of `NETWORKS`, or a folder's path.
    models : path, optional
        The folder with the networks' weights, see `weights.model_directories`.
    report : callable
        Gets a line where something takes long or fails.
    progress : callable, optional
        Gets a `Download` whenever bytes have come.

    Raises
    ------
    UsageError
        If the name is neither.
    WeightsError, NetworkError
        See `weights.load` and `caffe.load_folder`.
    """
    table = NETWORKS.get(name) if isinstance(name, str) else None
    if table is None:
        return _from_folder(name)
    folders = model_directories(models)
    model = store.load(name, folders, report=report, progress=progress)
    return LoadedNetwork(
        model, table.mean, table.input_size, table.style_layers, table.content_layers
    )


def without_weights(table: Network) -> LoadedNetwork:
    """Return a built-in network all of whose weights are 0: for what its layers alone decide."""
    shapes = weight_shapes(table)
    zeros = {name: tuple(np.zeros(s, np.float32) for s in two) for name, two in shapes.items()}
    model = to_onnx(table, zeros)
    return LoadedNetwork(
        model, table.mean, table.input_size, table.style_layers, table.content_layers
    )


def load_classifier(name: str, models: str | Path | None, report: Report) -> LoadedNetwork:
    """Return a network whole, up to its probabilities, for squares of its `input_size`.

    Nothing is fetched: of a built-in network the weights with the fully connected layers must be
    here. Otherwise as `load_network`.
    """
    table = CLASSIFIERS.get(f"{name}{SUFFIX}", CLASSIFIERS.get(name))
    if table is None:
        return _from_folder(name, whole=True)
    model = store.load(table.name, model_directories(models), fetch=False, report=report)
    return LoadedNetwork(model, table.mean, table.input_size, {}, {})


def _from_folder(name: object, whole: bool = False) -> LoadedNetwork:
    is_file = str(name).endswith(".onnx") and os.path.isfile(str(name))
    if (isinstance(name, str) and name in IN_ONE_PASS) or is_file:
        raise UsageError(
            f"{clause(repr(name), 200)} is a network that paints in one pass, not one to optimise"
            f" with; use styletransfer stylize -m {clause(name, 200)}"
        )
    if not (isinstance(name, str | os.PathLike) and os.path.isdir(name)):
        raise UsageError(
            f"{clause(repr(name), 200)} is neither a network nor a folder; choose one of"
            f" {', '.join(NETWORKS)}, or give the folder of a Caffe network"
            f"{suggestion(name, NETWORKS)}"
        )
    model, mean, input_size = caffe.load_folder(name, whole)
    return LoadedNetwork(model, MEAN if mean is None else mean, input_size, {}, {})
