"""Paint the style pictures that come with the project: `python tools/samples/paint.py [NAME ...]`.

Each picture is a function of a seeded generator and of nothing else, so that it can be made again.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import mosaic
import night
import woodcut

PICTURES = {
    "night": (night.paint, 7),
    "wave": (woodcut.paint, 11),
    "mosaic": (mosaic.paint, 3),
}
FOLDER = Path(__file__).resolve().parents[2] / "images" / "style"


def main():
    """Paint the pictures named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to (%(default)s)")
    parser.add_argument("--format", default="jpg", help="extension (%(default)s)")
    arguments = parser.parse_args()
    for name in arguments.names or PICTURES:
        paint, seed = PICTURES[name]
        picture = paint(np.random.default_rng(seed))
        image = Image.fromarray(np.rint(picture * 255).astype(np.uint8))
        image.save(arguments.folder / f"{name}.{arguments.format}", quality=80, optimize=True)


if __name__ == "__main__":
    main()
