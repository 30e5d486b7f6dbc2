"""Films: which frames are painted, what is kept, and how one goes on after a kill."""

import multiprocessing
import random
from fractions import Fraction

import numpy as np
import pytest

from styletransfer import images, locks
from styletransfer.errors import FilmError, StyleTransferError, UsageError
from styletransfer.jobs import film, filming, outlook
from styletransfer.jobs.film import FilmExtras, FilmTask
from styletransfer.jobs.local import Watch
from styletransfer.jobs.painters import Opened
from styletransfer.jobs.task import Machine
from styletransfer.progress import FilmProgress
from styletransfer.settings import Painting
from styletransfer.settings.film import Film
from styletransfer.video import manifest, sink, source
from styletransfer.video.order import Order
from tests.jobs.fakepainter import FakePainter
from tests.video import broken

pytest.importorskip("av", reason="films need the extra video")
pytest.importorskip("cv2", reason="films need the extra video")
pytest.importorskip("scenedetect", reason="films need the extra video")

RATE = Fraction(10)


def scene(seed, count, size=(48, 64)):
    """Frames of a window that moves over soft noise."""
    coarse = np.random.default_rng(seed).random((9, 12, 3), np.float32)
    wide = np.clip(images.resize(coarse, (size[0] + 20, size[1] + 60)), 0, 1)
    return [wide[5 : 5 + size[0], 2 * i : 2 * i + size[1]] for i in range(count)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two shots, of 20 and of 16 frames."""
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    frames = scene(1, 20) + scene(2, 16)
    with sink.Sink(Order(path, rate=RATE)) as target:
        for i, frame in enumerate(frames):
            target.add(frame, i / RATE, 1 / RATE)
    return path


def task(clip, folder, how=None, name="out.mkv", **extras):
    return FilmTask(clip, (), folder / name, Painting(), how or Film(), FilmExtras(**extras))


def made(asked, painter=None, watch=None):
    painter = painter or FakePainter()
    opened = Opened(painter, "CPU", "0" * 64)
    return filming.make_with(film.plan(asked), opened, watch or Watch())


def pictures(path):
    return [frame.pixels for frame in source.read(source.probe(path))]


def test_all_frames_of_both_shots_become_a_film(clip, tmp_path):
    asked, steps = task(clip, tmp_path), []
    painter = FakePainter()
    outcome = made(asked, painter, Watch(steps.append))
    assert outcome.output == asked.output
    assert (outcome.painted, outcome.there, outcome.wanted) == (36, 0, 36)
    painted = pictures(asked.output)
    assert len(painted) == 36
    assert [link is None for link in painter.links] == [i in (0, 20) for i in range(36)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.mkv", "out.mkv.jsonl"]
    told = [step for step in steps if isinstance(step, FilmProgress)]
    assert [step.done for step in told] == [*range(1, 37)]
    assert told[7].image().shape == painted[7].shape
    _, records = manifest.read(asked.manifest)
    assert [records[i].shot for i in range(36)] == [0] * 20 + [1] * 16
    assert records[5].before == 4
    assert records[20].before is None
    assert records[7].time == "7/10"


def test_what_is_complete_is_not_painted_again(clip, tmp_path):
    asked = task(clip, tmp_path)
    made(asked)
    before = asked.output.read_bytes()
    painter = FakePainter()
    outcome = made(asked, painter)
    assert painter.calls == 0
    assert (outcome.output, outcome.there) == (asked.output, 36)
    assert asked.output.read_bytes() == before


def test_a_range_and_a_rate_choose_frames(clip, tmp_path):
    plan = film.plan(task(clip, tmp_path, Film(begin=5, end="3s", fps=5)))
    assert [f.number for f in plan.frames] == [*range(5, 30, 2)]
    assert [len(shot) for shot in plan.shots] == [8, 5]
    assert [f.time for f in plan.frames][:2] == [Fraction(1, 2), Fraction(7, 10)]
    assert [f.duration for f in plan.frames] == [Fraction(1, 5)] * 12 + [Fraction(1, 10)]
    made(plan.task)
    assert len(pictures(plan.task.output)) == 13


def _killed(asked, at):
    made(asked, FakePainter(killed=at))


def kill(asked, at):
    """Paint in another process, which dies at the so-and-so-many-th frame that it paints."""
    process = multiprocessing.get_context("fork").Process(target=_killed, args=(asked, at))
    process.start()
    process.join()
    assert process.exitcode == -9


def test_a_film_goes_on_after_it_was_killed_as_if_it_had_not_been(clip, tmp_path):
    whole = task(clip, tmp_path / "whole")
    made(whole)
    chance = random.Random(3)
    for case in range(4):
        asked = task(clip, tmp_path / f"killed{case}")
        painted = 0
        for _ in range(2):
            at = chance.randint(1, (36 - painted) // 2)
            kill(asked, at)
            painted += at - 1
        painter = FakePainter()
        outcome = made(asked, painter)
        assert (painter.calls, outcome.there) == (36 - painted, painted)  # none twice
        assert asked.output.read_bytes() == whole.output.read_bytes()
        assert not asked.work.exists()


def test_frames_that_fail_are_left_out_and_tried_again(clip, tmp_path):
    asked = task(clip, tmp_path)
    whole = task(clip, tmp_path / "whole")
    made(whole)
    outcome = made(asked, FakePainter(fails={4}))
    assert outcome.output == asked.output  # it came the second time
    assert not outcome.failed
    # It goes on from the same frame as it would have, and those behind it from the one before it.
    _, records = manifest.read(asked.manifest)
    assert records[3].before == 2
    assert records[4].before == 2
    assert records[5].before == 4


def test_frames_that_fail_again_are_told_and_the_film_waits(clip, tmp_path):
    asked = task(clip, tmp_path)
    outcome = made(asked, FakePainter(fails={4, 37}))
    assert outcome.output is None
    assert list(outcome.failed) == [3]
    assert not asked.output.exists()
    # They would fail again: only on demand are they tried.
    painter = FakePainter()
    assert made(asked, painter).output is None
    assert painter.calls == 0
    again = task(clip, tmp_path, retry_failed=True)
    assert made(again, painter).output == asked.output
    assert painter.calls == 1


def test_what_is_wrong_with_every_frame_ends_the_film_at_once(clip, tmp_path):
    class Wrong(FakePainter):
        def paint(self, frame, state, link):
            super().paint(frame, state, link)
            raise UsageError("there is no such style")

    painter = Wrong()
    with pytest.raises(UsageError, match="no such style"):
        made(task(clip, tmp_path), painter)
    assert painter.calls == 1


def test_a_film_that_is_stopped_says_what_is_left(clip, tmp_path):
    asked, count = task(clip, tmp_path), []
    outcome = made(asked, None, Watch(count.append, lambda: len(count) >= 7))
    assert outcome.output is None
    assert (outcome.painted, outcome.wanted) == (7, 36)
    assert made(asked).there == 7


def test_what_another_run_has_left_is_refused_or_overwritten(clip, tmp_path):
    asked, steps = task(clip, tmp_path), []
    made(asked, None, Watch(steps.append, lambda: bool(steps)))
    other = FilmTask(clip, (), asked.output, Painting(strength=0.5), Film())
    with pytest.raises(UsageError, match="differs in strength"):
        made(other)
    assert made(task(clip, tmp_path, overwrite=True)).painted == 36


def test_further_passes_go_backward_and_forward_and_survive_kills(clip, tmp_path):
    how = Film(passes=3, end=24)
    whole = task(clip, tmp_path / "whole", how)
    painter = FakePainter()
    outcome = made(whole, painter)
    # The first frame of each further pass over each of the two shots stays.
    assert painter.calls == 24 + 2 * (24 - 2)
    assert (outcome.painted, outcome.wanted) == (72, 72)
    _, records = manifest.read(whole.manifest)
    assert {record.turn for record in records.values()} == {3}
    assert records[5].before == 4  # the third goes forward again
    once = task(clip, tmp_path / "once", Film(end=24))
    made(once)
    assert once.output.read_bytes() != whole.output.read_bytes()
    asked = task(clip, tmp_path / "killed", how)
    painted = 0
    for at in (26, 17, 9):
        kill(asked, at)
        painted += at - 1
    painter = FakePainter()
    made(asked, painter)
    assert painter.calls == 68 - painted
    assert asked.output.read_bytes() == whole.output.read_bytes()
    with pytest.raises(UsageError, match="several passes need"):
        film.plan(task(clip, tmp_path, how, no_frames=True))


def test_without_frames_kept_there_is_the_same_film(clip, tmp_path):
    whole = task(clip, tmp_path / "whole")
    made(whole)
    asked = task(clip, tmp_path / "once", no_frames=True)
    outcome = made(asked)
    assert outcome.painted == 36
    assert asked.output.read_bytes() == whole.output.read_bytes()
    assert [p.name for p in asked.output.parent.iterdir()] == ["out.mkv"]
    with pytest.raises(StyleTransferError, match="was to fail"):
        made(task(clip, tmp_path / "fails", no_frames=True), FakePainter(fails={9}))
    assert not [*(tmp_path / "fails").iterdir()]


def test_frames_are_kept_when_asked(clip, tmp_path):
    asked = task(clip, tmp_path, Film(end=3), keep_frames=True)
    made(asked)
    assert sorted(p.name for p in asked.work.iterdir()) == [f"00000{i}.png" for i in range(3)]


def test_no_coherence_paints_each_frame_alone(clip, tmp_path):
    painter = FakePainter()
    asked = task(clip, tmp_path, Film(no_coherence=True, end=4), keep_frames=True)
    made(asked, painter)
    assert painter.links == [None] * 4
    frames = [frame.picture() for frame in source.read(source.probe(clip), 0, 4)]
    for i, frame in enumerate(frames):
        kept = np.asarray(images.load(asked.work / f"00000{i}.png"))
        np.testing.assert_allclose(kept, frame, atol=1 / 255)


def test_a_preview_is_a_sheet_of_frames(clip, tmp_path):
    asked = task(clip, tmp_path, Film(end=10), preview=3)
    made(asked)
    assert images.load(asked.preview).shape[1] > 64


def test_a_folder_of_frames_comes_and_goes(tmp_path):
    for i, frame in enumerate(scene(1, 11)):
        images.save(tmp_path / "in" / f"f{i}.png", frame)
    asked = task(tmp_path / "in", tmp_path, name="out/%03d.png")
    asked = FilmTask(tmp_path / "in", (), tmp_path / "out" / "%03d.png", Painting(), Film(fps=12))
    made(asked)
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == [f"{i:03}.png" for i in range(11)]
    assert asked.manifest == tmp_path / "out.jsonl"


def test_what_goes_in_is_not_overwritten(clip):
    with pytest.raises(UsageError, match="goes in and would be overwritten"):
        film.plan(FilmTask(clip, (), clip, Painting()))


def test_another_run_of_the_same_film_is_refused(clip, tmp_path):
    asked = task(clip, tmp_path)
    lock = locks.locked(asked.manifest.with_suffix(".lock"))
    with lock, pytest.raises(UsageError, match="another run paints"):
        made(asked)


def test_an_estimate_is_of_all_frames(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(outlook, "open_painter", lambda *_: Opened(FakePainter(), "CPU", ""))
    guess = outlook.estimate(film.plan(task(clip, tmp_path)), Machine(), Watch())
    assert guess.size == (64, 48)
    assert guess.seconds > 0


def test_a_network_paints_at_the_length_that_is_asked_for(clip, tmp_path):
    asked = FilmTask(clip, (), tmp_path / "out.mkv", Painting(length=32), Film(end=3))
    made(asked)
    assert pictures(asked.output)[0].shape == (24, 32, 3)


def test_a_manifest_of_nothing_stands_in_nobodys_way(clip, tmp_path):
    asked = task(clip, tmp_path)
    made(asked, FakePainter(fails=range(1, 100)), Watch())
    other = FilmTask(clip, (), asked.output, Painting(strength=0.5), Film())
    assert made(other).painted == 36


def test_where_the_source_breaks_off_the_film_goes_up_to_there(clip, tmp_path):
    with broken.children(broken.at_frame(26, broken.CRASH)):
        asked = task(clip, tmp_path)
        plan = film.plan(asked)
        assert plan.damage.endswith("behind frame 25 FFmpeg was ended by SIGSEGV.")
        assert [len(shot) for shot in plan.shots] == [20, 6]
        assert made(asked).painted == 26
    assert len(pictures(asked.output)) == 26


def test_frames_at_which_ffmpeg_dies_meanwhile_fail_and_the_others_are_painted(clip, tmp_path):
    asked, whole = task(clip, tmp_path), task(clip, tmp_path / "whole")
    made(whole)
    plan = film.plan(asked)
    with broken.children(broken.at_frame(12, broken.KILL, "containers.read")):
        opened = Opened(FakePainter(), "CPU", "0" * 64)
        outcome = filming.make_with(plan, opened, Watch())
    assert outcome.output is None
    assert 20 < outcome.painted < 36
    assert 12 in outcome.failed
    assert max(outcome.failed) == 19  # the next shot has nothing to do with it
    assert "FFmpeg was ended by SIGKILL" in outcome.failed[12]
    again = made(task(clip, tmp_path, retry_failed=True))
    assert again.painted == len(outcome.failed)
    assert asked.output.read_bytes() == whole.output.read_bytes()


def test_no_shorter_film_is_written_at_once_where_ffmpeg_dies(clip, tmp_path):
    asked = task(clip, tmp_path, no_frames=True)
    plan = film.plan(asked)
    with (
        broken.children(broken.at_frame(12, broken.KILL, "containers.read")),
        pytest.raises(FilmError, match="FFmpeg was ended by SIGKILL"),
    ):
        filming.make_with(plan, Opened(FakePainter(), "CPU", "0" * 64), Watch())
    assert not [*tmp_path.iterdir()]
