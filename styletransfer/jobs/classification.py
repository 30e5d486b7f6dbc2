"""What a network sees in a photograph: a check of its weights and of what it is fed."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from styletransfer import images
from styletransfer.caffe.layers import INPUT
from styletransfer.errors import NetworkError
from styletransfer.networks import class_names
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.runtime.devices import Device
from styletransfer.runtime.session import Session
from styletransfer.weights.loading import load_classifier

_log = logging.getLogger(__name__)
_BLOB = "prob"


@dataclass(frozen=True)
class Seen:
    """A class, and how probable it is.

    Attributes
    ----------
    number : int
        Its place among the network's outputs.
    synset, name : str
        WordNet's number of it and its name, if they are ImageNet's 1000 classes; otherwise empty.
    probability : float
        From 0 to 1.
    """

    number: int
    synset: str
    name: str
    probability: float


def classify(name: str, photo: Path, models: Path | None = None, top: int = 5) -> list[Seen]:
    """Return the most probable classes of a photograph, the most probable first.

    The photograph is stretched to the square that the network was trained on, 224 × 224 as a rule.

    Raises
    ------
    WeightsError
        If the fully connected layers are not here; nothing is fetched.
    NetworkError
        If the network has no probabilities.
    """
    picture = images.load(photo)
    network = load_classifier(name, models, _log.info)
    blob = _probabilities(network.model)
    side = network.input_size
    seen = images.preprocess(images.resize(picture, (side, side)), network.mean)
    model = GraphBuilder(network.model, {INPUT: seen.shape}, [blob]).model([blob])
    del network  # half a gigabyte
    serialised = model.SerializeToString()
    del model
    session = Session(serialised, Device())
    del serialised
    values = session.run({INPUT: seen})[blob]
    if not (values.ndim == 2 or values.shape[2:] == (1, 1)):
        raise NetworkError(
            f"the blob {blob!r} has the shape {values.shape}: it classifies every pixel, not the"
            " picture"
        )
    found: np.ndarray = values.reshape(-1)
    known = class_names()
    labels = known if len(found) == len(known) else [("", "")] * len(found)
    order = np.argsort(-found, kind="stable")[:top]
    return [Seen(int(i), labels[i][0], labels[i][1], float(found[i])) for i in order]


def _probabilities(model: onnx.ModelProto) -> str:
    """Return the blob that holds them: ``prob``, or what the last softmax writes."""
    blobs = [output.name for output in model.graph.output]
    softmaxes = [n.output[0] for n in model.graph.node if n.op_type == "Softmax"]
    found = [_BLOB] if _BLOB in blobs else softmaxes[-1:]
    if not found:
        raise NetworkError(
            "the network has no blob prob and no softmax, so it classifies nothing; give one whose"
            " prototxt and caffemodel go up to its probabilities"
        )
    return found[0]
