"""The library changes nothing of the process that it is used in."""

import subprocess
import sys

from tests.conftest import ROOT

PROGRAM = """
import logging, signal, sys, threading
import numpy as np

def state():
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    root = logging.getLogger()
    return handlers, list(root.handlers), root.level, sys.excepthook

import scipy.ndimage, skimage.transform, onnx, onnxruntime, PIL.Image
before = state()
from dataclasses import replace
from styletransfer import StyleTransfer
transfer = StyleTransfer(sys.argv[1], use_pbar=False, gpu_id=-1, models=sys.argv[2])
transfer.network = replace(transfer.network, input_size=64)
picture = np.random.default_rng(0).random((64, 64, 3), np.float32)
transfer.transfer_style(picture, picture, 64, 1e4, 2)
assert transfer.get_generated().shape == (64, 64, 3)
for was, now in zip(before, state(), strict=True):
    assert was == now, (was, now)
assert threading.active_count() == 1
"""


def test_no_signals_output_or_logging_are_touched(quick_network):
    name, folder = quick_network
    command = [sys.executable, "-c", PROGRAM, name, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout == ""
    assert done.stderr == ""
    assert done.returncode == 0


LIGHT = """
import sys
from styletransfer import StyleTransfer
import numpy as np
transfer = StyleTransfer(sys.argv[1], use_pbar=False, gpu_id=-1, models=sys.argv[2])
picture = np.random.default_rng(0).random((64, 64, 3), np.float32)
transfer.transfer_style(picture, picture, 224, 1e4, 1, init="content", optimizer="lbfgs")
heavy = {"skimage.transform", "scipy.optimize", "torch"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
"""


def test_a_run_imports_no_package_that_takes_long(quick_network):
    name, folder = quick_network
    command = [sys.executable, "-c", LIGHT, name, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
