"""What it costs that FFmpeg reads films in a process of its own.

python -m benchmarks.apart
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.video import apart, containers
from styletransfer.video.order import Order
from styletransfer.video.ranges import Range
from styletransfer.video.sink import Sink
from styletransfer.video.source import probe

RATE = Fraction(25)
FILMS = {(160, 120): 400, (640, 360): 200, (1920, 1080): 60}
ROUNDS = 5


def clip(path: Path, width: int, height: int, count: int) -> None:
    """Write a film of soft noise that moves."""
    coarse = np.random.default_rng(0).random((height // 8 + 1, width // 8 + count + 1, 3))
    noise = coarse.repeat(8, axis=0).repeat(8, axis=1).astype(np.float32)
    with Sink(Order(path, rate=RATE)) as sink:
        for i in range(count):
            sink.add(noise[:height, 4 * i : 4 * i + width], i / RATE, 1 / RATE)


def milliseconds(frames: Iterator[Any]) -> float:
    """Return how long a frame takes."""
    begun = time.perf_counter()
    count = sum(1 for _ in frames)
    return 1000 * (time.perf_counter() - begun) / count


def main() -> None:
    """Print a line for each size, and how long a process takes to start."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mp4"
        for (width, height), count in FILMS.items():
            clip(path, width, height, count)
            source = probe(path)
            here, there = [], []
            for _ in range(ROUNDS):
                here.append(milliseconds(containers.read(source, Range())))
                there.append(milliseconds(apart.read(source, Range())))
            one, two = statistics.median(here), statistics.median(there)
            print(f"{width}x{height}: {one:.2f} ms a frame in one process, {two:.2f} in two")
        starts = []
        for number in range(ROUNDS):
            other = path.with_name(f"{number}.mp4")  # another film: another process
            other.write_bytes(path.read_bytes())
            begun = time.perf_counter()
            probe(other)
            starts.append(time.perf_counter() - begun)
        print(f"{statistics.median(starts):.2f} s to start, and to look at the first frame")


if __name__ == "__main__":
    main()
