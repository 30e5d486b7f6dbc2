"""The shortest run of the command, in this process and in one of its own."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

CONTENT = ROOT / "images" / "content" / "cat.jpg"
STYLE = ROOT / "images" / "style" / "wave.jpg"


def style_py(*arguments, **options):
    """Run style.py in a process of its own, to its end."""
    command = [sys.executable, str(ROOT / "style.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, **options)


@pytest.fixture(scope="session")
def short(quick_network):
    """Arguments of the shortest run on real weights."""
    name, folder = quick_network
    arguments = ["-s", STYLE, "-c", CONTENT, "-m", name, "-n", 1, "-l", 80, "--any-size", "-g", -1]
    return [*map(str, arguments), "--optimizer", "lbfgs", "--models", str(folder)]
