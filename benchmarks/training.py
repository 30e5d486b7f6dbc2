"""A training step: ours beside PyTorch, alternating in one process; memory in one each.

python -m benchmarks.training --case pytorch 32 128 4 --case tf 32 128 4
"""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.common import CONTENT, STYLE, arguments, machine
from styletransfer import images
from styletransfer.feedforward import Trainer

CASES = (("pytorch", "32", "128", "4"), ("tf", "32", "128", "4"), ("pytorch", "16", "128", "4"))
LAYERS = {
    "content_layers": {"tf": ["conv3_3"], "pytorch": ["conv2_2"]},
    "style_layers": ["conv1_2", "conv2_2", "conv3_3", "conv4_3"],
}


def ours(case: tuple[str, ...], options) -> Trainer:
    """Return the product's trainer for a case: arch, width, size, batch."""
    arch, width, size, _ = case
    config = {
        "arch": arch,
        "width": int(width),
        "content_layers": LAYERS["content_layers"][arch],
        "style_layers": LAYERS["style_layers"],
        "style_weight": 5,
        "tv_weight": 1e-6,
    }
    style = picture(STYLE, int(size))
    return Trainer(config, style, models=options.models, threads=options.threads)


def pytorch(trainer: Trainer, case: tuple[str, ...], options):
    """Return the same training in PyTorch."""
    from benchmarks.eager_training import Training  # what runs without PyTorch is to weigh less

    plan = trainer._plan
    style = picture(STYLE, int(case[2]))
    return Training(
        plan.settings, plan.network, plan.compared, style, trainer.weights, options.threads
    )


def steps(case: tuple[str, ...], options) -> dict[str, Callable[[np.ndarray], float]]:
    """Return what is compared: steps that return the loss before them."""
    trainer = ours(case, options)
    theirs = pytorch(trainer, case, options)
    return {"PyTorch": theirs.step, "ours": lambda batch: trainer.step(batch)["loss"]}


def picture(path: Path, size: int) -> np.ndarray:
    """Return a sample picture as a square of bytes."""
    return np.uint8(255 * images.resize(images.load(path), (size, size)) + 0.5)


def pictures(case: tuple[str, ...]) -> np.ndarray:
    """Return a batch: the sample picture, a little noise added to each copy."""
    count, size = int(case[3]), int(case[2])
    noise = np.random.default_rng(0).integers(-8, 9, (count, size, size, 3))
    return np.clip(picture(CONTENT, size) + noise, 0, 255).astype(np.uint8)


def times(case: tuple[str, ...], rounds: int, options) -> dict[str, np.ndarray]:
    """Return the seconds of each implementation in each round: (wall, processor)."""
    batch, made = pictures(case), steps(case, options)
    first = [step(batch) for step in made.values()]
    assert abs(first[1] / first[0] - 1) < 1e-4, first
    rows = [[_seconds(step, batch) for step in made.values()] for _ in range(rounds)]
    return dict(zip(made, np.array(rows).swapaxes(0, 1), strict=True))


def _seconds(step: Callable[[np.ndarray], float], batch: np.ndarray) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    step(batch)
    return time.perf_counter() - wall, time.process_time() - processor


def peak(case: tuple[str, ...], implementation: str, options) -> int:
    """Return the most memory in MB that a process takes which does nothing but step."""
    command = [sys.executable, "-m", "benchmarks.training", "--case", *case]
    command += ["--peak-of", implementation, "--threads", str(options.threads)]
    command += ["--models", options.models] if options.models else []
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def report_peak(case: tuple[str, ...], implementation: str, options) -> None:
    """Step twice, and print the most memory that this process has taken, in MB."""
    batch, trainer = pictures(case), ours(case, options)
    step = trainer.step if implementation == "ours" else pytorch(trainer, case, options).step
    for _ in range(2):
        step(batch)
    # Linux alone tells it so; resource.getrusage would include the parent's before the exec.
    status = Path("/proc/self/status").read_text()
    print(int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024)


def main() -> None:
    """Print a table."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--case", nargs=4, action="append", metavar=("ARCH", "WIDTH", "SIZE", "N"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peak-of", help="only measure this one's memory")
    parser.add_argument("--no-peak", action="store_true")
    options = parser.parse_args()
    cases = [tuple(case) for case in options.case or CASES]
    if options.peak_of:
        report_peak(cases[0], options.peak_of, options)
        return
    print(machine(options.threads), "\n")
    print("| | PyTorch s (CPU s) | ours s (CPU s) | × (CPU ×) | peak MB: PyTorch, ours |")
    print("|---|---|---|---|---|")
    for arch, width, size, count in cases:
        case = arch, width, size, count
        measured = times(case, options.rounds, options)
        columns = ["{:.2f} ({:.2f})".format(*np.median(t, axis=0)) for t in measured.values()]
        ratios = np.median(measured["PyTorch"] / measured["ours"], axis=0)
        columns.append("{:.2f} ({:.2f})".format(*ratios))
        if not options.no_peak:
            columns.append(", ".join(str(peak(case, name, options)) for name in measured))
        print(f"| {arch}, {width} channels, {size}², {count} |", " | ".join(columns), "|")


if __name__ == "__main__":
    main()
