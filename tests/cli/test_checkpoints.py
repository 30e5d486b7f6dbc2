"""Checkpoints of the command: where they lie, when they go, and what survives a killed process."""

import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from styletransfer import arrayfile, cli, images
from styletransfer.progress import Progress
from styletransfer.transfer import facade
from tests.cli.conftest import CONTENT, STYLE, style_py
from tests.cli.test_signals import signalled
from tests.conftest import ROOT


@pytest.fixture
def tiny(quick_network):
    """Arguments of a tiny run."""
    name, folder = quick_network
    arguments = ["-s", STYLE, "-c", CONTENT, "-m", name, "-n", 4, "-l", 48, "--any-size"]
    arguments += ["--optimizer", "lbfgs", "-g", -1, "--models", folder]
    return [*map(str, arguments)]


@pytest.fixture
def run(tiny, capsys):
    """Return a function that runs the command in this process."""

    def command(*arguments, base=tiny):
        code = cli.main(["image", *base, *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


@pytest.fixture
def stop_after(monkeypatch):
    """Return a function that has all runs stop after an iteration, as a signal would."""
    whole = facade.run

    def stop(iteration):
        def stopped(problems, settings, network, given, tell, to_picture, _, *rest):
            seen = []

            def note(step: Progress) -> None:
                seen.append(step.iteration)
                tell(step)

            def asked():
                return bool(seen) and seen[-1] >= iteration

            return whole(problems, settings, network, given, note, to_picture, asked, *rest)

        monkeypatch.setattr(facade, "run", stopped if iteration else whole)

    return stop


def test_an_interrupted_run_goes_on(run, stop_after, tmp_path):
    out = tmp_path / "out"
    run("-o", out / "whole.png", "-i", "-1", "--seed", 5)
    stop_after(2)
    # The seed is drawn; the run that goes on takes it from the checkpoint.
    arguments = ("-o", out / "x.png", "-i", "-1")
    _, _, log = run(*arguments, "--checkpoint")
    place = out / "x-checkpoint.npz"
    assert f"the run can go on from {place}: give the same command again, with --resume" in log
    assert images.read_parameters(out / "x.png")["reason"] == "interrupted"
    stop_after(None)
    code, _, log = run(*arguments, "--resume")
    assert code == 0
    assert f"going on after iteration 2 of 4, from {place}" in log
    assert "can go on" not in log
    stored = images.read_parameters(out / "x.png")
    assert stored["reason"] == "iterations"
    run("-o", out / "again.png", "--like", out / "x.png")
    np.testing.assert_array_equal(images.load(out / "again.png"), images.load(out / "x.png"))
    assert not place.exists()


def test_that_scipy_began_anew_is_stored(run, stop_after, tmp_path):
    arguments = ("-o", tmp_path / "x.png", "--optimizer", "lbfgsb", "--checkpoint")
    stop_after(2)
    run(*arguments)
    stop_after(None)
    assert "restarted" not in images.read_parameters(tmp_path / "x.png")
    run(*arguments, "--resume")
    assert images.read_parameters(tmp_path / "x.png")["restarted"] is True
    _, _, log = run("-o", tmp_path / "again.png", "--like", tmp_path / "x.png")
    assert "its run was interrupted, and lbfgsb began anew in the middle" in log


def test_a_seed_of_ones_own_is_compared(run, stop_after, tmp_path):
    stop_after(2)
    arguments = ("-o", tmp_path / "x.png", "-i", "-1", "--seed")
    run(*arguments, 5, "--checkpoint")
    code, _, log = run(*arguments, 6, "--resume")
    assert code == 2
    assert "seed was 5 and is 6; put that back, or leave resume (--resume) out" in log


def test_output_and_iterations_may_change(run, stop_after, tmp_path):
    file = tmp_path / "run.npz"
    run("-o", tmp_path / "whole.png", "-n", 5)
    stop_after(2)
    run("-o", tmp_path / "x.png", "--checkpoint", file, "--checkpoint-every", 2)
    stop_after(None)
    code, _, _ = run("-o", tmp_path / "y.png", "--checkpoint", file, "--resume", "-n", 5)
    assert code == 0
    whole, other = (images.load(tmp_path / name) for name in ("whole.png", "y.png"))
    np.testing.assert_array_equal(other, whole)
    assert not file.exists()


def test_each_picture_of_a_batch_has_its_own(run, stop_after, tiny, tmp_path):
    contents, out = tmp_path / "in", tmp_path / "out"
    contents.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(CONTENT, contents / name)
    base = [*tiny[:2], "-c", str(contents), *tiny[4:], "-o", str(out), "--format", "png"]
    run(base=base)
    whole = {path.name: path.read_bytes() for path in out.iterdir()}
    assert len(whole) == 2
    shutil.rmtree(out)
    stop_after(2)
    run("--checkpoint", base=base)
    stop_after(None)
    first, _ = sorted(whole)
    assert sorted(path.name for path in out.iterdir()) == [
        first.replace(".png", "-checkpoint.npz"),
        first,
    ]
    code, _, log = run("--resume", base=base)
    assert code == 0
    assert log.count("going on after iteration 2") == log.count("there is no checkpoint") == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--checkpoint", "x.jpg"], "x.jpg cannot be a checkpoint, whose name ends in .npz"),
        (["--checkpoint", "nowhere/x.npz"], "there is no folder nowhere"),
        (["--checkpoint", "x.npz", "-c", STYLE], "several pictures have a checkpoint each"),
        (["--resume", "-o", "-"], "nothing is beside standard output; give --checkpoint a file"),
        (["--resume", "--sheet", "-r", "1,2"], "a sheet's pictures have no checkpoints"),
    ],
)
def test_what_does_not_fit(run, arguments, message):
    code, _, log = run(*arguments)
    assert code == 2
    assert message in log


def test_a_signal_writes_one(tiny, tmp_path):
    output = tmp_path / "x.png"
    arguments = [*tiny, "-n", 300, "-v", "-o", output, "--checkpoint"]
    code, _, err = signalled(arguments, [signal.SIGTERM])
    assert code == 143
    assert "give the same command again, with --resume" in err
    facts = arrayfile.read_facts(tmp_path / "x-checkpoint.npz")
    assert facts["point"]["iteration"] == images.read_parameters(output)["iterations"]


SCALES = {1: ["-l", 96], 3: ["-l", 200, "--scales", 3]}
MOMENTS = 25


@pytest.mark.slow
@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_killed_at_any_moment(tiny, tmp_path, optimizer, scales):
    """No file is damaged, and what goes on makes the picture of a run that was left alone."""
    arguments = [*tiny, "-n", 9, "--threads", 1, "--optimizer", optimizer, *SCALES[scales]]
    whole = tmp_path / "whole.png"
    assert style_py(*arguments, "-o", whole).returncode == 0
    rng = random.Random(f"{optimizer} {scales}")
    gone_on = 0
    for moment in range(MOMENTS):
        folder = tmp_path / str(moment)
        folder.mkdir()
        command = [*arguments, "-o", folder / "x.png", "--checkpoint", "--checkpoint-every", 1]
        _kill([*command, "-v"], rng)
        for path in folder.iterdir():  # what is under way has a name of its own
            if path.suffix == ".npz":
                assert arrayfile.read(path, 1 << 30)[0]["point"]["iteration"] >= 1
                gone_on += 1
            if path.suffix == ".png":
                np.testing.assert_array_equal(images.load(path), images.load(whole))
        done = style_py(*command, "--resume")
        assert done.returncode == 0, done.stderr
        assert (folder / "x.png").read_bytes() == whole.read_bytes()
        assert not (folder / "x-checkpoint.npz").exists()
    print(f"{optimizer}, {scales} scale(s): {gone_on} of {MOMENTS} went on from a checkpoint")
    assert gone_on > MOMENTS // 2


def _kill(command, rng):
    """Run the command, and kill it a random while after a random iteration."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "style.py"), *map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    after, times = rng.randrange(10), [time.monotonic()]
    with process:
        for line in process.stderr:
            if line.startswith("iteration "):
                times.append(time.monotonic())
            if line.startswith(f"iteration {after},"):
                break
            if after == 0:  # before there is any
                break
        time.sleep(rng.uniform(0, 2) * min(times[-1] - times[-2] if after else 1, 0.5))
        process.kill()
