"""Make a short film of a photograph: a window that moves over it.

python tools/pan.py images/content/coffee.jpg outputs/pan.mp4
"""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

from styletransfer import images
from styletransfer.video.order import Order
from styletransfer.video.sink import Sink

FRAMES, RATE = 50, Fraction(25)
WIDTH, HEIGHT = 320, 240


def main(photo: Path, film: Path) -> None:
    """Write two seconds."""
    picture = images.load(photo)
    down, across = picture.shape[0] - HEIGHT, picture.shape[1] - WIDTH
    with Sink(Order(film, rate=RATE)) as sink:
        for i in range(FRAMES):
            way = 0.5 - 0.5 * np.cos(np.pi * i / (FRAMES - 1))  # begins and ends gently
            y, x = round(way * down), round(way * across)
            sink.add(picture[y : y + HEIGHT, x : x + WIDTH], i / RATE, 1 / RATE)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
