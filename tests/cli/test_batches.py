"""Batches, repeating a picture, and what is written beside one."""

import hashlib
import json
import logging
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from styletransfer import cli, images
from styletransfer.jobs import recipe
from styletransfer.jobs.task import Task
from styletransfer.networks import NETWORKS
from styletransfer.progress import Stop
from styletransfer.settings import Settings
from styletransfer.transfer import Summary, facade
from tests.conftest import ROOT

CONTENTS = ROOT / "images" / "content"
WAVE = ROOT / "images" / "style" / "wave.jpg"


@pytest.fixture
def run(quick_network, capsys, monkeypatch):
    """Return a function that runs the command and returns its code, stdout and stderr.

    Pictures have 96 pixels at least instead of 224.
    """
    name, folder = quick_network
    monkeypatch.setitem(NETWORKS, name, replace(NETWORKS[name], input_size=96))

    def command(*arguments, model=name):
        common = ["image", "--models", folder, "-g", -1]
        common += ["-m", model] if model else []
        code = cli.main([*map(str, common), *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


SHORT = ("-n", 1, "-l", 64, "--optimizer", "lbfgs")


def test_a_batch_goes_on_after_a_broken_file_and_does_only_what_is_missing(run, tmp_path):
    contents, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(CONTENTS, contents)
    shutil.copy(contents / "cat.jpg", contents / "dog.jpg")
    (contents / "broken.jpg").write_bytes((contents / "cat.jpg").read_bytes()[:4000])
    arguments = ("-s", WAVE, "-c", contents, "-o", out, *SHORT)
    code, printed, log = run(*arguments)
    assert code == 1
    assert [line.count("broken.jpg") for line in log.splitlines() if "error" in line] == [1]
    assert printed.count("saved ") == 4
    assert len(list(out.iterdir())) == 4
    shutil.copy(contents / "cat.jpg", contents / "broken.jpg")
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    code, printed, log = run(*arguments)
    assert code == 0
    assert printed.count("saved ") == 1
    assert log.count(" is there already") == 4
    assert {path: path.stat().st_mtime_ns for path in before} == before
    code, printed, _ = run(
        "-s",
        WAVE,
        "-c",
        contents / "cat.jpg",
        contents / "dog.jpg",
        "-o",
        out,
        *SHORT,
        "--overwrite",
    )
    assert (code, printed.count("saved ")) == (0, 2)


def test_a_batch_skips_what_it_cannot_read_and_goes_on_without_memory(run, tmp_path, monkeypatch):
    cat, coffee, rocket = (CONTENTS / f"{name}.jpg" for name in ("cat", "coffee", "rocket"))
    run_of = facade.run
    failure = [MemoryError("Unable to allocate 9 GiB")]

    def scarce(problems, settings, network, given, *rest):
        if given.content.shape == images.load(coffee).shape:
            raise failure[0]
        return run_of(problems, settings, network, given, *rest)

    monkeypatch.setattr(facade, "run", scarce)
    arguments = ("-s", WAVE, "-c", cat, coffee, rocket, "-o", tmp_path / "out", *SHORT)
    code, printed, log = run(*arguments)
    assert (code, printed.count("saved ")) == (1, 2)
    assert f"error: {coffee}: the memory is not enough (Unable to allocate 9 GiB); try" in log
    # What nobody foresaw does not end the others either.
    failure[0] = ZeroDivisionError("oh")
    code, printed, log = run(*arguments)
    assert (code, log.count("is there already")) == (1, 2)
    assert printed == "0 of 3 pictures made, 2 there already, 1 failed\n"
    assert f"error: {coffee}: ZeroDivisionError: oh (--debug shows where)" in log


def test_nothing_that_goes_in_is_overwritten_or_skipped(run, tmp_path):
    contents = tmp_path / "in"
    shutil.copytree(CONTENTS, contents)
    shutil.copy(WAVE, tmp_path / "x-00002.jpg")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.jpg")}
    cat = contents / "cat.jpg"
    for arguments, part in (
        (("-s", WAVE, "-c", contents, "-o", contents), "the results would lie in"),
        (("-s", WAVE, "-c", cat, "-o", cat), f"{cat} goes in and would be overwritten"),
        (("-s", WAVE, "-c", cat, "-i", cat, "-o", cat, "--overwrite"), "would be overwritten"),
        (
            ("-s", tmp_path / "x-00002.jpg", "-c", cat, "-o", tmp_path / "x.jpg"),
            "x-00002.jpg goes in and would be overwritten",
        ),
    ):
        code, printed, log = run(*arguments, "--save-every", 1, *SHORT)
        assert (code, printed, len(log.splitlines())) == (2, "", 1)
        assert part in log
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.jpg")} == before


def test_a_new_folder_for_one_picture(run, tmp_path):
    arguments = ("-s", WAVE, "-c", CONTENTS / "cat.jpg", *SHORT)
    assert run(*arguments, "-o", f"{tmp_path}/new/")[0] == 0
    (made,) = (tmp_path / "new").iterdir()
    assert re.fullmatch(r"cat-wave-\w+-content-1e4-1\.jpg", made.name)
    (tmp_path / "file").touch()
    code, _, log = run(*arguments, "-o", f"{tmp_path}/file/")
    assert code == 2
    assert f"{tmp_path / 'file'} is not a folder; choose another place" in log


def test_all_pairs(run, tmp_path):
    arguments = ("-s", WAVE, ROOT / "images/style/night.jpg", "-c", CONTENTS / "cat.jpg")
    code, _, _ = run(*arguments, "--all-pairs", "-o", tmp_path / "out", *SHORT)
    assert code == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert [name.split("-")[1] for name in names] == ["night", "wave"]
    made = [images.load(path) for path in (tmp_path / "out").iterdir()]
    assert np.abs(made[0] - made[1]).mean() > 1 / 255


def test_a_picture_is_repeated(run, tmp_path):
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    options = ("-i", "-1", "-n", 3, "-l", 64, "--scales", 2, "--preserve-colors", "cholesky")
    assert run("-s", WAVE, "-c", CONTENTS / "cat.jpg", "-o", first, *options)[0] == 0
    stored = images.read_parameters(first)
    assert stored["settings"]["n_iter"] == 3
    assert isinstance(stored["settings"]["seed"], int)
    assert "onnxruntime" in stored["versions"]
    assert stored["device"] == "CPU"
    assert re.fullmatch("[0-9a-f]{64}", stored["weights"])
    code, _, log = run("--like", first, "-o", again, model=None)
    assert code == 0
    assert "warning" not in log
    np.testing.assert_array_equal(*(np.asarray(Image.open(path)) for path in (first, again)))
    other = tmp_path / "other.png"
    assert run("--like", first, "-o", other, "-n", 2, model=None)[0] == 0
    assert images.read_parameters(other)["settings"]["n_iter"] == 2


def test_a_picture_that_something_else_made_is_not_replaced(run, tmp_path):
    arguments = ("-s", WAVE, "-c", CONTENTS / "cat.jpg", "-o", f"{tmp_path}/out/", *SHORT)
    assert run(*arguments)[0] == 0
    (first,) = (tmp_path / "out").iterdir()
    before = first.read_bytes()
    # The same again is the same picture: nothing is lost.
    assert run(*arguments)[0] == 0
    assert list((tmp_path / "out").iterdir()) == [first]
    # Other parameters: another name, which says what differs.
    code, printed, log = run(*arguments, "--tv", "1e5", "-l", 70)
    assert code == 0
    other = first.with_name(f"{first.stem}-length70-tv1e5.jpg")
    assert f"saved {other}" in printed
    assert f"{first} is another picture (length, tv), which stays: this one becomes" in log
    # Other pictures under the same name: a number.
    (tmp_path / "other").mkdir()
    shutil.copy(CONTENTS / "coffee.jpg", tmp_path / "other" / "cat.jpg")
    changed = ("-s", WAVE, "-c", tmp_path / "other" / "cat.jpg", "-o", f"{tmp_path}/out/", *SHORT)
    code, printed, _ = run(*changed)
    assert f"saved {first.with_name(first.stem + '-2.jpg')}" in printed
    # A file of somebody else's: a number, too.
    first.write_bytes(b"mine")
    code, printed, _ = run(*arguments)
    assert f"saved {first.with_name(first.stem + '-3.jpg')}" in printed
    assert first.read_bytes() == b"mine"
    # A name that is given is taken.
    assert run(*arguments[:4], "-o", first, *SHORT)[0] == 0
    assert first.read_bytes() == before


def test_a_batch_compares_what_is_there_with_what_is_asked_for(run, tmp_path):
    arguments = ("-s", WAVE, "-c", CONTENTS / "cat.jpg", CONTENTS / "coffee.jpg")
    out = ("-o", tmp_path / "out")
    code, printed, _ = run(*arguments, *out, *SHORT)
    assert (code, printed.count("saved ")) == (0, 2)
    code, printed, log = run(*arguments, *out, *SHORT, "--tv", "1e5")
    assert (code, printed.count("saved "), log.count("is there already")) == (0, 2, 0)
    code, printed, log = run(*arguments, *out, *SHORT, "--tv", "1e5")
    assert (code, printed.count("saved "), log.count("is there already")) == (0, 0, 2)
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_inputs_that_go_while_the_run_lasts_lose_nothing(run, tmp_path, monkeypatch):
    content, style = tmp_path / "cat.jpg", tmp_path / "wave.jpg"
    shutil.copy(CONTENTS / "cat.jpg", content)
    shutil.copy(WAVE, style)
    expected = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (content, style)]
    run_of = facade.run

    def while_it_lasts(*arguments):
        content.unlink()
        style.write_bytes(b"changed")
        return run_of(*arguments)

    monkeypatch.setattr(facade, "run", while_it_lasts)
    code, _, _ = run("-s", style, "-c", content, "-o", tmp_path / "x.png", *SHORT)
    assert code == 0
    files = images.read_parameters(tmp_path / "x.png")["files"]
    assert [files[kind][0][1] for kind in ("content", "styles")] == expected


def test_a_snapshot_that_cannot_be_written_is_told_and_the_run_goes_on(run, tmp_path):
    (tmp_path / "x-00001.png").mkdir()
    save = ("-n", 2, "-l", 64, "--save-every", 1)
    arguments = ("-s", WAVE, "-c", CONTENTS / "cat.jpg", "-o", tmp_path / "x.png", *save)
    code, printed, log = run(*arguments)
    assert (code, printed.count("saved ")) == (0, 1)
    assert [line for line in log.splitlines() if line.startswith("warning: ")] != []
    assert (tmp_path / "x-00002.png").is_file()


def test_an_error_after_the_first_image_leaves_that_image(run, tmp_path, monkeypatch):
    from styletransfer.transfer.problem import ProblemMaker

    make = ProblemMaker.make

    def fails(self, settings, network, given, stage):
        if stage.shrink == 1:
            raise RuntimeError("no such luck")
        return make(self, settings, network, given, stage)

    monkeypatch.setattr(ProblemMaker, "make", fails)
    output = tmp_path / "x.png"
    code, _, log = run(
        *("-s", WAVE, "-c", CONTENTS / "cat.jpg", "-o", output, "-n", 2, "-l", 64, "--scales", 2)
    )
    assert code == 1
    assert "error: RuntimeError: no such luck" in log
    assert f"the best picture so far is saved in {output}" in log
    assert images.read_parameters(output)["reason"] == "failed"


def test_the_log_of_a_program_that_calls_the_command_is_as_it_was(run, tmp_path):
    logger = logging.getLogger("styletransfer")
    logger.setLevel(logging.ERROR)
    before = logger.level, logger.propagate, list(logger.handlers)
    run("-s", WAVE, "-c", CONTENTS / "cat.jpg", "-o", tmp_path / "x.png", *SHORT)
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
    logger.setLevel(logging.NOTSET)


def test_files_given_anew_are_not_looked_for(run, tmp_path):
    first, gone = tmp_path / "first.png", tmp_path / "gone.jpg"
    shutil.copy(WAVE, gone)
    assert run("-s", gone, "-c", CONTENTS / "cat.jpg", "-o", first, *SHORT)[0] == 0
    gone.unlink()
    code, _, log = run("--like", first, "-o", tmp_path / "again.png", model=None)
    assert code == 2
    assert "gone.jpg, which is not here" in log
    anew = ("--like", first, "-s", WAVE, "-o", tmp_path / "again.png")
    assert run(*anew, model=None)[0] == 0
    stored = images.read_parameters(tmp_path / "again.png")["files"]
    assert [path for path, _ in stored["styles"]] == [str(WAVE)]


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("n" * 300 + ".png", ()),
        ("n" * 249 + ".png", ("--grid",)),
        ("n" * 249 + ".png", ("--plot",)),
        ("n" * 249 + ".png", ("--save-every", 1)),
    ],
)
def test_names_that_are_too_long_are_told_before_the_run(run, tmp_path, name, flags):
    output = tmp_path / name
    code, _, log = run("-s", WAVE, "-c", CONTENTS / "cat.jpg", "-o", output, *flags, *SHORT)
    assert code == 2
    assert "cannot be written: File name too long" in log
    assert len(log.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def stored_in(path, parameters):
    images.save(path, np.zeros((2, 2, 3)), parameters=parameters)
    return path


def good_parameters():
    task = Task(CONTENTS / "cat.jpg", (WAVE,), Path("x.png"), Settings())
    digests = {
        kind: [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
        for kind, paths in task.files.items()
    }
    end = Summary(512, 520, 2.0, 1.0, Stop.ITERATIONS, 3.0)
    return recipe.describe_run(task, digests, recipe.circumstances("CPU", 0, "0" * 64), end)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (None, "does not say how it was made"),
        ({"settings": 3}, "damaged"),
        ({"settings": {"colour": 1}}, "no parameter 'colour'"),
        ({"settings": {"n_iter": -1}}, "--num-iters is -1"),
        ({"files": {}}, "damaged"),
        ({"files": {"content": [["/etc/passwd"]], "styles": []}}, "its content is damaged"),
        ({"files": {"content": [["nowhere.jpg", "0"]]}}, "nowhere.jpg, which is not here"),
        ({"files": {"content": [[str(WAVE), "0"]]}}, "is not the file that"),
        ({"threads": "many"}, "damaged"),
    ],
)
def test_what_a_picture_says_is_not_trusted(run, tmp_path, change, part):
    parameters = None if change is None else good_parameters() | change
    path = stored_in(tmp_path / "x.png", parameters)
    code, _, log = run("--like", path, model=None)
    assert code in (1, 2)
    assert part in log
    assert len(log.splitlines()) == 1


def test_what_is_different_now_is_told_in_one_line(run, tmp_path, quick_network):
    first, changed = tmp_path / "first.png", tmp_path / "changed.jpg"
    assert run("-s", WAVE, "-c", CONTENTS / "cat.jpg", "-o", first, *SHORT)[0] == 0
    parameters = images.read_parameters(first)
    weights = parameters["weights"]
    parameters["versions"]["onnxruntime"] = "0.1"
    parameters |= {"weights": "0" * 64, "device": "CUDA device 0", "threads": 1 << 40}
    stored_in(changed, parameters)
    assert json.dumps(images.read_parameters(changed)) == json.dumps(parameters)
    output = tmp_path / "again.png"
    code, _, log = run("--like", changed, "-o", output, model=None)
    assert code == 0
    (line,) = (line for line in log.splitlines() if line.startswith("warning"))
    assert line.startswith(f"warning: {changed} may not come out the same: onnxruntime 0.1 -> 1.")
    assert line.endswith(
        f", device CUDA device 0 -> CPU, threads {1 << 40} -> {os.cpu_count()},"
        f" weights {'0' * 24} -> {weights[:24]}"
    )
    # What is not known is not taken for the same, and what is no text is not printed.
    del parameters["weights"]
    parameters |= {"device": "\x1b[2J", "versions": 3}
    _, _, log = run("--like", stored_in(changed, parameters), "-o", output, model=None)
    assert "numpy unknown -> " in log
    assert "device unknown -> CPU" in log
    assert f"weights unknown -> {weights[:24]}" in log


def test_another_network_by_intention_has_other_weights(caplog, tmp_path):
    found = recipe.read(stored_in(tmp_path / "x.png", good_parameters()))
    with caplog.at_level("WARNING", "styletransfer"):
        recipe.warn_of_differences(found, "vgg19", "CPU", 0, "1" * 64)
    assert not caplog.records
    with caplog.at_level("WARNING", "styletransfer"):
        recipe.warn_of_differences(found, "vgg16", "CPU", 0, "1" * 64)
    (record,) = caplog.records
    assert f"weights {'0' * 24} -> {'1' * 24}" in record.getMessage()


def test_what_is_written_beside_a_picture(run, tmp_path):
    output = tmp_path / "x.png"
    code, _, _ = run(
        *("-s", WAVE, "-c", CONTENTS / "cat.jpg", "-o", output, "-n", 4, "-l", 64),
        *("--save-every", 2, "--grid", "--plot", "--depth", 16),
    )
    assert code == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["x-00002.png", "x-00004.png", "x-grid.png", "x-loss.png", "x.png"]
    result, last, early = (
        images.load(tmp_path / n) for n in ("x.png", "x-00004.png", "x-00002.png")
    )
    np.testing.assert_array_equal(result, last)
    assert np.abs(result - early).mean() > 0
    grid = images.load(tmp_path / "x-grid.png")
    assert grid.shape[1] > 2 * result.shape[1]


def test_alpha_is_kept(run, tmp_path):
    cat = np.asarray(Image.open(CONTENTS / "cat.jpg"))
    alpha = np.full(cat.shape[:2], 255, np.uint8)
    alpha[:, :100] = 0
    Image.fromarray(np.dstack([cat, alpha])).save(tmp_path / "cat.png")
    output = tmp_path / "x.png"
    assert run("-s", WAVE, "-c", tmp_path / "cat.png", "-o", output, *SHORT)[0] == 0
    made = np.asarray(Image.open(output))
    assert made.shape[2] == 4
    assert made[:, :20, 3].max() == 0
    assert made[:, -20:, 3].min() == 255


def test_masks_and_a_first_image_from_files(run, tmp_path):
    cat = Image.open(CONTENTS / "cat.jpg")
    mask = np.zeros((cat.height, cat.width), np.uint8)
    mask[:, : cat.width // 2] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(255 - mask).save(tmp_path / "other.png")
    output = tmp_path / "x.png"
    code, _, log = run(
        *("-s", WAVE, ROOT / "images/style/night.jpg", "-c", CONTENTS / "cat.jpg", "-o", output),
        *("--style-masks", tmp_path / "mask.png", tmp_path / "other.png", "-v", *SHORT),
        *("-i", CONTENTS / "coffee.jpg", "--content-mask", tmp_path / "mask.png"),
    )
    assert code == 0
    assert "style 2/" in log
    files = images.read_parameters(output)["files"]
    assert [len(files[kind]) for kind in ("styles", "style_masks", "content_mask", "init")] == [
        *(2, 2, 1, 1),
    ]


def test_presets_and_flags(run, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("n_iter = 50\nratio = 2e3\n")
    output = tmp_path / "x.png"
    arguments = ("-s", WAVE, "-c", CONTENTS / "cat.jpg", "-o", output, *SHORT)
    assert run(*arguments, "--preset", path)[0] == 0
    settings = images.read_parameters(output)["settings"]
    assert (settings["n_iter"], settings["ratio"]) == (1, 2e3)
    code, _, log = run(*arguments, "--preset", "caffe", "--like", output)
    assert code == 2
    assert "exclude each other" in log
