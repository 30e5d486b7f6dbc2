"""The optimisers: their own cost per iteration, the loss they reach, and a plot of it over time.

python -m benchmarks.optimizers --case vgg19 384 512 --plot benchmarks/loss.png
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.common import Evaluate, Problem, arguments, machine, problem
from benchmarks.implementations import ours, pytorch
from styletransfer.optim import OPTIMIZERS, Iterate, minimise

HISTORY = 8


@dataclass
class Run:
    """The course of one minimisation: after each iteration the loss and the seconds so far."""

    losses: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    evaluations: int = 0
    evaluating: float = 0.0

    def timed(self, evaluate: Evaluate) -> Evaluate:
        """Return `evaluate`, counted."""

        def counted(image: np.ndarray) -> tuple[float, np.ndarray]:
            start = time.perf_counter()
            result = evaluate(image)
            self.evaluating += time.perf_counter() - start
            self.evaluations += 1
            return result

        return counted

    @property
    def own(self) -> float:
        """Seconds an iteration besides the evaluations."""
        return (self.times[-1] - self.evaluating) / len(self.times)


def course(method: Callable[..., object], evaluate: Evaluate, given: Problem, n: int) -> Run:
    """Minimise from the content image, having evaluated once to warm up."""
    run = Run()
    evaluate(given.content)
    start = time.perf_counter()

    def accept(iterate) -> None:
        run.losses.append(iterate.loss)
        run.times.append(time.perf_counter() - start)

    method(run.timed(evaluate), given.content, given.bounds, n, accept)
    return run


def pytorch_lbfgs(evaluate, image, bounds, iterations: int, callback) -> None:
    """PyTorch's L-BFGS with its defaults, the image clipped after each iteration."""
    import torch

    x = torch.from_numpy(image.copy()).requires_grad_()
    low, high = (torch.from_numpy(bound) for bound in bounds)
    optimizer = torch.optim.LBFGS([x], max_iter=1, history_size=HISTORY)

    def closure() -> float:
        loss, gradient = evaluate(x.detach().numpy())
        x.grad = torch.from_numpy(gradient)
        return loss

    for iteration in range(1, iterations + 1):
        loss = optimizer.step(closure)
        with torch.no_grad():
            x.clamp_(low, high)
        callback(Iterate(iteration, x.detach().numpy(), float(loss)))


def draw(runs: dict[str, Run], title: str, path: str) -> None:
    """Plot the losses over the seconds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, run in runs.items():
        axes.plot(run.times, run.losses, label=name)
    axes.set(title=title, xlabel="seconds", ylabel="loss", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Print a table, and draw the plot if one is wanted."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--case", nargs=3, default=["vgg19", "384", "512"])
    parser.add_argument("-n", "--num-iters", type=int, default=100)
    parser.add_argument("--plot", help="the image file to draw")
    parser.add_argument("--only", nargs="*", help="names of optimisers, pytorch among them")
    options = parser.parse_args()
    name, height, width = options.case
    given = problem(name, int(height), int(width), options.models)
    print(machine(options.threads), "\n")
    print(f"{name} {height}×{width}, {options.num_iters} iterations from the content image\n")
    print("| optimiser | ms an iteration, own | evaluations | loss | seconds in all |")
    print("|---|---|---|---|---|")
    evaluate = ours(given, "auto", options.threads)
    runs = {}
    for kind in options.only or [*OPTIMIZERS, "pytorch"]:
        if kind == "pytorch":
            label, method = "PyTorch, L-BFGS", pytorch_lbfgs
            function = pytorch(given, options.threads)
        else:
            label, method, function = kind, functools.partial(minimise, kind), evaluate
        run = runs[label] = course(method, function, given, options.num_iters)
        print(
            f"| {label} | {1000 * run.own:.1f} | {run.evaluations} | {run.losses[-1]:.4e} "
            f"| {run.times[-1]:.1f} |",
            flush=True,
        )
    if options.plot:
        draw(runs, f"{name}, {width}×{height}, {options.threads} threads", options.plot)


if __name__ == "__main__":
    main()
