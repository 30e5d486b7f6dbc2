"""What is written of films: times, sound, colours, and what happens where it fails."""

import contextlib
import resource
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from styletransfer import storage
from styletransfer.errors import FilmError, UsageError
from styletransfer.video import colours, extra
from styletransfer.video.sink import Order, Sink, check
from styletransfer.video.source import probe, read
from tests.video.clips import av, packets, pan, scene, shown, write

VARIABLE = [0, 3, 4, 9, 17, 18, 19, 40, 41, 55]
FILMS = ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.gif", "a.apng"]


def copy(source, path, numbers=(None, None), **order):
    """Write the frames of a film as they are."""
    frames = list(read(source, *numbers))
    with Sink(Order(path, source, **order)) as sink:
        for frame in frames:
            sink.add(frame.picture(), frame.time, frame.duration, frame.alpha)
    return frames


def write_frames(path, frames, **order):
    with Sink(Order(path, **order)) as sink:
        for i, frame in enumerate(frames):
            sink.add(frame, Fraction(i, 25), Fraction(1, 25))
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
@pytest.mark.parametrize("times", [list(range(10)), VARIABLE])
def test_times_and_sound_are_the_sources(tmp_path, name, times):
    path = write(tmp_path / "in.mp4", pan(10), times, Fraction(1001, 30000), sound=1.5)
    source = probe(path)
    frames = copy(source, tmp_path / name)
    assert [f.time for f in frames] == [t * Fraction(1001, 30000) for t in times]
    out = probe(tmp_path / name)
    assert [(f.time, f.duration) for f in read(out)] == [(f.time, f.duration) for f in frames]
    assert [t for t, _ in shown(tmp_path / name)] == [t for t, _ in shown(path)]
    assert packets(tmp_path / name) == packets(path)
    assert len(packets(path)) > 50
    assert out.end == source.end


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.apng"])
def test_times_are_kept_to_a_thousandth(tmp_path, name):
    source = probe(write(tmp_path / "in.mkv", pan(10), VARIABLE, Fraction(1, 50), sound=1))
    frames = copy(source, tmp_path / name)
    found = list(read(probe(tmp_path / name)))
    assert [f.time for f in found] == [f.time for f in frames]
    assert found[-1].duration == frames[-1].duration
    if name == "a.mkv":
        assert packets(tmp_path / name) == packets(tmp_path / "in.mkv")


def test_every_track_that_fits_is_copied(tmp_path):
    (tmp_path / "a.srt").write_text("1\n00:00:00,200 --> 00:00:00,900\nOne\n")
    path = write(tmp_path / "film.mp4", pan(30), sound=1.2)
    whole = tmp_path / "in.mkv"
    chapters = [
        {"id": i, "start": i * 600, "end": i * 600 + 600, "time_base": Fraction(1, 1000),
         "metadata": {"title": f"chapter {i}"}} for i in (0, 1)
    ]  # fmt: skip
    with (
        av.open(str(path)) as film,
        av.open(str(tmp_path / "a.srt")) as words,
        av.open(str(whole), "w") as output,
    ):
        output.metadata["title"] = "A title"
        copies = {s: output.add_stream_from_template(s) for s in (*film.streams, words.streams[0])}
        copies[words.streams[0]].metadata["language"] = "deu"
        copies[film.streams.audio[0]].metadata["language"] = "nld"
        output.set_chapters(chapters)
        output.add_attachment("font.ttf", "font/ttf", b"not a font")
        rest = [p for c in (film, words) for p in c.demux() if p.size]
        for packet in sorted(rest, key=lambda p: p.dts * p.time_base):
            packet.stream = copies[packet.stream]
            output.mux(packet)
    source = probe(whole)
    assert check(tmp_path / "out.mkv", source) == ()
    copy(source, tmp_path / "out.mkv")
    for kind in ("audio", "subtitle"):
        assert packets(tmp_path / "out.mkv", kind) == packets(whole, kind)
    with av.open(str(tmp_path / "out.mkv")) as film:
        assert film.metadata["title"] == "A title"
        assert [c["metadata"]["title"] for c in film.chapters()] == ["chapter 0", "chapter 1"]
        assert film.streams.audio[-1].language == "nld"
        assert film.streams.subtitles[0].language == "deu"
        assert [s.data for s in film.streams.attachments] == [b"not a font"]
    notes = check(tmp_path / "out.webm", source)
    assert any("(aac) is left out: WebM cannot hold it" in note for note in notes)
    assert any("(subrip) is left out" in note for note in check(tmp_path / "out.mp4", source))
    copy(source, tmp_path / "out.webm")
    with av.open(str(tmp_path / "out.webm")) as film:
        assert [s.type for s in film.streams] == ["video"]
    copy(source, tmp_path / "part.mkv", (10, 20), begin=Fraction(2, 5), end=Fraction(4, 5))
    with av.open(str(tmp_path / "part.mkv")) as film:
        assert [(c["start"], c["end"]) for c in film.chapters()] == [
            (0, 200_000_000), (200_000_000, 400_000_000)
        ]  # fmt: skip


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_range_begins_at_zero_with_its_sound(tmp_path, name):
    path = write(tmp_path / "in.mp4", pan(50), sound=2)
    begin, end = Fraction(20, 25), Fraction(30, 25)
    copy(probe(path), tmp_path / name, (20, 30), begin=begin, end=end)
    found = list(read(probe(tmp_path / name)))
    assert [f.time for f in found] == [Fraction(i, 25) for i in range(10)]
    wanted = [(t, d) for t, d in packets(path) if begin <= t < end]
    kept = packets(tmp_path / name)
    assert [d for _, d in kept] == [d for _, d in wanted]
    # What begins behind zero does so to the tick of the film's header.
    rounding = Fraction(1, 10_000 if name == "a.mp4" else 1000)
    assert all(abs(t - begin - s) <= rounding for (t, _), (s, _) in zip(wanted, kept, strict=True))


@pytest.mark.parametrize("name", FILMS)
def test_the_same_frames_give_the_same_bytes(tmp_path, name):
    source = probe(write(tmp_path / "in.mp4", pan(20, 160, 120), sound=0.8))
    first = None
    for _ in range(3):
        copy(source, tmp_path / name)
        found = storage.digest(tmp_path / name)
        assert first in (None, found)
        first = found


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_colours_stay(tmp_path, name, dtype):
    colour = np.array([230, 40, 90])
    picture = np.full((64, 96, 3), 255, np.uint8)
    picture[:, 48:] = colour
    given = {
        np.uint8: picture,
        np.uint16: picture.astype(np.uint16) * 257,
        np.float32: picture / np.float32(255),
    }[dtype]
    write_frames(tmp_path / name, [given] * 3)
    with av.open(str(tmp_path / name)) as film:
        frame = next(film.decode(video=0))
        assert (frame.format.name, frame.colorspace, frame.color_range) == ("yuv420p", 1, 1)
        assert (frame.color_primaries, frame.color_trc) == (1, 1)
        assert abs(frame.to_ndarray()[10, 10] - 235) <= 1
    first = next(iter(read(probe(tmp_path / name)))).pixels.astype(float)
    assert np.abs(first[20:40, 10:30] - 255).max() <= 2
    assert np.abs(first[20:40, 60:80].mean((0, 1)) - colour).max() <= 2


def test_colours_are_coded_as_the_sources(tmp_path):
    for matrix in (6, 9):
        source = probe(write(tmp_path / "in.mkv", pan(3), tags=(matrix, 1)))
        copy(source, tmp_path / "out.mp4")
        out = probe(tmp_path / "out.mp4").colour
        assert out.matrix == matrix
        assert out.primaries == matrix
        for one, other in zip(read(source), read(probe(tmp_path / "out.mp4")), strict=True):
            assert np.abs(one.pixels.astype(float) - other.pixels).mean() < 3
    assert colours.for_output(None, 1080).matrix == 1


def test_the_shape_of_pixels_and_rotation(tmp_path):
    path = write(tmp_path / "in.mp4", pan(3), rotation=90, aspect=Fraction(4, 3))
    source = probe(path)
    assert source.pixel_aspect == Fraction(3, 4)
    copy(source, tmp_path / "out.mp4")
    out = probe(tmp_path / "out.mp4")
    assert (out.rotation, out.width, out.height) == (0, 64, 96)
    assert out.pixel_aspect == Fraction(3, 4)


def test_odd_sizes_are_padded_with_their_edge(tmp_path):
    frames = pan(3, 95, 63)
    path = write(tmp_path / "in.webm", frames, codec="libvpx-vp9", options={"crf": "4", "b": "0"})
    source = probe(path)
    assert any("95x63 is odd" in note for note in check(tmp_path / "a.mp4", source))
    write_frames(tmp_path / "a.mp4", frames)
    first = next(iter(read(probe(tmp_path / "a.mp4")))).pixels.astype(float)
    assert first.shape == (64, 96, 3)
    assert np.abs(first[:63, :95] - frames[0]).mean() < 4
    assert np.abs(first[:, 95] - first[:, 94]).mean() < 4
    for name in ("a.webm", "a.gif", "a.apng"):
        write_frames(tmp_path / name, frames)
        first = next(iter(read(probe(tmp_path / name)))).pixels.astype(float)
        assert first.shape == (63, 95, 3)
        assert np.abs(first - frames[0]).mean() < 6


def moving(count):
    """Return squares that move over nothing, RGBA."""
    frames = np.zeros((count, 40, 60, 4), np.uint8)
    for i in range(count):
        frames[i, 10:20, 5 * i : 5 * i + 10] = (250, 20 * i, 0, 255)
    return frames


@pytest.mark.parametrize("name", ["a.gif", "a.apng"])
def test_transparency_and_times_of_animations(tmp_path, name):
    images = [Image.fromarray(f) for f in moving(6)]
    durations = [40, 100, 250, 20, 40, 300]
    images[0].save(
        tmp_path / "in.gif", save_all=True, append_images=images[1:], duration=durations, loop=0,
        disposal=2,
    )  # fmt: skip
    source = probe(tmp_path / "in.gif")
    frames = copy(source, tmp_path / name, alpha=True)
    found = list(read(probe(tmp_path / name)))
    assert [(f.time, f.duration) for f in found] == [(f.time, f.duration) for f in frames]
    for one, other in zip(frames, found, strict=True):
        np.testing.assert_array_equal(one.alpha, other.alpha)
        seen = one.alpha > 0
        assert np.abs(one.pixels[seen].astype(int) - other.pixels[seen]).max() <= 2
    assert probe(tmp_path / name).loops == 0
    notes = check(tmp_path / "a.mp4", source)
    assert any("the transparency is left out: MP4" in note for note in notes)
    copy(source, tmp_path / "a.mp4", alpha=True)
    first = next(iter(read(probe(tmp_path / "a.mp4")))).pixels
    assert first[35:, 50:].min() > 250  # over white


def test_a_gif_has_one_palette_made_of_all_frames(tmp_path):
    reds = [np.full((32, 32, 3), (250 - i, 10, 10), np.uint8) for i in range(4)]
    blue = np.full((32, 32, 3), (10, 10, 250), np.uint8)
    write_frames(tmp_path / "a.gif", [*reds, blue])
    with Image.open(tmp_path / "a.gif") as image:
        image.seek(4)
        assert np.abs(np.asarray(image.convert("RGB"), int) - blue).max() <= 4
    data = (tmp_path / "a.gif").read_bytes()
    assert data[10] & 0x80  # a palette for all
    frames = list(read(probe(tmp_path / "a.gif")))
    assert np.abs(frames[0].pixels.astype(int) - reds[0]).max() <= 8


def test_a_gif_shows_no_frame_shorter_than_browsers_do(tmp_path):
    with Sink(Order(tmp_path / "a.gif", rate=Fraction(100))) as sink:
        for i in range(40):
            picture = np.full((16, 16, 3), i * 6, np.uint8)
            sink.add(picture, Fraction(i, 100), Fraction(1, 100))
    found = list(read(probe(tmp_path / "a.gif")))
    assert all(f.duration >= Fraction(1, 50) for f in found)
    assert found[-1].time + found[-1].duration == Fraction(40, 100)


@pytest.mark.parametrize("name", ["out", "out/frame-%03d.png", "out/%d.jpg"])
def test_folders_of_frames(tmp_path, name):
    frames = pan(12)
    write_frames(tmp_path / name, frames, first=5)
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    expected = {"out": "00016.png", "out/frame-%03d.png": "frame-016.png", "out/%d.jpg": "9.jpg"}
    assert names[-1] == expected[name]
    assert len(names) == 12
    found = list(read(probe(tmp_path / name)))
    worst = max(np.abs(f.pixels.astype(int) - p).max() for f, p in zip(found, frames, strict=True))
    assert worst <= (0 if not name.endswith("jpg") else 30)


def test_pictures_of_sixteen_bits(tmp_path):
    picture = np.random.default_rng(0).integers(0, 65536, (10, 12, 3), dtype=np.uint16)
    write_frames(tmp_path / "out", [picture], depth=16)
    (frame,) = read(probe(tmp_path / "out"))
    np.testing.assert_array_equal(frame.pixels, picture)


def test_names_that_go_by_no_format(tmp_path):
    cases = {
        "a.avi": r"no film is written as \.avi; use one of \.mp4",
        "a.png": r"the name of one picture.*%05d\.png",
        "*.png": "written under numbers",
        "%d-%d.png": "more than one counter",
        "%05d.mp4": r"frames are not written as \.mp4",
    }
    for name, message in cases.items():
        with pytest.raises(FilmError, match=message):
            check(tmp_path / name)
        with pytest.raises(FilmError, match=message):
            Sink(Order(tmp_path / name))
    (tmp_path / "file").write_text("")
    for name in ("a.mp4", "a.gif", "%05d.png", "frames"):
        with pytest.raises(FilmError, match="cannot be written"):
            check(tmp_path / "file" / name)
    for name in FILMS:
        assert check(tmp_path / name) == ()


def test_an_encoder_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(extra.av(), "codecs_available", {"libvpx-vp9", "gif"})
    with pytest.raises(FilmError, match=r"no encoder libx264.*it can write \.webm, \.gif, and"):
        check(tmp_path / "a.mp4")


def test_frames_out_of_order_or_of_other_sizes(tmp_path):
    with Sink(Order(tmp_path / "a.mp4")) as sink:
        sink.add(scene(), Fraction(1), Fraction(1, 25))
        with pytest.raises(UsageError, match="frames come in order"):
            sink.add(scene(), Fraction(1), Fraction(1, 25))
        with pytest.raises(UsageError, match="one size"):
            sink.add(scene(94, 64), Fraction(2), Fraction(1, 25))
    assert len(list(read(probe(tmp_path / "a.mp4")))) == 1


@pytest.mark.parametrize("name", FILMS)
def test_what_is_abandoned_leaves_nothing(tmp_path, name):
    (tmp_path / name).write_bytes(b"before")
    sink = Sink(Order(tmp_path / name))
    sink.add(scene(), Fraction(0), Fraction(1, 25))
    sink.abandon()
    with contextlib.suppress(ZeroDivisionError), Sink(Order(tmp_path / name)) as sink:
        sink.add(scene(), Fraction(0), Fraction(1, 25))
        raise ZeroDivisionError
    with pytest.raises(FilmError, match="there is no frame"), Sink(Order(tmp_path / name)):
        pass
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"before"


@pytest.mark.parametrize("name", [*FILMS, "%03d.png"])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, name):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (240, 320, 3), dtype=np.uint8) for _ in range(12)]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = 150_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        with pytest.raises(FilmError, match="cannot be written: File too large"):
            write_frames(tmp_path / name, frames)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
