"""The memory of painting a long film: the command's, sampled while it runs.

python -m benchmarks.longfilm --frames 2000
"""

import argparse
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from styletransfer import images
from styletransfer.video.order import Order
from styletransfer.video.sink import Sink

ROOT = Path(__file__).resolve().parent.parent
SIZE = (120, 160)
RATE = Fraction(25)


def clip(path: Path, count: int) -> None:
    """Write a window that moves round over a photograph."""
    photo = images.load(ROOT / "images" / "content" / "coffee.jpg")
    down, across = (a - b for a, b in zip(photo.shape[:2], SIZE, strict=True))
    with Sink(Order(path, rate=RATE)) as sink:
        for i in range(count):
            y = round(down * (0.5 + 0.5 * np.sin(i / 90)))
            x = round(across * (0.5 + 0.5 * np.cos(i / 90)))
            sink.add(photo[y : y + SIZE[0], x : x + SIZE[1]], i / RATE, 1 / RATE)


def resident(process: int) -> float:
    """Return a process's memory in MB (Linux)."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> None:
    """Print the memory at each tenth of the frames."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--model", default="multistyle26")
    parser.add_argument("flags", nargs="*", help="for the command, behind --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film, painted = Path(folder, "film.mp4"), Path(folder, "painted.mp4")
        clip(film, options.frames)
        words = ["video", film, "-m", options.model, "-o", painted, *options.flags]
        command = [sys.executable, "-m", "styletransfer", *map(str, words)]
        start = time.monotonic()
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.stderr is not None
        for line in process.stderr:
            done = line.split("/")[0]
            if done.isdigit() and int(done) % max(options.frames // 10, 1) == 0:
                print(f"| {done} | {resident(process.pid):.0f} MB |", flush=True)
        code = process.wait()
        print(f"exit code {code}, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
