"""Contact sheets: small pictures in rows, each with its label."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from PIL import Image, ImageDraw

_GAP = 8
_LABEL = 16


def contact_sheet(
    pictures: Sequence[np.ndarray], labels: Sequence[str], columns: int = 7
) -> np.ndarray:
    """Return pictures of one size, RGB in [0, 1], on white with a label above each.

    Parameters
    ----------
    pictures
        Each (H, W, 3).
    labels
        One for each.
    columns
        How many there are in a row.
    """
    height, width = pictures[0].shape[:2]
    columns = min(columns, len(pictures))
    rows = ceil(len(pictures) / columns)
    down, across = height + _LABEL + _GAP, width + _GAP
    sheet = Image.new("RGB", (columns * across + _GAP, rows * down + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        row, column = divmod(place, columns)
        left, top = _GAP + column * across, _GAP + row * down
        pixels = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
        sheet.paste(Image.fromarray(pixels), (left, top + _LABEL))
        draw.text((left, top), label, fill="black")
    return np.asarray(sheet, np.float32) / 255
