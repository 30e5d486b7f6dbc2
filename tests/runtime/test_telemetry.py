"""The runtime's telemetry is off, unless a user has asked for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

RUN = """
import numpy as np
from styletransfer.runtime.devices import Device, choose_device
from styletransfer.runtime.session import Session
from styletransfer.onnxgrad import GraphBuilder

choose_device(0)
graph = GraphBuilder()
x = graph.input("x", (2,))
graph.op("Add", x, x, output="y")
runner = Session(graph.model(["y"]).SerializeToString(), Device())
assert runner.run({"x": np.ones(2)})["y"].sum() == 4
"""


def test_a_run_leaves_nothing_in_the_home(tmp_path: Path) -> None:
    keep = ("PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "LD_LIBRARY_PATH")
    environment = {name: os.environ[name] for name in keep if name in os.environ}
    for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"):
        environment[name] = str(tmp_path)
    subprocess.run([sys.executable, "-c", RUN], env=environment, cwd=ROOT, check=True)
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize(("before", "after"), [({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")])
def test_what_a_user_has_set_stays(before: dict[str, str], after: str) -> None:
    code = "import os, styletransfer.runtime as r; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"} | before
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, env=environment, cwd=ROOT, check=True, capture_output=True)
    assert done.stdout.decode().strip() == after
