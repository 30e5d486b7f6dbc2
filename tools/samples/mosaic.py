"""A mosaic: a golden sun among rings of waves and leaves, laid in small tiles along its lines."""

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from brush import fractal_noise, hexes, mix, ramp, smoothstep

HEIGHT, WIDTH = 800, 1000
TILES = 6800

NIGHT = hexes("0a1540", "10226b", "1a3a97", "2354b8")
TURQUOISE = hexes("0f6f86", "1f98a6", "56c0bd", "a3ddd0")
GOLD = hexes("8a5a12", "c48a1e", "e6b53a", "f8dd7e")
EARTH = hexes("5d1f1a", "94341f", "c2552b", "dd8148")
STONE = hexes("cfc3a6", "e7dcc2", "f5eedd", "fbf7ec")
LEAF = hexes("1d4a2c", "33713a", "6a9b45", "a4bd62")
GROUT = hexes("4a443c")[0]


def paint(rng):
    """Return the picture, (H, W, 3) in [0, 1]."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    stone, shade, across = _design(rng, x, y)
    dy, dx = np.gradient(gaussian_filter(across, 3))
    angle = np.arctan2(dy, dx)
    centres = _lay(rng, stone, angle)
    nearest, gap, local = _cells(centres, angle, y, x)
    return _set(rng, stone, shade, nearest, gap, local, len(centres))


def _band(low, high, x):
    return (x >= low) & (x < high)


def _design(rng, x, y):
    """Return the stone's kind (index of PALETTES), its lightness in [0, 1], and a level map.

    The tiles lie in courses along the contours of the level map.
    """
    cx, cy = 500, 400
    radius = np.hypot(x - cx, y - cy)
    turn = np.arctan2(y - cy, x - cx)
    kind = np.zeros(x.shape, int)
    shade = 0.35 + 0.12 * fractal_noise(rng, x.shape, 160, 2)
    across = radius.copy()

    def put(where, number, light):
        kind[where] = number
        shade[where] = np.broadcast_to(light, x.shape)[where]

    # The field beyond the rings: night with scrolls and stars.
    scroll = np.sin(radius / 21 + 3.0 * np.sin(3 * turn + radius / 90))
    put(scroll > 0.72, 1, 0.30 + 0.3 * scroll)
    for sx, sy in [(75, 75), (925, 75), (75, 725), (925, 725), (60, 400), (940, 400)]:
        far, around = np.hypot(x - sx, y - sy), np.arctan2(y - sy, x - sx)
        put(far < 62, 0, 0.15)
        put(far < 20 + 24 * np.abs(np.cos(2 * around)) ** 3, 2, 0.9 - far / 80)
        put(far < 9, 4, 0.9)
        across = np.where(far < 62, far, across)
    # Rings, from the outside in.
    put(radius < 372, 4, 0.55)
    put(radius < 358, 3, 0.45 + 0.25 * np.sin(40 * turn))
    put(radius < 340, 4, 0.75)
    crest = 300 + 15 * np.sin(16 * turn + 0.9 * np.sin(16 * turn))
    put(radius < 328, 0, 0.25)
    put(radius < crest + 9, 4, 0.95)
    put(radius < crest, 1, np.clip((radius - 265) / 60, 0, 1))
    across = np.where(_band(262, 328, radius), radius - 0.9 * (crest - 300), across)
    put(radius < 268, 2, 0.6 + 0.3 * np.sin(60 * turn))
    put(radius < 252, 0, 0.10)
    leaf_turn = ((turn / (2 * np.pi) * 24) % 1 - 0.5) * 2
    leaf = np.abs(leaf_turn) < 0.82 * np.sqrt(np.clip(1 - ((radius - 222) / 27) ** 2, 0, 1))
    put(leaf & _band(190, 252, radius), 5, 0.5 + 0.45 * leaf_turn)
    put(radius < 192, 2, 0.75)
    put(radius < 180, 3, 0.2)
    _sun(put, radius, turn)
    # A border round it all.
    edge = np.minimum(np.minimum(x, WIDTH - 1 - x), np.minimum(y, HEIGHT - 1 - y))
    put(edge < 30, 4, 0.6)
    put(edge < 22, 3, 0.5 + 0.35 * np.sign(np.sin((x + y) / 11)))
    put(edge < 9, 2, 0.7)
    across = np.where(edge < 34, edge, across)
    return kind, np.clip(shade, 0, 1), across


def _sun(put, radius, turn):
    """Lay the sun: rays straight and waved by turns, and a calm disc."""
    put(radius < 170, 0, 0.75 - radius / 300)
    straight = np.abs(((turn / (2 * np.pi) * 12) % 1) - 0.5) * 2
    put((radius < 165) & (straight < 0.62 * (1 - (radius - 70) / 100)), 2, 1.05 - radius / 260)
    waved = turn + 0.09 * np.sin(radius / 9)
    waved = np.abs(((waved / (2 * np.pi) * 12 + 0.5) % 1) - 0.5) * 2
    put((radius < 150) & (waved < 0.60 * (1 - (radius - 60) / 95)), 3, 1.0 - radius / 250)
    put(radius < 80, 3, 0.3)
    put(radius < 72, 2, 0.55 + 0.4 * np.cos(radius / 6.5))
    put(radius < 34, 4, 0.9)
    put(radius < 22, 2, 0.95)


def _lay(rng, kind, angle):
    """Return the tiles' centres (N, 2) as y, x: Lloyd's relaxation under a turned square metric.

    After Hausner, "Simulating decorative mosaics" (2001): cells of the metric max(|u|, |v|) in a
    frame turned along the design's lines become squares in courses.
    """
    step = 2
    y, x = np.mgrid[0:HEIGHT:step, 0:WIDTH:step]
    weight = np.where(kind[::step, ::step] == 0, 0.5, 1.0)  # larger tiles in the dark ground
    # Tiles keep off the lines where the stone changes, so that each is of one stone.
    change = np.hypot(*np.gradient(gaussian_filter(kind.astype(float), 1.0)))[::step, ::step]
    weight = weight * np.where(change > 0.25, 0.15, 1.0)
    flat = rng.choice(y.size, TILES, replace=False, p=(weight / weight.sum()).ravel())
    centres = np.stack([y.ravel()[flat], x.ravel()[flat]], axis=1).astype(float)
    for _ in range(22):
        nearest, _, _ = _cells(centres, angle, y, x)
        total = np.bincount(nearest.ravel(), weight.ravel(), len(centres))
        total = np.maximum(total, 1e-9)
        for axis, grid in enumerate((y, x)):
            moment = np.bincount(nearest.ravel(), (weight * grid).ravel(), len(centres))
            kept = np.bincount(nearest.ravel(), minlength=len(centres)) > 0
            centres[:, axis] = np.where(kept, moment / total, centres[:, axis])
    return centres


def _cells(centres, angle, y, x):
    """Return each point's tile, its distance to the tile's edge, and its place in the tile's frame.

    The last is (..., 2), in pixels along the two sides of the tile.
    """
    points = np.stack([np.ravel(y), np.ravel(x)], axis=1).astype(float)
    _, candidates = cKDTree(centres).query(points, k=7, workers=1)
    rows = np.clip(centres[:, 0].round().astype(int), 0, HEIGHT - 1)
    columns = np.clip(centres[:, 1].round().astype(int), 0, WIDTH - 1)
    cos, sin = np.cos(angle[rows, columns]), np.sin(angle[rows, columns])
    dy = points[:, :1] - centres[candidates, 0]
    dx = points[:, 1:] - centres[candidates, 1]
    u = dx * cos[candidates] + dy * sin[candidates]
    v = dy * cos[candidates] - dx * sin[candidates]
    distance = np.maximum(np.abs(u), np.abs(v)) + 0.06 * np.hypot(u, v)
    order = np.argsort(distance, axis=1)[:, :2]
    line = np.arange(len(points))
    gap = distance[line, order[:, 1]] - distance[line, order[:, 0]]
    local = np.stack([u[line, order[:, 0]], v[line, order[:, 0]]], axis=1)
    shape = np.shape(y)
    return (
        candidates[line, order[:, 0]].reshape(shape),
        gap.reshape(shape),
        local.reshape(*shape, 2),
    )


def _set(rng, kind, shade, nearest, gap, local, count):
    """Colour the tiles, tilt each a little, round its edges, and fill the grout between."""
    area = np.maximum(np.bincount(nearest.ravel(), minlength=count), 1)
    votes = np.stack([np.bincount(nearest.ravel(), (kind == k).ravel(), count) for k in range(6)])
    stone = votes.argmax(axis=0)
    own = (kind == stone[nearest]).ravel()
    light = np.bincount(nearest.ravel(), shade.ravel() * own, count)
    light = light / np.maximum(np.bincount(nearest.ravel(), own, count), 1)
    light = np.clip(np.round(light * 6) / 6 + rng.normal(0, 0.13, count), 0, 1)
    palettes = [NIGHT, TURQUOISE, GOLD, EARTH, STONE, LEAF]
    colours = np.zeros((count, 3))
    for number, palette in enumerate(palettes):
        colours[stone == number] = ramp(palette, light[stone == number])
    colours += rng.normal(0, 0.018, (count, 3))
    golden = (stone == 2)[:, np.newaxis]
    tilt = rng.normal(0, 1, (count, 2)) * np.where(golden, 0.016, 0.008)
    picture = colours[nearest]
    sheen = (tilt[nearest] * local).sum(axis=2) + rng.normal(0, 0.05, count)[nearest]
    picture = picture * (1 + sheen[..., np.newaxis])
    glint = (rng.random(count) < 0.13) & golden[:, 0]
    picture = mix(picture, hexes("fff6cf")[0], 0.55 * glint[nearest])
    height = smoothstep(0.4, 3.6, gap) + 0.05 * fractal_noise(rng, kind.shape, 7, 2)
    slope_y, slope_x = np.gradient(gaussian_filter(height, 0.7))
    picture = picture * (1 + 0.75 * np.tanh(slope_x + slope_y))[..., np.newaxis]
    picture = picture * (1 + 0.018 * fractal_noise(rng, kind.shape, 6, 2))[..., np.newaxis]
    sand = GROUT * (1 + 0.16 * fractal_noise(rng, kind.shape, 3, 1))[..., np.newaxis]
    laid = smoothstep(0.7, 2.1, gap) * (area[nearest] > 12)
    return np.clip(mix(sand, picture, laid), 0, 1)
