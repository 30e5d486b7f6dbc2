"""Films that are being written: containers, animated pictures, folders of frames."""

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from styletransfer import images, storage
from styletransfer.errors import FilmError, ImageError, UsageError
from styletransfer.images.reading import over_white
from styletransfer.text import clause
from styletransfer.video import apart, colours, extra, folders, formats
from styletransfer.video.facts import Source
from styletransfer.video.gif import Gif
from styletransfer.video.order import Order

__all__ = ["Order", "Sink", "check"]


def check(path: str | os.PathLike[str], source: Source | None = None) -> tuple[str, ...]:
    """Find out before a long run whether a film can be written.

    Parameters
    ----------
    path
        Where to: .mp4, .mov, .mkv, .webm, .gif, .apng, a folder, or a pattern (`frames/%05d.png`).
    source
        The film that it is made of.

    Returns
    -------
    tuple of str
        A sentence for all that the source has and the format cannot hold.

    Raises
    ------
    FilmError
        If no format goes by the name, its encoder is missing, or the place cannot be written to.
    """
    path = Path(path)
    form = formats.find(path)
    place = path
    if form is formats.FOLDER:
        place = path / "0.png" if not folders.is_pattern(path) else folders.named(path, 0)
    else:
        # The check of pictures is that of places, too; a name that it knows.
        place = path.with_suffix(".png") if not path.is_dir() else path
    try:
        images.check_writable(place)
    except ImageError as error:
        raise FilmError(error.text) from None
    notes = [f"{what} is left out: {form.name} cannot hold it" for what in _lost(source, form)]
    if source and form.tick and (source.time_base / form.tick).denominator != 1:
        notes.append(f"{form.name} keeps times to a {form.tick.denominator}th of a second")
    if source and form.even and (source.width % 2 or source.height % 2):
        notes.append(
            f"{source.width}x{source.height} is odd, which H.264 cannot be: the last column or row"
            " is repeated to make it even"
        )
    return tuple(notes)


def _lost(source: Source | None, form: formats.Format) -> Iterator[str]:
    if source and source.kind == "container":
        yield from apart.left_out(source, form)
    if source and source.alpha and not form.alpha:
        yield "the transparency"


class _Writer(Protocol):
    """What encodes frames into a file."""

    def write(
        self, pixels: np.ndarray, alpha: np.ndarray | None, time: Fraction, duration: Fraction
    ) -> None: ...
    def finish(self) -> None: ...
    def drop(self) -> None: ...


class Sink:
    """A film that is being written; it appears whole, at `close`, or not at all.

    In a `with` block it is closed at the end, or abandoned on an error. Of a folder every picture
    appears whole.

    Parameters
    ----------
    order
        What is wanted.

    Raises
    ------
    FilmError
        If `check` would.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._shape: tuple[int, ...] | None = None
        self._last: Fraction | None = None
        self._place = contextlib.ExitStack()
        self._form = formats.find(order.path)
        with self._failures():
            self._writer = self._open()

    def _open(self) -> _Writer:
        order, form = self._order, self._form
        if form is formats.FOLDER:
            return _Folder(order)
        stream = self._place.enter_context(storage.replacing(order.path))
        part = Path(stream.name)
        if form.muxer == "gif":
            return Gif(part, form, order)
        return apart.FilmWriter(part, form, order)

    def add(
        self,
        picture: np.ndarray,
        time: Fraction,
        duration: Fraction,
        alpha: np.ndarray | None = None,
    ) -> None:
        """Write the next frame.

        Parameters
        ----------
        picture
            sRGB, (H, W, 3), float in [0, 1], uint8 or uint16; all frames have one size.
        time, duration
            Seconds, of the source: what the order's `begin` is becomes zero. They increase.
        alpha
            Opacity (H, W), of the same kinds; where the film cannot hold it, the frame is laid over
            white.

        Raises
        ------
        FilmError
            If it cannot be written, as when the disk is full; nothing is left behind then.
        """
        if self._shape not in (None, picture.shape):
            raise UsageError(
                f"the frames of a film have one size, {self._shape}, not {picture.shape}"
            )
        if self._last is not None and time <= self._last:
            raise UsageError(f"frames come in order: {time} s is not behind {self._last} s")
        self._shape, self._last = picture.shape, time
        pixels = colours.to_sixteen(picture)
        if alpha is not None:
            alpha = colours.to_sixteen(alpha)
            if not (self._form.alpha and self._order.alpha):
                unit = over_white(pixels / np.float32(65535), alpha / np.float32(65535))
                pixels, alpha = colours.to_sixteen(unit), None
        with self._failures():
            self._writer.write(pixels, alpha, time - self._order.begin, duration)

    def close(self) -> None:
        """Finish the film and put it into its place; raises FilmError if it cannot be."""
        if self._shape is None:
            self.abandon()
            raise FilmError(f"{self._order.path} was not written: there is no frame for it.")
        with self._failures():
            self._writer.finish()
            self._place.close()

    def abandon(self) -> None:
        """Remove what was written; of a folder, the pictures stay."""
        with contextlib.suppress(_Abandoned), self._place:
            self._writer.drop()
            raise _Abandoned

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn what fails into one sentence, and remove what was written."""
        av = extra.av()
        try:
            yield
        except (OSError, ValueError, av.error.FFmpegError) as error:
            if hasattr(self, "_writer"):
                self.abandon()
            reason = clause(getattr(error, "strerror", None) or error)
            raise FilmError(f"{self._order.path} cannot be written: {reason}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


class _Abandoned(Exception):
    """Ends the writing of a file, which is then removed."""


class _Folder:
    """Frames as pictures in a folder."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._number = order.first

    def write(
        self, pixels: np.ndarray, alpha: np.ndarray | None, time: Fraction, duration: Fraction
    ) -> None:
        path = folders.named(self._order.path, self._number)
        unit = pixels / np.float32(65535)
        opacity = None if alpha is None else alpha / np.float32(65535)
        try:
            images.save(path, unit, opacity, self._order.depth)
        except ImageError as error:
            raise FilmError(error.text) from error
        self._number += 1

    def finish(self) -> None:
        pass

    def drop(self) -> None:
        pass
