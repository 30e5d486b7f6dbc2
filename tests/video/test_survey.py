"""Shots and times of films."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from styletransfer.errors import UsageError
from styletransfer.video.source import probe
from styletransfer.video.survey import survey
from tests.conftest import ROOT
from tests.video.clips import pan, write

PHOTOGRAPHS = sorted((ROOT / "images").glob("*/*.jpg"))[:4]


def over(photograph, count, step=2, width=96, height=64):
    """Return frames that pan over a photograph."""
    with Image.open(photograph) as image:
        size = width + step * count, round((width + step * count) * image.height / image.width)
        whole = np.asarray(image.convert("RGB").resize((size[0], max(size[1], height))))
    return [whole[:height, step * i : step * i + width] for i in range(count)]


def shots(tmp_path, frames, **options):
    return survey(probe(write(tmp_path / "a.mp4", frames, **options))).shots


def test_shots_begin_at_cuts_between_photographs(tmp_path):
    assert len(PHOTOGRAPHS) == 4
    frames = [f for i, p in enumerate(PHOTOGRAPHS) for f in over(p, 14 + 3 * i, 1 + i)]
    assert shots(tmp_path, frames) == (0, 14, 31, 51)


@pytest.mark.parametrize("photograph", PHOTOGRAPHS, ids=lambda p: p.stem)
def test_what_moves_or_changes_its_light_is_one_shot(tmp_path, photograph):
    moving = over(photograph, 40, 3)
    assert shots(tmp_path, moving) == (0,)
    still = over(photograph, 40, 0)
    ramp = [np.rint(f * (0.3 + 0.7 * i / 39)).astype(np.uint8) for i, f in enumerate(still)]
    assert shots(tmp_path, ramp) == (0,)
    rng = np.random.default_rng(0)
    noise = [(f + rng.normal(0, 8, f.shape)).clip(0, 255).astype(np.uint8) for f in still]
    assert shots(tmp_path, noise) == (0,)


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("photograph", PHOTOGRAPHS, ids=lambda p: p.stem)
def test_a_flash_is_no_cut(tmp_path, photograph, length):
    frames = over(photograph, 40, 2)
    for i in range(20, 20 + length):
        frames[i] = np.rint(frames[i] * 0.25 + 190).astype(np.uint8)
    assert shots(tmp_path, frames) == (0,)


def test_short_shots(tmp_path):
    first, second, third = (over(p, 20, 1) for p in PHOTOGRAPHS[:3])
    assert shots(tmp_path, first[:6] + second[:8] + third) == (0, 6, 14)
    assert shots(tmp_path, first + second[:3]) == (0, 20)


def test_numbers_and_times_are_those_of_the_film(tmp_path):
    first, second = (over(p, 20, 1) for p in PHOTOGRAPHS[:2])
    times = [3 * i + i % 2 for i in range(40)]
    source = probe(write(tmp_path / "a.mp4", first + second, times, Fraction(1, 90)))
    found = survey(source, 12, 35)
    assert (found.first, len(found), found.shots) == (12, 23, (12, 20))
    assert found.times == tuple(Fraction(t, 90) for t in times[12:35])
    assert found.durations[0] == Fraction(times[13] - times[12], 90)
    assert found.damage is None
    assert survey(source, 25).shots == (25,)
    assert survey(source, shots=False).shots == (0,)
    with pytest.raises(UsageError, match="no frame from frame 40"):
        survey(source, 40)


def test_folders_and_animations(tmp_path):
    frames = over(PHOTOGRAPHS[0], 12, 1) + over(PHOTOGRAPHS[1], 12, 1)
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"{i}.png")
    assert survey(probe(tmp_path)).shots == (0, 12)
    images = [Image.fromarray(f) for f in frames]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=40)
    assert survey(probe(tmp_path / "a.gif")).shots == (0, 12)


def test_damage_is_told_with_what_there_is(tmp_path):
    data = write(tmp_path / "a.mkv", pan(40)).read_bytes()
    (tmp_path / "a.mkv").write_bytes(data[: len(data) // 2])
    found = survey(probe(tmp_path / "a.mkv"))
    assert 5 < len(found) < 40
    assert "damaged or cut short" in found.damage


@pytest.mark.parametrize("count", [3, 4, 6])
def test_the_last_frame_of_a_steady_move_is_no_cut(tmp_path, count):
    path = tmp_path / "pan.mp4"
    write(path, pan(count))
    assert survey(probe(path)).shots == (0,)
