"""A film to be painted, as a value, and the frames that it comes to."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import styletransfer
from styletransfer.errors import FilmError, UsageError
from styletransfer.settings import Painting, Settings
from styletransfer.settings.film import Film
from styletransfer.storage import digest
from styletransfer.video import sink, source
from styletransfer.video.facts import DEFAULT_RATE, Source
from styletransfer.video.survey import Survey, survey

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FilmExtras:
    """What is done besides painting.

    Attributes
    ----------
    keep_frames : bool
        Whether the painted frames stay when the film is complete.
    no_frames : bool
        Whether frames go into the film at once and are not kept: what is interrupted is lost.
    overwrite : bool
        Whether what another run has left of the film is deleted first.
    retry_failed : bool
        Whether frames that failed in an earlier run are tried again.
    preview : int or None
        How many frames are painted alone, before all, on a contact sheet.
    """

    keep_frames: bool = False
    no_frames: bool = False
    overwrite: bool = False
    retry_failed: bool = False
    preview: int | None = None


@dataclass(frozen=True)
class FilmTask:
    """One film to be painted; run twice it gives the same film.

    Attributes
    ----------
    source : Path
        A film, an animated picture, a folder of frames or a pattern of their names.
    styles : tuple of Path
        The style images.
    output : Path
        The film, or a folder or pattern of frames.
    settings : Settings or Painting
        How a frame is painted: by optimisation, or in one pass of a network.
    film : Film
        Which frames, and how they hang together.
    extras : FilmExtras
        What else is done.
    """

    source: Path
    styles: tuple[Path, ...]
    output: Path
    settings: Settings | Painting
    film: Film = field(default_factory=Film)
    extras: FilmExtras = field(default_factory=FilmExtras)

    @property
    def manifest(self) -> Path:
        """What became of each frame."""
        return self._beside("jsonl")

    @property
    def work(self) -> Path:
        """The folder of painted frames that wait for the film."""
        return self._beside("frames")

    @property
    def preview(self) -> Path:
        """The contact sheet."""
        return self._beside("preview.png")

    def _beside(self, ending: str) -> Path:
        """Return a name beside the film's; a pattern stands for its folder."""
        output = self.output.parent if "%" in self.output.name else self.output
        return output.with_name(f"{output.name}.{ending}")


@dataclass(frozen=True)
class Chosen:
    """A frame that is painted.

    Attributes
    ----------
    number : int
        Its number in the source.
    time, duration : Fraction
        When, and how long, it is seen.
    """

    number: int
    time: Fraction
    duration: Fraction


@dataclass(frozen=True)
class Plan:
    """What a film comes to.

    Attributes
    ----------
    task : FilmTask
        What was asked for.
    source : Source
        What is read.
    shots : tuple of tuple of Chosen
        The frames that are painted, by shots.
    damage : str or None
        A sentence on what is missing of the source.
    """

    task: FilmTask
    source: Source
    shots: tuple[tuple[Chosen, ...], ...]
    damage: str | None = None

    @property
    def frames(self) -> Iterator[Chosen]:
        """All frames that are painted."""
        return (frame for shot in self.shots for frame in shot)

    @property
    def count(self) -> int:
        """How many frames are painted."""
        return sum(map(len, self.shots))

    @property
    def paintings(self) -> int:
        """How often a frame is painted in all passes."""
        return self.count * self.task.film.passes

    @property
    def rate(self) -> Fraction | None:
        """Frames a second in the mean, where that is not the source's."""
        rate = self.task.film.fps
        return None if rate is None else exact_rate(rate)

    @property
    def begin(self) -> Fraction:
        """When the first one is seen."""
        return self.shots[0][0].time

    @property
    def end(self) -> Fraction:
        """When the last one is no longer seen."""
        last = self.shots[-1][-1]
        return last.time + last.duration


def plan(task: FilmTask) -> Plan:
    """Look at a film, find its shots, and return what there is to paint.

    Raises
    ------
    FilmError
        If the source cannot be read, or the output not be written.
    UsageError
        If there is no frame in the range, or the film would overwrite what goes in.
    """
    if task.film.passes > 1 and (task.film.no_coherence or task.extras.no_frames):
        raise UsageError(
            "several passes need frames that are kept, and coherence; leave --passes out"
        )
    rate = exact_rate(task.film.fps) if task.film.fps else None
    found = source.probe(task.source, rate or DEFAULT_RATE)
    _check_places(task)
    try:
        notes = sink.check(task.output, found)
    except FilmError as error:
        raise UsageError(error.text) from None
    for note in [*notes, *([found.caution] if found.caution else [])]:
        logger.warning("%s", note)
    seen = survey(found, task.film.begin, task.film.end, shots=not task.film.no_coherence)
    thinned = None if found.kind == "folder" else rate
    return Plan(task, found, _shots(seen, thinned), seen.damage)


def exact_rate(rate: float) -> Fraction:
    """Return a rate as films have it: 29.97 is 30000/1001."""
    exact = Fraction(round(rate * 1.001) * 1000, 1001)
    if exact and abs(rate - exact) < 0.005 and rate != round(rate):
        return exact
    return Fraction(str(rate)).limit_denominator(10_000)


def _check_places(task: FilmTask) -> None:
    """Refuse what would be overwritten."""
    for path in (task.source, *task.styles):
        if path.exists() and task.output.exists() and path.samefile(task.output):
            raise UsageError(f"{path} goes in and would be overwritten; give another -o")


def _shots(seen: Survey, rate: Fraction | None) -> tuple[tuple[Chosen, ...], ...]:
    """Return the frames of each shot, thinned out to a rate; each is seen until the next one is."""
    frames = [
        Chosen(seen.first + i, time, duration)
        for i, (time, duration) in enumerate(zip(seen.times, seen.durations, strict=True))
    ]
    if rate is not None:
        frames = _thinned(frames, rate)
    starts = [*seen.shots[1:], seen.first + len(seen)]
    shots: list[list[Chosen]] = [[]]
    for frame in frames:
        while frame.number >= starts[len(shots) - 1]:
            shots.append([])
        shots[-1].append(frame)
    return tuple(tuple(shot) for shot in shots if shot)


def _thinned(frames: list[Chosen], rate: Fraction) -> list[Chosen]:
    """Return the first frame of each tick of a clock; none where there is none."""
    kept: list[Chosen] = []
    last = -1
    begin = frames[0].time
    for frame in frames:
        tick = (frame.time - begin) * rate // 1
        if tick > last:
            kept.append(frame)
            last = int(tick)
    ends = [*(frame.time for frame in kept[1:]), frames[-1].time + frames[-1].duration]
    return [
        Chosen(frame.number, frame.time, end - frame.time)
        for frame, end in zip(kept, ends, strict=True)
    ]


def header(plan: Plan, weights: str) -> dict[str, Any]:
    """Return what a manifest says of its film: all that its frames depend on."""
    task, found = plan.task, plan.source
    return {
        "source": _identity(found),
        "styles": [digest(path) for path in task.styles],
        "settings": {"model": task.settings.model} | task.settings.plain(),
        "film": task.film.plain(),
        "weights": weights,
        "versions": {"styletransfer": styletransfer.__version__},
    }


def _identity(found: Source) -> str:
    """Return the sha256 of a film; of a folder, that of the names and sizes of its files."""
    if not found.files:
        return digest(found.path)
    facts = "\0".join(f"{path.name}\0{path.stat().st_size}" for path in found.files)
    return hashlib.sha256(facts.encode(errors="surrogateescape")).hexdigest()
