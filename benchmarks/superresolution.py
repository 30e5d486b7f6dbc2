"""How much nearer to large pictures a network comes than cubic interpolation of small ones.

python -m benchmarks.superresolution --dataset PHOTOS
"""

from pathlib import Path

import numpy as np

from benchmarks.common import arguments, machine
from styletransfer.feedforward import Trainer, configuration, dataset
from styletransfer.feedforward.dataset import Dataset

HELD_OUT = 8  # pictures that nothing is learnt from


def measured(trainer: Trainer, held: np.ndarray) -> str:
    """Return the loss and the error of what is painted of pictures that were made smaller."""
    terms, _ = trainer.evaluate(held)
    error = np.square(np.clip(trainer.paint(held), 0, 255) - held).mean()
    return f"{terms['content']:.5g} | {10 * np.log10(255**2 / error):.2f}"


def main() -> None:
    """Print a table."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path, required=True, help="the folder of photographs")
    parser.add_argument("--arch", default="sr2")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, nargs="+", default=[50, 100, 200, 300])
    options = parser.parse_args()
    config = {
        "arch": options.arch,
        "width": options.width,
        "image_size": options.size,
        "batch_size": options.batch,
        "crop": "random",
        "zoom": 1.5,
        "flip": True,
    }
    settings, paths = configuration.read(config), dataset.find(options.dataset)
    held = np.stack([dataset.square(p, options.size, None, 1) for p in paths[:HELD_OUT]])
    data = Dataset(paths[HELD_OUT:], settings)

    def trainer(weights: list[np.ndarray] | None = None) -> Trainer:
        return Trainer(config, (), weights, options.models, threads=options.threads)

    training = trainer()
    # A last convolution of zeros leaves the picture as interpolation enlarges it.
    nothing = [*training.weights[:-2], *(np.zeros_like(w) for w in training.weights[-2:])]
    print(machine(options.threads), "\n")
    print("| | loss (conv2_2) | dB |")
    print("|---|---|---|")
    print("| cubic interpolation |", measured(trainer(nothing), held), "|", flush=True)
    for steps in options.steps:
        while training.steps < steps:
            training.step(data.batch(training.steps))
        seen = measured(trainer(training.weights), held)
        print(f"| {steps} steps |", seen, "|", flush=True)


if __name__ == "__main__":
    main()
