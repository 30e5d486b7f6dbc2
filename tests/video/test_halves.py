"""Films into folders of frames, and back."""

from fractions import Fraction

import numpy as np
import pytest

from styletransfer.errors import UsageError
from styletransfer.video.halves import join, split
from styletransfer.video.source import probe, read
from tests.video.clips import packets, pan, shown, write

TIMES = [0, 3, 4, 9, 17, 18, 19, 40]


def test_a_film_becomes_pictures_and_a_film_again(tmp_path):
    path = write(tmp_path / "in.mp4", pan(8), TIMES, Fraction(1, 90), sound=0.4)
    source = probe(path)
    assert split(source, tmp_path / "frames") == (8, None)
    pictures = list(read(probe(tmp_path / "frames")))
    for picture, frame in zip(pictures, read(source), strict=True):
        np.testing.assert_array_equal(picture.pixels, frame.pixels)
    join(tmp_path / "frames", tmp_path / "out.mp4", source)
    assert shown(tmp_path / "out.mp4")[-1][0] == Fraction(40, 90)
    assert [t for t, _ in shown(tmp_path / "out.mp4")] == [t for t, _ in shown(path)]
    assert packets(tmp_path / "out.mp4") == packets(path)


def test_a_part(tmp_path):
    source = probe(write(tmp_path / "in.mp4", pan(20)))
    assert split(source, tmp_path / "%03d.jpg", 5, Fraction(9, 25)) == (4, None)
    assert [p.name for p in sorted(tmp_path.glob("*.jpg"))] == [f"00{i}.jpg" for i in range(5, 9)]
    join(tmp_path / "%03d.jpg", tmp_path / "out.mkv", source, begin=5, end=9)
    assert [t for t, _ in shown(tmp_path / "out.mkv")] == [Fraction(i, 25) for i in range(4)]
    with pytest.raises(UsageError, match=r"has 4 pictures, and .*in\.mp4 20 frames"):
        join(tmp_path / "%03d.jpg", tmp_path / "out.mkv", source)


def test_pictures_at_a_rate(tmp_path):
    split(probe(write(tmp_path / "in.mp4", pan(5))), tmp_path / "frames")
    join(tmp_path / "frames", tmp_path / "out.mp4", rate=Fraction(30000, 1001))
    out = probe(tmp_path / "out.mp4")
    assert [f.time for f in read(out)] == [i * Fraction(1001, 30000) for i in range(5)]
    assert out.rate == Fraction(30000, 1001)


def test_ten_bits_keep_sixteen(tmp_path):
    frames = [f.astype(np.uint16) * 257 for f in pan(2)]
    options = {"x265-params": "log-level=none"}
    path = write(
        tmp_path / "in.mkv", frames, codec="libx265", pixel_format="yuv420p10le", options=options
    )
    source = probe(path)
    split(source, tmp_path / "frames")
    for picture, frame in zip(read(probe(tmp_path / "frames")), read(source), strict=True):
        np.testing.assert_array_equal(picture.pixels, frame.pixels)


def test_what_is_missing_of_a_film_is_told(tmp_path):
    data = write(tmp_path / "a.mkv", pan(40)).read_bytes()
    (tmp_path / "a.mkv").write_bytes(data[: len(data) // 2])
    count, damage = split(probe(tmp_path / "a.mkv"), tmp_path / "frames")
    assert len(list((tmp_path / "frames").iterdir())) == count > 5
    assert "cut short" in damage
    with pytest.raises(UsageError, match="no frame from frame 50"):
        split(probe(write(tmp_path / "b.mp4", pan(3))), tmp_path / "none", 50)
