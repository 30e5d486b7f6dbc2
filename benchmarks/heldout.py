"""Loss on photographs that nothing was learnt from, after the same steps here and in PyTorch.

python -m benchmarks.heldout --dataset PHOTOS --steps 300
"""

from pathlib import Path

import numpy as np

from benchmarks.common import STYLE, arguments, machine
from benchmarks.eager_training import Training
from benchmarks.stability import parted
from styletransfer.feedforward import Trainer, configuration, dataset
from styletransfer.feedforward.dataset import Dataset


def config(options) -> dict[str, object]:
    """Return the keys of a training."""
    return {
        "arch": options.arch,
        "width": options.width,
        "image_size": options.size,
        "batch_size": 2,
        "learning_rate": 1e-3,
        "content_layers": ["conv2_2"],
        "style_layers": ["conv1_2", "conv2_2", "conv3_3", "conv4_3"],
        "style_weight": 5,
        "tv_weight": 1e-6,
        "crop": "random",
        "zoom": 1.5,
        "flip": True,
    }


def main() -> None:
    """Print a row every now and then: the loss of both, and their ratio."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--arch", default="pytorch", choices=("pytorch", "tf"))
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--size", type=int, default=128)
    options = parser.parse_args()
    learnt, held = parted(options)
    style = dataset.square(STYLE, options.size, None, 1)
    ours = Trainer(config(options), style, models=options.models, threads=options.threads)
    plan = ours._plan
    theirs = Training(
        plan.settings, plan.network, plan.compared, style, ours.weights, options.threads
    )
    pairs = held.reshape(-1, 2, *held.shape[1:])  # of the shape of what is learnt from
    data = Dataset(learnt, configuration.read(config(options)))
    print(machine(options.threads))
    print(f"{options.arch}, width {options.width}, {options.size}², batches of 2", "\n")
    print("| steps | PyTorch | ours | × |")
    print("|---|---|---|---|")
    for i in range(options.steps + 1):
        if i % max(1, options.steps // 6) == 0:
            with_ours = np.mean([ours.evaluate(pair)[0]["loss"] for pair in pairs])
            with_theirs = np.mean([theirs.loss(pair).item() for pair in pairs])
            row = f"| {i} | {with_theirs:.4g} | {with_ours:.4g} | {with_ours / with_theirs:.4f} |"
            print(row, flush=True)
        batch = data.batch(i)
        ours.step(batch)
        theirs.step(batch)


if __name__ == "__main__":
    main()
