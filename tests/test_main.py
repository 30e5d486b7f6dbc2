"""``python -m styletransfer``."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def test_nothing_is_imported_from_the_current_folder(tmp_path: Path) -> None:
    bait = f"open({str(tmp_path / 'executed')!r}, 'a').write(__name__)\nraise ImportError"
    for name in ("argparse", "logging", "numpy", "onnx", "onnxruntime", "google", "pip"):
        (tmp_path / f"{name}.py").write_text(bait)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for words, said in (
        (["styletransfer", "models"], "vgg16: "),
        (["style", "--help"], "usage: style.py"),
    ):
        command = [sys.executable, "-m", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert not (tmp_path / "executed").exists()
        assert done.returncode == 0, done.stderr
        assert said in done.stdout


def test_a_checkout_runs_without_installation() -> None:
    # Without site-packages the current folder is the only place where it can be found.
    command = [sys.executable, "-S", "-m", "styletransfer", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage: styletransfer" in done.stdout


def test_a_package_that_is_missing_is_told_with_what_to_do() -> None:
    for words in (["style.py"], ["-m", "styletransfer", "image"]):
        command = [sys.executable, "-S", *words, "-s", "images/style/night.jpg"]
        command += ["-c", "images/content/cat.jpg", "-o", "x.jpg"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        (line,) = done.stderr.splitlines()
        assert done.returncode == 1
        assert f"is not installed for {sys.executable}; use the environment" in line
        assert ".venv/bin/activate" in line
