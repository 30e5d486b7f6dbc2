"""What a shot is painted with: frame by frame, remembering what it has to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from styletransfer.video.flow import Link

LEVELS = np.float32(65535)
"""Painted frames have 16 bits a channel: what is read back from a file is what was painted."""


class State(Protocol):
    """What a painter remembers of the frames of a shot so far."""

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return it as plain arrays, to be stored."""
        ...


@dataclass(frozen=True)
class Painted:
    """A frame that is painted.

    Attributes
    ----------
    picture : ndarray, shape (H, W, 3)
        uint16.
    state : State
        What is remembered for the next one.
    iterations : int
        How many there were; 1 in one pass of a network.
    loss : float or None
        At the end of an optimisation.
    """

    picture: np.ndarray
    state: State
    iterations: int = 1
    loss: float | None = None


class FramePainter(Protocol):
    """Paints the frames of a film in order, shot by shot.

    Attributes
    ----------
    weights_digest, device : str
        The sha256 of its network's weights, and where it runs.
    """

    weights_digest: str
    device: str

    def begin(self) -> State:
        """Return what is remembered before a shot's first frame: nothing."""
        ...

    def restore(self, arrays: Mapping[str, np.ndarray]) -> State:
        """Return what `State.to_arrays` was made of; FilmError if they are no such arrays."""
        ...

    def paint(self, frame: np.ndarray, state: State, link: Link | None) -> Painted:
        """Paint a frame.

        Parameters
        ----------
        frame : ndarray, shape (H, W, 3)
            float32 in [0, 1].
        state : State
            After the frame before; that of `begin` for a shot's first.
        link : Link or None
            How it hangs together with earlier ones; None for a shot's first frame, which is then
            painted as a picture of its own would be.
        """
        ...


def rounded(picture: np.ndarray) -> np.ndarray:
    """Return a picture in [0, 1] as painted frames are kept, uint16."""
    return np.rint(np.clip(picture, 0, 1) * LEVELS).astype(np.uint16)
