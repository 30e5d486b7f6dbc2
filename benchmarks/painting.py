"""A network with 26 styles: ours beside its file in ONNX Runtime as it is, alternating.

python -m benchmarks.painting --rounds 11
"""

import argparse
import time

import numpy as np
import onnxruntime

from benchmarks.common import CONTENT
from styletransfer import images, weights
from styletransfer.feedforward import Stylizer

SIDES = (512, 1024)
STYLE = 7


def main() -> None:
    """Print the medians, and the median of the ratios of neighbouring runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models")
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    data = weights.load_ready("multistyle26", weights.model_directories(options.models))
    plain = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    ours = Stylizer("multistyle26", models=options.models)
    shares = np.eye(26, dtype=np.float32)[STYLE]
    for side in SIDES:
        photo = images.resize(images.load(CONTENT), (side, side)).astype(np.float32)

        def as_it_is(photo: np.ndarray = photo) -> np.ndarray:
            planes = np.ascontiguousarray(photo.transpose(2, 0, 1)[np.newaxis])
            (result,) = plain.run(None, {"image": planes, "style_weights": shares})
            return result[0].transpose(1, 2, 0)

        difference = np.abs(as_it_is() - ours.stylize(photo, STYLE)).max()
        rounds = np.empty((options.rounds, 2))
        for row in rounds:
            for column, paint in enumerate((as_it_is, lambda: ours.stylize(photo, STYLE))):  # noqa: B023
                start = time.perf_counter()
                paint()
                row[column] = time.perf_counter() - start
        theirs, mine = np.median(rounds, axis=0)
        ratio = np.median(rounds[:, 0] / rounds[:, 1])
        print(
            f"{side}²: as it is {theirs:.3f} s, ours {mine:.3f} s, ratio {ratio:.2f};"
            f" largest difference {difference * 255:.4f} grey levels"
        )


if __name__ == "__main__":
    main()
