"""Clips made on the spot, with PyAV alone: what is tested must not make its own examples."""

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av", reason="the extra `video` is not installed")
pytest.importorskip("cv2", reason="the extra `video` is not installed")
pytest.importorskip("scenedetect", reason="the extra `video` is not installed")


def scene(width=96, height=64, seed=0):
    """Return a smooth coloured picture, uint8, (H, W, 3)."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    for channel in range(3):
        for _ in range(4):
            fx, fy, phase = [*rng.uniform(-14, 14, 2).tolist(), rng.uniform(0, 6)]
            picture[:, :, channel] += np.sin(fx * x + fy * y + phase)
    return np.rint(127.5 + picture * 30).clip(0, 255).astype(np.uint8)


def pan(count, width=96, height=64, step=2, seed=0):
    """Return frames that look at a picture from places further and further to the right."""
    whole = scene(width + step * count, height, seed)
    return [whole[:, step * i : step * i + width] for i in range(count)]


def write(
    path: Path,
    frames: Sequence[np.ndarray],
    times: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    sound: float = 0,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rotation: int = 0,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    tags: tuple[int, int] | None = (1, 1),
    texts: dict[str, str] | None = None,
    sound_codec: str = "aac",
    gop: int = 12,
    aspect: Fraction | None = None,
    transfer: int | None = None,
) -> Path:
    """Write a film; `times` are of the frames, in ticks of the time base."""
    times = list(times or range(len(frames)))
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w", options=container or {}) as output:
        output.metadata.update(texts or {})
        stream = output.add_stream(
            codec, rate=25, options={"crf": "5"} if options is None else options
        )
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.time_base = stream.time_base = time_base
        stream.codec_context.gop_size = gop
        if codec.startswith("libx"):
            stream.codec_context.flags |= 1 << 8
        if codec == "libx265":
            # With B-frames, it takes the decoding times of a film of one or two frames from memory
            # that it never set, and the muxer refuses them now and then.
            stream.codec_context.max_b_frames = 0
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if tags:
            stream.codec_context.colorspace, stream.codec_context.color_range = tags
        if transfer:
            stream.codec_context.color_trc = transfer
        if rotation:
            stream.set_display_rotation(rotation)
        audio = output.add_stream(sound_codec, rate=48000) if sound else None
        if audio:
            audio.metadata["language"] = "nld"
        ends = [*times[1:], times[-1] + 1]
        for frame, time, end in zip(frames, times, ends, strict=True):
            name = "rgb24" if frame.dtype == np.uint8 else "rgb48le"
            if frame.dtype == np.uint16:  # what is white to swscale
                frame = np.rint(frame * (65280 / 65535)).astype(np.uint16)
            image = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), name)
            image = image.reformat(
                format=pixel_format,
                src_color_range=2,
                dst_color_range=tags[1] if tags else 1,
                dst_colorspace={1: 1, 6: 5, 9: 9}[tags[0]] if tags else 5,
                interpolation=0xC2004 | 0x4000,
            )
            image.pts, image.time_base, image.duration = time, time_base, end - time
            output.mux(stream.encode(image))
        output.mux(stream.encode(None))
        if audio:
            _hum(output, audio, sound)
    return path


def _hum(output, audio, seconds):
    samples = int(48000 * seconds)
    wave = (np.sin(np.arange(samples) * 0.05) * 8000).astype(np.float32) / 32768
    size = 960
    for begin in range(0, samples, size):
        part = wave[np.newaxis, begin : begin + size]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, begin, Fraction(1, 48000)
        resampled = [frame]
        if audio.codec_context.name != "aac":
            resampled = _resampler(audio).resample(frame)
        for piece in resampled:
            output.mux(audio.encode(piece))
    output.mux(audio.encode(None))


def _resampler(audio):
    context = audio.codec_context
    return av.AudioResampler(context.format.name, context.layout.name, context.sample_rate)


def packets(path: Path, kind: str = "audio") -> list[tuple[Fraction, str]]:
    """Return the time and digest of every packet of the first stream of a kind."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [
            (p.pts * p.time_base, hashlib.sha256(bytes(p)).hexdigest())
            for p in container.demux(stream)
            if p.size
        ]


def shown(path: Path) -> list[tuple[Fraction, Fraction]]:
    """Return the time and duration of every frame of a film, as PyAV has them."""
    with av.open(str(path)) as container:
        return [(f.pts * f.time_base, f.duration * f.time_base) for f in container.decode(video=0)]
