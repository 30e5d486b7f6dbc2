"""Reading films in containers with PyAV.

Files come from anyone: only demuxers that read one file are allowed (a playlist would name others),
through no protocol but that of files, and the size of frames is bounded. All of it is done in a
process of its own, see `apart`.
"""

import bisect
import contextlib
import itertools
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from styletransfer.errors import DamagedFilmError, FilmError
from styletransfer.images import MAX_PIXELS
from styletransfer.text import clause
from styletransfer.video import colours, extra, interlaced
from styletransfer.video.facts import DEFAULT_RATE, Source
from styletransfer.video.frame import Frame
from styletransfer.video.ranges import Range

# Demuxers of one file that hold moving pictures, as FFmpeg calls them.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv", "live_flv", "mpegts", "mpeg",
    "mpegvideo", "m4v", "h261", "h263", "h264", "hevc", "vvc", "av1", "obu", "ivf", "ogg", "asf",
    "rm", "dv", "mxf", "gxf", "nut", "wtv", "yuv4mpegpipe", "mjpeg", "vc1", "dirac", "cavsvideo",
    "nsv", "swf", "roq", "smk", "bink", "flic", "dnxhd",
)  # fmt: skip
_OPTIONS = {"format_whitelist": ",".join(_DEMUXERS), "protocol_whitelist": "file"}
# Where a packet is a frame, so that packets may be counted in place of frames.
_COUNTABLE = {"av1", "dnxhd", "ffv1", "h264", "hevc", "mjpeg", "prores", "vp9"}
_SEEKABLE = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
# Packets come in the order of decoding, this far at most from that of showing.
_REORDERED = 64
_ROUNDED = Fraction(1, 900)

each_packet: Callable[[], object] | None = None
"""Called before a packet is read, so that somebody who waits for a frame sees that it goes on."""


@dataclass(frozen=True)
class Decoded:
    """A frame as PyAV has it, with its place in the film."""

    number: int
    time: Fraction
    duration: Fraction
    image: Any


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a container to read."""
    av = extra.av()
    try:
        container = av.open(
            "file:" + str(path.absolute()), "r", options=_OPTIONS, metadata_errors="replace"
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise FilmError(_refusal(path, error)) from None
    with container:
        yield container


def _refusal(path: Path, error: Exception) -> str:
    """Say why a file is not opened."""
    if isinstance(error, OSError) and not isinstance(error, ValueError):
        return f"{path} cannot be opened: {clause(getattr(error, 'strerror', error))}."
    reason = clause(getattr(error, "strerror", None) or error)
    return (
        f"{path} is no film that can be read, or is damaged at its beginning ({reason}): get a"
        " whole copy, or convert it to .mp4 or .mkv."
    )


def picture_stream(container: Any, path: Path) -> Any:
    """Return the video stream that is shown."""
    av = extra.av()
    still = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & still]
    best = container.streams.best("video")
    stream = best if best in streams else next(iter(streams), None)
    if stream is None:
        kinds = sorted({s.type for s in container.streams})
        what = f"only {' and '.join(kinds)}" if kinds else "nothing"
        raise FilmError(f"{path} has no pictures in it, {what}: give a film.")
    context = stream.codec_context
    if context is None:
        raise FilmError(f"{path} is coded in a way that FFmpeg does not know: convert it first.")
    if context.width * context.height > MAX_PIXELS:
        raise FilmError(
            f"{path} declares frames of {context.width}x{context.height}, more than the"
            f" {MAX_PIXELS // 10**6} million pixels that are accepted; make it smaller first."
        )
    context.thread_type = "AUTO"
    context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream


def probe(path: Path) -> Source:
    """Return what a film says of itself and its first frame shows."""
    with opened(path) as container:
        stream = picture_stream(container, path)
        faults = _Faults()
        first = next(_images(container, stream, faults), None)
        if first is None:
            raise FilmError(faults.nothing(path))
        rotation = round(first.rotation / 90) * 90 % 360
        width, height = first.width, first.height
        aspect = stream.sample_aspect_ratio or Fraction(1)
        if rotation % 180:
            width, height, aspect = height, width, 1 / aspect
        deep, alpha = colours.kinds(first)
        duration = _seconds(stream.duration, stream.time_base)
        if duration is None:
            duration = _seconds(container.duration, Fraction(1, extra.av().time_base))
        return Source(
            path=path,
            kind="container",
            format=container.format.name,
            width=width,
            height=height,
            frames=stream.frames or None,
            rate=stream.average_rate or stream.guessed_rate or None,
            time_base=stream.time_base,
            duration=duration,
            start=_start(container),
            end=_declared(stream, _start(container)),
            rotation=rotation,
            depth=16 if deep else 8,
            alpha=alpha,
            pixel_aspect=aspect,
            colour=colours.facts(first),
            has_audio=bool(container.streams.audio),
        )


def _seconds(ticks: int | None, time_base: Fraction | None) -> Fraction | None:
    return None if ticks is None or time_base is None or ticks <= 0 else ticks * time_base


def _start(container: Any) -> Fraction:
    """Return where a container's time begins; what is before zero is the decoder's run-up."""
    return max(Fraction(container.start_time or 0, extra.av().time_base), Fraction(0))


def read(source: Source, part: Range) -> Iterator[Frame]:
    """Yield the frames of a part of a film; see `source.read`."""
    for shown in decoded(source, part):
        pixels, alpha = colours.to_rgb(shown.image, source)
        yield Frame(shown.number, shown.time, shown.duration, pixels, alpha)


def decoded(source: Source, part: Range) -> Iterator[Decoded]:
    """Yield the frames of a part of a film without converting them.

    Raises DamagedFilmError behind the last frame, if some are missing.
    """
    faults = _Faults()
    ended = True
    last = None
    with contextlib.ExitStack() as stack:
        number, images = _from_key(stack, source, part, faults)
        for shown in _timed(images, number, source):
            if part.after(shown.number, shown.time):
                ended = False
                break
            last = shown
            if not part.before(shown.number, shown.time):
                faults.pictures += bool(shown.image.is_corrupt)
                yield shown
    if ended:
        faults.note_missing(last, source)
    if last is None:
        raise FilmError(faults.nothing(source.path))
    faults.tell(source.path, last)


class _Faults:
    """What went wrong while a film was decoded."""

    def __init__(self) -> None:
        self.packets = 0
        self.pictures = 0
        self.first = ""
        self.encrypted = False
        self.missing = ""

    def add(self, error: object) -> None:
        self.packets += 1
        self.first = self.first or clause(getattr(error, "strerror", None) or error)

    def note_missing(self, last: Decoded | None, source: Source) -> None:
        """Compare a film that was read to its end with the length that it declares."""
        if last is None or source.end is None:
            return
        if source.end - last.time - last.duration > max(3 * last.duration, Fraction(1, 4)):
            self.missing = f"it declares {float(source.end):.2f} seconds"

    def tell(self, path: Path, last: Decoded) -> None:
        """Raise DamagedFilmError if there is something to tell."""
        if self.encrypted:
            raise DamagedFilmError(f"{path} is encrypted, at least in part: decrypt it first.")
        if self.packets or self.pictures or self.missing:
            reasons = [self.missing] if self.missing else []
            if self.pictures:
                reasons.append(f"{self.pictures} are damaged")
            if self.packets:
                reasons.append(f"{self.packets} packets are damaged ({self.first})")
            raise DamagedFilmError(
                f"{path} is damaged or cut short: its pictures go up to"
                f" {float(last.time + last.duration):.2f} seconds, {', '.join(reasons)}."
            )

    def nothing(self, path: Path) -> str:
        """Say why there is no frame."""
        if self.encrypted:
            return f"{path} is encrypted: decrypt it first."
        if self.packets:
            return f"{path} is damaged, no frame can be decoded ({self.first}): get a whole copy."
        return f"{path} has no frame in it: give another film."


def _declared(stream: Any, start: Fraction) -> Fraction | None:
    """Return up to when a video stream says that it goes, in seconds from the beginning."""
    if stream.duration:
        end: Fraction = ((stream.start_time or 0) + stream.duration) * stream.time_base - start
        return end
    # What FFmpeg and mkvmerge write for each stream of a Matroska file.
    text = stream.metadata.get("DURATION", "")
    with contextlib.suppress(ValueError):
        hours, minutes, seconds = text.strip("\0 ").split(":")
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    return None


def _images(container: Any, stream: Any, faults: _Faults) -> Iterator[Any]:
    """Yield what can be decoded of a stream, in the order of showing."""
    return interlaced.whole(_as_coded(container, stream, faults))


def _as_coded(container: Any, stream: Any, faults: _Faults) -> Iterator[Any]:
    av = extra.av()
    packets = container.demux(stream)
    while True:
        if each_packet:
            each_packet()
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            faults.add(error)
            packet = None
        if packet is not None and packet.has_sidedata("encryption_info"):
            faults.encrypted = True  # what a decoder makes of the rest is noise
            return
        if packet is not None and packet.is_corrupt:
            faults.add("it is cut short")
        try:
            # None, too, hands out what the decoder still holds.
            images = stream.decode(packet)
        except av.error.EOFError:  # all was handed out
            return
        except av.error.FFmpegError as error:
            faults.add(error)
            images = []
        for image in images:
            if image.time_base is None:  # what the decoder held when the reading failed
                image.time_base = stream.time_base
            yield image
        if packet is None:
            return


def _timed(images: Iterator[Any], number: int, source: Source) -> Iterator[Decoded]:
    """Give every image its number, time and duration, from `number` on.

    A frame is seen until the next one is due. Times that are missing or run backwards are filled in
    by the frame's duration.
    """
    usual = 1 / (source.rate or DEFAULT_RATE)
    before: tuple[Fraction, Any] | None = None
    step = usual
    for image in images:
        ticks = image.dts if image.pts is None else image.pts
        time = None
        if ticks is not None:
            time = ticks * image.time_base - source.start
        if before is None:
            time = Fraction(0) if time is None else time
        else:
            if time is None or time <= before[0]:
                time = before[0] + (_length(before[1]) or usual)
            step = time - before[0]
            yield Decoded(number, before[0], step, before[1])
            number += 1
        before = time, image
    if before is not None:
        time, image = before
        yield Decoded(number, time, _last_length(number, time, step, image, source), image)


def _last_length(
    number: int, time: Fraction, step: Fraction, image: Any, source: Source
) -> Fraction:
    """Return how long the last frame is seen.

    MP4 says of packets how long they are in the order of decoding, but when all ends, if all is
    there; that is rounded, often to a thousandth.
    """
    said = _length(image) or step
    rest = source.end - time if source.end and source.frames == number + 1 else said
    near = next((length for length in (said, step) if abs(rest - length) < _ROUNDED), rest)
    return near if near > 0 else said


def _length(image: Any) -> Fraction | None:
    return image.duration * image.time_base if image.duration and image.time_base else None


def _from_key(
    stack: contextlib.ExitStack, source: Source, part: Range, faults: _Faults
) -> tuple[int, Iterator[Any]]:
    """Return a frame's number, and the images from it on: from the key frame before the range.

    Where numbers could not be told from there it is the film's first frame.
    """
    found = _index(source, part) if part.before(0, Fraction(0)) else None
    if found:
        shown, key = found
        with contextlib.suppress(extra.av().error.FFmpegError):
            container = stack.enter_context(opened(source.path))
            stream = picture_stream(container, source.path)
            container.seek(key, stream=stream)
            images = _images(container, stream, faults)
            # Frames before the key may come first; the decoder lacks what they refer to.
            image = next((i for i in images if i.pts is None or i.pts >= key), None)
            if image is not None and image.pts in shown:
                return bisect.bisect_left(shown, image.pts), itertools.chain([image], images)
    container = stack.enter_context(opened(source.path))
    return 0, _images(container, picture_stream(container, source.path), faults)


def _index(source: Source, part: Range) -> tuple["array[int]", int] | None:
    """Return the times of the frames up to a range in order, and that of the key frame before it.

    In ticks; read from packets, nothing is decoded. None if packets do not tell, or the key is the
    first frame.
    """
    shown, keys, behind = array("q"), array("q"), 0
    with opened(source.path) as container:
        stream = picture_stream(container, source.path)
        if source.format not in _SEEKABLE or stream.codec_context.name not in _COUNTABLE:
            return None
        try:
            for packet in container.demux(stream):
                if each_packet:
                    each_packet()
                if packet.size == 0 or packet.is_discard:
                    continue
                if packet.pts is None or (not keys and not packet.is_keyframe):
                    return None
                shown.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
                behind += not part.before(len(shown) - 1, _time(packet.pts, source))
                if behind > _REORDERED:
                    break
        except extra.av().error.FFmpegError:
            return None
    shown = array("q", sorted(shown))
    if len(set(shown)) != len(shown):
        return None
    places = enumerate(shown)
    first = next((pts for n, pts in places if not part.before(n, _time(pts, source))), None)
    if first is None:
        return None
    key = max(k for k in keys if k <= first)
    return None if key == keys[0] else (shown, key)


def _time(ticks: int, source: Source) -> Fraction:
    return ticks * source.time_base - source.start
