"""What is known of a film before it is read."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

DEFAULT_RATE = Fraction(25)
"""Frames a second of pictures that have no times of their own."""


_HIGH_RANGE = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True)
class Colour:
    """How the colours of a film are coded, by the numbers of ITU-T H.273; 2 is unspecified."""

    matrix: int = 1
    primaries: int = 1
    transfer: int = 1
    full: bool = False
    pixel_format: str = "rgb24"


@dataclass(frozen=True)
class Source:
    """A film, an animated picture or a folder of frames.

    Attributes
    ----------
    path : Path
        What was given.
    kind : str
        `container`, `animation` or `folder`.
    format : str
        The container's name, or that of the pictures.
    width, height : int
        Of a frame in pixels, rotated as it is seen.
    frames : int or None
        How many, where the file says so; it may be wrong.
    rate : Fraction or None
        Frames a second in the mean.
    time_base : Fraction
        Seconds of which every time is a multiple.
    duration : Fraction or None
        Seconds, where the file says so.
    start : Fraction
        What a container calls the beginning: times of frames count from it.
    end : Fraction or None
        Up to when the pictures go, in seconds from the beginning, where the file says so.
    rotation : int
        Degrees, anticlockwise, by which the frames were turned.
    depth : int
        Bits of a channel in `Frame.pixels`, 8 or 16.
    alpha : bool
        Whether frames may be transparent.
    pixel_aspect : Fraction
        Width of a pixel divided by its height.
    colour : Colour
        How the colours are coded.
    has_audio : bool
        Whether there is sound.
    loops : int
        How often an animation is repeated; 0 is for ever.
    files : tuple of Path
        The pictures of a folder, in order.
    """

    path: Path
    kind: str
    format: str
    width: int
    height: int
    frames: int | None
    rate: Fraction | None
    time_base: Fraction
    duration: Fraction | None
    start: Fraction = Fraction(0)
    end: Fraction | None = None
    rotation: int = 0
    depth: int = 8
    alpha: bool = False
    pixel_aspect: Fraction = Fraction(1)
    colour: Colour = field(default_factory=Colour)
    has_audio: bool = False
    loops: int = 0
    files: tuple[Path, ...] = field(default=(), repr=False)

    @property
    def caution(self) -> str | None:
        """A sentence on what is not done right with such a film, if there is any."""
        high = _HIGH_RANGE.get(self.colour.transfer)
        if high is None:
            return None
        return (
            f"the film's colours are those of {high} (HDR), which look pale to a network that"
            " paints: it is painted as it is; for true colours convert it to SDR first"
        )
