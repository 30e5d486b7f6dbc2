"""Films painted on this machine: frame by frame, kept as they come, and put together in the end."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from styletransfer import locks
from styletransfer.errors import (
    DamagedFilmError,
    FilmError,
    UsageError,
    explain,
)
from styletransfer.jobs import film as films
from styletransfer.jobs import joining, outlook
from styletransfer.jobs.film import Chosen, Plan
from styletransfer.jobs.frames import Made, Start, paint
from styletransfer.jobs.local import Watch
from styletransfer.jobs.painters import Opened, open_painter
from styletransfer.jobs.task import Machine
from styletransfer.progress import FilmProgress
from styletransfer.video.flow import Link
from styletransfer.video.kept import Kept
from styletransfer.video.manifest import Manifest, Record
from styletransfer.video.painter import (
    Facts,
    FramePainter,
    RepeatingPainter,
    State,
    floats,
)

logger = logging.getLogger(__name__)


PaintRun = Callable[[Sequence[Chosen], Start, Callable[[], bool]], Iterator[Made]]
"""What paints frames that follow each other in a shot, perhaps not all, until somebody stops."""

_PIECE = 16  # frames without coherence that are painted one after the other


@dataclass(frozen=True)
class Elsewhere:
    """Painters that paint shots at once.

    Attributes
    ----------
    paint : callable
        See `PaintRun`; called by several threads.
    count : int
        How many runs of frames are painted at a time.
    """

    paint: PaintRun
    count: int


@dataclass(frozen=True)
class FilmOutcome:
    """What became of a film.

    Attributes
    ----------
    output : Path or None
        Where it is; None if it is not written.
    painted, there : int
        How many frames were painted, and how many were there already.
    wanted : int
        How many it has.
    failed : dict of int to str
        The frames that could not be painted, and why.
    seconds : float
        How long it took.
    """

    output: Path | None
    painted: int
    there: int
    wanted: int
    failed: dict[int, str] = field(default_factory=dict)
    seconds: float = 0.0


def make(plan: Plan, machine: Machine, watch: Watch) -> FilmOutcome:
    """Paint the frames that are missing, and write the film when all are there; see `make_with`."""
    return make_with(plan, open_painter(plan.task, machine, watch), watch)


def make_with(
    plan: Plan, opened: Opened, watch: Watch, elsewhere: Elsewhere | None = None
) -> FilmOutcome:
    """Paint the frames that are missing with a painter, and write the film when all are there.

    Where frames are painted `elsewhere`, the painter says only how they hang together.

    Raises
    ------
    UsageError
        If what an earlier run has left is of another film.
    StyleTransferError
        If the film cannot be written; the frames are kept.
    """
    task = plan.task
    if plan.damage:
        logger.warning("%s", plan.damage)
    if task.extras.no_frames:
        return _at_once(plan, opened.painter, watch)

    def taken() -> None:
        raise UsageError(f"another run paints {task.output}; wait for it, or give another -o")

    with contextlib.ExitStack() as stack:
        _make_folder(task.manifest.parent)
        stack.enter_context(locks.locked(task.manifest.with_suffix(".lock"), taken))
        kept = Kept(task.work)
        if task.extras.overwrite:
            task.manifest.unlink(missing_ok=True)
            kept.clear()
        header = films.header(plan, opened.weights_digest)
        manifest = stack.enter_context(Manifest(task.manifest, header))
        return _Run(plan, opened.painter, watch, kept, manifest, elsewhere).run()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FilmError(f"{folder} cannot be made: {error.strerror}; give another -o.") from None


class _Run:
    """A film under way: what is missing, and what is done with each frame."""

    def __init__(
        self,
        plan: Plan,
        painter: FramePainter,
        watch: Watch,
        kept: Kept,
        manifest: Manifest,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._plan, self._painter, self._watch = plan, painter, watch
        self._kept, self._manifest = kept, manifest
        self._elsewhere = elsewhere
        self._lock = threading.Lock()  # of what is noted of frames
        self._broken = False
        self._began = time.monotonic()
        self._painted = 0
        self._failed: dict[int, str] = {}
        # Frames that others, which have failed, will go on from.
        self._needed = {record.before for record in manifest.records.values() if record.error}
        self._there = sum(self._turns(frame) for frame in plan.frames)

    def run(self) -> FilmOutcome:
        """Paint what is missing, try what failed once more, and write the film."""
        task = self._plan.task
        if task.extras.preview and self._there < self._plan.paintings:
            outlook.preview(self._plan, self._painter)
        complete = self._is_complete()
        if complete and task.output.exists():
            logger.info("%s is there already", task.output)
            return self._outcome(task.output)
        self._paint_all(self._to_paint(task.extras.retry_failed))
        if self._failed and not self._watch.stopped():
            logger.info("trying %d frames again that failed", len(self._failed))
            self._paint_all(set(self._failed))
        for index, shot in enumerate(self._plan.shots):
            for turn in range(2, task.film.passes + 1):
                if all(self._is_done(frame) for frame in shot) and not self._watch.stopped():
                    self._paint_again(index, shot, turn)
        if not self._is_complete():
            return self._outcome(None)
        joining.write(self._plan, self._picture)
        if not task.extras.keep_frames:
            self._kept.clear()
        return self._outcome(task.output)

    def _outcome(self, output: Path | None) -> FilmOutcome:
        seconds = time.monotonic() - self._began
        failed = {
            frame.number: record.error
            for frame in self._plan.frames
            if (record := self._manifest.records.get(frame.number)) and record.error
        }
        return FilmOutcome(
            output, self._painted, self._there, self._plan.paintings, failed, seconds
        )

    def _is_complete(self) -> bool:
        passes = self._plan.task.film.passes
        return all(self._turn(frame) >= passes for frame in self._plan.frames)

    def _turn(self, frame: Chosen) -> int:
        """Return the last pass that a frame was painted in; 0 if it has not been."""
        record = self._manifest.records.get(frame.number)
        return 0 if record is None or record.digest is None else record.turn

    def _is_done(self, frame: Chosen) -> bool:
        return self._turns(frame) > 0

    def _turns(self, frame: Chosen) -> int:
        """Return in how many passes a frame was painted, if that is kept."""
        turn = self._turn(frame)
        # When the film is complete frames are not kept, and none is missing.
        there = self._kept.has(frame.number, turn) or self._plan.task.output.exists()
        return turn if turn and there else 0

    def _to_paint(self, failed_too: bool) -> set[int]:
        records = self._manifest.records
        return {
            frame.number
            for frame in self._plan.frames
            if not self._is_done(frame)
            and (failed_too or not (records.get(frame.number) and records[frame.number].error))
        }

    def _paint_all(self, wanted: set[int]) -> None:
        if self._elsewhere is None:
            for index, shot in enumerate(self._plan.shots):
                self._paint_shot(index, shot, {frame.number for frame in shot} & wanted)
            return
        parts = []
        for index, shot in enumerate(self._plan.shots):
            size = _PIECE if self._plan.task.film.no_coherence else len(shot)
            for first in range(0, len(shot), size):
                numbers = {frame.number for frame in shot[first : first + size]} & wanted
                parts += [(index, shot, numbers)] if numbers else []
        with ThreadPoolExecutor(self._elsewhere.count) as pool:
            lanes = [pool.submit(self._paint_shot, *part) for part in parts]
            try:
                for lane in as_completed(lanes):
                    lane.result()
            except BaseException:
                self._broken = True
                raise

    def _paint_shot(self, index: int, shot: Sequence[Chosen], left: set[int]) -> None:
        while left and not self._is_stopped():
            first = next(i for i, frame in enumerate(shot) if frame.number in left)
            length = 1
            while first + length < len(shot) and shot[first + length].number in left:
                length += 1
            left = left - self._paint_run(index, shot, first, length)

    def _is_stopped(self) -> bool:
        return self._broken or self._watch.stopped()

    def _paint_run(self, index: int, shot: Sequence[Chosen], first: int, length: int) -> set[int]:
        """Paint frames that follow each other; return those that are painted or have failed."""
        through: set[int] = set()
        run = shot[first : first + length]
        error = FilmError("the frame can no longer be read from the source")
        try:
            for made in self._painted_run(run, self._start(shot[:first])):
                through.add(made.chosen.number)
                with self._lock:
                    self._note(index, shot, made)
                if self._is_stopped():
                    break
        except DamagedFilmError as damage:
            error = damage
        if through or self._is_stopped():
            return through
        for frame in run:  # the source has ended early
            self._fail(index, frame, None, frame, error, 0.0)
        return {frame.number for frame in run}

    def _painted_run(self, run: Sequence[Chosen], start: Start) -> Iterator[Made]:
        if self._elsewhere is not None:
            return self._elsewhere.paint(run, start, self._is_stopped)
        return paint(self._plan, self._painter, run, start)

    def _paint_again(self, index: int, shot: Sequence[Chosen], turn: int) -> None:
        """Go through a shot once more, backwards every other time."""
        order = list(shot) if turn % 2 else list(reversed(shot))
        done = [frame for frame in order if self._turn(frame) >= turn]
        painter = cast(RepeatingPainter[Any], self._painter)
        loss = self._manifest.records[shot[0].number].loss or 0.0
        if len(done) == len(order):
            return

        def brush(
            chosen: Chosen, frame: np.ndarray, state: State, link: Link | None
        ) -> tuple[np.ndarray, State, Facts]:
            own = self._picture(chosen)
            if link is None:  # the first stays as it is
                facts = Facts(loss=self._manifest.records[chosen.number].loss)
                return floats(own), painter.again(frame, own, loss), facts
            return painter.repaint(frame, own, state, link)

        start = self._start(done, turn)
        for made in paint(self._plan, painter, order[len(done) :], start, brush):
            if made.error is not None:
                raise made.error
            self._note(index, order, made, turn)
            if self._watch.stopped():
                return

    def _start(self, before: Sequence[Chosen], turn: int = 1) -> Start:
        """Return where painting goes on after the last frame of a shot that is done."""
        done = {frame.number: frame for frame in before if self._is_done(frame)}
        if not done or self._plan.task.film.no_coherence:
            return Start()
        records, last = self._manifest.records, [*done][-1]
        arrays = self._kept.load_state(last, turn)
        if arrays is None:
            return Start()
        anchor = records[last].anchor
        held = self._painter.anchored
        chain: list[Chosen] = []
        number: int | None = last
        # Back over the frames that each goes on from; where one stands alone, flow began anew.
        while number is not None and number in done:
            chain.append(done[number])
            held = held and number != anchor
            if not held and len(chain) >= max(self._painter.offsets):
                break
            number = records[number].before
        return Start(tuple(reversed(chain)), anchor, self._painter.restore(arrays))

    def _note(self, index: int, order: Sequence[Chosen], made: Made, turn: int = 1) -> None:
        """Keep a frame, and say so; what is not needed any more is deleted."""
        chosen, number = made.chosen, made.chosen.number
        if made.picture is None or made.state is None:
            assert made.error is not None
            self._fail(index, chosen, made.before, made.anchor, made.error, made.seconds)
            return
        if chosen != order[-1] and not self._plan.task.film.no_coherence:
            self._kept.save_state(number, made.state.to_arrays(), turn)
        digest = self._kept.save(number, made.picture, turn)
        self._manifest.add(
            Record(
                number,
                str(chosen.time),
                index,
                turn,
                digest=digest,
                seconds=round(made.seconds, 4),
                iterations=made.facts.iterations,
                loss=made.facts.loss,
                before=None if made.before is None else made.before.number,
                anchor=made.anchor.number,
            )
        )
        if made.before is not None and made.before.number not in self._needed:
            self._kept.forget_state(made.before.number, turn)
        if turn > 1:
            self._kept.frame(number, turn - 1).unlink(missing_ok=True)
        self._failed.pop(number, None)
        self._painted += 1
        self._tell(chosen, made.seconds, made.facts, image=partial(floats, made.picture))

    def _fail(
        self,
        index: int,
        chosen: Chosen,
        before: Chosen | None,
        anchor: Chosen,
        error: Exception,
        seconds: float,
    ) -> None:
        text = explain(error)[:1000]
        number = None if before is None else before.number
        self._manifest.add(
            Record(
                chosen.number,
                str(chosen.time),
                index,
                seconds=round(seconds, 4),
                before=number,
                anchor=anchor.number,
                error=text,
            )
        )
        self._failed[chosen.number] = text
        self._needed.add(number)
        self._tell(chosen, seconds, Facts(), text)

    def _tell(
        self,
        chosen: Chosen,
        seconds: float,
        facts: Facts,
        error: str | None = None,
        image: Callable[[], np.ndarray] | None = None,
    ) -> None:
        done = self._there + self._painted + len(self._failed)
        name = f"frame {chosen.number} ({float(chosen.time):.2f} s)"
        since = time.monotonic() - self._began
        total = self._plan.paintings
        step = facts.iterations, facts.loss, since, seconds, error, image
        self._watch.tell(FilmProgress(done, total, self._there, name, *step))

    def _picture(self, chosen: Chosen) -> np.ndarray:
        record = self._manifest.records[chosen.number]
        return self._kept.load(chosen.number, record.digest, record.turn)


def _at_once(plan: Plan, painter: FramePainter, watch: Watch) -> FilmOutcome:
    """Paint a film into its file, with nothing kept; where a frame fails, there is no film."""
    began = time.monotonic()
    count = 0
    if plan.task.extras.preview:
        outlook.preview(plan, painter)
    with joining.open_sink(plan) as target:
        for shot in plan.shots:
            for made in paint(plan, painter, shot, Start()):
                if made.picture is None:
                    assert made.error is not None
                    raise made.error
                chosen, facts = made.chosen, made.facts
                assert made.frame is not None
                alpha = joining.fitted(made.frame.alpha, made.picture)
                target.add(made.picture, chosen.time, chosen.duration, alpha)
                count += 1
                name = f"frame {chosen.number} ({float(chosen.time):.2f} s)"
                since = time.monotonic() - began
                image = partial(floats, made.picture)
                step = facts.iterations, facts.loss, since, made.seconds, None, image
                watch.tell(FilmProgress(count, plan.count, 0, name, *step))
                if watch.stopped() and count < plan.count:
                    target.abandon()
                    return FilmOutcome(None, count, 0, plan.count, seconds=since)
    return FilmOutcome(plan.task.output, count, 0, plan.count, seconds=time.monotonic() - began)
