"""Pictures side by side."""

from collections.abc import Sequence
from math import ceil

import numpy as np

from styletransfer.images import sizes


def side_by_side(pictures: Sequence[np.ndarray], gap: int = 12) -> np.ndarray:
    """Return pictures in a row on white, all as high as the last.

    Parameters
    ----------
    pictures
        RGB in [0, 1], each (H, W, 3) of its own size: the content, the styles, the result.
    gap
        Between and around them, in pixels.

    Raises
    ------
    ImageError
        If the row would have more than `MAX_PIXELS`.
    """
    height = pictures[-1].shape[0]
    widths = [max(round(p.shape[1] * height / p.shape[0]), 1) for p in pictures]
    shape = (height + 2 * gap, sum(widths) + gap * (len(widths) + 1))
    sizes.check(pictures[-1].shape, shape)
    row = np.ones((*shape, 3), np.float32)
    left = gap
    for picture, width in zip(pictures, widths, strict=True):
        fitted = sizes.resize_smoothly(picture, (height, width))
        row[gap : gap + height, left : left + width] = fitted
        left += width + gap
    return row


def contact_sheet(
    pictures: Sequence[np.ndarray], labels: Sequence[str], columns: int = 7, gap: int = 12
) -> np.ndarray:
    """Return pictures in rows on white, with a label above each.

    Parameters
    ----------
    pictures
        RGB in [0, 1], each (H, W, 3); they are stretched to the size of the first.
    labels
        One for each.
    columns
        How many there are in a row.
    gap
        Between and around the pictures, in pixels.

    Raises
    ------
    UsageError
        If the sheet would have more than `MAX_PIXELS`.
    """
    from PIL import Image, ImageDraw, ImageFont

    height, width = pictures[0].shape[:2]
    columns = min(columns, len(pictures))
    line = max(16, height // 14)
    down, across = height + line + gap, width + gap
    shape = (ceil(len(pictures) / columns) * down + gap, columns * across + gap)
    sizes.check(pictures[0].shape, shape)
    page = np.ones((*shape, 3), np.float32)
    corners = [
        (gap + place // columns * down, gap + place % columns * across)
        for place in range(len(pictures))
    ]
    for (top, left), picture in zip(corners, pictures, strict=True):
        fitted = sizes.resize_smoothly(picture, (height, width))
        page[top + line : top + line + height, left : left + width] = fitted
    image = Image.fromarray((page.clip(0, 1) * 255).round().astype(np.uint8))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(line * 0.75)
    for (top, left), label in zip(corners, labels, strict=True):
        draw.text((left, top), label, fill="black", font=font)
    return np.asarray(image, np.float32) / np.float32(255)
