"""The painter of a film's frames, made ready as its settings say."""

from dataclasses import dataclass
from typing import Any

from styletransfer import images
from styletransfer.errors import UsageError
from styletransfer.jobs import painting
from styletransfer.jobs.film import FilmTask
from styletransfer.jobs.local import Watch
from styletransfer.jobs.task import Machine
from styletransfer.settings import Painting
from styletransfer.video.networked import NetworkPainter
from styletransfer.video.painter import FramePainter


@dataclass(frozen=True)
class Opened:
    """A painter that is ready.

    Attributes
    ----------
    painter : FramePainter
        It.
    device, weights_digest : str
        Where it runs, and the sha256 of its network's weights.
    """

    painter: FramePainter[Any]
    device: str
    weights_digest: str


def open_painter(task: FilmTask, machine: Machine, watch: Watch) -> Opened:
    """Return what paints the frames of a film.

    Raises
    ------
    UsageError
        If the settings do not fit the network.
    StyleTransferError
        If the network or a style image cannot be had.
    """
    styles = [images.load(path) for path in task.styles]
    if isinstance(task.settings, Painting):
        return _network(task.settings, styles, machine, watch)
    raise UsageError("not yet")


def _network(settings: Painting, styles: list[Any], machine: Machine, watch: Watch) -> Opened:
    stylizer = painting.open_stylizer(settings, machine, watch)
    style = painting.style_of(settings, stylizer, styles)
    painter = NetworkPainter(
        stylizer,
        style,
        style_weights=settings.style_weights,
        strength=settings.strength,
        style_scale=settings.style_scale,
    )
    return Opened(painter, stylizer.device, stylizer.weights_digest)
