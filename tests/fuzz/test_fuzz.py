"""Whatever is in a file: an error of ours or success, in bounded time and memory, and no more.

Each reader runs in a process of its own, whose address space is bounded (see `runner`). The slow
test feeds 200,000 files a reader, or as many as it can in ten minutes.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.fuzz.readers import READERS

# Reading one of these takes a part of a second: it is run.
_FEW = {"painter": 30}


def findings(name: str, folder: Path, inputs: int, seconds: int, seed: int) -> str:
    """Return what escaped a reader, and the file that did it; nothing if all is well."""
    command = [sys.executable, "-m", "tests.fuzz.runner", name, "--folder", str(folder)]
    command += ["--inputs", str(inputs), "--seconds", str(seconds), "--seed", str(seed)]
    # What hangs in a library gets no signal: it runs into this.
    limit = 5 * seconds + 120  # the runner counts the processor's time
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit)
    if done.returncode:
        file = max((folder / "work").glob("file.*"), key=lambda path: path.stat().st_mtime_ns)
        return f"{name} ended with {done.returncode}: {done.stderr[-2000:]}\n{file.read_bytes()!r}"
    result = json.loads(done.stdout)
    assert result["inputs"]
    return "\n".join(f"{one['input']}: {one['problem']}" for one in result["findings"])


@pytest.mark.parametrize("name", READERS)
def test_some_files(name, tmp_path):
    assert not findings(name, tmp_path, _FEW.get(name, 100), seconds=120, seed=0)


BAD = """
import json, os, pickle, subprocess, sys, time
from pathlib import Path
from styletransfer.errors import StyleTransferError
from tests.fuzz import reader, readers, runner

def memory():
    try:
        return bytes(4 << 30)
    except MemoryError:
        raise StyleTransferError("too large") from None

def fail(text):
    raise StyleTransferError(text)

bad = [
    lambda: None, lambda: fail("refused"),
    lambda: [][0], lambda: time.sleep(9), memory, lambda: fail("x" * 5000), lambda: fail("a\\x1bb"),
    lambda: subprocess.run(["true"]), lambda: pickle.loads(b"cos\\nsystem\\n."),
    lambda: open("/tmp/elsewhere", "w"), lambda: open("/etc/passwd"), lambda: os.mkdir("/tmp/x/y"),
]
def read(path):
    data = path.read_bytes()
    return bad[data[0]]() if data else None

numbers = iter([0, *range(len(bad))])
one = reader.Reader(lambda folder: [b""], lambda rng, data: bytes([next(numbers)]), read)
readers.READERS["bad"] = one
next(numbers)
runner.SECONDS = 1
print(json.dumps(runner.run("bad", len(bad), 60, 0, Path(sys.argv[1]))))
"""


def test_what_should_be_found_is_found(tmp_path):
    command = [sys.executable, "-c", BAD.replace("\\\\", "\\"), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["inputs"], result["accepted"]) == (12, 1)
    expected = ["IndexError", "HangError", "memory", "5000 characters", "control characters"]
    expected += ["subprocess.Popen", "pickle.find_class", "elsewhere", "/etc/passwd", "os.mkdir"]
    for one, text in zip(result["findings"], expected, strict=True):
        assert text in one["problem"]
    assert not Path("/tmp/elsewhere").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many_files(name, tmp_path):
    assert not findings(name, tmp_path, 200_000, seconds=600, seed=1)
