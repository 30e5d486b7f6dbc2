"""Any painting as a style: a network that puts it into 100 numbers, which another paints with.

Both are published with weights and activations of 8 bits at fixed sizes (Ghiasi et al. 2017). Here
they compute with float32, at any size.
"""

import functools
import hashlib
from collections.abc import Sequence

import numpy as np

from styletransfer.errors import NetworkError, UsageError
from styletransfer.feedforward import network
from styletransfer.feedforward.static import static_graph
from styletransfer.images.sizes import resize_smoothly
from styletransfer.runtime.devices import Device
from styletransfer.runtime.session import Session

PREDICT, TRANSFORM = "arbitrary_predict", "arbitrary_transform"

STYLE_SIDE = 256
"""Short side at which a painting is seen: that of the paintings that the network learnt from."""

MOST_KNOWN = 16
"""Pictures whose numbers are kept: the frames of a film have the same paintings."""

LEAST_SIDE = 32  # of a picture that is reduced five times by two


class Predictor:
    """The network that puts a painting into numbers, ready to run.

    Parameters
    ----------
    source : bytes
        The ONNX file: one input (1, height, width, 3), one output of some numbers.
    device : Device
        Where to run it.
    """

    def __init__(self, source: bytes, device: Device) -> None:
        self._model = network.modern(network.parsed(source))
        self._device = device
        self._known: dict[str, np.ndarray] = {}
        self._session = functools.lru_cache(4)(self._made)

    def numbers(self, picture: np.ndarray) -> np.ndarray:
        """Return the numbers of a picture, float RGB in [0, 1], whose proportions are kept."""
        key = hashlib.sha256(picture.tobytes()).hexdigest() + str(picture.shape)
        if key not in self._known:
            self._known[key] = self._computed(picture)
            while len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
        return self._known[key]

    def _computed(self, picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[:2]
        scale = max(STYLE_SIDE / min(height, width), LEAST_SIDE / min(height, width))
        size = tuple(max(round(scale * side), LEAST_SIDE) for side in (height, width))
        seen = resize_smoothly(picture, size).astype(np.float32)
        values = self._session(*size).run({self._name: seen.transpose(2, 0, 1)[np.newaxis]})
        return next(iter(values.values())).ravel()

    @property
    def _name(self) -> str:
        return str(self._model.graph.input[0].name)

    def _made(self, height: int, width: int) -> Session:
        graph = static_graph(self._model, {self._name: (1, height, width, 3)}, "NHWC")
        if len(graph.outputs) != 1:
            raise NetworkError("The network that predicts styles has several outputs.")
        return Session(graph.model(graph.outputs).SerializeToString(), self._device)


def blend(vectors: Sequence[np.ndarray], weights: Sequence[float] | None) -> np.ndarray:
    """Return the mean of the numbers of several paintings, each with its weight.

    Raises
    ------
    UsageError
        If there are other weights than paintings, or they cannot be weights.
    """
    shares = np.asarray([1.0] * len(vectors) if weights is None else weights, float)
    if len(shares) != len(vectors):
        raise UsageError(
            f"there are {len(shares)} style weights for {len(vectors)} paintings; give one for each"
        )
    if not (np.isfinite(shares).all() and (shares >= 0).all() and shares.sum() > 0):
        raise UsageError(f"style weights are numbers of at least 0, not all 0, not {weights}")
    return np.average(vectors, axis=0, weights=shares)
