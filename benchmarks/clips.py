"""Clips whose motion is known exactly: a window that moves over a photograph.

What a pixel shows is a place of one of two layers, the photograph or a cut-out that crosses it, so
where it was in the frame before is known, and whether it was to be seen there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from styletransfer import images

CONTENT = Path(__file__).resolve().parent.parent / "images" / "content"
SIZE = (240, 320)


@dataclass(frozen=True)
class Clip:
    """Frames, and for each but the first where its pixels were.

    Attributes
    ----------
    name : str
    frames : list of ndarray, shape (H, W, 3)
        uint8, as a decoder gives them.
    flows : list of ndarray, shape (H, W, 2)
        Differences (x, y); that of the first is zero.
    seen : list of ndarray, shape (H, W)
        Whether the pixel was to be seen in the frame before; none of the first were.
    """

    name: str
    frames: list[np.ndarray]
    flows: list[np.ndarray]
    seen: list[np.ndarray]


Affine = tuple[np.ndarray, np.ndarray]
"""A matrix and a shift: from a pixel (x, y) of the frame, about its middle, to the photograph."""


def _window(zoom: float = 1.0, angle: float = 0.0, shift: Sequence[float] = (0, 0)) -> Affine:
    cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
    return np.array([[cosine, -sine], [sine, cosine]]), np.asarray(shift, float)


def _apply(affine: Affine, places: np.ndarray) -> np.ndarray:
    matrix, shift = affine
    return places @ matrix.T + shift


def _undo(affine: Affine, places: np.ndarray) -> np.ndarray:
    matrix, shift = affine
    return (places - shift) @ np.linalg.inv(matrix).T


def render(
    name: str,
    photo: np.ndarray,
    windows: Sequence[Affine],
    crossing: Sequence[Sequence[float]] | None = None,
    light: Callable[[int], float] = lambda _: 1.0,
    noise: float = 0.0,
    size: tuple[int, int] = SIZE,
) -> Clip:
    """Return a clip of one window a frame; the cut-out's middle is at `crossing` in the frame."""
    height, width = size
    random = np.random.default_rng(5)
    rows, columns = np.mgrid[:height, :width].astype(float)
    grid = np.stack([columns - (width - 1) / 2, rows - (height - 1) / 2], axis=-1)
    middle = np.array([photo.shape[1] - 1, photo.shape[0] - 1]) / 2
    radius = np.array([0.11 * width, 0.2 * height])

    def on_cutout(places: np.ndarray, t: int) -> np.ndarray:
        if crossing is None:
            return np.zeros(places.shape[:2], bool)
        return ((((places - crossing[t]) / radius) ** 2).sum(-1) < 1).astype(bool)

    frames, flows, seen = [], [], []
    for t, window in enumerate(windows):
        source = _apply(window, grid) + middle
        cut = on_cutout(grid, t)
        if crossing is not None:
            # The cut-out shows another part of the photograph, turned upside down.
            other = middle + (grid - crossing[t]) * [0.9, -0.9] + 0.2 * middle
            source = np.where(cut[..., None], other, source)
        planes = [
            ndimage.map_coordinates(
                photo[..., c], [source[..., 1], source[..., 0]], order=3, mode="reflect"
            )
            for c in range(3)
        ]
        frame = np.stack(planes, -1) * light(t)
        frame = frame + noise / 255 * random.standard_normal(frame.shape)
        frames.append(np.rint(255 * np.clip(frame, 0, 1)).astype(np.uint8))
        if t == 0:
            flows.append(np.zeros((*size, 2), np.float32))
            seen.append(np.zeros(size, bool))
            continue
        was = _undo(windows[t - 1], _apply(window, grid))
        visible = ~on_cutout(was, t - 1)
        if crossing is not None:
            moved = grid - np.subtract(crossing[t], crossing[t - 1])
            was = np.where(cut[..., None], moved, was)
            visible = np.where(cut, True, visible)
            # Pixels at the edge show both layers.
            edge = on_cutout(was * 1.0, t - 1) != cut
            visible &= ~edge & ~ndimage.binary_dilation(cut ^ ndimage.binary_erosion(cut))
        half = np.array([(width - 1) / 2, (height - 1) / 2])
        visible &= (np.abs(was) <= half).all(-1)
        flows.append((was - grid).astype(np.float32))
        seen.append(visible)
    return Clip(name, frames, flows, seen)


def clips(count: int = 10, size: tuple[int, int] = SIZE) -> dict[str, Clip]:
    """Return the clips that are measured, of so many frames each."""
    coffee, rocket, cat = (
        images.load(str(CONTENT / f"{name}.jpg")) for name in ("coffee", "rocket", "cat")
    )
    t = np.arange(count)
    crossing = [(12 * (k - count / 2), 2 * k) for k in t]
    pan = [_window(shift=(3.2 * (k - count / 2), 1.1 * (k - count / 2))) for k in t]
    zoom = [_window(zoom=1 + 0.02 * k, angle=0.012 * k) for k in t]
    still = [_window()] * count
    cut_a, cut_b = pan[: count // 2], zoom[: count - count // 2]
    first = render("", coffee, cut_a, size=size)
    second = render("", rocket, cut_b, size=size)
    cut = Clip(
        "cut",
        first.frames + second.frames,
        first.flows + second.flows,
        first.seen + second.seen,
    )
    return {
        "pan": render("pan", coffee, pan, crossing, size=size),
        "zoom": render("zoom", rocket, zoom, light=lambda k: 1 - 0.25 * k / count, size=size),
        "turn": render("turn", cat, [_window(angle=0.03 * k) for k in t], size=size),
        "noise": render("noise", coffee, still, noise=2.0, size=size),
        "cut": cut,
        **_further(count, size),
    }


def _further(count: int, size: tuple[int, int]) -> dict[str, Clip]:
    """Return clips that nothing was chosen by."""
    coffee, rocket, cat = (
        images.load(str(CONTENT / f"{name}.jpg")) for name in ("coffee", "rocket", "cat")
    )
    t = range(count)
    middle = [k - count / 2 for k in t]
    shift = [_window(shift=(-2.3 * k, 1.7 * k)) for k in middle]
    crossing = [(-9 * k, 3 * n - 10) for n, k in enumerate(middle)]
    out = [_window(zoom=1.25 - 0.03 * k) for k in t]
    fast = [_window(zoom=1 + 0.04 * k, angle=-0.02 * k, shift=(2 * k, 0)) for k in t]
    return {
        "shift": render("shift", rocket, shift, crossing, size=size),
        "out": render("out", coffee, out, size=size),
        "fast": render("fast", cat, fast, size=size),
    }
