"""A network that paints pictures of any size: as a whole, or in tiles where that takes too much."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from styletransfer.errors import UsageError
from styletransfer.feedforward import fast, memory, stages, tiles
from styletransfer.feedforward.memory import Memory
from styletransfer.feedforward.network import Network
from styletransfer.images.arrays import as_rgb
from styletransfer.runtime.devices import Device
from styletransfer.runtime.session import Session

WHOLE_BYTES = 160 << 20
"""The largest tensor of a picture that is painted as a whole; in all it takes six times that."""


class Painter:
    """A network made ready to paint on one device.

    Parameters
    ----------
    network : Network
        See `network.read`.
    device : Device
        Where to run it.
    """

    def __init__(self, network: Network, device: Device) -> None:
        self.network = network
        self._device = device
        self._session = functools.lru_cache(2)(self._made)
        self._remembering = functools.lru_cache(2)(self._made_remembering)
        self._graph = functools.lru_cache(4)(network.graph)

    def paint(
        self,
        picture: np.ndarray,
        style: np.ndarray | None = None,
        tell: Callable[[float], None] = lambda _: None,
    ) -> np.ndarray:
        """Return a painting.

        Parameters
        ----------
        picture : ndarray
            (height, width, ...), as `images.as_rgb` takes it; only parts are made floats at a time.
        style : ndarray, optional
            The numbers of a style, where the network takes them.
        tell : callable, optional
            Gets the part that is done, from 0 to 1, of a large picture.

        Returns
        -------
        ndarray
            (height, width, 3) times the network's enlargement, float32 in [0, 1].

        Raises
        ------
        UsageError
            If the network does not paint pictures of that size.
        """
        return self._painted(picture, style, None, tell)[0]

    def paint_next(
        self,
        picture: np.ndarray,
        style: np.ndarray | None,
        before: Memory,
        tell: Callable[[float], None] = lambda _: None,
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return a painting with running statistics, and these, see `Memory.values`."""
        return self._painted(picture, style, before, tell)

    def _painted(
        self,
        picture: np.ndarray,
        style: np.ndarray | None,
        before: Memory | None,
        tell: Callable[[float], None],
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        network = self.network
        height, width = picture.shape[:2]
        if network.size not in (None, (height, width)):
            wanted = f"{network.size[1]} x {network.size[0]}"
            raise UsageError(
                f"the network paints pictures of {wanted} pixels alone, and this one has {width} x"
                f" {height}; give one of that size"
            )
        size = tuple(-(-side // network.multiple) * network.multiple for side in (height, width))
        feeds: dict[str, np.ndarray] = {}
        if network.style is not None and style is not None:
            feeds[network.style] = np.asarray(style, np.float32).reshape(network.style_shape)
        times = network.enlargement
        painting = np.empty((times * height, times * width, 3), np.float32)
        black, white = network.gives

        def fetch(rows: slice, columns: slice) -> np.ndarray:
            return self._taken(picture, rows, columns)

        def store(tile: np.ndarray, rows: slice, columns: slice) -> None:
            target = painting[rows, columns]
            values = tile[:, : target.shape[0], : target.shape[1]].transpose(1, 2, 0)
            values = values[..., ::-1] if network.order == "BGR" else values
            if network.gives != (0, 1):
                values = (values - black) / (white - black)
            np.clip(values, 0, 1, out=target)

        graph = self._graph(*size)
        (output,) = graph.outputs
        largest = max(
            4 * int(np.prod(graph.shape(name))) for node in graph.nodes for name in node.output
        )
        if largest <= WHOLE_BYTES or network.size:
            feeds[network.image] = fetch(slice(0, size[0]), slice(0, size[1]))
            values, after = self._whole(size, feeds, output, before)
            store(values, slice(0, None), slice(0, None))
        else:
            plan = stages.plan(graph, network.image, output, network.multiple)
            if any(side % plan.step for side in size):
                # It pads by itself; tiles have to begin and end where its elements do.
                graph = self._graph(*(-(-side // plan.step) * plan.step for side in size))
                plan = stages.plan(graph, network.image, output, network.multiple)
            whole = tiles.Picture(graph, network.image, output, plan)
            after = tiles.paint(
                self._graph, whole, fetch, store, feeds, self._device, tell, before or Memory()
            )
        return painting, after if before is None else {**before.corrections, **after}

    def _whole(
        self,
        size: tuple[int, ...],
        feeds: dict[str, np.ndarray],
        output: str,
        before: Memory | None,
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return what the network gives, (3, height, width), and the running statistics."""
        if before is None:
            return self._session(*size).run(feeds)[output][0], {}
        session, statistics = self._remembering(*size, not before.values)
        if statistics and before.values:
            feeds = feeds | {memory.SHARE: before.own.reshape(1)} | before.corrections
            feeds |= {name: before.before(name, count) for name, count in statistics.items()}
        values = session.run(feeds)
        return values[output][0], {name: values[f"{name}/next"] for name in statistics}

    def _taken(self, picture: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        """Return a part of a picture, reflected where it ends, as the network takes it."""
        height, width = picture.shape[:2]
        down, across = _reflected(rows, height), _reflected(columns, width)
        part = as_rgb(picture[down][:, across]).astype(np.float32, copy=False)
        part = part[..., ::-1] if self.network.order == "BGR" else part
        taken = np.ascontiguousarray(part.transpose(2, 0, 1)[np.newaxis])
        black, white = self.network.takes
        if self.network.takes != (0, 1):
            taken = taken * np.float32(white - black) + np.float32(black)
        return taken

    def _made(self, height: int, width: int) -> Session:
        graph = self.network.graph(height, width)
        (output,) = graph.outputs
        fast.rewrite(graph)
        return Session(graph.model([output]).SerializeToString(), self._device)

    def _made_remembering(
        self, height: int, width: int, first: bool
    ) -> tuple[Session, dict[str, int]]:
        """Return what paints with running statistics, and the channels of each of these.

        The first picture is painted with its own, by the operators of `_made`, bit for bit.
        """
        graph = self.network.graph(height, width)
        (output,) = graph.outputs
        fast.rewrite(graph)
        statistics = (memory.observe if first else memory.rewrite)(graph, output)
        model = graph.model([output, *(f"{name}/next" for name in statistics)])
        # The flow of the next frame needs the cores meanwhile.
        device = dataclasses.replace(self._device, busy=False)
        return Session(model.SerializeToString(), device), statistics


def _reflected(part: slice, length: int) -> np.ndarray | slice:
    """Return which elements a part is made of that may go past the end, where it is reflected."""
    if part.stop <= length:
        return part
    if length == 1:
        return np.zeros(part.stop - part.start, int)
    period = 2 * (length - 1)
    place = np.arange(part.start, part.stop) % period
    folded: np.ndarray = np.minimum(place, period - place)
    return folded
