"""A network of Kadian's architecture: ours beside PyTorch's eager mode, alternating.

python -m benchmarks.eager_painting --threads 2
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import torch

from benchmarks.common import CONTENT, arguments, machine
from benchmarks.training import ours, picture, pytorch
from styletransfer import images
from styletransfer.feedforward import Stylizer, inference

CASE = ("pytorch", "32", "128", "4")


def main() -> None:
    """Print the medians, and the median of the ratios of neighbouring runs."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--side", type=int, default=1024)
    options = parser.parse_args()
    trainer = ours(CASE, options)
    theirs = pytorch(trainer, CASE, options)
    # As it begins, what it paints is nearly grey: one step of a training makes it a picture.
    trainer.step(picture(CONTENT, 128)[np.newaxis].repeat(4, 0))
    theirs.weights = [torch.tensor(array) for array in trainer.weights]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.onnx")
        onnx.save(inference.network(trainer.network, trainer.weights, {}), path)
        stylizer = Stylizer(path, gpu_id=-1, threads=options.threads)
    shape = (options.side, options.side)
    photo = images.resize(images.load(CONTENT), shape).astype(np.float32)

    def eager() -> np.ndarray:
        planes = torch.from_numpy(255 * photo.transpose(2, 0, 1)[np.newaxis])
        with torch.no_grad():
            painted = theirs.paint(planes)[0].permute(1, 2, 0)
        return np.clip(painted.numpy() / 255, 0, 1)

    difference = np.abs(eager() - stylizer.stylize(photo)).max()
    rounds = np.empty((options.rounds, 2))
    for row in rounds:
        for column, paint in enumerate((eager, lambda: stylizer.stylize(photo))):
            start = time.perf_counter()
            paint()
            row[column] = time.perf_counter() - start
    medians = np.median(rounds, axis=0)
    print(machine(options.threads))
    print(
        f"{options.side}²: PyTorch {medians[0]:.3f} s, ours {medians[1]:.3f} s, ratio"
        f" {np.median(rounds[:, 0] / rounds[:, 1]):.2f}; largest difference"
        f" {255 * difference:.4f} grey levels"
    )


if __name__ == "__main__":
    main()
