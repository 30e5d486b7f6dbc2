"""Frames of which every second row is of another moment, as television had them, made whole."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from styletransfer.video import extra


def whole(images: Iterator[Any]) -> Iterator[Any]:
    """Yield images, those that say that they are interlaced with one of their two moments alone.

    The rows of the other are computed by FFmpeg's bwdif, from the images before and after, too. An
    image stays one image, of its time.
    """
    filters: _Filters | None = None
    for image in images:
        if filters is not None and filters.kind != _kind(image):
            yield from filters.given(None)
            filters = None
        if filters is None and not image.interlaced_frame:
            yield image
            continue
        filters = filters or _Filters(image)
        yield from filters.given(image)
    if filters is not None:
        yield from filters.given(None)


def _kind(image: Any) -> tuple[object, ...]:
    return image.width, image.height, image.format.name, image.time_base


class _Filters:
    """FFmpeg's filter for images of one kind."""

    def __init__(self, image: Any) -> None:
        self.kind = _kind(image)
        self._base: Fraction = image.time_base
        self._graph = extra.av().filter.Graph()
        source = self._graph.add_buffer(
            width=image.width, height=image.height, format=image.format, time_base=image.time_base
        )
        bwdif = self._graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        self._graph.link_nodes(source, bwdif, self._graph.add("buffersink")).configure()

    def given(self, image: Any) -> Iterator[Any]:
        """Yield what is ready when it has got an image, or None, the end."""
        self._graph.push(image)
        while True:
            try:
                made = self._graph.pull()
            except (BlockingIOError, EOFError):  # as PyAV's errors are, too
                return
            if made.pts is not None:
                made.pts = round(made.pts * made.time_base / self._base)
            made.time_base = self._base
            yield made
