"""What the package declares that it needs: read as pip reads it."""

import configparser
from importlib.metadata import EntryPoint

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from styletransfer import __main__
from tests.conftest import ROOT
from tools import oldest


def lines(text: str) -> list[str]:
    """Return the lines that say something."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def declared() -> list[Requirement]:
    """Return what `pip install .` installs beside the package."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return [Requirement(line) for line in lines(config["options"]["install_requires"])]


@pytest.mark.parametrize(
    ("system", "machine", "runtime"),
    [
        ("linux", "x86_64", "onnxruntime-gpu"),
        ("win32", "AMD64", "onnxruntime-gpu"),
        ("linux", "aarch64", "onnxruntime"),
        ("darwin", "x86_64", "onnxruntime"),
        ("darwin", "arm64", "onnxruntime"),
        ("win32", "ARM64", "onnxruntime"),
    ],
)
def test_every_machine_gets_one_build_of_the_runtime(system, machine, runtime):
    where = {"sys_platform": system, "platform_machine": machine}
    taken = [r.name for r in declared() if r.marker is None or r.marker.evaluate(where)]
    assert [name for name in taken if name.startswith("onnxruntime")] == [runtime]


def test_the_small_install_has_the_same_ranges():
    small = [Requirement(r) for r in lines((ROOT / "requirements-cpu.txt").read_text())]
    wanted = [r for r in declared() if r.name != "onnxruntime-gpu"]
    assert {r.name: r.specifier for r in small} == {r.name: r.specifier for r in wanted}


def test_the_oldest_releases_are_the_lower_bounds():
    pins = {pin.name: pin.specifier for pin in map(Requirement, oldest.constraints())}
    files = [ROOT / f"requirements-{extra}.txt" for extra in ("video", "web", "cluster")]
    extras = [Requirement(line) for file in files for line in lines(file.read_text())]
    bounds = {
        wanted.name: [bound.version for bound in wanted.specifier if bound.operator == ">="]
        for wanted in [*declared(), *extras]
    }
    assert pins == {name: SpecifierSet(f"=={version}") for name, (version,) in bounds.items()}


def test_the_console_script():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    name, value = config["options.entry_points"]["console_scripts"].strip().split(" = ")
    assert name == "styletransfer"
    assert EntryPoint(name, value, "console_scripts").load() is __main__.main
