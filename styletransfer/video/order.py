"""What is wanted of a film that is to be written."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from styletransfer.video.facts import Source


@dataclass(frozen=True)
class Order:
    """A film to be written.

    Attributes
    ----------
    path : Path
        Where to; its extension says as what.
    source : Source or None
        Whose sound, subtitles, metadata, colour coding and shape of pixels are kept.
    begin, end : Fraction
        The part of the source that the frames are of, in seconds: `begin` becomes zero, and what
        other tracks have from there up to `end` is kept; an end of None is the source's.
    rate : Fraction or None
        Frames a second in the mean, told to players; None is the source's.
    alpha : bool
        Whether frames come with their opacity.
    first : int
        The number in the name of a folder's first picture.
    depth : int
        Bits a channel of a folder's pictures, 8, or 16 in PNG and TIFF.
    """

    path: Path
    source: Source | None = None
    begin: Fraction = Fraction(0)
    end: Fraction | None = None
    rate: Fraction | None = None
    alpha: bool = False
    first: int = 0
    depth: int = 8
