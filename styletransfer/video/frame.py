"""One frame of a film."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame as it is seen: rotated, in RGB.

    Attributes
    ----------
    number : int
        0 is the source's first frame.
    time, duration : Fraction
        Seconds from the beginning of the film, and how long it is seen.
    pixels : numpy.ndarray
        sRGB, uint8 or uint16, shape (H, W, 3).
    alpha : numpy.ndarray or None
        Opacity, of the same dtype, shape (H, W); None if the frame is opaque.
    """

    number: int
    time: Fraction
    duration: Fraction
    pixels: np.ndarray
    alpha: np.ndarray | None = None

    def picture(self) -> np.ndarray:
        """Return the colours as float32 in [0, 1], shape (H, W, 3)."""
        return self.pixels / np.float32(np.iinfo(self.pixels.dtype).max)
