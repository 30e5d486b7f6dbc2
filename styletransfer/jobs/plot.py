"""The course of the loss as a picture."""

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10

import numpy as np

_SIZE = (900, 600)
_LEFT, _TOP, _RIGHT, _BOTTOM = 80, 30, 300, 50
_COLOURS = (
    *("#000000", "#d62728", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#17becf"),
    *("#e377c2", "#bcbd22", "#7f7f7f", "#00008b", "#ff9896", "#006400", "#9edae5", "#ffd700"),
)


def loss_curves(iterations: Sequence[int], curves: Mapping[str, Sequence[float]]) -> np.ndarray:
    """Draw losses over iterations, on a logarithmic scale.

    Parameters
    ----------
    iterations : sequence of int
        At least one.
    curves : mapping of str to sequence of float
        Each a value an iteration; those that are not above 0 are left out.

    Returns
    -------
    ndarray, shape (H, W, 3)
        RGB in [0, 1].
    """
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(14)
    positive = [value for curve in curves.values() for value in curve if value > 0] or [1.0]
    # Terms far below the largest would only press the rest together.
    high = ceil(log10(max(positive)))
    low = max(min(floor(log10(min(positive))), high - 1), high - 8)
    right, bottom = _SIZE[0] - _RIGHT, _SIZE[1] - _BOTTOM
    span = max(iterations[-1] - iterations[0], 1)

    def place(iteration: int, value: float) -> tuple[float, float]:
        x = _LEFT + (right - _LEFT) * (iteration - iterations[0]) / span
        return x, bottom - (bottom - _TOP) * (log10(value) - low) / (high - low)

    for power in range(low, high + 1):
        x, y = place(iterations[0], 10.0**power)
        draw.line([(x, y), (right, y)], fill="#dddddd")
        draw.text((x - 10, y), f"1e{power}", fill="black", font=font, anchor="rm")
    for iteration in (iterations[0], iterations[-1]):
        x = place(iteration, 10.0**low)[0]
        draw.text((x, bottom + 8), str(iteration), fill="black", font=font, anchor="ma")
    draw.text(((_LEFT + right) / 2, bottom + 26), "iteration", fill="black", font=font, anchor="ma")
    for i, (name, curve) in enumerate(curves.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        points = [place(n, v) for n, v in zip(iterations, curve, strict=True) if v >= 10.0**low]
        if len(points) > 1:
            draw.line(points, fill=colour, width=2)
        y = _TOP + 20 * i
        draw.line([(right + 15, y), (right + 35, y)], fill=colour, width=3)
        draw.text((right + 42, y), f"{name} {curve[-1]:.3g}", fill="black", font=font, anchor="lm")
    return np.asarray(image, np.float32) / 255
