"""The sound, subtitles, chapters and metadata of a film, copied as they are into another one."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from styletransfer.text import clause
from styletransfer.video import containers, extra
from styletransfer.video.facts import Source
from styletransfer.video.formats import Format
from styletransfer.video.order import Order

_COPIED = ("audio", "subtitle")
# Facts on the file that they are in, which the other one has its own of.
_OWN = {
    "encoder", "major_brand", "minor_version", "compatible_brands", "duration", "rotate",
    "vendor_id", "handler_name", "number_of_frames", "number_of_bytes", "bps",
}  # fmt: skip


def left_out(source: Source, form: Format) -> tuple[str, ...]:
    """Return a phrase for every track of a film that a format cannot hold."""
    with containers.opened(source.path) as container:
        return tuple(
            f"{stream.type} track {stream.index} ({_codec(stream)})"
            for stream in container.streams
            if stream.type in (*_COPIED, "attachment") and not _fits(stream, form)
        )


def _codec(stream: Any) -> str:
    context = stream.codec_context
    return clause(context.codec.canonical_name if context else "of an unknown kind", 40)


def _fits(stream: Any, form: Format) -> bool:
    """Whether a track can be copied into a format."""
    if stream.type == "attachment":
        return form.muxer == "matroska"
    return bool(form.muxer) and _codec(stream) in _supported(form.muxer)


def _supported(muxer: str) -> set[str]:
    import io

    with extra.av().open(io.BytesIO(), "w", format=muxer) as container:
        codecs: set[str] = container.supported_codecs
        return codecs


class Tracks:
    """What is copied from a film, packet by packet, while another one's frames are written."""

    def __init__(self, order: Order, form: Format, output: Any) -> None:
        self._order = order
        self._output = output
        self._streams: dict[int, Any] = {}
        self._open = contextlib.ExitStack()
        self._packets: Iterator[Any] = iter(())
        self._next: Any = None
        source = order.source
        if source is None or source.kind != "container":
            return
        container = self._open.enter_context(containers.opened(source.path))
        output.metadata.update(_metadata(container.metadata))
        self._copy_chapters(container)
        wanted = [s for s in container.streams if s.type in _COPIED and _fits(s, form)]
        for stream in wanted:
            copy = output.add_stream_from_template(stream)
            copy.metadata.update(_metadata(stream.metadata))
            copy.disposition = stream.disposition
            self._streams[stream.index] = copy
        if form.muxer == "matroska":
            for stream in container.streams:
                if stream.type == "attachment" and stream.name:
                    output.add_attachment(stream.name, stream.mimetype or "", stream.data)
        if wanted:
            self._packets = container.demux(wanted)
            self._advance()

    def copy_until(self, time: Fraction | None) -> None:
        """Write the packets up to a time of the source; None is all that are wanted."""
        while self._next is not None and (time is None or self._time(self._next) < time):
            self._write(self._next)
            self._advance()

    def close(self) -> None:
        """Leave the film that is copied from."""
        self._open.close()

    def _advance(self) -> None:
        """Take the next packet that holds something; damage ends the tracks."""
        error = extra.av().error.FFmpegError
        with contextlib.suppress(error):
            self._next = next((p for p in self._packets if p.size and _stamp(p) is not None), None)
            return
        self._next = None

    def _time(self, packet: Any) -> Fraction:
        assert self._order.source is not None
        time: Fraction = _stamp(packet) * packet.time_base - self._order.source.start
        return time

    def _write(self, packet: Any) -> None:
        """Write a packet, moved by the range's beginning, if it is in the range."""
        time, order = self._time(packet), self._order
        if (order.begin and time < order.begin) or (order.end is not None and time >= order.end):
            return
        assert order.source is not None
        shift = round((order.source.start + order.begin) / packet.time_base)
        if packet.pts is not None:
            packet.pts -= shift
        if packet.dts is not None:
            packet.dts -= shift
        packet.stream = self._streams[packet.stream.index]
        self._output.mux(packet)

    def _copy_chapters(self, container: Any) -> None:
        """Copy the chapters that lie in the range."""
        order, kept = self._order, []
        assert order.source is not None
        for chapter in container.chapters():
            base = chapter["time_base"]
            if not base:
                continue
            shift = round((order.source.start + order.begin) / base)
            begin, end = max(chapter["start"] - shift, 0), chapter["end"] - shift
            if order.end is not None:
                end = min(end, round((order.end - order.begin) / base))
            if begin < end:
                kept.append({**chapter, "start": begin, "end": end})
        if kept:
            self._output.set_chapters(kept)


def _stamp(packet: Any) -> int | None:
    stamp: int | None = packet.pts if packet.dts is None else packet.dts
    return stamp


def _metadata(texts: dict[str, str]) -> dict[str, str]:
    """Return what metadata says of the film, not of the file."""
    return {
        key: text
        for key, text in texts.items()
        if key.lower() not in _OWN and not key.startswith("_STATISTICS")
    }
