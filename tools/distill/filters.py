"""The kernels of the first layer: Gabor filters and blobs of colour, computed, not learned.

Kernels learned in hours answer to patterns of two or three pixels and, behind a stride of two,
confuse them with wider ones; style transfer then fills the picture with them. Here every band of
frequency and orientation has channels of its own, so that a Gram matrix says how much there is of
each. That such filters come first is what networks of this kind learn by themselves in days.
"""

import math

import numpy as np

SIDE = 7
BLUE_YELLOW = (2.0, -1.0, -1.0)  # of B, G, R
RED_GREEN = (0.0, -1.0, 1.0)
LUMA = (0.3, 0.45, 0.25)
EDGE, LINE = math.pi / 2, 0.0  # the phases of odd and even filters


def bank() -> np.ndarray:
    """Return the kernels, (64, 3, 7, 7) float32, channels in BGR, each of norm 1.

    12 blobs in directions of colour that are spread evenly (an icosahedron's corners); luminance
    at 0.65, 0.42 and 0.24 of the Nyquist frequency in 6, 6 and 4 orientations; opponent colours at
    0.35 in 4; and 4 for the finest grids and points.
    """
    golden = (1 + math.sqrt(5)) / 2
    corners = [(0, a, b) for a in (-1, 1) for b in (-golden, golden)]
    corners = [corner[turn:] + corner[:turn] for corner in corners for turn in range(3)]
    kernels = [_coloured(_window(1.6), corner) for corner in corners]
    bands = (
        (0.65, 6, 1.3, (LINE, EDGE), LUMA, 0.1),
        (0.42, 6, 1.6, (LINE, EDGE), LUMA, 0.0),
        (0.24, 4, 2.0, (EDGE, -EDGE), LUMA, 0.0),
        (0.35, 4, 1.8, (EDGE, -EDGE), BLUE_YELLOW, 0.0),
        (0.35, 4, 1.8, (EDGE, -EDGE), RED_GREEN, 0.0),
    )
    for frequency, orientations, deviation, phases, colour, turned in bands:
        for number in range(orientations):
            angle = math.pi * number / orientations + turned
            for phase in phases:
                wave = _wave(frequency, angle, phase)
                kernels.append(_coloured(_balanced(_window(deviation) * wave), colour))
    rows, columns = _wave(0.9, math.pi / 2, LINE), _wave(0.9, 0.0, LINE)
    checks = _wave(0.85, math.pi / 2, LINE) * _wave(0.85, 0.0, LINE)
    for fine in (columns, rows, checks):
        kernels.append(_coloured(_balanced(_window(1.3) * fine), LUMA))
    point = _window(0.9) - _window(1.6) * _window(0.9).sum() / _window(1.6).sum()
    kernels.append(_coloured(point, LUMA))
    return np.array(kernels, np.float32)


def _window(deviation: float) -> np.ndarray:
    steps = np.arange(SIDE) - SIDE // 2
    bell = np.exp(-(steps**2) / (2 * deviation**2))
    return bell[:, None] * bell


def _wave(frequency: float, angle: float, phase: float) -> np.ndarray:
    """Return a cosine grating; frequency as a share of Nyquist's, half a period a pixel."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    return np.cos(math.pi * frequency * (x * math.cos(angle) + y * math.sin(angle)) + phase)


def _balanced(kernel: np.ndarray) -> np.ndarray:
    """Take out the answer to a flat colour."""
    window = _window(1.5)
    return kernel - window * (kernel.sum() / window.sum())


def _coloured(kernel: np.ndarray, colour: tuple[float, ...]) -> np.ndarray:
    result = np.array(colour)[:, None, None] * kernel
    return result / np.linalg.norm(result)
