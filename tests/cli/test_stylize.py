"""``styletransfer stylize``: its pictures, messages and exit codes, with a small network."""

import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from styletransfer import cli, images, weights
from styletransfer.feedforward import Stylizer
from styletransfer.jobs import command
from tests.conftest import MODELS, ROOT
from tests.feedforward.networks import candy

CAT = ROOT / "images" / "content" / "cat.jpg"
NIGHT = ROOT / "images" / "style" / "night.jpg"


@pytest.fixture(scope="module")
def net(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("nets") / "sweet.onnx"
    path.write_bytes(candy(64).SerializeToString())
    return path


@pytest.fixture
def run(capsys, net) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: object, model: object = net) -> tuple[int, str, str]:
        chosen = () if model is None else ("-m", model)
        code = cli.main(["stylize", *map(str, (*arguments, *chosen))])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_a_photo_at_its_own_size(run, net, tmp_path):
    output = tmp_path / "x.png"
    code, out, err = run("-c", CAT, "-o", output)
    assert (code, err) == (0, "")
    assert out.startswith("451x300 in ")
    assert out.endswith(f" s, saved {output}\n")
    expected = Stylizer(net).stylize(images.load(CAT))
    np.testing.assert_allclose(images.load(output), expected, atol=0.51 / 255)


def test_length_depth_grid_and_colours(run, tmp_path):
    output = tmp_path / "x.png"
    flags = ("-l", 120, "--depth", 16, "--grid", "--preserve-colors", "lab", "after")
    assert run("-c", CAT, "-o", output, *flags)[0] == 0
    assert images.load(output).shape == (80, 120, 3)
    assert output.read_bytes()[24] == 16  # bits, in a PNG's header
    assert images.load(tmp_path / "x-grid.png").shape[0] == 80 + 24
    stored = images.read_parameters(output)
    assert stored["settings"]["preserve_colors"] == ["lab", "after"]
    assert stored["settings"]["length"] == 120


def test_alpha_and_orientation_stay(run, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 4), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    assert run("-c", tmp_path / "clear.png", "-o", tmp_path / "x.png")[0] == 0
    with Image.open(tmp_path / "x.png") as result:
        np.testing.assert_array_equal(np.asarray(result)[..., 3], pixels[..., 3])
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(pixels[..., :3]).save(tmp_path / "turned.jpg", exif=turned)
    assert run("-c", tmp_path / "turned.jpg", "-o", tmp_path / "y.png")[0] == 0
    assert images.load(tmp_path / "y.png").shape == (60, 40, 3)


def test_a_folder_is_gone_on_with(run, tmp_path):
    photos, results = tmp_path / "photos", tmp_path / "results"
    photos.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(CAT, photos / name)
    (photos / "broken.jpg").write_bytes(b"no picture")
    flags = ("-c", photos, "-o", results, "-l", 64)
    code, out, err = run(*flags)
    assert code == 1
    assert len(out.splitlines()) == 3
    assert out.splitlines()[-1] == "2 of 3 pictures made, 1 failed"
    assert err.startswith("error: ")
    assert err.count("broken.jpg") == 1
    assert sorted(p.name for p in results.iterdir()) == ["a-sweet.jpg", "b-sweet.jpg"]
    (photos / "broken.jpg").unlink()
    code, out, err = run(*flags)
    assert (code, out) == (0, "0 of 2 pictures made, 2 there already\n")
    assert err.count("is there already") == 2
    assert len(run(*flags, "--overwrite")[1].splitlines()) == 3
    # Other parameters make another picture.
    assert run(*flags, "--strength", 0.5)[0] == 0
    assert (results / "a-sweet-strength0.5.jpg").is_file()


def test_another_depth_is_another_picture(run, tmp_path):
    flags = ("-c", CAT, CAT.with_name("coffee.jpg"), "-o", tmp_path / "out", "-l", 64)
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "b.png"):
        images.save(photos / name, images.load(CAT)[:64, :80])
    flags = ("-c", photos, "-o", tmp_path / "out", "-l", 64)
    assert run(*flags)[0] == 0
    tifs = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in tifs] == ["a-sweet.jpg", "b-sweet.jpg"]
    # As if they had been made in a format of more bits.
    first = recipe_of(tifs[0])
    assert first["depth"] == 8
    images.save(tifs[0], images.load(tifs[0]), parameters={**first, "depth": 16})
    code, _, err = run(*flags)
    assert code == 0
    assert err.count("is there already") == 1
    assert "is another picture (depth), which stays: this one becomes a-sweet-depth8.jpg" in err


def recipe_of(path: Path) -> dict:
    return images.read_parameters(path)


def test_like_repeats_a_picture(run, net, tmp_path, capsys):
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    assert run("-c", CAT, "-o", first, "-l", 90, "--strength", 0.7)[0] == 0
    code, _, err = run("--like", first, "-o", again, model=None)
    assert (code, err) == (0, "")
    np.testing.assert_array_equal(images.load(again), images.load(first))
    other = tmp_path / "other.png"
    assert run("--like", first, "-o", other, "--strength", 1, model=None)[0] == 0
    assert not np.array_equal(images.load(other), images.load(first))
    code, _, err = run("--like", CAT, "-o", again, model=None)
    assert (code, "does not say how it was made" in err) == (1, True)
    assert cli.main(["image", "--like", str(first)]) == 2
    assert "use `styletransfer stylize --like`" in capsys.readouterr().err


def test_threads_are_taken_stored_and_repeated(run, tmp_path, monkeypatch):
    from styletransfer.runtime import session

    seen = []
    made = session.Session.__init__

    def noted(self, model, device, *others, **options):
        seen.append(device.threads)
        made(self, model, device, *others, **options)

    monkeypatch.setattr(session.Session, "__init__", noted)
    first = tmp_path / "x.png"
    assert run("-c", CAT, "-o", first, "-l", 64, "--threads", 1)[0] == 0
    assert seen[-1] == 1
    assert images.read_parameters(first)["threads"] == 1
    assert command.command(first)[-2:] == ["--threads", "1"]
    code, _, err = run("--like", first, "-o", tmp_path / "y.png", model=None)
    assert (code, err, seen[-1]) == (0, "", 1)
    code, _, err = run("-c", CAT, "-o", first, "--threads", 10**6)
    assert (code, "threads is 1000000; give a number from 1 to" in err) == (2, True)


def test_large_pictures_tell_how_far_they_are(run, tmp_path, monkeypatch):
    from styletransfer import display
    from styletransfer.feedforward import painter

    monkeypatch.setattr(painter, "WHOLE_BYTES", 0)
    monkeypatch.setattr(display, "INTERVAL", 0.0)
    code, _, err = run("-c", CAT, "-o", tmp_path / "x.png", "-l", 64)
    assert code == 0
    lines = err.splitlines()
    assert len(lines) > 4
    assert lines[-1] == "100% painted, 0 s left"
    assert run("-c", CAT, "-o", tmp_path / "x.png", "-l", 64, "--quiet")[2] == ""


def test_json(run, net, tmp_path):
    code, out, _ = run("-c", CAT, "-o", tmp_path / "x.jpg", "-l", 64, "--json", "--quiet")
    facts = json.loads(out)
    assert code == 0
    assert (facts["width"], facts["height"]) == (64, 43)
    assert facts["output"] == str(tmp_path / "x.jpg")
    assert facts["content"] == str(CAT)
    assert facts["settings"]["model"] == str(net)


class _Stream:
    """Stands for stdin or stdout."""

    encoding = "utf-8"

    def __init__(self, data: bytes = b"") -> None:
        self.buffer = io.BytesIO(data)
        self.buffer.fileno = lambda: os.open(os.devnull, os.O_RDWR)

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


def test_stdin_and_stdout(net, monkeypatch):
    out = _Stream()
    monkeypatch.setattr(sys, "stdin", _Stream(CAT.read_bytes()))
    monkeypatch.setattr(sys, "stdout", out)
    assert cli.main(["stylize", "-c", "-", "-o", "-", "-l", "64", "-m", str(net)]) == 0
    with Image.open(io.BytesIO(out.buffer.getvalue())) as result:
        assert (result.format, result.size) == ("JPEG", (64, 43))
    monkeypatch.setattr(sys, "stdin", _Stream())
    assert cli.main(["stylize", "-c", "-", "-o", "-", "-m", str(net)]) == 2


def test_a_sheet(run, tmp_path):
    code, out, _ = run("-c", CAT, "--sheet", "-o", tmp_path / "s.png")
    assert (code, out) == (0, f"saved {tmp_path / 's.png'}\n")
    assert command.command(tmp_path / "s.png")[2:4] == ["-c", str(CAT)]
    assert command.command(tmp_path / "s.png")[-1] == "--sheet"
    assert run("-c", CAT, "-o", f"{tmp_path}/out/", "-l", 64)[0] == 0  # not the sheet's name
    for end, flags in ((".jpg", ()), ("-2.jpg", ()), (".png", ("--format", "png"))):
        code, out, _ = run("-c", CAT, "--sheet", "-o", f"{tmp_path}/out/", *flags)
        assert (code, out) == (0, f"saved {tmp_path / 'out' / f'cat-sweet-sheet{end}'}\n")
    assert images.load(tmp_path / "s.png").shape == (128 + 16 + 2 * 12, 2 * (192 + 12) + 12, 3)


def test_published_networks(run, published, tmp_path):
    for name in ("multistyle26", "arbitrary_predict", "arbitrary_transform"):
        published(name)
    flags = ("-c", CAT, "-l", 96, "--models", MODELS)
    named = tmp_path / "pictures"
    many = (*flags, "--style", "3:0.5,12:0.5", "-o", f"{named}/")
    assert run(*many, model="multistyle26")[0] == 0
    assert (
        "style 0 of 0 to 25 is painted"
        in run(*flags, "-o", tmp_path / "0.png", model="multistyle26")[2]
    )
    assert run(*flags, "-s", NIGHT, "-o", f"{named}/", model=None)[0] == 0
    names = sorted(path.name for path in named.iterdir())
    assert names == ["cat-multistyle26-3_0.5_12_0.5.jpg", "cat-night-arbitrary.jpg"]
    photo, night = images.load(CAT), images.load(named / names[1])
    assert (
        night[..., 2].mean() - night[..., 0].mean() > 0.1 + (photo[..., 2] - photo[..., 0]).mean()
    )
    for arguments, message, model in (
        (
            ("-s", NIGHT),
            "multistyle26 has styles of its own; choose one by --style",
            "multistyle26",
        ),
        (("--style", 26), "no style 26; its styles are 0 to 25", "multistyle26"),
        ((), "there is no -s; give a painting", None),
        (("-s", NIGHT, "--style", 7), "paintings and --style exclude each other", None),
    ):
        code, out, err = run(*flags, *arguments, "-o", tmp_path / "x.png", model=model)
        assert (code, out) == (2, "")
        assert message in err
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "there is no -c; give a photo"),
        (("-c", CAT, "--strength", 2), "strength is '2'; give a number from 0 to 1"),
        (("-c", CAT, "-l", 3), "length is '3'; give a number of pixels of at least 16"),
        (("-c", CAT, "--style", 1), "the network has one style; give none"),
        (("-c", CAT, "-o", "-", "--json"), "-o - and --json exclude each other"),
        (("-c", CAT, CAT, "-o", "-"), "several pictures need a folder"),
        (("-c", CAT, CAT), "would both become"),
        (("-c", CAT, CAT, "--sheet"), "a sheet is of one photo; give one"),
        (("-c", CAT, "-o", CAT), "goes in and would be overwritten"),
        (("-c", CAT, "-o", "x.nix"), "no picture format goes by '.nix'"),
        (("-c", "nowhere.jpg"), "There is no picture nowhere.jpg"),
        (("-c", CAT, "-o", "x.jpg", "--format", "png"), "says its format"),
        (("-c", "-", "-", "-o", "y/"), "standard input is one picture"),
    ],
)
def test_arguments_that_cannot_work(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", _Stream(CAT.read_bytes()))
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "model", "message"),
    [
        (("-s", NIGHT, "-l", 20), None, "a picture of 20 x 13 pixels cannot be painted"),
        ((), None, "there is no -s; give a painting"),
        (("--sheet",), None, "the styles of arbitrary are paintings"),
        (("-s", NIGHT), "multistyle26", "multistyle26 has styles of its own"),
        ((), "vgg16", "'vgg16' is a network to optimise with, and does not paint by itself; use"
         " styletransfer image -m vgg16"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_before_anything_is_fetched(
    run, tmp_path, monkeypatch, arguments, model, message
):
    def fetched(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(weights, "load_ready", fetched)
    code, out, err = run("-c", CAT, *arguments, "-o", tmp_path / "x.png", model=model)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_length_that_is_not_given_is_in_no_name(run, tmp_path):
    for flags in (("-l", 64), (), ("-l", 96)):
        (tmp_path / "y.jpg").write_bytes(CAT.read_bytes())
        (tmp_path / "x.jpg").write_bytes(CAT.read_bytes())
        arguments = ("-c", tmp_path / "x.jpg", tmp_path / "y.jpg", "-o", tmp_path / "out/")
        assert run(*arguments, *flags, "--format", "png")[0] == 0
    assert not [path for path in (tmp_path / "out").iterdir() if "None" in path.name]
    assert len(list((tmp_path / "out").iterdir())) == 6


def test_files_that_are_no_networks(run, tmp_path):
    (tmp_path / "x.onnx").write_text("nothing")
    code, _, err = run("-c", CAT, model=tmp_path / "x.onnx")
    assert code == 1
    assert err == f"error: {tmp_path / 'x.onnx'} is no ONNX file.\n"
    code, _, err = run("-c", CAT, model="candy")
    assert code == 2
    assert "'candy' is neither a network nor a file" in err
