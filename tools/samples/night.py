"""A night over hills in brush strokes: a sky of whirls, stars with halos, a cypress, lights."""

import numpy as np
from scipy.ndimage import gaussian_filter

from brush import Canvas, fractal_noise, hexes, mix, paint_layer, ramp, smoothstep

HEIGHT, WIDTH = 800, 1000

SKY = hexes("0b1638", "14286a", "1d45a0", "2f74c4", "6fb0d8", "c3dcd6", "2a5db0", "122463")
GLOW = hexes("3b6ba8", "8fc0bb", "d9dfa6", "efd98a")
HILLS = hexes("0d2244", "1a4a7a", "2f7391", "5aa096", "a8c690")
TREE = hexes("060c10", "0c1d1a", "1d3420", "45481f", "1a140f")

# (x, y, radius of the body, radius of the halo) as parts of the width.
STARS = [
    (0.30, 0.10, 0.016, 0.070),
    (0.43, 0.27, 0.011, 0.050),
    (0.07, 0.08, 0.012, 0.052),
    (0.56, 0.07, 0.013, 0.056),
    (0.71, 0.24, 0.014, 0.060),
    (0.90, 0.44, 0.017, 0.072),
    (0.36, 0.47, 0.010, 0.046),
    (0.60, 0.50, 0.009, 0.040),
]
MOON = (0.87, 0.14, 0.040, 0.125)
# (x, y, reach, turn in radians): the whirls of the wind.
WHIRLS = [(0.51, 0.36, 0.130, 3.9), (0.74, 0.40, 0.085, 3.4), (0.26, 0.31, 0.09, 3.2)]


def paint(rng):
    """Return the picture, (H, W, 3) in [0, 1]."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / WIDTH
    stream = _stream(rng, x, y)
    dy, dx = np.gradient(gaussian_filter(stream, 2))
    wind = np.arctan2(-dx, dy)
    sky = _sky(rng, x, y, stream)
    land, ridges, slope = _hills(rng, x, y)
    tree, tree_angle, tree_colour = _cypress(rng, x, y)

    target = mix(sky, ridges, land)
    angle = np.where(land > 0.5, slope, wind)
    target = mix(target, tree_colour, tree)
    angle = np.where(tree > 0.5, tree_angle, angle)

    canvas = Canvas(mix(target * 0.55, np.array([0.16, 0.13, 0.10]), 0.35), rng)
    near = _near_lights(x, y)
    open_sky = (1 - land) * (1 - tree)
    paint_layer(canvas, gaussian_filter(target, (6, 6, 0)), angle, 15, 95, 24, jitter=0.03)
    paint_layer(canvas, gaussian_filter(target, (3, 3, 0)), angle, 10, 56, 12, jitter=0.045)
    paint_layer(canvas, target, angle, 7.5, 34, 6.5, 0.45 + 0.55 * np.maximum(near, land), 0.05)
    _village(canvas, rng)
    paint_layer(canvas, target, angle, 6, 20, 4.2, np.maximum(near, 0.9 * tree), 0.05)
    paint_layer(canvas, _sparks(rng, sky), angle, 9, 26, 3.0, 0.30 * open_sky, 0.03)
    _bodies(canvas, rng)
    paint_layer(canvas, _sparks(rng, tree_colour), tree_angle, 8, 40, 4.0, 0.45 * tree, 0.02)
    return canvas.lit()


def _stream(rng, x, y):
    """Return the stream function of the wind: the strokes follow its contours."""
    u, v = x, y
    for cx, cy, reach, turn in WHIRLS:
        # The plane is twisted about the whirl's eye, so that the wind's bands roll up there.
        twist = turn * np.exp(-((u - cx) ** 2 + (v - cy) ** 2) / reach**2)
        cos, sin = np.cos(twist), np.sin(twist)
        u, v = cx + cos * (u - cx) - sin * (v - cy), cy + sin * (u - cx) + cos * (v - cy)
    stream = 0.62 * (v + 0.10 * np.sin(5.2 * u + 0.6) + 0.05 * np.sin(9 * u - 7 * v))
    stream += 0.020 * fractal_noise(rng, x.shape, 330, 3)
    for cx, cy, _, halo in [*STARS, MOON]:
        distance = np.hypot(x - cx, y - cy)
        level = stream[int(cy * WIDTH), int(cx * WIDTH)] + 0.8 * (halo - distance)
        stream = stream + (level - stream) * np.exp(-((distance / halo) ** 4))
    return stream


def _sky(rng, x, y, stream):
    """Return the sky's colours: bands along the wind, a glow above the hills, halos."""
    bands = 9.5 * stream + 0.16 * fractal_noise(rng, x.shape, 90, 3)
    sky = ramp(SKY, bands % 1)
    sky = mix(sky, sky * np.array([0.55, 0.62, 0.80]), smoothstep(0.30, 0.0, y) * 0.55)
    glow = smoothstep(0.36, 0.60, y + 0.05 * np.sin(6 * x + 1))
    sky = mix(sky, ramp(GLOW, np.clip(glow + 0.14 * np.sin(70 * stream), 0, 1)), 0.60 * glow)
    for cx, cy, body, halo in [*STARS, MOON]:
        distance = np.hypot(x - cx, y - cy)
        ring = 0.5 + 0.5 * np.cos(2 * np.pi * distance / (0.30 * halo))
        colour = ramp(hexes("fff3c0", "f3d069", "c9cf8a", "6da4c0"), distance / halo)
        colour = mix(colour, colour * np.array([0.72, 0.86, 0.95]), 0.5 * ring)
        sky = mix(sky, colour, smoothstep(halo, 0.45 * halo, distance) * 0.92)
        sky = mix(sky, hexes("fff6d2")[0], smoothstep(1.5 * body, 0.9 * body, distance))
    return sky


def _hills(rng, x, y):
    """Return where the land is (0 to 1), its colours, and the direction of its slopes."""
    land = np.zeros_like(x)
    colours = np.zeros((*x.shape, 3))
    angle = np.zeros_like(x)
    layers = [
        (0.580, 0.048, 3.1, 0.4, 0.42),
        (0.625, 0.036, 4.3, 2.1, 0.62),
        (0.690, 0.022, 3.7, 4.4, 0.28),
    ]
    for base, swing, frequency, phase, shade in layers:
        edge = base - swing * np.sin(frequency * x * 2 + phase)
        edge = edge - 0.4 * swing * np.sin(3.1 * frequency * x + 1.7 * phase)
        edge = edge + 0.003 * fractal_noise(rng, x.shape, 60, 2)
        depth = y - edge
        inside = smoothstep(-0.002, 0.002, depth)
        light = 0.5 + 0.5 * np.sin(34 * depth + 9 * x + 0.8 * fractal_noise(rng, x.shape, 80, 2))
        colour = ramp(HILLS, np.clip(shade + 0.40 * light - 1.5 * depth, 0, 1))
        colour = mix(colour, hexes("081528")[0], 0.9 * smoothstep(0.009, 0.003, np.abs(depth)))
        colours = mix(colours, colour, inside)
        slope = np.arctan2(np.gradient(edge, axis=1) * x.shape[1], 1.0)
        angle = np.where(inside > 0.5, slope + 0.35 * np.sin(14 * x + 20 * y), angle)
        land = np.maximum(land, inside)
    return land, colours, angle


def _cypress(rng, x, y):
    """Return where the tree is, the direction of its flames, and its colours."""
    covered = np.zeros_like(x)
    for foot, top, width, lean in [(0.155, 0.085, 0.075, 0.020), (0.235, 0.40, 0.040, -0.012)]:
        up = np.clip((0.82 - y) / (0.82 - top), 0, 1.2)
        middle = foot + lean * np.sin(4.5 * up) + 0.010 * np.sin(17 * y)
        half = (
            width
            * np.clip(1 - up, 0, 1) ** 0.62
            * (0.62 + 0.38 * np.sqrt(np.clip(np.sin(np.pi * up), 0, 1)))
        )
        side = np.sign(x - middle)
        half = half * (1 + 0.22 * np.abs(np.sin(24 * y + side)) ** 1.5 - 0.10)
        inside = smoothstep(0.004, -0.004, np.abs(x - middle) - half) * (up < 1)
        covered = np.maximum(covered, inside)
    flames = fractal_noise(rng, x.shape, 70, 3)
    waves = np.sin(75 * (x - 0.16) + 3.5 * np.sin(15 * y) + 1.2 * flames)
    colours = ramp(TREE, np.clip(0.34 + 0.34 * waves, 0, 1))
    angle = np.pi / 2 + 0.30 * np.sin(15 * y + 14 * x) - 2.4 * (x - 0.165)
    return covered, angle, colours


def _near_lights(x, y):
    """Return where the eye looks closely: about the stars and the moon, 0 to 1."""
    near = np.zeros_like(x)
    for cx, cy, _, halo in [*STARS, MOON]:
        near = np.maximum(near, smoothstep(1.3 * halo, 0.7 * halo, np.hypot(x - cx, y - cy)))
    return near


def _sparks(rng, colours):
    """Return the colours with their lights pushed, for the last thin strokes."""
    shift = rng.choice([-0.10, 0.10, 0.20], size=colours.shape[:2], p=[0.3, 0.45, 0.25])
    warm = np.array([1.0, 0.95, 0.72])
    return np.clip(colours + shift[..., np.newaxis] * warm, 0, 1)


def _bodies(canvas, rng):
    """Paint the stars' and the moon's bodies in thick round strokes."""
    yellow, white = hexes("f7c948", "fffbe6")
    for cx, cy, body, _ in STARS:
        for radius in np.linspace(body, 0.2 * body, 4) * WIDTH:
            for turn in np.arange(0, 2 * np.pi, 0.55) + rng.random():
                colour = mix(yellow, white, 1 - radius / (body * WIDTH) + 0.25)
                canvas.stroke(
                    cx * WIDTH + 0.7 * radius * np.cos(turn),
                    cy * WIDTH + 0.7 * radius * np.sin(turn),
                    turn + np.pi / 2,
                    0.6 / max(radius, 4),
                    max(1.1 * radius, 6),
                    max(0.5 * radius, 3.5),
                    np.clip(colour, 0, 1),
                )
    cx, cy, body, _ = MOON
    for _ in range(420):
        turn, radius = rng.uniform(0, 2 * np.pi), body * WIDTH * np.sqrt(rng.random())
        x, y = cx * WIDTH + radius * np.cos(turn), cy * WIDTH + radius * np.sin(turn)
        bite = np.hypot(x - (cx + 0.45 * body) * WIDTH, y - (cy - 0.15 * body) * WIDTH)
        if bite > 0.78 * body * WIDTH:
            colour = mix(hexes("ee9a22")[0], hexes("ffe08a")[0], rng.random())
        else:
            colour = mix(hexes("f6e3a0")[0], hexes("fffbe6")[0], rng.random())
        canvas.stroke(x, y, turn + np.pi / 2, 0.8 / max(radius, 6), 15, 4.5, colour, 0.95)


def _village(canvas, rng):
    """Paint dark houses with lit windows at the foot of the hills, and a steeple."""
    roofs = hexes("16233f", "2a2f50", "6a3a34", "0c1730")
    walls = hexes("35557d", "41618a", "566a86")
    light = hexes("ffd35a", "ffb43a", "ffe9a0")
    for x in np.sort(rng.uniform(0.32, 0.98, 34)) * WIDTH:
        y = (0.715 + 0.030 * rng.random()) * WIDTH + 6 * np.sin(x / 70)
        width, height = rng.uniform(22, 44), rng.uniform(14, 24)
        for row in np.arange(0, height, 3.5):
            canvas.stroke(x, y + row, 0, 0, width, 5, walls[rng.integers(3)], 0.95)
        for side in (-1, 1):
            colour = roofs[rng.integers(4)]
            for drop in (0, 4):
                canvas.stroke(
                    x + side * width / 4, y - 5 + drop, side * 0.62, 0, width * 0.72, 5.5, colour
                )
        for _ in range(rng.integers(1, 4)):
            colour = light[rng.integers(3)]
            at = x + rng.uniform(-0.3, 0.3) * width
            canvas.stroke(at, y + rng.uniform(5, height - 3), np.pi / 2, 0, 7, 4, colour, 0.95)
    foot, ground = 0.625 * WIDTH, 0.725 * WIDTH
    for row in np.arange(0, 34, 3):
        canvas.stroke(foot, ground - row, 0, 0, 17, 5, walls[rng.integers(3)], 0.95)
    for lean in (-0.11, 0.11, 0.0):
        canvas.stroke(foot + 30 * lean, ground - 62, np.pi / 2 - lean, 0, 72, 6, roofs[3], 0.95)
    canvas.stroke(foot, ground - 22, np.pi / 2, 0, 9, 5, light[0], 0.95)
