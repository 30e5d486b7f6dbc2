"""``styletransfer video``: its films, messages and exit codes, with a small network."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from styletransfer import cli, images
from styletransfer.video import sink, source
from styletransfer.video.order import Order
from tests.conftest import ROOT
from tests.feedforward.networks import candy
from tests.video import broken, clips

pytest.importorskip("av", reason="films need the extra video")
pytest.importorskip("cv2", reason="films need the extra video")
pytest.importorskip("scenedetect", reason="films need the extra video")

NIGHT = ROOT / "images" / "style" / "night.jpg"
COFFEE = ROOT / "images" / "content" / "coffee.jpg"
RATE = Fraction(12)
FRAMES = 8


@pytest.fixture(scope="module")
def net(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("nets") / "sweet.onnx"
    path.write_bytes(candy(64).SerializeToString())
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A window that pans over a photograph."""
    path = tmp_path_factory.mktemp("clip") / "pan.mp4"
    photo = images.load(COFFEE)
    with sink.Sink(Order(path, rate=RATE)) as target:
        for i in range(FRAMES):
            target.add(photo[100:172, 3 * i : 3 * i + 96], i / RATE, 1 / RATE)
    return path


@pytest.fixture
def run(capsys, net) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.main(["video", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_a_film_by_a_network(run, clip, net, tmp_path):
    output, log = tmp_path / "x.mp4", tmp_path / "log" / "x.txt"
    code, out, err = run(clip, "-m", net, "-o", output, "--log", log)
    assert code == 0
    assert out.startswith(f"{FRAMES} frames painted in ")
    assert out.endswith(f"; saved {output}\n")
    assert "painting by a network in one pass (--method network)" in err
    assert f"{FRAMES} frames in 1 shot, 96x72, 0.67 s" in err
    assert err.count(f"{FRAMES}/{FRAMES} frame {FRAMES - 1} (0.58 s)") == 1
    lines = log.read_text().splitlines()
    assert sum("/8 frame " in line and " INFO " in line for line in lines) == FRAMES
    assert len([*source.read(source.probe(output))]) == FRAMES
    # Again, with no log: all is there.
    code, out, err = run(clip, "-m", net, "-o", output)
    assert (code, "is there already" in err) == (0, True)


def test_json_says_what_was_made_and_planned(run, clip, net, tmp_path):
    output = tmp_path / "x.gif"
    code, out, _ = run(clip, "-m", net, "-o", output, "--dry-run", "--json", "--end", 4)
    facts = json.loads(out)
    assert (code, facts["frames"], facts["shots"]) == (0, 4, [0])
    assert (facts["width"], facts["height"]) == (96, 72)
    assert facts["seconds"] > 0
    assert not [*tmp_path.iterdir()]
    code, out, err = run(clip, "-m", net, "-o", output, "--json", "--end", 4)
    facts = json.loads(out)
    assert (code, facts["output"], facts["painted"], facts["failed"]) == (0, str(output), 4, {})
    assert err.count("4/4 frame 3") == 1


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--tv", "1"], "--tv is of --method optimise; a network paints in one pass: leave it out"),
        (["-m", "googlenet", "--strength", "0.5"], "--strength is of --method network"),
        (["--begin", "7", "--end", "3"], "there is nothing from frame 7 up to frame 3"),
        (["--begin", "99"], "has no frame from frame 99"),
        (["--begin", "soon"], "give a frame's number such as 120, or a time"),
        (["-o", "{folder}/x.xyz"], ".xyz"),
        (["{folder}/other.mp4"], "one film at a time"),
        (["-n", "20", "-m", "multistyle26"], "--num-iters is of --method optimise"),
        (["-m", "vgg17"], "did you mean vgg1"),
        (["-m", "googlenet"], "there is no -s"),
    ],
)
def test_what_cannot_work_is_told_in_a_sentence(run, clip, tmp_path, flags, sentence):
    flags = [flag.format(folder=tmp_path) for flag in flags]
    where = [] if "-o" in flags else ["-o", tmp_path / "x.mp4"]
    where += [] if "-m" in flags else ["-s", NIGHT]
    code, _, err = run(clip, *flags, *where)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err


def test_what_is_of_a_film_is_told(run, clip, net, tmp_path):
    high = clips.write(tmp_path / "hdr.mkv", clips.pan(3), tags=(9, 1), transfer=16)
    code, _, log = run(high, "-m", net, "-o", tmp_path / "x.gif")
    assert code == 0
    assert "colours are those of PQ (HDR)" in log
    assert "keeps times to a 100th of a second" in log
    code, _, log = run(tmp_path / "x.gif", "-m", net, "-o", tmp_path / "y.gif")
    assert code == 0
    assert "warning" not in log


def test_tiles_are_of_optimisation(run, clip, net, tmp_path):
    flags = ("-m", net, "-o", tmp_path / "x.mp4", "--memory-limit", "4G")
    code, _, log = run(clip, *flags)
    assert code == 2
    assert "--memory-limit is of --method optimise" in log


def test_no_film_is_told(run, clip, tmp_path):
    code, _, err = run(tmp_path / "no.mp4", "-s", NIGHT)
    assert (code, "there is no film" in err) == (2, True)
    assert run(clip, "-s", tmp_path / "no.jpg")[0] == 2
    text = tmp_path / "text.mp4"
    text.write_text("no film")
    code, _, err = run(text, "-s", NIGHT, "-o", tmp_path / "x.mp4")
    assert code == 1
    assert err.splitlines()[-1].startswith("error: ")


def test_split_and_join_are_the_halves(run, clip, tmp_path):
    code, out, _ = run("split", clip, "-o", tmp_path / "frames")
    assert (code, out) == (0, f"{FRAMES} frames in {tmp_path / 'frames'}\n")
    assert len([*(tmp_path / "frames").iterdir()]) == FRAMES
    code, out, _ = run(
        "join", tmp_path / "frames", "--times-of", clip, "-o", tmp_path / "again.mp4"
    )
    assert code == 0
    again = [*source.read(source.probe(tmp_path / "again.mp4"))]
    assert [frame.time for frame in again] == [i / RATE for i in range(FRAMES)]
    assert run("join", tmp_path / "frames", "--fps", 24, "-o", tmp_path / "fast.mp4")[0] == 0
    fast = source.probe(tmp_path / "fast.mp4")
    assert fast.rate == 24
    code, _, err = run("split", clip)
    assert (code, "give the folder" in err) == (2, True)


def _command(clip: Path, net: Path, output: Path) -> list[str]:
    words = ["video", clip, "-m", net, "-o", output, "--threads", "1"]
    return [sys.executable, "-m", "styletransfer", *map(str, words)]


def _until(text: str, process: subprocess.Popen[str]) -> None:
    """Wait until a process has printed something."""
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"{text} was not printed")


def test_ctrl_c_ends_after_the_frame_and_says_how_to_go_on(clip, net, tmp_path):
    output = tmp_path / "x.mkv"
    command = _command(clip, net, output)
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
    )
    _until("3/8 frame", process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "of 8 frames are left; the same command goes on" in err
    assert not output.exists()
    whole = tmp_path / "whole.mkv"
    subprocess.run(_command(clip, net, whole), check=True, cwd=ROOT, capture_output=True)
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    assert output.read_bytes() == whole.read_bytes()


def test_a_film_at_which_ffmpeg_dies_meanwhile_goes_on(run, clip, net, tmp_path):
    output, whole = tmp_path / "x.mkv", tmp_path / "whole.mkv"
    assert run(clip, "-m", net, "-o", whole)[0] == 0
    with broken.children(broken.at_frame(5, broken.CRASH, "containers.read")):
        code, _, err = run(clip, "-m", net, "-o", output)
    assert (code, output.exists(), "Traceback" in err) == (1, False, False)
    assert "behind frame 4 FFmpeg was ended by SIGSEGV" in err
    assert "so that the film is not written; --retry-failed tries them again" in err
    code, out, _ = run(clip, "-m", net, "-o", output, "--retry-failed")
    assert (code, "there already" in out) == (0, True)
    assert output.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_a_film_that_is_killed_at_any_moment_goes_on_as_if_it_had_not_been(clip, net, tmp_path):
    whole = tmp_path / "whole.mkv"
    start = time.monotonic()
    subprocess.run(_command(clip, net, whole), check=True, cwd=ROOT, capture_output=True)
    length = time.monotonic() - start
    chance = random.Random(1)
    killed = 0
    for case in range(20):
        output = tmp_path / f"{case}.mkv"
        command = _command(clip, net, output)
        process = subprocess.Popen(
            command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=ROOT
        )
        time.sleep(chance.uniform(0.3, 1) * length)
        os.kill(process.pid, signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        assert output.read_bytes() == whole.read_bytes()
        manifest = (tmp_path / f"{case}.mkv.jsonl").read_text().splitlines()[1:]
        frames = [json.loads(line)["frame"] for line in manifest]
        assert frames == [*range(FRAMES)]  # none twice
    assert killed >= 10


def test_a_dry_run_needs_no_output_and_writes_nothing(run, clip, net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(clip, "-m", net, "--dry-run")
    assert code == 0
    assert "8 frames in 1 shot" in out
    assert "goes to outputs/pan-sweet.mp4" in out
    assert not [*tmp_path.iterdir()]


def test_keeps_odd_sizes_and_floats(run, net, tmp_path):
    photo = images.load(COFFEE)
    for i in range(3):
        images.save(tmp_path / "in" / f"{i}.png", photo[:71, i : 95 + i])
    code, _, _ = run(tmp_path / "in", "-m", net, "-o", tmp_path / "out" / "%02d.png")
    assert code == 0
    shapes = {images.load(path).shape for path in (tmp_path / "out").iterdir()}
    assert shapes == {(71, 95, 3)}
