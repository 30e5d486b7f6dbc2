"""``--dry-run``: what a picture will take; and the flags about memory."""

import json

import pytest

from styletransfer import cli
from tests.cli.conftest import CONTENT, STYLE


@pytest.fixture
def arguments(quick_network, tmp_path):
    name, models = quick_network
    given = ["-s", STYLE, "-c", CONTENT, "-m", name, "--models", models, "-g", -1]
    given += ["-o", tmp_path / "result.png", "-l", 120, "--any-size", "-n", 4, "--threads", 1]
    # Deeper ones see so much of a picture that a small one makes no tiles.
    given += ["--style-layers", "conv1/7x7_s2", "--content-layers", "conv2/3x3"]
    return list(map(str, given))


def test_what_a_picture_will_take(arguments, capsys, tmp_path):
    assert cli.main_style([*arguments, "--dry-run", "--memory-limit", "20G"]) == 0
    said = capsys.readouterr().out
    assert "120" in said
    assert "pixels on CPU" in said
    assert "as a whole; about" in said
    assert "for 4 iterations" in said
    assert not list(tmp_path.iterdir())


def test_the_same_for_programs(arguments, capsys, tmp_path):
    assert cli.main_style([*arguments, "--dry-run", "--json", "--tile", "64"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert max(facts["width"], facts["height"]) == 120
    assert facts["tile"] == 64
    assert facts["tiles"] > 1
    assert facts["memory_bytes"] > 10**7
    assert facts["seconds"] >= 0
    assert facts["style_layers"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--tile", "small"], ["--tile", "'small'", "auto, off"]),
        (["--tile", "5"], ["tile is 5", "at least 32"]),
        (["--memory-limit", "much"], ["--memory-limit", "'much'", "4G"]),
        (["--memory-limit", "0"], ["--memory-limit", "'0'"]),
        (["--json"], ["--json goes with --dry-run"]),
    ],
)
def test_flags_that_cannot_work(flags, parts, arguments, capsys):
    try:
        code = cli.main_style([*arguments, *flags])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    said = capsys.readouterr().err
    for part in parts:
        assert part in said


def test_a_picture_in_tiles(arguments, tmp_path):
    assert cli.main_style([*arguments, "--tile", "64", "--quiet"]) == 0
    assert (tmp_path / "result.png").exists()
