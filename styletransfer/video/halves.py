"""The two halves of painting a film alone: into a folder of frames, and back into a film."""

import os
from fractions import Fraction
from pathlib import Path

from styletransfer.errors import DamagedFilmError, UsageError
from styletransfer.video import source as sources
from styletransfer.video.facts import DEFAULT_RATE, Source
from styletransfer.video.ranges import Place
from styletransfer.video.sink import Order, Sink
from styletransfer.video.survey import survey


def split(
    source: Source,
    folder: str | os.PathLike[str],
    begin: Place | None = None,
    end: Place | None = None,
) -> tuple[int, str | None]:
    """Write the frames of a film as pictures.

    Parameters
    ----------
    source, begin, end
        As in `source.read`.
    folder
        Where to, a folder or a pattern (`frames/%05d.png`); the numbers are those of the film.
        Colours of more than 8 bits keep 16, where the format has them.

    Returns
    -------
    int
        How many there are.
    str or None
        A sentence on what is missing of the film.

    Raises
    ------
    FilmError
        If the film cannot be read, or the pictures not written.
    UsageError
        If there is no frame in the range.
    """
    path = Path(folder)
    if path.is_dir() and any(path.iterdir()):
        raise UsageError(f"{path} is not empty; give another folder, so that frames do not mix")
    deep = source.depth == 16 and path.suffix.lower() in ("", ".png", ".tif", ".tiff")
    sink, count, damage = None, 0, None
    try:
        for frame in sources.read(source, begin, end):
            if sink is None:
                order = Order(path, alpha=True, first=frame.number, depth=16 if deep else 8)
                sink = Sink(order)
            sink.add(frame.pixels, frame.time, frame.duration, frame.alpha)
            count += 1
    except DamagedFilmError as error:
        damage = error.text
    if sink is None:
        raise sources.empty(source, begin, end, damage)
    sink.close()
    return count, damage


def join(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    source: Source | None = None,
    rate: Fraction | int = DEFAULT_RATE,
    begin: Place | None = None,
    end: Place | None = None,
) -> None:
    """Make a film of a folder of pictures.

    Parameters
    ----------
    folder
        The pictures, a folder or a pattern, in natural order.
    out
        The film.
    source
        Whose times, sound, subtitles and metadata it gets.
    rate
        Frames a second, without a source.
    begin, end
        The range of the source that the pictures are of.

    Raises
    ------
    FilmError
        If something cannot be read or written.
    UsageError
        If there are more or fewer pictures than frames.
    """
    pictures = sources.probe(folder, rate)
    order = Order(Path(out), alpha=pictures.alpha, rate=None if source else Fraction(rate))
    times: list[tuple[Fraction, Fraction]] | None = None
    if source:
        found = survey(source, begin, end, shots=False)
        if len(found) != pictures.frames:
            raise UsageError(
                f"{folder} has {pictures.frames} pictures, and {source.path} {len(found)} frames in"
                " the range; there must be one for each"
            )
        times = list(zip(found.times, found.durations, strict=True))
        order = Order(
            Path(out),
            source,
            begin=times[0][0] if begin else Fraction(0),
            end=None if end is None else sum(times[-1], Fraction(0)),
            alpha=pictures.alpha,
        )
    with Sink(order) as sink:
        for frame in sources.read(pictures):
            time, duration = times[frame.number] if times else (frame.time, frame.duration)
            sink.add(frame.pixels, time, duration, frame.alpha)
