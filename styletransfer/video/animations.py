"""Reading animated pictures, GIF, APNG and WebP, with Pillow."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.errors import DamagedFilmError, FilmError, ImageError
from styletransfer.images.reading import opened
from styletransfer.text import printable
from styletransfer.video.facts import Colour, Source
from styletransfer.video.frame import Frame
from styletransfer.video.ranges import Range

TIME_BASE, _GIF_TIME_BASE = Fraction(1, 1000), Fraction(1, 100)
# What browsers show a frame for that is said to last no time at all.
_NO_TIME = Fraction(1, 10)
_SIGNATURES = (b"GIF87a", b"GIF89a", b"\x89PNG\r\n\x1a\n")


def recognised(start: bytes) -> bool:
    """Whether a file that begins so may be an animated picture."""
    return start.startswith(_SIGNATURES) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")


def probe(path: Path) -> Source:
    """Return what an animated picture says of itself."""
    with opened(path) as image:
        frames = getattr(image, "n_frames", 1) - _hidden(image)
        if frames > 1:
            image.seek(_hidden(image) + 1)  # a GIF tells of its transparency late
        image.seek(0)
        alpha = image.format != "JPEG" and (frames > 1 or image.has_transparency_data)
        return Source(
            path=path,
            kind="animation",
            format=str(image.format),
            width=image.width,
            height=image.height,
            frames=frames,
            rate=None,
            time_base=_GIF_TIME_BASE if image.format == "GIF" else TIME_BASE,
            duration=None,
            alpha=alpha,
            colour=Colour(0, 1, 13, True, "rgba"),
            loops=int(image.info.get("loop", 1)),
        )


def _hidden(image: Any) -> int:
    """Return how many pictures come first that are not part of the animation, see APNG."""
    return int(bool(image.info.get("default_image")) and getattr(image, "n_frames", 1) > 1)


def read(source: Source, part: Range) -> Iterator[Frame]:
    """Yield the frames of a part of an animated picture, as they are seen one over the other."""
    time = Fraction(0)
    number = 0
    try:
        with opened(source.path) as image:
            hidden = _hidden(image)
            for number in range(source.frames or 1):
                image.seek(number + hidden)
                if image.size != (source.width, source.height):
                    # A frame of a GIF may say that it reaches beyond the picture, however far.
                    raise ImageError(f"a frame is of {image.width}x{image.height} pixels")
                rgba = np.asarray(image.convert("RGBA"))
                duration = _duration(image)
                if part.after(number, time):
                    return
                if not part.before(number, time):
                    yield _frame(number, time, duration, rgba)
                time += duration
    except ImageError as error:
        if not number:
            raise FilmError(error.text) from None
        raise DamagedFilmError(
            f"{source.path} is damaged or cut short behind {number} of its {source.frames} frames"
            f" ({printable(error.text, 200)})."
        ) from None


def _frame(number: int, time: Fraction, duration: Fraction, rgba: np.ndarray) -> Frame:
    alpha = rgba[:, :, 3]
    opaque = bool((alpha == 255).all())
    rgb = np.ascontiguousarray(rgba[:, :, :3])
    return Frame(number, time, duration, rgb, None if opaque else np.ascontiguousarray(alpha))


def _duration(image: Any) -> Fraction:
    """Return how long the present frame is seen, in whole milliseconds."""
    milliseconds = round(image.info.get("duration", 0))
    return Fraction(milliseconds, 1000) if milliseconds > 0 else _NO_TIME
