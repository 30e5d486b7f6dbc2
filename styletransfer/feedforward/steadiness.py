"""Whether a painting stays the same where the picture changes a little.

Frames of a video differ by noise and by motion, and a network may take either for something to
paint: then plain areas flicker. Two terms ask for the same painting: of a picture with noise, as
Lee's trainer has it, and of one that is moved by some pixels.
"""

from collections.abc import Callable

import numpy as np

from styletransfer.errors import UsageError
from styletransfer.feedforward.architecture import Architecture
from styletransfer.feedforward.configuration import Configuration
from styletransfer.feedforward.losses import SHIFT, STABILITY, mean_square
from styletransfer.onnxgrad import GraphBuilder

NOISE, ROWS, COLUMNS = "noise", "shift/rows", "shift/columns"

STILL = "painted/still"
"""The painting as a constant: it is not to come nearer to that of the changed picture."""

_DEVIATION, _LARGEST, _SHARE = 0.35, 1.0, 0.2  # of noise, in the units of what is normalised
_SPREAD = 255 * np.reshape([0.229, 0.224, 0.225], (3, 1, 1))  # one such unit, RGB
PIXELS = 8  # by how many a picture is moved at most; or by more, for a network's multiple
_RANDOM = 2  # which random numbers, of those that the seed gives


def append(
    graph: GraphBuilder,
    settings: Configuration,
    network: Architecture,
    paint: Callable[[str], str],
    picture: str,
    painted: str,
) -> dict[str, str]:
    """Append the terms that have a weight; return the tensor of each, (1,).

    `paint` appends the network to a picture; `painted` is what it made of `picture` already.
    """
    values: dict[str, str] = {}
    if not settings.stability and not settings.shift:
        return values
    still = graph.op("Identity", painted, output=STILL)
    if settings.stability:
        noise = graph.input(NOISE, graph.shape(picture), graph.dtype(picture))
        with graph.scope(STABILITY):
            again = paint(graph.op("Add", picture, noise))
            values[STABILITY] = mean_square(graph, again, still)
    if settings.shift:
        offsets = [graph.input(name, (1,), np.int64) for name in (ROWS, COLUMNS)]
        lengths = [n - _reach(network) for n in graph.shape(picture)[2:]]
        with graph.scope(SHIFT):
            again = paint(_part(graph, picture, offsets, lengths, 1))
            wanted = _part(graph, still, offsets, lengths, network.times)
            values[SHIFT] = mean_square(graph, again, wanted)
    return values


def inputs(
    settings: Configuration, network: Architecture, shape: tuple[int, ...], steps: int
) -> dict[str, np.ndarray]:
    """Return what `append` takes after so many steps for pictures (N, 3, H, W).

    Raises
    ------
    UsageError
        If the pictures are too small.
    """
    values: dict[str, np.ndarray] = {}
    chance = np.random.default_rng((settings.seed, _RANDOM, steps))
    if settings.stability:
        noise = chance.standard_normal(shape, np.float32) * np.float32(_DEVIATION)
        noise = np.clip(noise, -_LARGEST, _LARGEST) * _SPREAD.astype(np.float32)
        values[NOISE] = noise * (chance.random(shape, np.float32) < _SHARE)
    if settings.shift:
        reach = _reach(network)
        if min(shape[2:]) < 3 * reach:
            raise UsageError(
                f"shift moves pictures by up to {reach} pixels; {shape[2]}×{shape[3]} is too small"
                f" for that: give an image_size of {3 * reach * network.times} or more, or no shift"
            )
        for name in (ROWS, COLUMNS):
            values[name] = chance.integers(0, reach + 1, 1)
    return values


def _reach(network: Architecture) -> int:
    return -(-PIXELS // network.multiple) * network.multiple


def _part(
    graph: GraphBuilder, picture: str, offsets: list[str], lengths: list[int], times: int
) -> str:
    """Append what cuts a part out of a picture that is so many times as large as the lengths say.

    Gathered: the size of a slice that begins anywhere would not be known.
    """
    for axis, (offset, length) in enumerate(zip(offsets, lengths, strict=True), 2):
        first = graph.op("Mul", offset, graph.integers([times], "times"))
        places = graph.op("Add", graph.integers(range(times * length), "places"), first)
        picture = graph.op("Gather", picture, places, axis=axis)
    return picture
