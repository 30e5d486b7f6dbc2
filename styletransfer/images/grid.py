"""Pictures side by side."""

from collections.abc import Sequence

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


def sheet(
    table: Sequence[Sequence[np.ndarray]],
    rows: Sequence[str],
    columns: Sequence[str],
    gap: int = 12,
) -> np.ndarray:
    """Return pictures in rows and columns on white, with a label for each.

    Parameters
    ----------
    table
        RGB in [0, 1], each (H, W, 3); they are stretched to the size of the first.
    rows, columns
        A label for each; a row's stands above it, at the left.
    gap
        Between and around the pictures, in pixels.

    Raises
    ------
    UsageError
        If the sheet would have more than `MAX_PIXELS`.
    """
    from PIL import Image, ImageDraw, ImageFont

    height, width = table[0][0].shape[:2]
    line = max(16, height // 12)
    band = line + gap if any(rows) else 0
    tall = 2 * gap + line + len(table) * (height + gap + band)
    shape = (tall, len(columns) * (width + gap) + gap)
    sizes.check(table[0][0].shape, shape)
    page = np.ones((*shape, 3), np.float32)
    texts = [(label, gap + i * (width + gap), gap // 2) for i, label in enumerate(columns)]
    top = gap + line
    for label, pictures in zip(rows, table, strict=True):
        texts.append((label, gap, top))
        top += band
        for column, picture in enumerate(pictures):
            left = gap + column * (width + gap)
            fitted = sizes.resize_smoothly(picture, (height, width))
            page[top : top + height, left : left + width] = fitted
        top += height + gap
    image = Image.fromarray((page * 255).round().astype(np.uint8))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(line * 0.8)
    for text, x, y in texts:
        draw.text((x, y), text, fill="black", font=font)
    return np.asarray(image, np.float32) / np.float32(255)
