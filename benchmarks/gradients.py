"""How exact float32 gradients are: ours and PyTorch's beside PyTorch's in float64.

python -m benchmarks.gradients
"""

import json

import numpy as np
import torch

from benchmarks.common import ROOT, arguments, machine
from benchmarks.eager_training import Training
from styletransfer.feedforward import Trainer, architecture

BATCHES = 12


def errors(found: list[np.ndarray], exact: list[np.ndarray]) -> float:
    """Return the largest error of an array of weights, as a part of its norm."""
    return max(
        float(np.linalg.norm(a - b) / np.linalg.norm(b))
        for a, b in zip(found, exact, strict=True)
        if b.any()
    )


def compared(name: str, options) -> np.ndarray:
    """Return the errors of PyTorch's and of our gradients, (batches, 2)."""
    with np.load(ROOT / f"tests/reference/feedforward/{name}.npz", allow_pickle=False) as data:
        run = dict(data)
    weights = [run[key] for key in sorted(run) if key.startswith("weight/")]
    config = json.loads(str(run["config"]))
    ours = Trainer(config, run["style"], weights, options.models, threads=options.threads)
    plan, idle = ours._plan, architecture.idle(ours.network)
    moving = [entry.name not in idle for entry in architecture.parameters(ours.network)]

    def theirs(batch: np.ndarray, dtype: torch.dtype) -> list[np.ndarray]:
        parts = plan.settings, plan.network, plan.compared, run["style"], weights
        training = Training(*parts, options.threads, dtype)
        training.loss(batch).backward()
        gradients = (w.grad for w in training.weights)
        # Where a norm takes away what a number does, what is computed is rounding alone.
        return [
            np.zeros(1) if g is None or not moves else g.numpy()
            for g, moves in zip(gradients, moving, strict=True)
        ]

    rows = []
    for i in range(BATCHES):
        batch = np.ascontiguousarray(np.roll(run["batch"], (3 * i, 5 * i), axis=(1, 2)))
        exact = theirs(batch, torch.float64)
        found = ours.evaluate(batch)[1]
        rows.append([errors(theirs(batch, torch.float32), exact), errors(found, exact)])
    return np.array(rows)


def main() -> None:
    """Print a table."""
    options = arguments(__doc__.splitlines()[0]).parse_args()
    print(machine(options.threads), "\n")
    print("| | PyTorch: least, median, largest | ours |")
    print("|---|---|---|")
    for name in ("tf", "pytorch"):
        found = np.quantile(compared(name, options), (0, 0.5, 1), axis=0).T
        columns = [", ".join(f"{x:.1e}" for x in row) for row in found]
        print(f"| {name} |", " | ".join(columns), "|", flush=True)


if __name__ == "__main__":
    main()
