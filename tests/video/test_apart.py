"""FFmpeg in a process of its own: the same frames and films, and what happens where it fails."""

import json
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from styletransfer.errors import DamagedFilmError, FilmError, StyleTransferError
from styletransfer.video import answers, apart, containers, formats, survey
from styletransfer.video.filmfile import FilmFile
from styletransfer.video.ranges import Range
from styletransfer.video.sink import Order, Sink, check
from styletransfer.video.source import probe, read
from tests.conftest import ROOT
from tests.fuzz.mutations import of_pictures
from tests.video import broken, clips

DEATHS = [(broken.CRASH, "ended by SIGSEGV"), (broken.KILL, "ended by SIGKILL")]


@pytest.fixture
def film(tmp_path):
    return clips.write(tmp_path / "a.mkv", clips.pan(12), sound=0.5)


def gone(number: int) -> bool:
    """Whether a process has ended, perhaps with nobody who has taken note."""
    stat = Path(f"/proc/{number}/stat")
    if stat.parent.parent.joinpath("self").exists():
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until(happened) -> None:
    until = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.02)


def broken_off(frames):
    """Return the frames that come, and what is said where they break off."""
    found = []
    try:
        for frame in frames:
            found.append(frame)
    except DamagedFilmError as error:
        return found, error.text
    raise AssertionError("they do not break off")


def copy(source, output):
    with Sink(Order(output, source)) as sink:
        for frame in read(source):
            sink.add(frame.pixels, frame.time, frame.duration)


def idle():
    """Return the process that waits for more to do."""
    (child,) = apart._idle.values()
    return child


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"sound": 0.3, "rotation": 90}),
        ("a.mkv", {"codec": "ffv1", "pixel_format": "yuv444p10le", "options": {}, "transfer": 16}),
        ("a.mov", {"codec": "qtrle", "pixel_format": "argb", "options": {}, "tags": None}),
    ],
)
def test_facts_and_frames_are_those_of_one_process(tmp_path, name, options):
    path = clips.write(tmp_path / name, clips.pan(30, 62, 38), **options)
    source = probe(path)
    assert source == containers.probe(path)
    for part in (Range(), Range(20, 25)):
        alike = zip(read(source, part.begin, part.end), containers.read(source, part), strict=True)
        for frame, expected in alike:
            assert frame.number == expected.number
            assert (frame.time, frame.duration) == (expected.time, expected.duration)
            assert frame.pixels.dtype == expected.pixels.dtype
            assert np.array_equal(frame.pixels, expected.pixels)
            assert (frame.alpha is None) == (expected.alpha is None)
            assert frame.alpha is None or np.array_equal(frame.alpha, expected.alpha)
    assert source.alpha == (name == "a.mov")
    assert source.depth == (16 if name == "a.mkv" else 8)


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv", "b.webm", "b.apng"])
def test_films_are_those_of_one_process(tmp_path, film, name):
    source = probe(film)
    order = Order(tmp_path / name, source)
    form = formats.find(order.path)
    here, there = tmp_path / f"here-{name}", tmp_path / f"there-{name}"
    for writer in (FilmFile(here, form, order), apart.FilmWriter(there, form, order)):
        for frame in read(source):
            writer.write(frame.pixels.astype(np.uint16) * 257, None, frame.time, frame.duration)
        writer.finish()
    assert here.read_bytes() == there.read_bytes()


@pytest.mark.parametrize(("deed", "said"), DEATHS)
def test_where_ffmpeg_dies_the_film_is_as_if_cut_short(film, deed, said):
    source = probe(film)
    expected = list(read(source))
    with broken.children(broken.at_frame(5, deed)):
        frames, text = broken_off(read(source))
        seen = survey.survey(source)
    assert text == f"{film} can be read up to 0.20 seconds: behind frame 4 FFmpeg was {said}."
    assert (len(seen), seen.damage) == (5, text)
    assert [frame.number for frame in frames] == [*range(5)]
    for frame, whole in zip(frames, expected[:5], strict=True):
        assert np.array_equal(frame.pixels, whole.pixels)
    assert len([*read(source)]) == 12


def test_a_film_at_which_it_dies_at_once(film):
    source = probe(film)
    output = film.with_name("b.mp4")
    for prelude, work in [
        (broken.at_frame(0, broken.CRASH), lambda: list(read(source))),
        (f"containers.opened = lambda path: {broken.CRASH}", lambda: probe(film)),
        (f"tracks._codec = lambda stream: {broken.CRASH}", lambda: check(output, source)),
    ]:
        sentence = f"{film} cannot be read: FFmpeg was ended by SIGSEGV"
        with broken.children(prelude), pytest.raises(FilmError, match=re.escape(sentence)):
            work()


def test_where_it_hangs_the_film_is_as_if_cut_short(film):
    with broken.children(broken.at_frame(5, broken.HANG, "containers.read")):
        source = probe(film)
        idle()._patience = 3.0
        frames, text = broken_off(read(source))
    assert len(frames) == 5
    assert "behind frame 4 FFmpeg did nothing for 3 seconds" in text


def test_while_it_looks_for_a_frame_it_says_so(film, monkeypatch):
    told, line = [], answers.line
    monkeypatch.setattr(answers, "line", lambda data: told.append(line(data)) or told[-1])
    with broken.children("child._PULSE = -1"):
        assert [frame.number for frame in read(probe(film), 10)] == [10, 11]
    assert sum("alive" in answer for answer in told) > 12


@pytest.mark.parametrize("deed", [broken.CRASH, broken.KILL])
def test_a_film_whose_writer_dies_is_not_there(film, tmp_path, deed):
    source, output = probe(film), tmp_path / "out" / "b.mp4"
    prelude = f"filmfile.FilmFile._image = lambda *arguments: {deed}"
    with broken.children(prelude), pytest.raises(FilmError) as error:
        copy(source, output)
    assert error.value.text.startswith(f"{output} cannot be written: FFmpeg was ended by SIG")
    assert not [*output.parent.iterdir()]


def test_one_process_reads_a_film_and_no_other_one(film, tmp_path):
    source = probe(film)
    first = idle()
    os.kill(first._process.pid, signal.SIGINT)  # as by Ctrl-C: that is for the program alone
    assert len(list(read(source))) == 12
    assert idle() is first
    probe(film.rename(tmp_path / "b.mkv"))
    assert idle() is not first
    assert not first.lives()


def test_who_stops_reading_may_read_again(film):
    source = probe(film)
    first = idle()
    for count in (1, 3, 12):
        frames = read(source)
        assert [next(frames).number for _ in range(count)] == [*range(count)]
        assert not apart._idle
        frames.close()
        assert idle() is first
    assert next(read(source)).number == 0  # its iterator is gone at once
    assert idle() is first


ORPHANED = """
import sys
from pathlib import Path
from styletransfer.video.source import probe, read
from tests.video import broken
notes = f"open({sys.argv[2]!r}, 'w').write(str(os.getpid())); "
with broken.children(broken.at_frame(3, notes + broken.HANG)):
    for frame in read(probe(Path(sys.argv[1]))):
        pass
"""


def test_the_process_ends_with_the_program_that_was_killed(film, tmp_path):
    note = tmp_path / "number"
    program = subprocess.Popen([sys.executable, "-c", ORPHANED, film, note], cwd=ROOT)
    wait_until(lambda: note.exists() and note.read_text())
    program.kill()
    program.wait()
    wait_until(lambda: gone(int(note.read_text())))


def test_nothing_is_imported_from_the_current_folder(film, tmp_path, monkeypatch):
    for name in ("av", "numpy", "json", "styletransfer"):
        (tmp_path / f"{name}.py").write_text("open('executed', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "")
    assert len(list(read(probe(film)))) == 12
    assert not (tmp_path / "executed").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="where the system bounds what is allocated")
def test_its_memory_is_bounded():
    code = (
        "import sys; from styletransfer.video import child\n"
        "child.memory.available, child._LEAST = lambda: 300 << 20, 0\n"
        "child._bound()\nbytes(100 << 20)\n"
        "try:\n    bytes(400 << 20)\nexcept MemoryError:\n    sys.exit(7)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 7


# --- answers of a process that is in somebody's hands ---------------------------------------------


class Executed:
    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.parametrize(
    "said",
    [
        b"", b"\n", b"[" * 100_000 + b"\n", b"x" * (2 << 20), b"{}\n", b"[]\n", b'{"end": []}\n',
        b'{"end": {"width": 9}}\n', b'{"error": [], "text": {}}\n', pickle.dumps(Executed()),
        b'{"error": "SystemExit", "text": "\\u001b[2J"}\n', b"1" * 10_000 + b"\n", b"\xff\xfe\n",
    ],
)  # fmt: skip
def test_whatever_it_says_is_a_sentence(film, tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "said").write_bytes(said)
    says = "os.write(1, open('said', 'rb').read()); sys.exit()"
    with broken.children(says), pytest.raises(FilmError) as error:
        probe(film)
    assert error.value.text.isprintable()
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"width": 10**9}, {"height": 0}, {"width": 1.5}, {"depth": 12}, {"rotation": 45},
        {"rate": [0, 1]}, {"time_base": None}, {"time_base": [1, 0]}, {"time_base": [1 << 600, 1]},
        {"pixel_aspect": [-1, 1]}, {"end": "soon"}, {"frames": -1}, {"colour": None},
        {"colour": {"matrix": 1}}, {"files": ["/etc/passwd"], "more": 1}, {"rate": [True, 1]},
    ],
)  # fmt: skip
def test_facts_that_cannot_be_are_refused(film, change):
    told = answers.of_source(containers.probe(film))
    assert answers.source(film, json.loads(json.dumps(told))) == containers.probe(film)
    with pytest.raises(answers.NonsenseError):
        answers.source(film, told | change)


@pytest.mark.parametrize(
    "change", [{"number": 4}, {"number": 3.0}, {"time": [1, 25]}, {"time": 3}, {"duration": None}]
)
def test_frames_that_cannot_be_are_refused(change):
    last = answers.Shown(2, Fraction(2, 25), Fraction(1, 25))
    told = {"number": 3, "time": [3, 25], "duration": [1, 25]}
    assert answers.shown(told, last) == (3, Fraction(3, 25), Fraction(1, 25))
    with pytest.raises(answers.NonsenseError):
        answers.shown(told | change, last)


def damaged(path, count, folder):
    """Read damaged films; return what is no sentence of ours, or tells of a crash."""
    whole, found = path.read_bytes(), []
    for number in range(count):
        changed = folder / f"{number}.mkv"
        changed.write_bytes(of_pictures(random.Random(number), whole))
        try:
            for _ in read(probe(changed)):
                pass
        except StyleTransferError as error:
            if not error.text.isprintable() or re.search(r"FFmpeg( was| did|'s)", error.text):
                found.append((number, error))
        except Exception as error:
            found.append((number, error))
        changed.unlink()
    return found


def test_damaged_films_are_sentences(film, tmp_path):
    assert not damaged(film, 5, tmp_path)


@pytest.mark.slow
def test_many_damaged_films_are_sentences(film, tmp_path):
    assert not damaged(film, 500, tmp_path)
