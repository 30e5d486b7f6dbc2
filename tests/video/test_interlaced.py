"""Interlaced films."""

from fractions import Fraction

import numpy as np
import pytest

from styletransfer.video import source
from tests.video import clips

INTERLACED = {"crf": "5", "x264-params": "interlaced=1:tff=1"}


def combed(count=8):
    """Return frames whose odd rows were seen half a frame later."""
    fields = clips.pan(2 * count, 96, 64, 3)
    frames = [field.copy() for field in fields[::2]]
    for frame, later in zip(frames, fields[1::2], strict=True):
        frame[1::2] = later[1::2]
    return frames, fields[::2]


def combs(picture):
    """How much rows differ from both of their neighbours."""
    rows = picture.astype(float)
    return np.abs(2 * rows[1:-1] - rows[:-2] - rows[2:]).mean()


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "tv.mkv"
    return clips.write(path, combed()[0], options=INTERLACED, gop=4)


def test_frames_show_one_moment_at_their_times(film):
    frames = list(source.read(source.probe(film)))
    coded, whole = combed()
    assert [frame.time for frame in frames] == [Fraction(n, 25) for n in range(8)]
    for frame, before, true in zip(frames, coded, whole, strict=True):
        assert combs(frame.pixels) < 0.2 * combs(before)
        assert np.abs(frame.pixels.astype(float) - true)[2:-2].mean() < 6


def test_a_range_has_the_frames_of_the_whole(film):
    found = source.probe(film)
    whole = list(source.read(found))
    part = list(source.read(found, 6, 8))
    assert [frame.number for frame in part] == [6, 7]
    assert np.array_equal(part[-1].pixels, whole[-1].pixels)


def test_films_that_do_not_say_so_stay(tmp_path):
    path = clips.write(tmp_path / "x.mkv", combed()[0])
    for frame, coded in zip(source.read(source.probe(path)), combed()[0], strict=True):
        assert combs(frame.pixels) > 0.5 * combs(coded)
