"""A great wave as a woodcut: flat inks, a carved key block, claws of foam, the grain of wood."""

import numpy as np
from PIL import Image, ImageDraw
from scipy.interpolate import CubicSpline
from scipy.ndimage import map_coordinates

from brush import fractal_noise, hexes, mix, smoothstep

HEIGHT, WIDTH, FINE = 750, 1000, 3

PAPER, SAND, INK, DEEP, BLUE, PALE, SUN, FOAM = hexes(
    "f1e3c4", "e2c48e", "16234a", "1f4079", "3d74a6", "9cc0c6", "d4553a", "f7efdb"
)

# Parts of the width, from the foot to the lip.
BACK = [(-0.10, 0.60), (0.06, 0.52), (0.17, 0.36), (0.27, 0.20), (0.40, 0.105), (0.54, 0.10)]
BACK += [(0.65, 0.165), (0.705, 0.275)]
FACE = [(0.72, 0.80), (0.55, 0.66), (0.425, 0.575), (0.365, 0.46), (0.375, 0.345), (0.45, 0.265)]
FACE += [(0.56, 0.25), (0.655, 0.30)]
SWELL_BACK = [(1.12, 0.58), (1.00, 0.545), (0.91, 0.475), (0.83, 0.435), (0.765, 0.45)]
SWELL_BACK += [(0.725, 0.50)]
SWELL_FACE = [(0.62, 0.80), (0.74, 0.69), (0.81, 0.62), (0.825, 0.555), (0.79, 0.515)]
SWELL_FACE += [(0.745, 0.515)]


def paint(rng):
    """Return the picture, (H, W, 3) in [0, 1]."""
    block = Block()
    _sea(block, rng)
    _wave(block, curve(SWELL_BACK), curve(SWELL_FACE), 13)
    _foam(block, rng, curve(SWELL_BACK), curve(SWELL_FACE), 0.55)
    _wave(block, curve(BACK), curve(FACE), 19)
    _foam(block, rng, curve(BACK), curve(FACE), 1.0)
    _foreground(block, rng)
    _spray(block, rng)
    return _print(block, rng)


def curve(points, count=240):
    """Return a smooth curve through points, (count, 2)."""
    points = np.array(points, float)
    chords = np.sqrt(np.hypot(*np.diff(points, axis=0).T))
    knots = np.concatenate([[0], np.cumsum(chords)])
    return CubicSpline(knots, points)(np.linspace(0, knots[-1], count))


class Block:
    """Flat colours (with where they cover the sky), and the key block that prints the lines."""

    def __init__(self):
        size = (WIDTH * FINE, HEIGHT * FINE)
        self.colour = Image.new("RGB", size)
        self.cover = Image.new("L", size)
        self.key = Image.new("L", size)

    def fill(self, points, colour):
        """Fill a polygon; what was carved there before is covered."""
        points = _pixels(points)
        ImageDraw.Draw(self.colour).polygon(points, fill=_bytes(colour))
        ImageDraw.Draw(self.cover).polygon(points, fill=255)
        ImageDraw.Draw(self.key).polygon(points, fill=0)

    def line(self, points, width, taper=(1.0, 1.0), colour=None):
        """Carve a line that swells and tapers: in ink, or in a colour of the flat blocks."""
        t = np.linspace(0, 1, len(points))
        ends = smoothstep(0, 0.3, t) * taper[0] + 1 - taper[0]
        ends = ends * (smoothstep(1, 0.6, t) * taper[1] + 1 - taper[1])
        tangent = np.gradient(points, axis=0)
        tangent /= np.hypot(*tangent.T)[:, np.newaxis] + 1e-12
        normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
        offset = normal * (width / 2 * ends)[:, np.newaxis]
        outline = _pixels(np.concatenate([points + offset, (points - offset)[::-1]]))
        if colour is None:
            ImageDraw.Draw(self.key).polygon(outline, fill=255)
        else:
            ImageDraw.Draw(self.colour).polygon(outline, fill=_bytes(colour))
            ImageDraw.Draw(self.cover).polygon(outline, fill=255)

    def beads(self, beads, colour, rim=0.0022):
        """Print the union of discs (x, y, radius), outlined in ink."""
        key, flat, cover = (ImageDraw.Draw(i) for i in (self.key, self.colour, self.cover))
        for grown, ink in ((rim, 255), (0, 0)):
            for x, y, radius in beads:
                r = radius + grown
                box = [(x - r) * WIDTH * FINE, (y - r) * WIDTH * FINE]
                box += [(x + r) * WIDTH * FINE, (y + r) * WIDTH * FINE]
                key.ellipse(box, fill=ink)
                flat.ellipse(box, fill=_bytes(colour))
                cover.ellipse(box, fill=255)


def _pixels(points):
    return [tuple(point) for point in np.asarray(points) * WIDTH * FINE]


def _bytes(colour):
    return tuple(round(255 * c) for c in colour)


def _sea(block, rng):
    """Lay the far sea with its lines, and an island cone."""
    horizon = 0.545
    cone = curve([(0.80, 0.56), (0.86, 0.49), (0.905, 0.435), (0.95, 0.49), (1.03, 0.56)], 80)
    block.fill(cone, mix(BLUE, PALE, 0.35))
    snow = cone[(cone[:, 1] < 0.468)]
    teeth = [(0.935, 0.480), (0.922, 0.465), (0.908, 0.486), (0.895, 0.466), (0.876, 0.478)]
    block.fill(np.concatenate([snow, teeth]), FOAM)
    block.line(cone, 0.0032)
    block.fill([(0, horizon), (1, horizon), (1, 0.75), (0, 0.75)], PALE)
    for y in np.linspace(horizon, 0.75, 26) ** 1.0:
        for x in np.arange(-0.1, 1.0, 0.16) + rng.uniform(0, 0.1):
            xs = np.linspace(x, x + rng.uniform(0.08, 0.22), 40)
            line = np.stack([xs, y + 0.0025 * np.sin(60 * xs + 40 * y)], axis=1)
            block.line(line, 0.0016 + 0.012 * (y - horizon), colour=BLUE if y < 0.65 else DEEP)


def _between(back, face, t):
    """Return the line of flow at t between the back of a wave (0) and its face (1)."""
    return back + (face - back) * np.asarray(t)[..., np.newaxis]


def _wave(block, back, face, stripes):
    """Print a wave's body: stripes along the flow from the foot to the lip."""
    s = np.linspace(0, 1, len(back))
    block.fill(np.concatenate([back, face[::-1]]), DEEP)
    inner = _between(back, face, 0.55 + 0.12 * np.sin(5 * s))
    block.fill(np.concatenate([inner, face[::-1]]), BLUE)
    edges = np.linspace(0.06, 0.98, stripes)
    for number, t in enumerate(edges):
        sway = t + 0.018 * np.sin(9 * s + 1.7 * number) * (1 - s)
        flow = _between(back, face, sway)
        start = (7 * number % 5) * 6
        stop = len(flow) - (11 * number % 7) * 7
        span = np.hypot(*(face - back)[len(back) // 3]) / stripes
        if t > 0.5:
            block.line(flow[start:stop], span * 0.85, colour=PALE if number % 2 else FOAM)
            block.line(flow[start // 2 :] + 0.35 * span, span * 0.16)
        else:
            block.line(flow[start:stop], span * 0.42, colour=BLUE if number % 2 else PALE)
            block.line(flow[start:stop] + 0.30 * span, span * 0.14)
    block.line(back, 0.0060, (0.2, 0.3))
    block.line(face, 0.0050, (0.2, 0.3))


def _claw(rng, x, y, heading, length, radius, curl, depth=0):
    """Return the discs of a hooked finger of foam with smaller fingers upon its outer side."""
    beads = []
    steps = max(int(length / (0.16 * radius)), 8)
    for step in range(steps):
        t = step / steps
        beads.append((x, y, radius * (1 - 0.93 * t) * (1 + 0.16 * np.sin(19 * t))))
        heading += curl * (0.15 + 2.6 * t * t) / steps
        x += np.cos(heading) * length / steps
        y += np.sin(heading) * length / steps
        if depth < 2 and step in (int(0.16 * steps), int(0.36 * steps), int(0.56 * steps)):
            size = rng.uniform(0.45, 0.65) * (1 - 0.5 * t)
            out = heading - np.sign(curl) * rng.uniform(0.5, 0.9)
            beads += _claw(rng, x, y, out, length * size, radius * size, curl, depth + 1)
    return beads


def _foam(block, rng, back, face, size):
    """Crown a wave: a scalloped band of foam along its crest, claws along its lip."""
    turn = np.sign(back[-1, 0] - back[0, 0])
    count = len(back)
    first = int(0.44 * count)
    claws, band = [], []
    lip = _between(back[-1], face[-1], np.linspace(0, 1, 7))
    under = np.concatenate([lip[1::2], face[: int(0.66 * count) : -max(int(9 / size**0.5), 1)]])
    for x, y in under:
        heading = np.pi / 2 - turn * rng.uniform(-0.2, 0.35)
        length = size * rng.uniform(0.055, 0.085)
        claws.append(_claw(rng, x, y, heading, length, 0.0075 * size, turn * rng.uniform(1.3, 2.2)))
    for i in range(int(0.56 * count), count, max(int(8 / size**0.5), 1)):
        t = (i - 0.56 * count) / (0.44 * count)
        tangent = back[min(i + 2, count - 1)] - back[i - 2]
        heading = np.arctan2(tangent[1], tangent[0]) - turn * rng.uniform(0.25, 0.6)
        length = size * (0.030 + 0.045 * t) * rng.uniform(0.8, 1.2)
        claws.append(_claw(rng, *back[i], heading, length, 0.0066 * size, turn * 2.1))
    for claw in claws:
        block.beads(claw, FOAM, 0.0017)
    for i in range(first, count):
        t = (i - first) / (count - first)
        for across in np.linspace(0, 0.42 * t**0.7 + 0.02 * np.sin(0.5 * i), 5):
            x, y = _between(back[i], face[i], across)
            swell = 0.45 + 0.55 * np.abs(np.sin(0.42 * i))
            band.append((x, y, size * (0.0022 + 0.0085 * swell * t**0.6)))
    band += [(x, y, 0.010 * size) for x, y in lip]
    for i in range(int(0.66 * count), count):
        swell = 0.5 + 0.5 * np.abs(np.sin(0.33 * i))
        band.append((*face[i], size * 0.0105 * swell * smoothstep(0.64, 0.72, i / count)))
    block.beads(band, FOAM, 0.0017)
    for i in range(first + 24, count - 4, 3):
        t = (i - first) / (count - first)
        arc = _between(back[i : i + 5], face[i : i + 5], 0.34 * t**0.7 * rng.uniform(0.1, 1))
        block.line(arc, 0.0030 * size, colour=PALE if rng.random() < 0.7 else BLUE)


def _foreground(block, rng):
    """Roll swells along the foot of the picture, with lace of foam on their crests."""
    for level, (base, swing, colour) in enumerate([(0.655, 0.028, BLUE), (0.70, 0.024, DEEP)]):
        xs = np.linspace(-0.05, 1.05, 260)
        crest = base + swing * np.sin(7.2 * xs + 1.9 + 2.6 * level) * np.cos(2.1 * xs + level)
        edge = np.stack([xs, crest], axis=1)
        block.fill(np.concatenate([edge, [(1.05, 0.8), (-0.05, 0.8)]]), colour)
        for row in np.arange(1, 9):
            for start in rng.integers(0, 200, 5):
                piece = edge[start : start + rng.integers(30, 60)] + np.array([0, 0.011 * row])
                light = (PALE, FOAM, BLUE if level else PALE)[row % 3]
                block.line(piece, rng.uniform(0.002, 0.0045), colour=light)
                block.line(piece + np.array([0.004, 0.0042]), 0.0018)
        block.line(edge, 0.0045, (0, 0))
        for start in rng.integers(0, 190, 4):
            lace = []
            for i in range(start, start + 60):
                t = (i - start) / 60
                x, y = edge[i] + (0, 0.012 * t * (1 - t) * (1 + np.sin(0.8 * i)))
                lace.append(
                    (x, y, 0.0050 * np.sin(np.pi * t) * (1 + 0.5 * np.sin(0.9 * i)) + 0.001)
                )
                if i % 9 == 0 and 0.1 < t < 0.9:
                    lace += _claw(rng, x, y, rng.uniform(-1.3, -0.6), 0.030, 0.0042, 2.6, 1)
            block.beads(lace, FOAM, 0.0016)


def _spray(block, rng):
    """Fling drops before the lip."""
    for _ in range(150):
        angle, far = rng.uniform(-0.9, 0.75), rng.gamma(2.2, 0.040)
        x = 0.69 + far * np.cos(angle) * 1.1
        y = 0.25 + far * np.sin(angle) * 1.5
        block.beads([(x, y, rng.uniform(0.0014, 0.0042))], FOAM, 0.0014)
    for _ in range(60):
        x = rng.uniform(0.25, 0.66)
        top = np.interp(x, [0.25, 0.40, 0.54, 0.66], [0.23, 0.10, 0.095, 0.17])
        y = top - rng.gamma(2.0, 0.018)
        block.beads([(x, y, rng.uniform(0.0012, 0.0032))], FOAM, 0.0013)


def _sky(rng):
    """Return the sky's inks: wiped blue above, sand below, a sun cut by lines of haze."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / WIDTH
    wiped = 0.02 * fractal_noise(rng, x.shape, 200, 3)
    sky = mix(PAPER, SAND, smoothstep(0.20, 0.56, y + wiped) * 0.9)
    sky = mix(sky, mix(DEEP, BLUE, 0.45), 0.85 * smoothstep(0.15, 0.0, y + wiped))
    distance = np.hypot(x - 0.845, y - 0.20)
    haze = 0.5 + 0.5 * np.sin(2 * np.pi * y / 0.019 + 0.6 * np.sin(9 * x))
    gap = smoothstep(0.20, 0.32, y) * 0.95
    sun = smoothstep(0.0785, 0.0765, distance) * (haze > gap)
    sky = mix(sky, SUN, 0.94 * sun)
    lines = smoothstep(0.06, 0.0, np.abs((y / 0.0135) % 1 - 0.5)) * smoothstep(0.36, 0.54, y)
    length = fractal_noise(rng, (HEIGHT // 10, 8), 4, 1).repeat(10, axis=0).repeat(125, axis=1)
    return mix(sky, SUN * 0.8 + SAND * 0.2, 0.5 * lines * (length > 0))


def _print(block, rng):
    """Pull the print: flat inks with the block's grain, then the key block a little off."""

    def reduced(image):
        return np.asarray(image.reduce(FINE), float) / 255

    shape = (HEIGHT, WIDTH)
    grain = fractal_noise(rng, (HEIGHT, WIDTH // 14), 9, 3)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    bend = 9 * fractal_noise(rng, shape, 260, 2)
    grain = map_coordinates(grain, [rows + bend, columns / 14], order=1, mode="reflect")
    wobble = [0.9 * fractal_noise(rng, shape, 16, 2) for _ in range(2)]
    carved = [rows + wobble[0], columns + wobble[1]]

    def cut(layer, shift=(0, 0)):
        at = [carved[0] + shift[0], carved[1] + shift[1]]
        return map_coordinates(layer, at, order=1, mode="nearest")

    colour = reduced(block.colour)
    flat = np.stack([cut(colour[:, :, c]) for c in range(3)], axis=2)
    picture = mix(_sky(rng), flat, cut(reduced(block.cover)))
    worn = smoothstep(1.3, 3.0, grain + 0.5 * fractal_noise(rng, shape, 5, 2))
    picture = mix(picture, PAPER, 0.30 * worn)
    picture = picture * (1 + 0.045 * grain[..., np.newaxis])
    key = cut(reduced(block.key), (1.0, -0.8)) * (1 - 0.35 * worn)
    picture = mix(picture, INK, key)
    fibre = fractal_noise(rng, shape, 4, 2)
    return np.clip(picture * (1 + 0.014 * fibre[..., np.newaxis]), 0, 1)
