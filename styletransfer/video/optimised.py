"""Films painted by optimisation: each frame begins where the one before, moved, has ended.

After Ruder, Dosovitskiy and Brox (2016). What has come into view begins as the photograph, and
Gram matrices of the whole frame, where all the rest is painted, hardly ask for more. So each pixel
has an age; the young ones are asked for the style by themselves, too, and not held to what they
were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from styletransfer import images
from styletransfer.images import colour
from styletransfer.images.arrays import as_rgb
from styletransfer.progress import Progress
from styletransfer.transfer import Expected, StyleTransfer
from styletransfer.transfer.goals import each
from styletransfer.video.flow import Link
from styletransfer.video.painter import Facts, floats, rounded
from styletransfer.video.temporal import expected

WEIGHT = 0.3
"""Of the temporal term: 1 says that being off by a tenth of the range from black to white, as the
root of a mean square, costs as much as the whole loss of the shot's first frame."""

GROWN = 5
"""How many frames a pixel that has come into view is painted before it is held to as the others."""

YOUNG = 0.03
"""How much the style of the young pixels by themselves counts, beside a frame of nothing else.

They might count more in the Gram matrices of the frame, instead; but these are then met by painting
the others too strongly, up to 4.6 times the style loss.
"""

LEAST_YOUNG = 1e-3
"""The share of a frame that young pixels must be to be asked for anything by themselves."""

NEXT_TOLERANCE = 3e-4
"""Frames after the first end when an iteration lowers the loss by no more than this part of it.

With 1e-3 some frames ended far too early, after one iteration that lowered it little by chance;
with 1e-4 they take a third more iterations, for a loss that is 0.6 % less.
"""

UNIT = (0.1 * 255) ** 2

NOTHING = Expected(np.zeros((1, 1, 3), np.float32), np.zeros((1, 1), np.float32), 0.0)


@dataclass(frozen=True)
class State:
    """After a frame.

    Attributes
    ----------
    results : tuple of ndarray
        Paintings of the frames before, the latest first, as they are kept, uint16; a fourth channel
        is the age of the pixels, from 0 to 1, grown.
    anchor : ndarray or None
        That of the frame that the shot is held to.
    loss : float
        Of the shot's first painting.
    colours : ndarray or None
        The shot's first frame, uint16, where the styles are given the colours of that.
    """

    results: tuple[np.ndarray, ...] = ()
    anchor: np.ndarray | None = None
    loss: float = 0.0
    colours: np.ndarray | None = None

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return it as arrays by name."""
        arrays = {f"result/{number}": kept for number, kept in enumerate(self.results)}
        if self.anchor is not None:
            arrays["anchor"] = self.anchor
        if self.colours is not None:
            arrays["colours"] = self.colours
        return arrays | {"loss": np.array(self.loss)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "State":
        """Return the state that `to_arrays` took apart."""
        count = sum(name.startswith("result/") for name in arrays)
        results = tuple(arrays[f"result/{number}"] for number in range(count))
        return cls(results, arrays.get("anchor"), float(arrays["loss"]), arrays.get("colours"))


class OptimisingPainter:
    """Paints frames by optimisation; see `painter.FramePainter`.

    Parameters
    ----------
    transfer : StyleTransfer
        Of the network that judges.
    styles : sequence of ndarray
        The style images.
    options : mapping
        The other arguments of `StyleTransfer.transfer_style`; `n_iter` is that of a shot's first
        frame.
    next_iters : int
        The most iterations of the frames that follow.
    weight : float
        Of the temporal term; see `WEIGHT`.
    """

    offsets: tuple[int, ...] = (1, 2, 4)
    anchored = True

    def __init__(
        self,
        transfer: StyleTransfer,
        styles: Sequence[np.ndarray],
        options: Mapping[str, Any],
        *,
        next_iters: int,
        weight: float = WEIGHT,
    ) -> None:
        self._transfer, self._styles = transfer, list(styles)
        self._options = dict(options)
        self._next = _last_stage(options) | {"n_iter": next_iters}
        method, when = options.get("preserve_colors") or ("", "")
        self._colours = str(method)
        self._matched = when == "before"
        if self._matched:
            self._next["preserve_colors"] = None
        self._weight = weight

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
        if link is None or not state.results:
            picture, painting, facts = self._made(frame, self._styles, self._options, NOTHING)
            return picture, self.again(frame, rounded(painting), facts.loss or 0.0), facts
        return self._linked(frame, state, link, None)

    def again(self, frame: np.ndarray, painting: np.ndarray, loss: float) -> State:
        """Return the state after a shot's first frame, in a further pass that of the pass.

        Parameters
        ----------
        frame : ndarray
            The frame, which stays as it is in a further pass.
        painting : ndarray
            Its painting as it was kept, uint16.
        loss : float
            That of the shot's first painting, see `State`.
        """
        kept = _aged(floats(painting), np.ones(painting.shape[:2], np.float32))
        colours = rounded(as_rgb(frame).astype(np.float32)) if self._matched else None
        return State((kept,), kept, loss, colours)

    def repaint(
        self, frame: np.ndarray, painting: np.ndarray, state: State, link: Link
    ) -> tuple[np.ndarray, State, Facts]:
        """Return a frame of a further pass, forwards or backwards, and the state after it.

        It begins halfway between its painting of the pass before and what is expected of it.

        Parameters
        ----------
        frame, state, link
            As for `paint`; what is earlier in the order of the pass is `link.earlier`.
        painting : ndarray
            That of the pass before, as it was kept, uint16.
        """
        return self._linked(frame, state, link, painting)

    def _linked(
        self, frame: np.ndarray, state: State, link: Link, own: np.ndarray | None
    ) -> tuple[np.ndarray, State, Facts]:
        anchor = state.anchor
        if link.anchor is not None and link.anchor.offset == 1:
            anchor = state.results[0]
        held = None
        if link.anchor is not None and anchor is not None and link.anchor.offset > 1:
            held = floats(anchor), link.anchor
        earlier = [(floats(state.results[m.offset - 1]), m) for m in link.earlier]
        near, trust = expected(earlier, held)
        near, age = near[..., :3], near[..., 3] * trust
        weight = self._weight * state.loss / UNIT
        if own is None:
            start = begun(frame, near, trust)
        else:
            mine = floats(own)
            start = mine + np.float32(0.5) * trust[..., np.newaxis] * (near - mine)
            age = np.ones_like(trust)
        styles = self._styles
        if state.colours is not None:
            first = floats(state.colours)
            styles = [colour.match(as_rgb(style), first, self._colours) for style in styles]
        options = self._next | {"init": start}
        if own is None and not options.get("style_masks"):
            options |= _with_young(options, len(styles), 1 - age)
            styles = [*styles, *styles]
        held_to = Expected(near, np.minimum(trust, age), weight)
        picture, painting, facts = self._made(frame, styles, options, held_to)
        kept = _aged(painting, np.minimum(age + np.float32(1 / GROWN), 1))
        results = (kept, *state.results)[: max(self.offsets)]
        return picture, State(results, anchor, state.loss, state.colours), facts

    def _made(
        self,
        frame: np.ndarray,
        styles: Sequence[np.ndarray],
        options: Mapping[str, Any],
        near: Expected,
    ) -> tuple[np.ndarray, np.ndarray, Facts]:
        """Return the picture, what it was before its colours were restored, and how it was made."""
        last: list[Progress] = []

        def note(step: Progress) -> None:
            last[:] = [step]

        self._transfer.transfer_style(styles, frame, expected=near, progress=note, **options)
        summary = self._transfer.summary
        assert summary is not None
        terms = dict(last[0].terms) if last else {}
        facts = Facts(summary.iterations, summary.evaluations, summary.last_loss, terms)
        transfer = self._transfer
        return transfer.get_generated(), transfer.get_generated(restored=False), facts


def begun(frame: np.ndarray, near: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Return the first image of a frame: what is expected of it, elsewhere itself.

    The frame is given the colours of what is expected.
    """
    content = images.resize(as_rgb(frame).astype(np.float32), near.shape[:2])
    content = colour.match(content, near, "covariance")
    share = trust[..., np.newaxis]
    return np.asarray(content + share * (near - content), np.float32)


def _aged(painting: np.ndarray, age: np.ndarray) -> np.ndarray:
    """Return a painting as it is kept, and with it the age of its pixels."""
    return rounded(np.dstack([painting, age]))


def _with_young(options: Mapping[str, Any], count: int, young: np.ndarray) -> dict[str, Any]:
    """Return what changes where each of so many styles is that of the frame, and of young pixels.

    Where there are hardly any, the terms are there all the same, so that one session does for all.
    """
    everywhere = np.ones_like(young)
    share = YOUNG * float(young.mean())
    if share < YOUNG * LEAST_YOUNG:
        young, share = everywhere, 0.0
    weights = each(options.get("style_weights") or (1.0,), count, "style_weights")
    changed = {
        "style_masks": [everywhere] * count + [young] * count,
        "style_weights": (*weights, *(share * weight for weight in weights)),
    }
    scales = options.get("style_scale") or ()
    return changed | ({"style_scale": (*scales, *scales)} if len(scales) > 1 else {})


def _last_stage(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options that make a run of nothing but the last stage."""
    changed = {"tolerance": NEXT_TOLERANCE, **options, "scales": 1}
    stages = changed.pop("stages", ())
    if stages:
        part = stages[-1]
        part = part if isinstance(part, Mapping) else vars(part)
        for name in ("length", "ratio"):
            if name in options:
                changed[name] = options[name] * part.get(name, 1.0)
    return changed
