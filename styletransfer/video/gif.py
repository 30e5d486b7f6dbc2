"""Writing GIFs: one palette for the whole film, made of all its frames.

The frames are kept in a compressed file until the palette is known: it is made from a histogram, so
that memory does not grow with the film.
"""

import tempfile
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.video import colours, extra
from styletransfer.video.formats import Format
from styletransfer.video.order import Order

_TICK = Fraction(1, 100)
# Browsers show what is due sooner for a tenth of a second.
_SHORTEST = 2
# An ordered dither: it stays where it is from frame to frame, as diffused errors do not.
_DITHER = "dither=bayer:bayer_scale=3:alpha_threshold=128"
# Where there are no more colours than a palette has, all are in it, and none needs another's help.
_EXACT = "dither=none:alpha_threshold=128"
_COLOURS = 255  # one more is transparent


class Gif:
    """A GIF, one frame after the other."""

    def __init__(self, path: Path, form: Format, order: Order) -> None:
        self._path, self._order = path, order
        # Without a name: it is gone with the process.
        self._spool = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - closed at the end
        self._frames: list[tuple[int, int, int]] = []  # size in the spool, begin and end in ticks
        self._shape = (0, 0)
        self._colours: set[int] = set()  # until they are too many
        self._histogram: _Histogram | None = None
        source = order.source
        exact = source is not None and source.kind == "animation"
        self._shortest = 1 if exact else _SHORTEST

    def write(
        self, pixels: np.ndarray, alpha: np.ndarray | None, time: Fraction, duration: Fraction
    ) -> None:
        """Keep a frame, and count its colours; one that comes too soon for a GIF is left out."""
        begin, end = round(time / _TICK), round((time + duration) / _TICK)
        if self._frames and begin - self._frames[-1][1] < self._shortest:
            return
        opacity = np.full(pixels.shape[:2], 255, np.uint8)
        if alpha is not None:
            opacity = np.where(colours.to_eight(alpha) < 128, 0, 255).astype(np.uint8)
        rgba = np.dstack([colours.to_eight(pixels), opacity])
        self._shape = rgba.shape[:2]
        packed = zlib.compress(rgba.data, 1)
        self._spool.write(packed)
        self._frames.append((len(packed), begin, max(end, begin + self._shortest)))
        if self._histogram is None:
            self._histogram = _Histogram(*self._shape)
        self._histogram.add(_image(rgba, len(self._frames)))
        if len(self._colours) <= _COLOURS:
            seen = np.ascontiguousarray(rgba[opacity > 0]).view(np.uint32)
            self._colours.update(np.unique(seen).tolist())

    def finish(self) -> None:
        """Make the palette and write the film."""
        av = extra.av()
        assert self._histogram is not None
        palette = self._histogram.palette()
        length = self._frames[-1][2] - self._frames[-1][1]
        loops = self._order.source.loops if self._order.source else 0
        options = {"final_delay": str(length), "loop": str(loops)}
        with av.open(str(self._path.absolute()), "w", format="gif", options=options) as output:
            output.flags |= av.container.Flags.bitexact.value
            stream = output.add_stream("gif", rate=100)
            context = stream.codec_context
            context.height, context.width = self._shape
            context.pix_fmt = "pal8"
            context.time_base = stream.time_base = _TICK
            self._encode(output, stream, palette)
            output.mux(stream.encode(None))
        self._spool.close()

    def _encode(self, output: Any, stream: Any, palette: Any) -> None:
        """Bring every frame into the palette's colours, dithered."""
        few = len(self._colours) <= _COLOURS
        reduce = _Reduction(*self._shape, palette, _EXACT if few else _DITHER)
        self._spool.seek(0)
        for number, (size, begin, end) in enumerate(self._frames):
            rgba = np.frombuffer(zlib.decompress(self._spool.read(size)), np.uint8)
            image = _image(rgba.reshape(*self._shape, 4), number)
            shown = reduce(image)
            shown.pts, shown.time_base, shown.duration = begin, _TICK, end - begin
            output.mux(stream.encode(shown))

    def drop(self) -> None:
        """Remove what was kept."""
        self._spool.close()


def _image(rgba: np.ndarray, number: int) -> Any:
    """Return a picture as FFmpeg's filters take it."""
    image = extra.av().VideoFrame.from_ndarray(np.ascontiguousarray(rgba), "rgba")
    image.pts, image.time_base = number, _TICK
    return image


class _Histogram:
    """Counts colours, and makes the palette of them."""

    def __init__(self, height: int, width: int) -> None:
        graph = extra.av().filter.Graph()
        self._source = graph.add_buffer(width=width, height=height, format="rgba", time_base=_TICK)
        maker = graph.add("palettegen", "stats_mode=full:reserve_transparent=1")
        self._sink = graph.add("buffersink")
        self._source.link_to(maker)
        maker.link_to(self._sink)
        graph.configure()
        self._graph = graph

    def add(self, image: Any) -> None:
        self._source.push(image)

    def palette(self) -> Any:
        """Return 16 x 16 colours, of which one is transparent."""
        self._source.push(None)
        return self._sink.pull()


class _Reduction:
    """Brings one picture after the other to the colours of a palette."""

    def __init__(self, height: int, width: int, palette: Any, dither: str) -> None:
        graph = extra.av().filter.Graph()
        self._source = graph.add_buffer(width=width, height=height, format="rgba", time_base=_TICK)
        self._palettes = graph.add_buffer(
            width=palette.width, height=palette.height, format=palette.format.name, time_base=_TICK
        )
        reducer = graph.add("paletteuse", dither)
        self._sink = graph.add("buffersink")
        self._source.link_to(reducer, 0, 0)
        self._palettes.link_to(reducer, 0, 1)
        reducer.link_to(self._sink)
        graph.configure()
        self._graph = graph
        self._palette = palette

    def __call__(self, image: Any) -> Any:
        self._source.push(image)
        if self._palette is not None:  # behind the first picture: before it, all would be held back
            self._palette.pts, self._palette.time_base = 0, _TICK
            self._palettes.push(self._palette)
            self._palettes.push(None)
            self._palette = None
        return self._sink.pull()
