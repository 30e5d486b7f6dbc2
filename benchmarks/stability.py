"""How much less a painting flickers that was learnt with `stability` and `shift`.

python -m benchmarks.stability --dataset PHOTOS
python -m benchmarks.stability --dataset PHOTOS --trained wave.onnx --style images/style/wave.jpg
"""

from pathlib import Path

import numpy as np

from benchmarks.common import STYLE, arguments, machine
from styletransfer.feedforward import Trainer, base, configuration, dataset
from styletransfer.feedforward.dataset import Dataset

CASES = ({}, {"stability": 100}, {"shift": 100}, {"stability": 100, "shift": 100})
HELD_OUT = 8  # pictures that nothing is learnt from
LEAST_SPREAD = 30  # grey levels, of those
NOISE = 5.0  # σ in grey levels, of one frame
MOVED = 3  # pixels


def config(options, case: dict[str, float], seed: int) -> dict[str, object]:
    """Return the keys of a training."""
    begun = base.load(str(options.trained), None) if options.trained else None
    return {
        "arch": begun.arch if begun else "pytorch",
        "width": begun.width if begun else options.width,
        "image_size": options.size,
        "batch_size": 2,
        "learning_rate": 1e-3 if begun else 3e-3,
        "content_layers": ["conv2_2"],
        "style_layers": ["conv1_2", "conv2_2", "conv3_3"],
        "style_weight": "auto",
        "crop": "random",
        "zoom": 1.5,
        "flip": True,
        "seed": seed,
        **case,
    }


def measured(options, case: dict[str, float]) -> dict[str, np.ndarray]:
    """Train, and return the losses and the flicker of pictures that were not learnt from.

    For each seed, and each picture.
    """
    learnt, held = parted(options)
    style = dataset.square(options.style, options.size, None, 1)
    first = base.load(str(options.trained), None).weights if options.trained else None
    found = []
    for seed in range(options.seeds):
        keys = config(options, case, seed)
        trainer = Trainer(keys, style, first, options.models, threads=options.threads)
        data = Dataset(learnt, configuration.read(keys))
        for i in range(options.steps):
            trainer.step(data.batch(i))
        found.append(flicker(options, trainer, held))
    return {name: np.array([values[name] for values in found]) for name in found[0]}


def parted(options) -> tuple[list[Path], np.ndarray]:
    """Return what is learnt from, and some pictures that are not."""
    learnt, held = [], []
    for path in dataset.find(options.dataset):
        picture = dataset.square(path, options.size, None, 1)
        # Whatever a network has learnt, of a plain picture it paints the noise alone.
        if len(held) < HELD_OUT and picture.std(axis=(0, 1)).max() > LEAST_SPREAD:
            held.append(picture)
        else:
            learnt.append(path)
    return learnt, np.stack(held)


def flicker(options, trainer: Trainer, held: np.ndarray) -> dict[str, np.ndarray]:
    """Return the losses of pictures, and how much paintings differ by noise and by motion."""
    config = {**trainer.settings.__dict__, "stability": 0.0, "shift": 0.0}
    style = dataset.square(options.style, options.size, None, 1)
    one = Trainer(config, style, trainer.weights, options.models, threads=options.threads)
    chance = np.random.default_rng(0)
    inner = slice(16, -16)  # what came around is elsewhere
    rows = []
    for picture in held[:, np.newaxis]:
        terms, _ = one.evaluate(picture)
        frames = [picture + chance.normal(0, NOISE, picture.shape) for _ in range(2)]
        noisy = [one.paint(np.clip(frame, 0, 255) / 255) for frame in frames]
        moved = one.paint(np.roll(picture, MOVED, axis=(1, 2)))
        motion = np.roll(moved, -MOVED, axis=(1, 2)) - one.paint(picture)
        row = [terms["content"], terms["style"], np.square(noisy[0] - noisy[1]).mean()]
        rows.append([*row, np.square(motion)[:, inner, inner].mean()])
    return dict(zip(("content", "style", "noise", "motion"), np.array(rows).T, strict=True))


def main() -> None:
    """Print a table."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path, required=True, help="the folder of photographs")
    parser.add_argument("--style", type=Path, default=STYLE)
    parser.add_argument("--trained", type=Path, help="a network that learns on, by 1e-3")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each kind")
    options = parser.parse_args()
    print(machine(options.threads), "\n")
    print("| | content | style | flicker by noise | by motion |")
    print("|---|---|---|---|---|")
    plain: dict[str, np.ndarray] = {}
    for case in CASES:
        values = measured(options, case)
        plain = plain or values
        columns = []
        for name, x in values.items():
            each = x.mean(1) / plain[name].mean(1)
            columns.append(
                f"{x.mean():.4g} ({np.exp(np.log(each).mean()):.2f}; {each.min():.2f} to"
                f" {each.max():.2f})"
            )
        said = ", ".join(f"{name} {weight}" for name, weight in case.items()) or "neither"
        print(f"| {said} |", " | ".join(columns), "|", flush=True)


if __name__ == "__main__":
    main()
