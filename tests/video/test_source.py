"""What is read of films, animated pictures and folders."""

import itertools
import re
import sys
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from styletransfer.errors import DamagedFilmError, FilmError, ImageError, UsageError
from styletransfer.images import png16, profiles, save
from styletransfer.video import apart, containers, extra, folders
from styletransfer.video.ranges import Range
from styletransfer.video.source import probe, read
from tests.video.clips import av, pan, scene, write

VARIABLE = [0, 3, 4, 9, 17, 18, 19, 40]


def close(frame, picture, most=2.0):
    return np.abs(frame.pixels.astype(float) - picture).mean() < most


def until_damage(source):
    """Return the frames of a damaged film and what is said of it."""
    frames, iterator = [], read(source)
    while True:
        try:
            frames.append(next(iterator))
        except DamagedFilmError as error:
            return frames, str(error)


def all_of(path, **options):
    return list(read(probe(path, **options)))


def test_a_film_tells_what_it_is(tmp_path):
    source = probe(write(tmp_path / "a.mp4", pan(10), sound=0.4))
    assert (source.kind, source.width, source.height, source.depth) == ("container", 96, 64, 8)
    assert (source.frames, source.rate, source.has_audio) == (10, 25, True)
    assert source.end == Fraction(10, 25)
    assert (source.colour.matrix, source.colour.full) == (1, False)
    assert not probe(write(tmp_path / "b.mp4", pan(2))).has_audio


def test_frames_are_what_was_written_at_their_times(tmp_path):
    frames = pan(8)
    path = write(tmp_path / "a.mp4", frames, VARIABLE, Fraction(1, 90))
    found = all_of(path)
    assert [f.number for f in found] == list(range(8))
    assert [f.time for f in found] == [Fraction(t, 90) for t in VARIABLE]
    assert [f.duration for f in found[:-1]] == [
        Fraction(b - a, 90) for a, b in itertools.pairwise(VARIABLE)
    ]
    assert found[-1].duration == Fraction(1, 90)
    assert all(close(f, p) for f, p in zip(found, frames, strict=True))


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("deep", [False, True])
def test_colours_are_those_of_the_tagged_matrix_and_range(tmp_path, matrix, full, deep):
    red, green, blue = (np.full((64, 64), v, np.uint8) for v in (230, 40, 90))
    picture = np.dstack([red, green, blue])
    picture[:32] = 255
    kr, kb = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[matrix]
    r, g, b = (picture[:, :, i] / 255 for i in range(3))
    y = kr * r + (1 - kr - kb) * g + kb * b
    planes = [y, (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)]
    bits = 10 if deep else 8
    step = 2 ** (bits - 8)
    top = 2**bits - 1
    scales = (top, top) if full else (219 * step, 224 * step)
    image = av.VideoFrame(64, 64, "yuv444p10le" if deep else "yuv444p")
    dtype = np.uint16 if deep else np.uint8
    for i, (plane, values) in enumerate(zip(image.planes, planes, strict=True)):
        coded = values * scales[i > 0] + (128 * step if i else 0 if full else 16 * step)
        rows = np.frombuffer(plane, dtype).reshape(64, -1)
        rows[:, :64] = np.rint(coded).clip(0, top)
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = image.format.name
        context = stream.codec_context
        context.colorspace, context.color_range = matrix, 2 if full else 1
        image.colorspace, image.color_range = matrix, 2 if full else 1
        image.pts = 0
        output.mux(stream.encode(image))
        output.mux(stream.encode(None))
    (frame,) = all_of(tmp_path / "a.mkv")
    assert frame.pixels.dtype == (np.uint16 if deep else np.uint8)
    error = np.abs(frame.picture() * 255 - picture)
    assert error.max() < (0.6 if deep else 1.6)


def test_what_is_not_tagged_is_read_as_players_do(tmp_path):
    tall = np.full((720, 64, 3), (230, 40, 90), np.uint8)
    for picture, matrix in ((tall, 1), (tall[:480], 6)):
        path = write(tmp_path / "a.mkv", [picture], codec="ffv1", tags=None, options={})
        assert probe(path).colour.matrix == matrix


def test_ten_bits_stay(tmp_path):
    ramp = np.linspace(20000, 24000, 96).astype(np.uint16)
    picture = np.repeat(np.tile(ramp, (64, 1))[:, :, np.newaxis], 3, axis=2)
    options = {"crf": "0", "x265-params": "log-level=none:lossless=1"}
    path = write(
        tmp_path / "a.mkv",
        [picture],
        None,
        Fraction(1, 25),
        0,
        "libx265",
        "yuv444p10le",
        0,
        options,
    )
    (frame,) = all_of(path)
    assert frame.pixels.dtype == np.uint16
    assert np.abs(frame.pixels.astype(int) - picture).max() < 100
    assert len(np.unique(frame.pixels)) > 32


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_applied(tmp_path, rotation):
    frames = pan(3)
    path = write(tmp_path / "a.mp4", frames, rotation=rotation)
    with av.open(str(path)) as container:
        turned = next(container.decode(video=0)).rotation
    source = probe(path)
    expected = np.rot90(frames[0], turned // 90)
    assert (source.height, source.width) == expected.shape[:2]
    first = next(iter(read(source)))
    assert first.pixels.shape == expected.shape
    assert close(first, expected)
    assert first.pixels.flags.c_contiguous


def test_odd_sizes(tmp_path):
    frames = pan(4, 95, 63)
    path = write(tmp_path / "a.webm", frames, codec="libvpx-vp9", options={"crf": "4", "b": "0"})
    found = all_of(path)
    assert found[0].pixels.shape == (63, 95, 3)
    assert all(close(f, p, 3) for f, p in zip(found, frames, strict=True))


FILMS = {
    "a.mp4": ("libx264", {"crf": "20", "bf": "3"}),
    "a.mkv": ("libx264", {"crf": "20", "x264-params": "open-gop=1:keyint=12"}),
    "a.webm": ("libvpx-vp9", {"crf": "30", "b": "0"}),
    "b.webm": ("libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16"}),
    "a.ts": ("libx264", {}),
    "a.h264": ("libx264", {}),  # has no times
    "a.avi": ("mpeg4", {}),
    "a.mpg": ("mpeg2video", {}),
}


@pytest.mark.parametrize("name", FILMS)
def test_a_range_has_the_frames_and_numbers_of_the_whole(tmp_path, name):
    codec, options = FILMS[name]
    source = probe(write(tmp_path / name, pan(50), codec=codec, options=options))
    whole = list(read(source))
    assert len(whole) == 50
    for begin in (1, 12, 13, 29, 37, 49):
        part = list(read(source, begin, begin + 3))
        assert [f.number for f in part] == [f.number for f in whole[begin : begin + 3]]
        for one, other in zip(part, whole[begin:], strict=False):
            assert (one.time, one.duration) == (other.time, other.duration)
            np.testing.assert_array_equal(one.pixels, other.pixels)
    times = [f.number for f in read(source, whole[20].time, whole[23].time)]
    assert times == [20, 21, 22]


def test_a_range_begins_at_the_key_frame_before_it(tmp_path):
    source = probe(write(tmp_path / "a.mp4", pan(50)))
    shown, key = containers._index(source, Range(40, None))
    assert shown.index(key) == 36
    assert containers._index(source, Range(5, None)) is None


def test_ranges_that_have_no_frame(tmp_path):
    source = probe(write(tmp_path / "a.mp4", pan(5)))
    with pytest.raises(UsageError, match="no frame from frame 7 to the end"):
        list(read(source, 7))
    with pytest.raises(UsageError, match="nothing from frame 3 up to frame 3"):
        list(read(source, 3, 3))
    with pytest.raises(UsageError, match=r"0 or more, not -1\.000 s"):
        list(read(source, Fraction(-1)))
    assert [f.number for f in read(source, 3, Fraction(4, 25))] == [3]


def test_memory_does_not_grow_with_the_film(tmp_path):
    path = write(tmp_path / "a.mkv", [scene(64, 48)] * 1500, options={"preset": "ultrafast"})
    source = probe(path)
    tracemalloc.start()
    try:
        highest = []
        for frame in containers.read(source, Range()):
            if frame.number in (300, 1499):
                highest.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert highest[1] < highest[0] + 50_000


def test_a_film_cut_short_gives_what_there_is_and_says_so(tmp_path):
    for name, container in (("a.mp4", {"movflags": "+faststart"}), ("a.mkv", {})):
        data = write(tmp_path / name, pan(40), container=container).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) * 2 // 3])
        frames, text = until_damage(probe(tmp_path / name))
        assert re.search(r"go up to 0\.\d+ seconds.*declares 1\.60", text)
        assert 10 < len(frames) < 40


def test_a_damaged_film_gives_what_there_is_and_says_so(tmp_path):
    data = bytearray(write(tmp_path / "a.mp4", pan(40)).read_bytes())
    for i in range(len(data) // 2, len(data) // 2 + 1500):
        data[i] ^= 0x5A
    (tmp_path / "a.mp4").write_bytes(data)
    frames, text = until_damage(probe(tmp_path / "a.mp4"))
    assert len(frames) >= 15
    assert "packets are damaged" in text


def test_a_packet_that_takes_all_memory_ends_the_film(tmp_path):
    path = write(tmp_path / "a.mp4", pan(20))
    data = bytearray(path.read_bytes())
    sizes = data.index(b"stsz") + 16
    data[sizes + 4 * 12 : sizes + 4 * 13] = b"\x20\0\0\x0f"
    path.write_bytes(data)
    frames, text = until_damage(probe(path))
    assert [frame.time for frame in frames] == [Fraction(i, 25) for i in range(len(frames))]
    assert len(frames) >= 10
    assert "packets are damaged (Cannot allocate memory)" in text


def test_files_that_are_no_films(tmp_path):
    (tmp_path / "text.mp4").write_text("not a film")
    (tmp_path / "empty.mp4").write_bytes(b"")
    # A playlist names other files, which nobody has given.
    other = write(tmp_path / "other.ts", pan(5))
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\n{other}\n")
    (tmp_path / "list.txt").write_text(f"ffconcat version 1.0\nfile {other}\n")
    for name in ("text.mp4", "empty.mp4", "list.m3u8", "list.txt"):
        with pytest.raises(FilmError, match="is no film that can be read"):
            probe(tmp_path / name)
    with pytest.raises(FilmError, match="There is no film"):
        probe(tmp_path / "none.mp4")
    whole = write(tmp_path / "a.mp4", pan(20)).read_bytes()
    (tmp_path / "a.mp4").write_bytes(whole[: len(whole) // 2])  # its index is at the end
    with pytest.raises(FilmError, match="damaged at its beginning"):
        probe(tmp_path / "a.mp4")


def test_a_film_without_pictures(tmp_path):
    with av.open(str(tmp_path / "a.m4a"), "w") as output:
        stream = output.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 48000, 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with pytest.raises(FilmError, match="has no pictures in it, only audio"):
        probe(tmp_path / "a.m4a")


def test_an_encrypted_film(tmp_path):
    key = "0123456789abcdef0123456789abcdef"
    options = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": key, "encryption_kid": key}
    path = write(tmp_path / "a.mp4", pan(5), container=options)
    with pytest.raises(FilmError, match="is encrypted: decrypt it"):
        probe(path)


def test_frames_beyond_the_bound_are_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", pan(3))
    monkeypatch.setattr(containers, "MAX_PIXELS", 96 * 64 - 1)
    with pytest.raises(FilmError, match="declares frames of 96x64, more than"):
        containers.probe(path)


def test_one_frame(tmp_path):
    (frame,) = all_of(write(tmp_path / "a.mp4", pan(1)))
    assert (frame.time, frame.duration) == (0, Fraction(1, 25))
    Image.fromarray(scene()).save(tmp_path / "a.jpg", quality=95)
    Image.fromarray(scene()).save(tmp_path / "a.png")
    Image.fromarray(scene()).save(tmp_path / "a.gif")
    for name in ("a.jpg", "a.png", "a.gif"):
        (frame,) = all_of(tmp_path / name, rate=10)
        assert (frame.number, frame.time, frame.duration) == (0, 0, Fraction(1, 10))
        assert close(frame, scene(), 8)


def discs(count, transparent):
    """Return frames on which a square moves, what is around it clear or gray."""
    frames = []
    for i in range(count):
        rgba = np.zeros((40, 60, 4), np.uint8)
        if not transparent:
            rgba[:] = (90, 90, 90, 255)
        rgba[10:20, 5 * i : 5 * i + 10] = (250, 20 * i, 0, 255)
        frames.append(Image.fromarray(rgba))
    return frames


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_animated_pictures(tmp_path, name, transparent):
    frames = discs(6, transparent)
    durations = [40, 100, 250, 20, 40, 300]
    extra_options = {"lossless": True, "exact": True} if name == "a.webp" else {}
    frames[0].save(
        tmp_path / name, save_all=True, append_images=frames[1:], duration=durations, loop=3,
        disposal=1 if name == "a.png" else 2, **extra_options,
    )  # fmt: skip
    source = probe(tmp_path / name)
    assert (source.kind, source.width, source.height, source.frames) == ("animation", 60, 40, 6)
    assert source.loops == 3
    found = list(read(source))
    assert [f.duration for f in found] == [Fraction(d, 1000) for d in durations]
    assert [f.time for f in found] == [Fraction(sum(durations[:i]), 1000) for i in range(6)]
    for frame, image in zip(found, frames, strict=True):
        rgba = np.asarray(image)
        seen = rgba[:, :, 3] > 0
        assert np.abs(frame.pixels.astype(int) - rgba[:, :, :3])[seen].max() <= 8
        if transparent:
            np.testing.assert_array_equal(frame.alpha, rgba[:, :, 3])
        else:
            assert frame.alpha is None
    assert [f.number for f in read(source, 2, 4)] == [2, 3]


def test_a_frame_that_lasts_no_time_is_seen_for_a_tenth(tmp_path):
    frames = discs(3, False)
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=0)
    assert [f.duration for f in all_of(tmp_path / "a.gif")] == [Fraction(1, 10)] * 3


def test_the_picture_for_those_who_know_no_apng_is_no_frame(tmp_path):
    frames = discs(3, False)
    frames[0].save(
        tmp_path / "a.png", save_all=True, append_images=frames, duration=50, default_image=True
    )
    found = all_of(tmp_path / "a.png")
    assert len(found) == 3
    assert close(found[1], np.asarray(frames[1])[:, :, :3])


def test_an_animation_cut_short(tmp_path):
    frames = [Image.fromarray(p) for p in pan(8)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=50)
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    frames, text = until_damage(probe(tmp_path / "a.png"))
    assert 1 <= len(frames) < 8
    assert f"cut short behind {len(frames)} of its 8 frames" in text


def test_folders_and_patterns_in_natural_order(tmp_path):
    for number in (1, 2, 10, 9):
        picture = np.full((20, 30, 3), number * 20, np.uint8)
        Image.fromarray(picture).save(tmp_path / f"f{number}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_bytes(b"")
    for name in ("", "f%d.png", "*.png", "f?*.png"):
        source = probe(tmp_path / name, rate=Fraction(30000, 1001))
        found = list(read(source))
        assert [f.pixels[0, 0, 0] for f in found] == [20, 40, 180, 200]
        assert found[3].time == 3 * Fraction(1001, 30000) == source.time_base * 3
    assert len(all_of(tmp_path / "f%02d.png")) == 1
    assert probe(tmp_path).rate == 25


def test_folders_without_or_with_other_pictures(tmp_path):
    with pytest.raises(FilmError, match="There are no pictures"):
        probe(tmp_path)
    with pytest.raises(FilmError, match="There are no pictures"):
        probe(tmp_path / "%05d.png")
    with pytest.raises(FilmError, match="cannot be read"):
        probe(tmp_path / "none" / "%05d.png")
    Image.fromarray(scene(30, 20)).save(tmp_path / "1.png")
    Image.fromarray(scene(31, 20)).save(tmp_path / "2.png")
    with pytest.raises(FilmError, match=r"2\.png has 31x20 pixels"):
        all_of(tmp_path)
    (tmp_path / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match=r"2\.png"):
        all_of(tmp_path)


def test_pictures_of_sixteen_bits_stay_as_they_are(tmp_path):
    rng = np.random.default_rng(0)
    for channels in (3, 4):
        values = rng.integers(0, 65536, (12, 17, channels), dtype=np.uint16)
        with (tmp_path / "a.png").open("wb") as stream:
            png16.write(stream, values, profiles.srgb())
        pixels, alpha = folders.read_picture(tmp_path / "a.png")
        np.testing.assert_array_equal(pixels, values[:, :, :3])
        assert (alpha is None) == (channels == 3)
        if alpha is not None:
            np.testing.assert_array_equal(alpha, values[:, :, 3])
    unit = values[:, :, :3] / np.float32(65535)
    save(tmp_path / "b.png", unit, depth=16)
    np.testing.assert_array_equal(folders.read_picture(tmp_path / "b.png")[0], values[:, :, :3])
    data = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match="damaged or cut short"):
        folders.read_picture(tmp_path / "b.png")


def test_without_the_packages_it_says_what_to_install(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", pan(2))
    apart._end_idle()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match="pip install av opencv-python-headless"):
        probe(path)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UsageError, match="opencv-python-headless"):
        extra.cv2()


def test_nothing_is_printed_of_damaged_films(tmp_path, capfd):
    data = bytearray(write(tmp_path / "a.mkv", pan(40)).read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    (tmp_path / "a.mkv").write_bytes(data)
    with pytest.raises(DamagedFilmError):
        list(read(probe(tmp_path / "a.mkv")))
    assert capfd.readouterr() == ("", "")


def test_a_frame_of_a_gif_that_is_larger_than_the_picture_is_refused(tmp_path):
    """Pillow would make room for it: 1.1 GB for 3 kB, in this one."""
    path = tmp_path / "a.gif"
    frames = [Image.fromarray(scene(24, 16, seed)) for seed in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"\x2c\0\0\0\0\x18\0\x10\0")  # where the last frame lies, and its size
    data[place + 5 : place + 9] = b"\x00\x2f\x00\x2f"
    path.write_bytes(data)
    frames, damage = until_damage(probe(path))
    assert len(frames) == 2
    assert "behind 2 of its 3 frames" in damage
    assert "a frame is of 12032x12032 pixels" in damage
