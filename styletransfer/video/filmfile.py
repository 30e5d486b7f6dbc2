"""Writing films with FFmpeg's encoders; in a process of its own, as it reads the source, too."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.video import apng, colours, extra
from styletransfer.video.animations import TIME_BASE
from styletransfer.video.facts import DEFAULT_RATE
from styletransfer.video.formats import THREADS, Format
from styletransfer.video.order import Order
from styletransfer.video.tracks import Tracks

# Sound goes so far ahead of the pictures; the encoder holds some back.
_AHEAD = Fraction(1)


class FilmFile:
    """A film in a container, one frame after the other."""

    def __init__(self, path: Path, form: Format, order: Order) -> None:
        av = extra.av()
        self._path, self._form, self._order = path, form, order
        self._duration = Fraction(0)
        rate = order.rate or (order.source.rate if order.source else None) or DEFAULT_RATE
        self._rate, self._base = rate, _time_base(order, rate)
        options = dict(form.container_options)
        if form.muxer in ("mp4", "mov"):
            # Where a film ends is told in these; the default rounds it to a thousandth.
            ticks = self._base.denominator
            options["movie_timescale"] = str(ticks * -(-10_000 // ticks))
        elif form.muxer == "apng":
            options["plays"] = str(order.source.loops if order.source else 0)
        self._output = av.open(str(path.absolute()), "w", format=form.muxer, options=options)
        # Neither versions nor random numbers in the file.
        self._output.flags |= av.container.Flags.bitexact.value
        self._stream: Any = None
        self._tracks: Tracks | None = None
        self._alpha = order.alpha
        self._last = -1

    def write(
        self, pixels: np.ndarray, alpha: np.ndarray | None, time: Fraction, duration: Fraction
    ) -> None:
        """Encode a frame of uint16 at a time from zero, and copy the sound up to it."""
        if self._stream is None:
            self._begin(pixels.shape[0], pixels.shape[1])
        assert self._tracks is not None
        image = self._image(pixels, alpha)
        image.time_base = base = self._base
        image.pts = self._last = max(round(time / base), self._last + 1)
        image.duration = max(round((time + duration) / base) - image.pts, 1)
        self._output.mux(self._stream.encode(image))
        self._tracks.copy_until(time + self._order.begin + _AHEAD)
        self._duration = duration

    def finish(self) -> None:
        """Write what the encoder holds and the rest of the sound."""
        assert self._tracks is not None
        self._output.mux(self._stream.encode(None))
        self._tracks.copy_until(None)
        self._tracks.close()
        self._output.close()
        if self._form.muxer == "apng":
            apng.set_last_duration(self._path, self._duration)

    def _begin(self, height: int, width: int) -> None:
        av = extra.av()
        form, order, source = self._form, self._order, self._order.source
        stream = self._output.add_stream(form.codec, rate=self._rate, options=dict(form.options))
        context = stream.codec_context
        context.width, context.height = _even(width, form), _even(height, form)
        context.pix_fmt = self._pixel_format()
        context.time_base = stream.time_base = self._base
        context.flags |= av.codec.context.Flags.frame_duration.value
        context.flags |= av.codec.context.Flags.bitexact.value
        if form.codec.startswith("lib"):
            context.thread_count = THREADS
            self._tag(context, height)
        if source and source.pixel_aspect != 1:
            context.sample_aspect_ratio = stream.sample_aspect_ratio = source.pixel_aspect
        self._stream = stream
        self._tracks = Tracks(order, form, self._output)

    def _pixel_format(self) -> str:
        if self._form.codec == "apng":
            return "rgba" if self._alpha else "rgb24"
        return "yuv420p"

    def _tag(self, context: Any, height: int) -> None:
        """Tell players how the colours are coded."""
        coded = colours.for_output(self._order.source, height)
        self._matrix = coded.matrix
        context.colorspace, context.color_range = coded.matrix, colours.LIMITED
        context.color_primaries, context.color_trc = coded.primaries, coded.transfer

    def _image(self, pixels: np.ndarray, alpha: np.ndarray | None) -> Any:
        """Return a frame as the encoder takes it."""
        av = extra.av()
        if self._form.codec == "apng":
            levels = colours.to_eight(pixels)
            if self._alpha:
                opacity = np.full(pixels.shape[:2], 255, np.uint8)
                levels = np.dstack([levels, opacity if alpha is None else colours.to_eight(alpha)])
            return av.VideoFrame.from_ndarray(np.ascontiguousarray(levels), self._pixel_format())
        height, width = (_even(n, self._form) for n in pixels.shape[:2])
        padding = ((0, height - pixels.shape[0]), (0, width - pixels.shape[1]), (0, 0))
        return colours.to_yuv420p(np.pad(pixels, padding, "edge"), self._matrix)


def _even(side: int, form: Format) -> int:
    return side + side % 2 if form.even else side


def _time_base(order: Order, rate: Fraction) -> Fraction:
    """Return the unit of time in which every frame's time is whole."""
    if order.source is None:
        return 1 / Fraction(rate)
    if order.source.kind == "animation":
        return TIME_BASE
    return order.source.time_base
