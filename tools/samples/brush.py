"""A canvas that takes curved, bristly brush strokes, and the noise that steers them."""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

# Rows are bristles, columns the way along the stroke.
_BRISTLES, _ALONG = 64, 512


def fractal_noise(rng, shape, cell, octaves=4):
    """Return smooth noise of zero mean and unit deviation; `cell` is its coarsest wavelength."""
    total = np.zeros(shape)
    for octave in range(octaves):
        size = max(cell / 2**octave, 2)
        grid = rng.standard_normal([int(side / size) + 3 for side in shape])
        coordinates = [np.arange(side) / size + rng.random() for side in shape]
        layer = map_coordinates(grid, np.meshgrid(*coordinates, indexing="ij"), order=3)
        total += layer / 2**octave
    return (total - total.mean()) / total.std()


def smoothstep(low, high, x):
    """Return 0 below `low`, 1 above `high`, and a smooth ramp between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a, b, t):
    """Return a + (b - a) t, with t a scalar or a map for colours with a last axis of 3."""
    t = np.asarray(t)
    return a + (b - a) * (t[..., np.newaxis] if t.ndim else t)


def ramp(colours, t):
    """Return the colours at t in [0, 1] on the way through a list of them, piecewise linear."""
    colours = np.asarray(colours, float)
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(t, stops, colours[:, c]) for c in range(3)], axis=-1)


def hexes(*codes):
    """Return colours written as "rrggbb", an array (n, 3) in [0, 1]."""
    return np.array([[int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)] for code in codes])


class Canvas:
    """Paint as colour (H, W, 3) in [0, 1] and as height (H, W), for the light to rake."""

    def __init__(self, ground, rng):
        self.colour = np.array(ground, float)
        self.height = np.zeros(self.colour.shape[:2])
        self.rng = rng
        noise = rng.standard_normal((_BRISTLES, _ALONG))
        noise = gaussian_filter(noise, (0.7, 18), mode="wrap")
        self._texture = noise / noise.std()

    def stroke(self, x, y, angle, curvature, length, width, colour, opacity=0.9):
        """Lay one stroke.

        Parameters
        ----------
        x, y
            Its middle, in pixels.
        angle
            Its direction there, in radians from +x towards +y.
        curvature
            1 / radius in pixels, positive towards +y for a stroke along +x.
        length, width
            In pixels.
        colour
            RGB in [0, 1].
        opacity
            0 to 1.
        """
        reach = length / 2 + width
        rows, columns = self.height.shape
        top, bottom = max(int(y - reach), 0), min(int(y + reach) + 2, rows)
        left, right = max(int(x - reach), 0), min(int(x + reach) + 2, columns)
        if top >= bottom or left >= right:
            return
        dy, dx = np.ogrid[top - y : bottom - y, left - x : right - x]
        cos, sin = np.cos(angle), np.sin(angle)
        along = dx * cos + dy * sin
        # A parabola instead of an arc: strokes bend by less than a radian.
        across = dy * cos - dx * sin - curvature / 2 * along**2
        inside = (np.abs(across) < width / 2 + 1) & (np.abs(along) < reach)
        if not inside.any():
            return
        u, v = along[inside], across[inside]
        alpha, ridge, tint = self._bristles(u, v, length, width, opacity)
        box = (slice(top, bottom), slice(left, right))
        patch = self.colour[box]
        patch[inside] += alpha[:, np.newaxis] * (
            np.clip(colour + tint[:, np.newaxis], 0, 1) - patch[inside]
        )
        height = self.height[box]
        height[inside] += alpha * (0.45 * height[inside].mean() + ridge - height[inside])

    def _bristles(self, u, v, length, width, opacity):
        """Return coverage, thickness and lightness of a stroke at points along and across it."""
        row_shift, column_shift = self.rng.integers(0, (_BRISTLES, _ALONG))
        rows = ((v / max(width, 5) + 0.5) * 20).astype(int) + row_shift
        columns = (u * 1.5).astype(int) + column_shift
        texture = self._texture[rows % _BRISTLES, columns % _ALONG]
        ragged = self._texture[rows % _BRISTLES, column_shift]
        end = length / 2 * (1 - 0.14 * np.abs(ragged))
        ends = np.clip((end - np.abs(u)) / (0.08 * length) + 0.5, 0, 1)
        edge = np.clip(width / 2 - np.abs(v) + 0.5 + 0.35 * texture, 0, 1)
        dry = smoothstep(-2.2, -0.9, texture + 0.8 - 1.6 * np.clip(u / length, -0.5, 0.5))
        rim = (2 * v / width) ** 2
        ridge = 1 + 0.45 * texture + 0.5 * rim * (rim < 1)
        return opacity * edge * ends * dry, ridge * min(width / 9, 1), 0.022 * texture

    def lit(self, strength=0.11):
        """Return the picture with light from the upper left raking over the paint."""
        height = gaussian_filter(self.height, 0.6)
        slope_y, slope_x = np.gradient(height)
        light = np.tanh(1.6 * (slope_x + slope_y))
        shaded = self.colour * (1 + strength * light[..., np.newaxis])
        shine = np.clip(light - 0.55, 0, 1)[..., np.newaxis]
        return np.clip(shaded + 0.25 * strength * shine, 0, 1)


def paint_layer(canvas, target, angle, spacing, length, width, wanted=None, jitter=0.03):
    """Cover a canvas with strokes along a field, in random order.

    Parameters
    ----------
    canvas
        What is painted on.
    target
        Colours to aim at, (H, W, 3).
    angle
        Direction of the strokes, (H, W), in radians.
    spacing, length, width
        Between strokes and of each, in pixels; each stroke varies by a third.
    wanted
        Probability of a stroke, (H, W); everywhere if not given.
    jitter
        Deviation of the strokes' colours.
    """
    rng = canvas.rng
    rows, columns = canvas.height.shape
    ys, xs = np.mgrid[0:rows:spacing, 0:columns:spacing]
    points = np.stack([ys.ravel(), xs.ravel()], axis=1) + rng.uniform(0, spacing, (ys.size, 2))
    rng.shuffle(points)
    for y, x in points:
        i, j = min(int(y), rows - 1), min(int(x), columns - 1)
        if wanted is not None and rng.random() > wanted[i, j]:
            continue
        direction = angle[i, j]
        scale = rng.uniform(0.7, 1.35)
        ahead = _bend(angle, y, x, direction, length * scale / 3)
        colour = target[i, j] + rng.normal(0, jitter) + rng.normal(0, jitter / 2, 3)
        canvas.stroke(
            x, y, direction + rng.normal(0, 0.06), ahead, length * scale, width * scale, colour
        )


def _bend(angle, y, x, direction, step):
    """Return the curvature of a direction field at a point, from the turn between two steps."""
    turn = 0.0
    for sign in (1, -1):
        i = int(np.clip(y + sign * step * np.sin(direction), 0, angle.shape[0] - 1))
        j = int(np.clip(x + sign * step * np.cos(direction), 0, angle.shape[1] - 1))
        difference = (angle[i, j] - direction + np.pi / 2) % np.pi - np.pi / 2
        turn += sign * difference
    return np.clip(turn / (2 * step), -0.35 / step, 0.35 / step)
