"""What paints the frames of a film, one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from styletransfer.video.flow import Link

LEVELS = 65535
"""Of a channel of the pictures that are kept."""

S = TypeVar("S", bound="State")


@dataclass(frozen=True)
class Facts:
    """How a frame was painted.

    Attributes
    ----------
    iterations, evaluations : int
        What was done; 0 for a network that paints in one pass.
    loss : float or None
        The result's.
    terms : mapping of str to float
        What it consists of.
    """

    iterations: int = 0
    evaluations: int = 0
    loss: float | None = None
    terms: Mapping[str, float] = field(default_factory=dict)


class State(Protocol):
    """What a painter has to know of the frames of a shot so far; frozen.

    Pictures in it are as they are kept, `rounded`, so that what is read from a file goes on with
    the same bits.
    """

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return it as arrays by name: what a file can hold."""


class FramePainter(Protocol[S]):
    """Paints the frames of one shot after the other.

    Attributes
    ----------
    offsets : tuple of int
    anchored : bool
        What `flow.Tracker` has to look for.
    """

    offsets: tuple[int, ...]
    anchored: bool

    def begin(self) -> S:
        """Return the state before a shot's first frame."""

    def restore(self, arrays: Mapping[str, np.ndarray]) -> S:
        """Return the state that `to_arrays` took apart."""

    def paint(self, frame: np.ndarray, state: S, link: Link | None) -> tuple[np.ndarray, S, Facts]:
        """Return a frame painted, and the state after it.

        Parameters
        ----------
        frame : ndarray, shape (H, W, 3)
            RGB as `images.as_rgb` takes it.
        state : State
            After the frame before of the shot.
        link : Link or None
            To the frames before; None for a shot's first, which is painted as if it were alone.

        Returns
        -------
        picture : ndarray
            Float32 RGB in [0, 1], of the result's size, not rounded.
        state : State
            For the next frame.
        facts : Facts
            How it was painted.
        """


class RepeatingPainter(FramePainter[S], Protocol[S]):
    """One that can go through a shot several times."""

    def again(self, frame: np.ndarray, painting: np.ndarray, loss: float) -> S:
        """Return the state after the first frame of a further pass, which stays as it is.

        Parameters
        ----------
        frame : ndarray
            As for `paint`.
        painting : ndarray
            Its painting as it was kept, uint16.
        loss : float
            That of the shot's first painting.
        """

    def repaint(
        self, frame: np.ndarray, painting: np.ndarray, state: S, link: Link
    ) -> tuple[np.ndarray, S, Facts]:
        """Return a frame painted anew, and the state after it.

        Parameters
        ----------
        frame, state, link
            As for `paint`; what is earlier in the order of the pass is `link.earlier`.
        painting : ndarray
            That of the pass before, as it was kept, uint16.
        """


def rounded(picture: np.ndarray) -> np.ndarray:
    """Return a picture, float in [0, 1], as it is kept: 16 bits a channel."""
    levels = picture * np.float32(LEVELS)
    return np.rint(levels, out=levels).astype(np.uint16)


def floats(kept: Any) -> np.ndarray:
    """Return a picture that was kept, float32 in [0, 1]."""
    return np.asarray(kept).astype(np.float32) / np.float32(LEVELS)
