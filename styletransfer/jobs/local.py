"""One picture of a command, from its files to its file."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from styletransfer import images
from styletransfer.jobs import plot, recipe
from styletransfer.jobs.plan import Job
from styletransfer.progress import Progress
from styletransfer.settings import Settings, is_picture
from styletransfer.transfer.facade import StyleTransfer
from styletransfer.transfer.run import Summary


@dataclass(frozen=True)
class Extras:
    """What goes in and comes out besides the pictures themselves.

    Attributes
    ----------
    style_masks : tuple of Path
        Gray images, one a style.
    content_mask : Path or None
        A gray image.
    depth : int
        Bits a channel of the result.
    save_every : int or None
        After how many iterations a snapshot is written, each time.
    grid, plot : bool
        Whether to write the pictures side by side, and the course of the loss.
    verbose : bool
        Whether to log every iteration.
    threads : int
        Threads on the CPU, to be stored.
    """

    style_masks: tuple[Path, ...] = ()
    content_mask: Path | None = None
    depth: int = 8
    save_every: int | None = None
    grid: bool = False
    plot: bool = False
    verbose: bool = False
    threads: int = 0


@dataclass(frozen=True)
class Pictures:
    """The pictures of a job, read.

    Attributes
    ----------
    content : ndarray, shape (H, W, 3)
        RGB, float in [0, 1].
    alpha : ndarray, shape (H, W), or None
        The content's opacity in [0, 1]; None if it is opaque.
    styles : tuple of ndarray
        As the content, each of its own size.
    style_masks : tuple of ndarray, shape (H, W)
        In [0, 1]; none, or one a style.
    content_mask : ndarray, shape (H, W), or None
        In [0, 1].
    """

    content: np.ndarray
    alpha: np.ndarray | None
    styles: tuple[np.ndarray, ...]
    style_masks: tuple[np.ndarray, ...]
    content_mask: np.ndarray | None


def read(job: Job, extras: Extras) -> Pictures:
    """Read the files of a job.

    Parameters
    ----------
    job : Job
        Its content and its styles.
    extras : Extras
        Its masks.

    Raises
    ------
    ImageError
        If one cannot be read.
    """
    styles = tuple(images.load(path) for path in job.styles)
    content, alpha = images.load_with_alpha(job.content)
    return Pictures(
        content,
        alpha,
        styles,
        tuple(_mask(path) for path in extras.style_masks),
        None if extras.content_mask is None else _mask(extras.content_mask),
    )


def render(
    transfer: StyleTransfer, job: Job, pictures: Pictures, settings: Settings, extras: Extras
) -> tuple[Summary, bool]:
    """Make a picture and write it, and what else was asked for.

    Parameters
    ----------
    transfer : StyleTransfer
        Has the network, and runs on the device.
    job : Job
        What goes in, and where the picture goes.
    pictures : Pictures
        What `read` returned.
    settings : Settings
        All parameters.
    extras : Extras
        What else goes in and comes out.

    Returns
    -------
    summary : Summary
        How the run ended.
    interrupted : bool
        Whether by Ctrl-C; the picture is then the best so far.

    Raises
    ------
    KeyboardInterrupt
        If it was interrupted before there was an image.
    StyleTransferError
        If something cannot work.
    """
    course = _Course()
    listeners: list[Callable[[Progress], None]] = [course.note] if extras.plot else []
    if extras.save_every:
        listeners.append(_Snapshots(job, extras, pictures.alpha).take)

    def tell(step: Progress) -> None:
        for listener in listeners:
            listener(step)

    interrupted = False
    try:
        transfer.transfer_style(
            pictures.styles,
            pictures.content,
            verbose=extras.verbose,
            style_masks=pictures.style_masks,
            content_mask=pictures.content_mask,
            progress=tell,
            **settings.options(),
        )
    except KeyboardInterrupt:
        if not transfer.has_image:
            raise
        interrupted = True
    result, summary = transfer.get_generated(), transfer.summary
    parameters = recipe.describe_run(
        recipe.plain(vars(settings)),
        _files(job, settings, extras),
        recipe.circumstances(str(transfer.device), extras.threads, transfer.network.weights_digest),
        summary.iterations,
        summary.reason,
    )
    with _undisturbed() if interrupted else nullcontext():
        images.save(job.output, result, pictures.alpha, extras.depth, parameters)
        if extras.grid:
            row = images.side_by_side([pictures.content, *pictures.styles, result])
            images.save(job.grid(), row)
        if extras.plot and course.iterations:
            curves = plot.loss_curves(course.iterations, course.curves)
            images.save(job.curves(), curves)
    return summary, interrupted


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep a second Ctrl-C from losing what the first one is to save."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _files(job: Job, settings: Settings, extras: Extras) -> dict[str, Sequence[Path]]:
    """Return the files that go into a picture, by what they are."""
    return {
        "content": [job.content],
        "styles": job.styles,
        "style_masks": extras.style_masks,
        "content_mask": [extras.content_mask] if extras.content_mask else [],
        "init": [Path(settings.init)] if is_picture(settings.init) else [],
    }


def _mask(path: Path) -> np.ndarray:
    """Read a mask, (H, W): the mean of the colours, what is transparent being white."""
    return images.load(path).mean(axis=2)


class _Course:
    """The course of the loss and its terms."""

    def __init__(self) -> None:
        self.iterations: list[int] = []
        self.curves: dict[str, list[float]] = {}

    def note(self, step: Progress) -> None:
        """Take note of an iteration."""
        self.iterations.append(step.iteration)
        for name, value in ({"loss": step.loss} | step.terms).items():
            self.curves.setdefault(name, []).append(value)


class _Snapshots:
    """Writes the image now and then, beside where the result goes."""

    def __init__(self, job: Job, extras: Extras, alpha: np.ndarray | None) -> None:
        self._job = job
        self._extras = extras
        self._alpha = alpha

    def take(self, step: Progress) -> None:
        """Write the image if its iteration is due."""
        if step.iteration % self._extras.save_every == 0:
            path = self._job.snapshot(step.iteration)
            images.save(path, step.image(), self._alpha, self._extras.depth)
