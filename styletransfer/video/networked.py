"""Films painted by a network that knows nothing of films, and made to hold together.

Its normalisations use running means over the shot, and each painting is mixed with the one before,
moved as the flow says: out = (1 − a c) F(x) + a c W(out before), c being how far the flow can be
trusted. Mixing and moving blur; so at each scale the contrast is brought back to that of F(x), but
by no more than 1 / a: what is kept would grow from frame to frame, in place of what a network
paints anew in each, as grids of its pixels.
Measured on clips with known motion, that leaves 0.01 to 0.17 of the error of painting frame by
frame; a longer memory (detail from the shot's first frame, or the detail of F(x) where both agree)
was no better and left seams. The change of luminance is not added, as it is to train networks for
films: painted in one pass a film does not get darker as it should, and the mixture would drift.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from styletransfer.feedforward import Stylizer
from styletransfer.feedforward.memory import Memory
from styletransfer.video import contrast, extra
from styletransfer.video.flow import Link, Motion, scaled, warp
from styletransfer.video.painter import Facts, floats, rounded

SHARE = 0.1
"""How much a frame's statistics count in the running means."""

BLEND = 0.9
"""How much of the painting before is kept where the flow can be trusted."""

DISTORTION = 0.1
"""How far what is kept may have been stretched or turned since it was painted, in the mean.

Where a share a is kept from frame to frame, it is a / (1 - a) frames old in the mean, so that the
camera's zooming and turning by d a frame limits a to DISTORTION / (DISTORTION + d). Strokes that
are carried further are no longer as large, or as upright, as the network paints them.
"""

FADING = 0.995
"""The most that is left of what is kept, from frame to frame, once its contrast is brought back."""

CELL = 8
"""Pixels of the parts whose distortion is measured."""

_PAINTING, _STATISTIC = "painting", "statistic/"


@dataclass(frozen=True)
class State:
    """After a frame: the painting as it is kept, uint16, and the statistics."""

    painting: np.ndarray | None = None
    statistics: Mapping[str, np.ndarray] = field(default_factory=dict)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return it as arrays by name."""
        arrays = {} if self.painting is None else {_PAINTING: self.painting}
        return arrays | {_STATISTIC + name: value for name, value in self.statistics.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "State":
        """Return the state that `to_arrays` took apart."""
        statistics = {
            name.removeprefix(_STATISTIC): value
            for name, value in arrays.items()
            if name.startswith(_STATISTIC)
        }
        return cls(arrays.get(_PAINTING), statistics)


class NetworkPainter:
    """Paints frames by a network; see `painter.FramePainter`.

    Parameters
    ----------
    stylizer : Stylizer
        The network.
    style : optional
        As `Stylizer.stylize` takes it.
    blend : float
        How much of the painting before is kept where the flow can be trusted, from 0 to 1.
    remembers : bool
        Whether frames go on from others; if none does, their statistics are not gathered.
    **options
        Others of `Stylizer.stylize`.
    """

    offsets: tuple[int, ...] = (1,)
    anchored = False

    def __init__(
        self,
        stylizer: Stylizer,
        style: Any = None,
        *,
        blend: float = BLEND,
        remembers: bool = True,
        **options: Any,
    ) -> None:
        self._stylizer, self._style, self._options = stylizer, style, options
        self._blend, self._remembers = blend, remembers

    def begin(self) -> State:
        """Return the state before a shot's first frame."""
        return State()

    def restore(self, arrays: Mapping[str, np.ndarray]) -> State:
        """Return the state that `to_arrays` took apart."""
        return State.from_arrays(arrays)

    def paint(
        self, frame: np.ndarray, state: State, link: Link | None
    ) -> tuple[np.ndarray, State, Facts]:
        """Return a frame painted, and the state after it."""
        if not self._remembers:
            painting = self._stylizer.stylize(frame, self._style, **self._options)
            return painting, State(), Facts()
        if link is None or state.painting is None:
            painting, statistics = self._painted(frame, Memory())
        else:
            # What was painted before is moved while the network runs.
            with ThreadPoolExecutor(1) as thread:
                moving = thread.submit(_moved, state.painting, link, self._blend)
                painting, statistics = self._painted(frame, Memory(state.statistics, SHARE))
                painting = _mixed(painting, *moving.result())
        return painting, State(rounded(painting), statistics), Facts()

    def _painted(
        self, frame: np.ndarray, memory: Memory
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return self._stylizer.stylize_next(frame, self._style, before=memory, **self._options)


def _moved(painting: np.ndarray, link: Link, blend: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Return a painting as it was kept, moved; how much of it is kept, (H, W); and at most."""
    motion = scaled(link.earlier[0], painting.shape[:2])
    share = min(blend, DISTORTION / (DISTORTION + distortion(motion)))
    return warp(floats(painting), motion.flow), np.float32(share) * motion.trust, share


def _mixed(fresh: np.ndarray, moved: np.ndarray, kept: np.ndarray, share: float) -> np.ndarray:
    """Return a painting mixed with the one before, its contrast as it was."""
    mixed = extra.cv2().blendLinear(moved, fresh, kept, 1 - kept)
    most = max(FADING / max(share, FADING / contrast.MOST), 1.0)
    return contrast.restored(mixed, fresh, most)


def distortion(motion: Motion) -> float:
    """Return how far what is trusted is stretched or turned: the norm of the flow's slopes.

    It is the median, over parts of `CELL` pixels, of their largest singular value.
    """
    cv2 = extra.cv2()
    cv2.setNumThreads(1)
    height, width = motion.trust.shape
    size = (max(width // CELL, 2), max(height // CELL, 2))
    flow, trust = (
        cv2.resize(field, size, interpolation=cv2.INTER_AREA)
        for field in (motion.flow, motion.trust)
    )
    (uy, vy), (ux, vx) = (
        np.moveaxis(np.gradient(flow, side / cells, axis=axis), 2, 0)
        for axis, (side, cells) in enumerate(zip((height, width), size[::-1], strict=True))
    )
    norm = np.hypot(ux + vy, vx - uy) + np.hypot(ux - vy, uy + vx)
    seen = norm[trust > 0.5]
    return float(np.median(seen)) / 2 if seen.size else 0.0
