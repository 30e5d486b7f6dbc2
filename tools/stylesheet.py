"""Draw the sheet of styles that the page shows: ``python -m tools.stylesheet``."""

from pathlib import Path

import numpy as np
from PIL import Image

from styletransfer import images
from styletransfer.feedforward import Stylizer

ROOT = Path(__file__).resolve().parent.parent
COLUMNS, SIDE = 7, 88


def main() -> None:
    """Paint the middle of a sample picture in each style of `samples`."""
    stylizer = Stylizer("samples")
    photo = images.load(ROOT / "images" / "content" / "rocket.jpg")
    side = min(photo.shape[:2])
    top, left = ((length - side) // 2 for length in photo.shape[:2])
    photo = images.resize(photo[top : top + side, left : left + side], (192, 192))
    rows = -(-stylizer.styles // COLUMNS)
    sheet = np.zeros((rows * SIDE, COLUMNS * SIDE, 3), np.float32)
    for style in range(stylizer.styles):
        y, x = (SIDE * place for place in divmod(style, COLUMNS))
        painted = stylizer.stylize(photo.astype(np.float32), style)
        sheet[y : y + SIDE, x : x + SIDE] = images.resize(painted, (SIDE, SIDE))
    pixels = np.rint(sheet.clip(0, 1) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(ROOT / "styletransfer" / "web" / "styles.jpg", quality=72)


if __name__ == "__main__":
    main()
