"""What a stranger trips over in the first hour."""

import argparse
import io
import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from styletransfer import cli, display, images
from styletransfer.cli import parser, streams
from styletransfer.networks import NETWORKS
from styletransfer.progress import Begun, PaintingProgress, Progress
from tests.conftest import ROOT

CAT = ROOT / "images" / "content" / "cat.jpg"
COFFEE = ROOT / "images" / "content" / "coffee.jpg"
WAVE = ROOT / "images" / "style" / "wave.jpg"


@pytest.fixture
def run(quick_network, capsys, monkeypatch):
    """Return a function that runs style.py's command and returns code, stdout and stderr."""
    name, folder = quick_network
    monkeypatch.setitem(NETWORKS, name, replace(NETWORKS[name], input_size=64))

    def command(*arguments):
        common = ["-m", name, "--models", folder, "-g", -1, "-n", 1, "-l", 64]
        common += ["--optimizer", "lbfgs", "-s", WAVE]
        try:
            code = cli.main_style([*map(str, common), *map(str, arguments)])
        except SystemExit as stopped:
            code = stopped.code
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["-c", "https://example.org/a.jpg"], "is an address, and nothing is fetched from there"),
        (["-c", "-cat.jpg"], "for a file whose name begins with - give ./-cat.jpg"),
        (["-c", CAT, "--style-scael", "2"], "did you mean --style-scale?"),
        (["-c", CAT, "--iterations", "10"], "did you mean --num-iters?"),
        (["-c", CAT, "--tv-kind", "l22"], "did you mean l2?"),
        (["-c", CAT, "--preset", "qualiti"], "did you mean quality?"),
        (["-c", CAT, "--preset", ""], "there is no preset ''"),
        (["-c", CAT, "-m", "googelnet"], "did you mean googlenet?"),
        (["-c", CAT, "-m", "multistyle26"], "use styletransfer stylize -m multistyle26"),
        (["-c", CAT, "--sheet", "-r", "1,2", "--dry-run"], "give it without --sheet"),
        (["-c", CAT, "-m", "arbitrary"], "use styletransfer stylize -m arbitrary"),
        (["-c", CAT, "--style-layers", "conv2/3x4"], "did you mean conv2/3x3?"),
        (["-c", CAT, "-l", "1e6"], "more than 120 million"),
    ],
)
def test_what_was_meant_is_told_and_it_is_usage(run, arguments, part):
    code, printed, log = run(*arguments)
    assert (code, printed) == (2, "")
    assert part in log.splitlines()[-1]


def test_what_is_too_small_for_the_layers_is_told_with_the_flag_that_helps(run, tmp_path):
    tiny = ("-c", CAT, "--any-size", "-o", tmp_path / "x.png")
    code, _, log = run(*tiny, "-l", 20, "--style-scale", 3)
    assert code == 2
    assert log.splitlines()[-1] == (
        "error: the result would be 20 x 13 pixels, and needs 31 on its short side for the layers"
        " that are matched; give a length of at least 47, or other layers"
    )
    assert run(*tiny, "-l", 47, "--style-scale", 3)[0] == 0
    code, _, log = run(*tiny, "-l", 47, "--style-scale", 0.5)
    assert code == 2
    assert log.splitlines()[-1].endswith("on its short side; give a larger --style-scale")


@pytest.mark.parametrize(
    ("words", "end"),
    [
        (["stylize", "--strenght", "1"], "did you mean --strength?"),
        (["stylize", "--iterations", "3"], "unrecognized arguments: --iterations 3"),
        (["presets", "--format", "png"], "unrecognized arguments: --format png"),
    ],
)
def test_flags_of_the_command_alone_are_suggested(capsys, words, end):
    with pytest.raises(SystemExit):
        cli.main(words)
    line = capsys.readouterr().err.removesuffix(" (--help lists the arguments)\n")
    assert line.endswith(end)


LONG = "x" * 300


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", f"{LONG}.jpg", "-o", "x.png"],
        ["-c", CAT, "-s", f"{LONG}.jpg", "-o", "x.png"],
        ["-c", CAT, "-i", f"{LONG}.jpg", "-o", "x.png"],
        ["-c", CAT, "-m", LONG, "-o", "x.png"],
    ],
)
def test_names_that_no_file_can_have_are_told_of(run, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    code, printed, log = run(*arguments)
    assert (code in (1, 2), printed) == (True, "")
    last = log.splitlines()[-1]
    assert last.startswith("error: ")
    assert "cannot be opened: File name too long" in last or "is neither a network" in last


def test_a_folder_of_networks_that_no_folder_can_be(capsys):
    assert cli.main(["models", "verify", "googlenet", "--models", LONG]) in (0, 1)
    assert "OSError" not in capsys.readouterr().err


def test_british_spellings_are_taken(run, tmp_path):
    code, _, log = run(
        *("-c", CAT, "-o", tmp_path / "x.png", "--optimiser=adam", "--preserve-colours", "lab")
    )
    assert code == 0, log
    settings = images.read_parameters(tmp_path / "x.png")["settings"]
    assert (settings["optimizer"], settings["preserve_colors"]) == ("adam", ["lab", "after"])


def test_the_size_is_told_with_its_reason(run, tmp_path):
    code, _, log = run("-c", CAT, "-o", tmp_path / "x.png", "-l", 40)
    assert code == 0
    assert "the result has 96 x 64 pixels, not 40 on its long side" in log
    code, _, log = run("-c", CAT, "-o", tmp_path / "x.png", "-l", 60, "--any-size")
    assert "not 60 on its long side" not in log
    assert Image.open(tmp_path / "x.png").size == (60, 40)


def test_each_picture_of_a_batch_is_named_and_all_are_counted(run, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"none")
    code, printed, log = run("-c", CAT, broken, COFFEE, "-o", tmp_path / "out")
    assert code == 1
    assert f"1 of 3: {CAT}" in log
    assert f"3 of 3: {COFFEE}, " in log
    assert " left for all" in log
    assert printed.splitlines()[-1] == "2 of 3 pictures made, 1 failed"


def test_formats_of_names_that_are_made(run, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(CAT, folder / "x.jpg")
    alpha = np.zeros((40, 60, 4), np.uint8)
    alpha[:, 30:] = 255
    Image.fromarray(alpha).save(folder / "x.png")
    (folder / "notes.txt").touch()
    code, _, log = run("-c", folder, "-o", tmp_path / "out", "--format", "png")
    assert code == 0
    assert f"{folder}: 1 file there is no picture, and is left out" in log
    made = sorted((tmp_path / "out").iterdir())
    assert [path.name.split("-wave")[0] for path in made] == ["x-png", "x"]
    for contradiction, part in (
        (("-o", tmp_path / "x.jpg", "--format", "png"), "says its format, and --format png is"),
        (("--depth", "16"), "a .jpg does not hold 16 bits a channel; give --format png or"),
    ):
        code, printed, log = run("-c", CAT, *contradiction)
        assert (code, printed, part in log) == (2, "", True)
    assert run("-c", CAT, "-o", tmp_path / "x.tiff", "--format", "tif", "--depth", 16)[0] == 0
    assert np.asarray(Image.open(made[0])).shape[2] == 4


def test_an_animation_is_told_of(run, tmp_path):
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    code, _, log = run("-c", tmp_path / "x.gif", "-o", tmp_path / "x.png")
    assert code == 0
    assert "x.gif has 3 pictures in it: the first is taken" in log


def test_a_preview_is_rewritten(run, tmp_path):
    code, _, _ = run("-c", CAT, "-o", tmp_path / "x.png", "--preview", tmp_path / "now.png")
    assert code == 0
    np.testing.assert_array_equal(*(images.load(tmp_path / n) for n in ("x.png", "now.png")))


def test_streams(tmp_path, quick_network):
    name, folder = quick_network
    command = [sys.executable, ROOT / "style.py", "-m", name, "--models", folder, "-g", "-1"]
    command += ["-n", "1", "-l", "64", "--any-size", "-s", WAVE, "-c", "-", "-o", "-"]
    done = subprocess.run(
        list(map(str, command)), input=CAT.read_bytes(), capture_output=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"\xff\xd8\xff")
    assert b"1 iteration in" in done.stderr
    assert b"stopped because its iteration is done" in done.stderr
    assert list(tmp_path.iterdir()) == []
    nothing = subprocess.run(list(map(str, command)), input=b"", capture_output=True)
    assert (nothing.returncode, nothing.stdout) == (2, b"")
    assert b"nothing comes from standard input" in nothing.stderr


def test_what_a_failed_run_has_made_goes_to_standard_output(capsysbinary):
    options = argparse.Namespace(content_img=None, output="-", format="png")

    def fail():
        with streams.redirected(options) as changed:
            Path(changed.output).write_bytes(b"a picture")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert capsysbinary.readouterr().out == b"a picture"


def test_what_came_from_standard_input_is_called_so(run, tmp_path, monkeypatch, capsys):
    class Stdin:
        def __init__(self, data):
            self.buffer = io.BytesIO(data)

    first = tmp_path / "first.png"
    monkeypatch.setattr(sys, "stdin", Stdin(CAT.read_bytes()))
    assert run("-c", "-", "-o", first, "--grid")[0] == 0
    for name, end in (("first.png", []), ("first-grid.png", ["--grid"])):
        assert cli.main(["show", str(tmp_path / name)]) == 0
        words = shlex.split(capsys.readouterr().out)
        assert words[words.index("-c") + 1] == "-"
        assert [word for word in words if word == "--grid"] == end
    code, _, log = run("--like", first, "-o", tmp_path / "again.png")
    assert (code, "was made of what came from standard input; give -c anew" in log) == (2, True)
    monkeypatch.setattr(sys, "stdin", Stdin(b"no picture"))
    code, _, log = run("-c", "-", "-o", first)
    assert code == 1
    assert log.startswith("error: standard input: no picture that can be read")
    code, _, log = run("-c", CAT, COFFEE, "-o", "-")
    assert (code, "several pictures need a folder" in log) == (2, True)


def test_flags_that_are_given_again_add_files(run, tmp_path):
    code, printed, _ = run("-c", CAT, "-c", COFFEE, "-o", tmp_path / "out", "-s", CAT)
    assert (code, printed.splitlines()[-1]) == (0, "2 of 2 pictures made")
    stored = images.read_parameters(next((tmp_path / "out").iterdir()))["files"]
    assert [path for path, _ in stored["styles"]] == [str(WAVE), str(CAT)]


def test_a_sheet_over_two_parameters(run, tmp_path, capsys, quick_network):
    output = tmp_path / "sheet.png"
    code, printed, _ = run(
        *("-c", CAT, "-o", output, "--sheet", "-r", "1,1e6", "--style-scale", "1,1.5,2")
    )
    assert code == 0
    assert printed.splitlines()[-1] == f"saved {output}"
    picture = images.load(output)
    assert picture.shape[1] == 3 * (96 + 12) + 12
    assert cli.main(["show", str(output)]) == 0
    words = shlex.split(capsys.readouterr().out)
    assert words[-5:] == ["--sheet", "--ratio", "1,1e6", "--style-scale", "1,1.5,2"]
    assert "-r" not in words
    again = tmp_path / "again.png"
    models = ["--models", str(quick_network[1]), "-g", "-1"]
    assert cli.main([*words[1:], "-o", str(again), *models]) == 0
    np.testing.assert_array_equal(images.load(again), picture)
    code, _, log = run("--like", output, "-o", again)
    assert (code, "is a sheet, of which --like repeats nothing" in log) == (2, True)
    # The lower row has ratio 1e6, and is another picture than the upper.
    code, _, log = run("-c", CAT, "-o", output, "--sheet")
    assert code == 2
    assert "one or two parameters with several values" in log


def test_what_fails_of_a_sheet_is_told_with_its_preset(run, tmp_path, capsys):
    coarse = tmp_path / "coarse.toml"
    coarse.write_text('scales = "9"\n')
    sheet = ("-c", CAT, "-o", tmp_path / "x.jpg", "--sheet", "--preset", f"caffe,{coarse}")
    code, _, log = run(*sheet)
    assert code == 1
    assert f"error: preset {coarse}: scales is 9, but with a short side of" in log
    assert cli.main(["show", str(tmp_path / "x.jpg")]) == 0
    assert f"--sheet --preset caffe,{coarse}" in capsys.readouterr().out


def test_a_sheet_replaces_neither_what_goes_in_nor_an_earlier_one(run, tmp_path):
    content = tmp_path / "cat.jpg"
    shutil.copy(CAT, content)
    sheet = ["-c", content, "--sheet", "-r", "1,1e6"]
    code, printed, log = run(*sheet, "-o", content)
    assert (code, printed) == (2, "")
    assert "goes in and would be overwritten" in log
    for name in ("cat-sheet-ratio.png", "cat-sheet-ratio-2.png"):
        code, printed, _ = run(*sheet, "-o", f"{tmp_path}/sheets/", "--format", "png")
        assert code == 0
        said = [line for line in printed.splitlines() if line.startswith("saved")]
        assert said == [f"saved {tmp_path / 'sheets' / name}"]


def test_a_picture_shows_the_command_that_makes_it(run, tmp_path, capsys, quick_network):
    first, again = tmp_path / "a picture.png", tmp_path / "again.png"
    assert run("-c", CAT, "-o", first, "-r", "12345.678", "--style-layers", "conv2/3x3=0.3")[0] == 0
    assert cli.main(["show", str(first)]) == 0
    words = shlex.split(capsys.readouterr().out)
    assert words[:2] == ["styletransfer", "image"]
    extra = ["-o", str(again), "-g", "-1", "--models", str(quick_network[1])]
    assert cli.main([*words[1:], *extra]) == 0
    np.testing.assert_array_equal(*(np.asarray(Image.open(path)) for path in (first, again)))
    capsys.readouterr()
    assert cli.main(["show", "--json", str(first)]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["ratio"] == 12345.678
    assert cli.main(["show", str(CAT)]) == 1
    assert cli.main(["show", str(tmp_path / "nowhere.png")]) == 2


def test_without_an_nvidia_card_nothing_is_said_of_one(run, tmp_path, monkeypatch, caplog):
    from styletransfer.runtime import devices

    monkeypatch.setattr(devices, "_driver", lambda: None)
    assert devices.choose_device(None) == (devices.Device(), None)
    assert devices.choose_device(0)[1] is not None


def test_an_unrelated_package_of_the_same_name_is_told_of(monkeypatch, capsys):
    import importlib.metadata

    class Other:
        version = "0.8.2"
        requires = ("torch", "torchvision")

    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Other)
    parser._warn_of_another_package()
    assert "warning: the package styletransfer 0.8.2 is installed" in capsys.readouterr().err
    Other.requires = ("onnxruntime>=1.31",)
    parser._warn_of_another_package()
    assert capsys.readouterr().err == ""


def test_the_time_left_agrees_with_the_rate(capsys):
    shown = display.Display()
    shown._last_line = -100.0
    shown.show(Progress(20, 513, 21, 1.0, {}, 90.0, lambda: np.zeros((1, 1, 3))))
    assert capsys.readouterr().err == "20/513 (4.5 s/it, 2218 s left) loss 1.000e+00\n"
    shown.show(Begun(1, 3, "a.jpg"))
    shown._begun -= 100
    shown.show(Begun(2, 3, "b.jpg"))
    assert capsys.readouterr().err == "1 of 3: a.jpg\n2 of 3: b.jpg, 3 min left for all\n"
    assert display._duration(12_000) == "3 h 20 min"


def test_a_large_picture_that_is_painted_shows_how_far_it_is(capsys, monkeypatch):
    shown = display.Display()
    shown._last_line = -100.0
    shown.show(PaintingProgress(0.25, 20.0))
    shown.show(PaintingProgress(0.26, 20.5))  # too soon for another line
    assert capsys.readouterr().err == "25% painted, 60 s left\n"
    display.Display(False).show(PaintingProgress(0.25, 20.0))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with display.Display() as shown:
        shown.show(PaintingProgress(0.25, 20.0))
        shown.show(PaintingProgress(1.0, 80.0))
    bar = capsys.readouterr().err
    assert "60 s left" in bar
    assert "100%" in bar
