"""Seconds of a whole command until the loss is that of 100 iterations of the original's way.

Each row is a process of its own, timed from its start: Python, imports, weights, targets, graph.
What was measured is kept in a file, so that the rows can be run a few at a time.

python -m benchmarks.time_to_loss --case vgg16 cat night 1e4 --plot docs/pictures/time-to-loss.png
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT, Problem, arguments, machine

ITERATIONS = 100
MOST = 400
"""Iterations after which a row is given up."""

ORIGINAL = "lbfgsb, from the content: the original's way"
SCALED: dict[str, dict[str, object]] = {
    "2 scales": {"optimizer": "lbfgs", "scales": "2", "n_iter": 60},
    "3 scales": {"optimizer": "lbfgs", "scales": "3", "n_iter": 75},
}
FIRST = {"content": "content", "colours": "colours", "painting": "stylized"}
OURS: dict[str, dict[str, object]] = {
    ORIGINAL: {"optimizer": "lbfgsb", "n_iter": ITERATIONS},
    "lbfgsb, from the colours": {"optimizer": "lbfgsb", "init": "colours"},
    "lbfgsb, from the painting": {"optimizer": "lbfgsb", "init": "stylized"},
    **{
        f"lbfgs, from the {name}": {"optimizer": "lbfgs", "init": init}
        for name, init in FIRST.items()
    },
    **{
        f"lbfgs, {scales}, from the {name}": {**options, "init": init}
        for scales, options in SCALED.items()
        for name, init in FIRST.items()
    },
}
THEIRS = {"PyTorch, L-BFGS, from the content": "lbfgs", "PyTorch, Adam, from the content": "adam"}

Course = list[tuple[float, float]]
"""Seconds and losses at the full size, one after each iteration."""


class _Ended(Exception):
    """The loss is low enough, or it takes too long."""


class _Recorder:
    """Keeps the course of a row, and ends it."""

    def __init__(self, given: argparse.Namespace, target: float) -> None:
        self.course: Course = []
        self._begun, self._limit, self._target = given.begun, given.limit, target

    def __call__(self, loss: float) -> None:
        now = time.time() - self._begun
        self.course.append((round(now, 2), loss))
        if self._target and (loss <= self._target or now > self._limit):
            raise _Ended


def ours(given: argparse.Namespace, record: _Recorder) -> None:
    """Make the picture as the command does."""
    from styletransfer import StyleTransfer
    from styletransfer.settings import make
    from styletransfer.settings.picture import Settings
    from styletransfer.transfer import stages

    network, content, style, ratio = given.case
    options = {"n_iter": MOST, "init": "content", **OURS[given.row]}
    transfer = StyleTransfer(
        network, use_pbar=False, gpu_id=-1, models=given.models, threads=given.threads
    )
    settings = make(Settings, {"length": given.length, **options})
    shape = (1000, 1500)  # only its proportions count, and those little
    planned = stages.plan(settings, shape, transfer.network.input_size)
    coarse = sum(stage.n_iter for stage in planned[:-1])

    def progress(step) -> None:
        if step.iteration > coarse:
            record(step.loss)

    styles = str(ROOT / f"images/style/{style}.jpg")
    picture = str(ROOT / f"images/content/{content}.jpg")
    transfer.transfer_style(
        styles, picture, given.length, float(ratio), progress=progress, **options
    )


def same(given: argparse.Namespace) -> Problem:
    """Return the problem that the command has, for another program."""
    from styletransfer import images, weights
    from styletransfer.networks import NETWORKS

    network, content, style, ratio = given.case
    table = NETWORKS[network]

    def seen(path: Path, factor: float) -> np.ndarray:
        picture = images.load(path)
        scale = factor * images.scale_for(picture.shape, given.length, table.input_size)
        return images.preprocess(images.rescale(picture, scale), table.mean).astype(np.float32)

    mean = table.mean.reshape(1, 3, 1, 1).astype(np.float32)
    return Problem(
        weights.load(network, weights.model_directories(given.models)),
        seen(ROOT / f"images/content/{content}.jpg", 1.0),
        seen(ROOT / f"images/style/{style}.jpg", 1.2),
        (-mean, 255 - mean),
        table.content_layers,
        {layer: float(ratio) * weight for layer, weight in table.style_layers.items()},
    )


def theirs(given: argparse.Namespace, record: _Recorder) -> None:
    """Minimise the same function by PyTorch, the image clipped after each iteration."""
    import torch

    from benchmarks.eager import objective

    problem = same(given)
    evaluate = objective(problem, given.threads)
    x = torch.from_numpy(problem.content.copy()).requires_grad_()
    low, high = (torch.from_numpy(bound) for bound in problem.bounds)
    kind = THEIRS[given.row]
    optimizer = (
        torch.optim.LBFGS([x], max_iter=1, history_size=10)
        if kind == "lbfgs"
        else torch.optim.Adam([x], lr=0.02 * 255)
    )

    def closure() -> float:
        loss, gradient = evaluate(x.detach().numpy())
        x.grad = torch.from_numpy(gradient)
        record(loss)
        return loss

    for _ in range(MOST):
        optimizer.step(closure)
        with torch.no_grad():
            x.clamp_(low, high)


def child(given: argparse.Namespace, target: float) -> None:
    """Run one row and print its course as JSON."""
    record = _Recorder(given, target)
    with contextlib.suppress(_Ended):
        (theirs if given.row in THEIRS else ours)(given, record)
    print(json.dumps(record.course))


def measure(given: argparse.Namespace, row: str, target: float) -> Course:
    """Return the course of a row, run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.time_to_loss", "--case", *given.case]
    command += ["--row", row, "--length", str(given.length), "--threads", str(given.threads)]
    command += ["--limit", str(given.limit), *(["--models", given.models] if given.models else [])]
    command += ["--target", str(target), "--begun", str(time.time())]
    environment = os.environ | {"OMP_NUM_THREADS": str(given.threads)}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False
    )
    if done.returncode:
        raise SystemExit(f"{row} failed:\n{done.stderr}")
    return [(seconds, loss) for seconds, loss in json.loads(done.stdout.splitlines()[-1])]


def reached(course: Course, target: float) -> float | None:
    """Return the seconds after which a loss was reached."""
    return next((seconds for seconds, loss in course if loss <= target), None)


def table(rows: dict[str, Course]) -> None:
    """Print what was measured of a case as Markdown."""
    target = min(loss for _, loss in rows[ORIGINAL])
    whole = rows[ORIGINAL][-1][0]
    print("| row | s to the loss | part of the original's way | iterations | first iteration, s |")
    print("|---|---|---|---|---|")
    for row, course in rows.items():
        seconds = reached(course, target)
        last = f"not in {course[-1][0]:.0f} s ({course[-1][1] / target:.2f} × the loss)"
        told = last if seconds is None else f"{seconds:.1f}"
        part = "" if seconds is None else f"{seconds / whole:.2f}"
        print(f"| {row} | {told} | {part} | {len(course)} | {course[0][0]:.1f} |")


def draw(rows: dict[str, Course], title: str, path: str) -> None:
    """Plot the losses over the seconds: the original's way, PyTorch's, and two of ours."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for row, course in rows.items():
        seconds, losses = zip(*course, strict=True)
        style = "--" if row in THEIRS else "-"
        axes.plot(seconds, losses, style, label=row, color="black" if row == ORIGINAL else None)
    target = min(loss for _, loss in rows[ORIGINAL])
    axes.axhline(target, color="gray", linewidth=0.8)
    axes.set(title=title, xlabel="seconds, the whole command", ylabel="loss", yscale="log")
    axes.set_xlim(0, 1.05 * rows[ORIGINAL][-1][0])
    axes.set_ylim(0.85 * target, 60 * target)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure the rows that are missing, then print the table."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--case", nargs=4, default=["vgg16", "cat", "night", "1e4"])
    parser.add_argument("-l", "--length", type=int, default=512)
    parser.add_argument("--rows", nargs="*", help="parts of the names of the rows to run and show")
    parser.add_argument("--store", default=str(ROOT / "benchmarks/time-to-loss.json"))
    parser.add_argument("--limit", type=float, default=240, help="the most seconds of a row")
    parser.add_argument("--plot", help="the image file to draw")
    for hidden in ("--row", "--target", "--begun"):
        parser.add_argument(
            hidden, type=str if hidden == "--row" else float, help=argparse.SUPPRESS
        )
    given = parser.parse_args()
    if given.row:
        child(given, given.target)
        return
    store = Path(given.store)
    kept = json.loads(store.read_text()) if store.exists() else {}
    case = " ".join([*given.case, str(given.length)])
    rows = kept.setdefault(case, {})
    wanted = [
        row
        for row in (*OURS, *THEIRS)
        if given.rows is None or any(part in row for part in given.rows) or row == ORIGINAL
    ]
    for row in wanted:
        if row in rows:
            continue
        target = 0.0 if row == ORIGINAL else min(loss for _, loss in rows[ORIGINAL])
        rows[row] = measure(given, row, target)
        store.write_text(json.dumps(kept))
    print(machine(given.threads), f"\n\n{case}\n")
    shown = {row: rows[row] for row in wanted}
    table(shown)
    if given.plot:
        draw(shown, f"{case} pixels, {given.threads} threads", given.plot)


if __name__ == "__main__":
    main()
