"""How much a service takes and makes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What is the most.

    Attributes
    ----------
    upload : int
        Bytes of a request.
    pixels : int
        Pixels of a picture, or of a film's frame, that comes in.
    length : int
        Pixels of the longest side of a picture that is made.
    frames : int
        Frames of a film.
    seconds : float
        The time that a job runs.
    waiting : int
        Jobs that wait for those that run.
    kept : int
        Jobs that have ended and are kept with their pictures.
    hours : float
        How long these are kept.
    rate : int
        Jobs, and wrong tokens, a minute from one address; of other requests ten times as many.
    """

    upload: int = 32 << 20
    pixels: int = 40_000_000
    length: int = 2048
    frames: int = 1500
    seconds: float = 3600
    waiting: int = 10
    kept: int = 200
    hours: float = 7 * 24
    rate: int = 120
