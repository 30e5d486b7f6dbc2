"""How much less a painting flickers that was learnt with `stability` and `shift`.

python -m benchmarks.stability --dataset PHOTOS
"""

from pathlib import Path

import numpy as np

from benchmarks.common import STYLE, arguments, machine
from styletransfer.feedforward import Trainer, configuration, dataset
from styletransfer.feedforward.dataset import Dataset

CASES = ({}, {"stability": 100}, {"stability": 100, "shift": 100})
HELD_OUT = 8  # pictures that nothing is learnt from
NOISE = 5.0  # σ in grey levels, of one frame
MOVED = 3  # pixels


def config(options, case: dict[str, float]) -> dict[str, object]:
    """Return the keys of a training."""
    return {
        "arch": "pytorch",
        "width": options.width,
        "image_size": options.size,
        "batch_size": 2,
        "learning_rate": 3e-3,
        "content_layers": ["conv2_2"],
        "style_layers": ["conv1_2", "conv2_2", "conv3_3"],
        "style_weight": "auto",
        "crop": "random",
        "zoom": 1.5,
        "flip": True,
        **case,
    }


def measured(options, case: dict[str, float]) -> dict[str, float]:
    """Train, and return the losses and the flicker of what was not learnt from."""
    settings = configuration.read(config(options, case))
    paths = dataset.find(options.dataset)
    style = dataset.square(STYLE, options.size, None, 1)
    trainer = Trainer(config(options, case), style, models=options.models, threads=options.threads)
    data = Dataset(paths[HELD_OUT:], settings)
    for i in range(options.steps):
        trainer.step(data.batch(i))
    held = np.stack([dataset.square(p, options.size, None, 1) for p in paths[:HELD_OUT]])
    batches = held.reshape(-1, settings.batch_size, *held.shape[1:])
    rows = [one(trainer, batch) for batch in batches]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def one(trainer: Trainer, batch: np.ndarray) -> dict[str, float]:
    """Return the losses and the flicker of one batch."""
    terms, _ = trainer.evaluate(batch)
    chance = np.random.default_rng(0)
    frames = [batch + chance.normal(0, NOISE, batch.shape) for _ in range(2)]
    noisy = [trainer.paint(np.clip(frame, 0, 255) / 255) for frame in frames]
    moved = trainer.paint(np.roll(batch, MOVED, axis=(1, 2)))
    back, plain = np.roll(moved, -MOVED, axis=(1, 2)), trainer.paint(batch)
    inner = slice(16, -16)  # what came around is elsewhere
    return {
        "content": terms["content"],
        "style": terms["style"],
        "sparse noise": terms.get("stability") or float("nan"),
        "noise": float(np.square(noisy[0] - noisy[1]).mean()),
        "motion": float(np.square(back - plain)[:, inner, inner].mean()),
    }


def main() -> None:
    """Print a table."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path, required=True, help="the folder of photographs")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    print(machine(options.threads), "\n")
    print("| | content | style | flicker by noise | by motion |")
    print("|---|---|---|---|---|")
    plain: dict[str, float] = {}
    for case in CASES:
        values = measured(options, case)
        plain = plain or values
        columns = [f"{x:.4g} ({x / plain[name]:.2f})" for name, x in values.items()]
        said = ", ".join(f"{name} {weight}" for name, weight in case.items()) or "neither"
        print(f"| {said} |", " | ".join(columns), "|", flush=True)


if __name__ == "__main__":
    main()
