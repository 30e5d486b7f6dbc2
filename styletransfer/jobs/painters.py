"""The painter of a film's frames, made ready as its settings say."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from styletransfer import images
from styletransfer.errors import UsageError
from styletransfer.feedforward import Stylizer
from styletransfer.jobs import painting
from styletransfer.jobs.film import FilmTask
from styletransfer.jobs.local import Watch, open_transfer
from styletransfer.jobs.task import Machine
from styletransfer.settings import Painting, Settings
from styletransfer.transfer import StyleTransfer
from styletransfer.video.networked import NetworkPainter
from styletransfer.video.optimised import WEIGHT, OptimisingPainter
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


def open_painter(
    task: FilmTask,
    machine: Machine,
    watch: Watch,
    open_network: Callable[[Settings | Painting], Any] | None = None,
) -> Opened:
    """Return what paints the frames of a film; who keeps networks ready says how one is opened.

    Raises
    ------
    UsageError
        If the settings do not fit the network.
    StyleTransferError
        If the network or a style image cannot be had.
    """
    styles = [images.load(path) for path in task.styles]
    if not (styles or isinstance(task.settings, Painting)):
        raise UsageError("there is no -s; give a style image")
    how = task.settings
    if isinstance(how, Painting):
        return _network(
            task,
            styles,
            open_network(how) if open_network else painting.open_stylizer(how, machine, watch),
        )
    return _optimising(
        task,
        styles,
        open_network(how) if open_network else open_transfer(how.model, machine, watch),
    )


def _optimising(task: FilmTask, styles: list[Any], transfer: StyleTransfer) -> Opened:
    settings = task.settings
    assert isinstance(settings, Settings)
    painter = OptimisingPainter(
        transfer,
        styles,
        settings.options(),
        next_iters=task.film.following(settings.n_iter),
        weight=WEIGHT * task.film.temporal_weight,
    )
    return Opened(painter, str(transfer.device), transfer.network.weights_digest)


def _network(task: FilmTask, styles: list[Any], stylizer: Stylizer) -> Opened:
    settings = task.settings
    assert isinstance(settings, Painting)
    if settings.preserve_colors is not None:
        raise UsageError(
            "preserve_colors is of pictures, and of films by optimisation; leave it out"
        )
    style = painting.style_of(settings, stylizer, styles)
    painter = NetworkPainter(
        stylizer,
        style,
        remembers=not task.film.no_coherence,
        style_weights=settings.style_weights,
        strength=settings.strength,
        style_scale=settings.style_scale,
    )
    return Opened(painter, stylizer.device, stylizer.weights_digest)
