"""Tiles: the estimate of memory beside what a process takes, and what tiles cost.

python -m benchmarks.tiles                      # the estimate, each case in a process of its own
python -m benchmarks.tiles --cost vgg19 1024 512
python -m benchmarks.tiles --peak vgg19 4096 768 --all-tiles --alone
python -m benchmarks.tiles --runs vgg19 512 1024   # whole runs by lbfgs
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.common import CONTENT, STYLE
from styletransfer import images
from styletransfer.objective.losses import Content, Gram
from styletransfer.objective.statistics import forward
from styletransfer.objective.tiled import TiledObjective
from styletransfer.objective.whole import WholeObjective
from styletransfer.runtime.devices import Device
from styletransfer.runtime.memory import resident
from styletransfer.settings import Settings
from styletransfer.transfer.tiling import Work
from styletransfer.weights.loading import LoadedNetwork, load_network

CASES = [
    (name, length, tile)
    for name in ("vgg16", "vgg19", "googlenet")
    for length, tile in ((256, 0), (512, 0), (768, 0), (1024, 0), (768, 256), (1024, 512))
]


def main() -> None:
    """Print a table of what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peak", nargs=3, metavar=("NETWORK", "LENGTH", "TILE"))
    parser.add_argument("--all-tiles", action="store_true", help="not the first two alone")
    parser.add_argument("--alone", action="store_true", help="without the images of a minimiser")
    parser.add_argument("--cost", nargs=3, metavar=("NETWORK", "LENGTH", "TILE"))
    parser.add_argument("--runs", nargs="+", metavar=("NETWORK", "LENGTH"))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.peak:
        name, length, tile = options.peak
        peak(name, int(length), int(tile), options)
    elif options.cost:
        name, length, tile = options.cost
        cost(name, int(length), int(tile), options)
    elif options.runs:
        for length in options.runs[1:]:
            run(options.runs[0], length, options)
    else:
        table(options)


def table(options: argparse.Namespace) -> None:
    """Print the estimate of each case beside its measured peak."""
    print("| | measured MB | estimated MB | ratio |\n|---|---|---|---|")
    for name, length, tile in CASES:
        command = [sys.executable, "-m", "benchmarks.tiles", "--peak", name, str(length), str(tile)]
        command += ["--threads", str(options.threads)]
        command += ["--models", options.models] if options.models else []
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        measured, estimated = map(int, done.stdout.split()[-2:])
        how = f"tiles of {tile}" if tile else "whole"
        row = f"| {name} {length} {how} | {measured} | {estimated} | {estimated / measured:.2f} |"
        print(row, flush=True)


def problem(
    name: str, length: int, options: argparse.Namespace
) -> tuple[LoadedNetwork, Work, np.ndarray, dict[str, np.ndarray]]:
    """Return a network, an objective's arguments, an image, and targets that are all 0."""
    network = load_network(name, options.models, print, lambda step: None)
    picture = images.resize(images.load(CONTENT), (length, length))
    image = images.preprocess(picture, network.mean).astype(np.float32)
    terms = [Content(layer) for layer in network.content_layers]
    terms += [Gram(layer) for layer in network.style_layers]
    graph = forward(network.model, image.shape, terms)
    targets = {}
    for term in terms:
        shape = graph.shape(term.layer)
        targets[term.name] = np.full(
            shape if term.pointwise else (shape[1], shape[1]), 1e-3, np.float32
        )
    device = Device(threads=options.threads)
    return network, Work(network.model, image.shape, tuple(terms), device, "auto"), image, targets


def objective(work: Work, tile: int, targets: dict[str, np.ndarray]):
    """Return an objective as a whole, or in tiles."""
    arguments = work.network, work.shape, work.terms, work.device, work.convolution
    made = TiledObjective(*arguments, side=tile) if tile else WholeObjective(*arguments)
    made.bind(targets, [1.0] * len(work.terms))
    return made


def peak(name: str, length: int, tile: int, options: argparse.Namespace) -> None:
    """Evaluate once, and print the most memory that this process has taken, and the estimate."""
    # The minimiser's images are touched, as they are in a run of the quick one.
    settings = Settings(optimizer="adam")
    _, work, image, targets = problem(name, length, options)
    before = resident() - sum(value.nbytes for value in targets.values())
    made = objective(work, tile, targets)
    if tile and not options.all_tiles:
        made._pieces = made._pieces[:2]  # all have one shape
    others = [] if options.alone else [np.ones_like(image) for _ in range(10)]
    start = time.perf_counter()
    made.evaluate(image)
    seconds = time.perf_counter() - start
    measured = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    del made, others
    need = work.need(tile or None, settings)
    estimated = before + (replace(need, images=0) if options.alone else need).total
    print(f"{seconds:.1f} s", measured // 10**6, estimated // 10**6)


def run(name: str, length: str, options: argparse.Namespace) -> None:
    """Make a picture by `lbfgs`, and print the most memory that the command took, and foretells.

    After 13 iterations it keeps as many images as it ever will.
    """
    command = [sys.executable, "-m", "styletransfer", "image", "-c", CONTENT, "-s", STYLE]
    command += ["-m", name, "-l", length, "-n", "13", "--optimizer", "lbfgs", "--any-size"]
    command += ["--threads", str(options.threads), "--quiet"]
    command += ["--models", options.models] if options.models else []
    told = subprocess.run([*command, "--dry-run", "--json"], check=True, capture_output=True)
    estimated = json.loads(told.stdout)["memory_bytes"]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([*command, "-o", Path(folder) / "x.png"])
        _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    measured = used.ru_maxrss << 10
    figures = f"{measured // 10**6} | {estimated // 10**6} | {estimated / measured:.2f}"
    print(f"| {name} {length} whole run | {figures} |", flush=True)


def cost(name: str, length: int, tile: int, options: argparse.Namespace) -> None:
    """Evaluate as a whole and in tiles in turns; print the median of the ratios of their times."""
    _, work, image, targets = problem(name, length, options)
    both = [objective(work, side, targets) for side in (0, tile)]
    ratios = []
    for turn in range(options.rounds + 1):
        seconds = []
        for made in both:
            start = time.process_time()
            made.evaluate(image)
            seconds.append(time.process_time() - start)
        if turn:
            ratios.append(seconds[1] / seconds[0])
            print(f"{seconds[0]:.2f} s, {seconds[1]:.2f} s, ratio {ratios[-1]:.2f}", flush=True)
    print(f"median {np.median(ratios):.2f}")


if __name__ == "__main__":
    main()
