"""Films painted by the workers of a cluster: runs of frames, several shots at a time.

The frames of a shot follow each other, since each goes on from those before: what a painter
remembers after a run is handed to whoever paints the next one. Shots do not know of each other.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from styletransfer.errors import DamagedFilmError, UsageError
from styletransfer.jobs import filming
from styletransfer.jobs.cluster import worker
from styletransfer.jobs.cluster.client import Cluster
from styletransfer.jobs.cluster.parcel import Terms, failure, located, raised
from styletransfer.jobs.film import Chosen, FilmTask, Plan
from styletransfer.jobs.filming import Elsewhere, FilmOutcome
from styletransfer.jobs.frames import Made, Start
from styletransfer.jobs.frames import paint as paint_frames
from styletransfer.jobs.local import Watch
from styletransfer.jobs.painters import Opened, open_painter
from styletransfer.jobs.task import Machine
from styletransfer.video.painter import Facts, FramePainter

_MOST = 16  # frames of a run: what is lost with a worker
_LARGEST = 64 << 20  # bytes that come back at a time


@dataclass(frozen=True)
class Run:
    """A run of frames as it travels.

    Attributes
    ----------
    plan : Plan
        Its film, of which it has no other frames.
    frames : tuple of Chosen
        What is painted.
    seen, anchor
        What the frames go on from, see `frames.Start`.
    state : mapping of str to ndarray, or None
        What the painter remembers.
    machine, terms
        As of a `Parcel`.
    """

    plan: Plan
    frames: tuple[Chosen, ...]
    seen: tuple[Chosen, ...]
    anchor: int
    state: Mapping[str, np.ndarray] | None
    machine: Machine
    terms: Terms


def make(plan: Plan, cluster: Cluster, watch: Watch) -> FilmOutcome:
    """Have a film painted, and write it here; otherwise as `filming.make`.

    Raises
    ------
    UsageError
        If the film needs what these workers cannot have.
    ClusterError
        If a worker is not fit, or the scheduler is gone.
    """
    _check(plan.task, cluster.place.shared)
    threads = min(cluster.machine.threads, os.cpu_count() or 1)
    opened = open_painter(plan.task, replace(cluster.machine, threads=threads), watch)
    settings = plan.task.settings
    terms = Terms(worker.versions(), {settings.model: opened.weights_digest})
    cluster.check(settings, terms, watch.stopped)
    remote = _Remote(_everywhere(plan), opened.painter, cluster, terms)
    return filming.make_with(plan, opened, watch, Elsewhere(remote.paint, cluster.slots()))


def _check(task: FilmTask, shared: bool) -> None:
    if not shared:
        raise UsageError(
            "films are read by every machine of the cluster; give --shared, with the film in a"
            " folder that they share"
        )
    if task.film.passes > 1:
        raise UsageError(
            "several passes are painted by one machine; leave --passes or --cluster out"
        )
    if task.extras.no_frames:
        raise UsageError("a cluster's frames are kept until all are there; leave --no-frames out")


def _everywhere(plan: Plan) -> Plan:
    """Return a plan whose files are found from any folder."""
    task, found = plan.task, plan.source
    task = replace(
        task,
        source=task.source.absolute(),
        styles=tuple(path.absolute() for path in task.styles),
        settings=located(task.settings, True),
    )
    found = replace(
        found, path=found.path.absolute(), files=tuple(path.absolute() for path in found.files)
    )
    return replace(plan, task=task, source=found)


class _Remote:
    """Paints runs of frames on a cluster."""

    def __init__(
        self, plan: Plan, painter: FramePainter[Any], cluster: Cluster, terms: Terms
    ) -> None:
        self._plan, self._painter = plan, painter
        self._cluster, self._terms = cluster, terms
        self._alone = 0  # frames that are painted one at a time, since one of them may kill workers

    def paint(
        self, frames: Sequence[Chosen], start: Start, stopped: Callable[[], bool]
    ) -> Iterator[Made]:
        """Paint frames that follow each other, the first ones at least."""
        frames = tuple(frames[: 1 if self._alone else _MOST])
        state = None if start.state is None else start.state.to_arrays()
        plan = replace(self._plan, shots=((*start.seen, *frames),))
        machine = self._cluster.machine
        run = Run(plan, frames, start.seen, start.anchor, state, machine, self._terms)
        for done in self._cluster.run(paint, iter([(frames, run)]), stopped):
            if done.error is None:
                self._alone = max(self._alone - len(frames), 0)
                yield from self._made(done.answer, (*start.seen, *frames))
            elif len(frames) > 1:  # which one it was will be seen
                self._alone = len(frames)
                yield from self.paint(frames[:1], start, stopped)
            else:
                self._alone = 0
                before = start.seen[-1] if start.seen else None
                yield Made(frames[0], None, 0.0, before, before or frames[0], error=done.error)

    def _made(self, answer: Mapping[str, Any], known: Sequence[Chosen]) -> Iterator[Made]:
        by_number = {chosen.number: chosen for chosen in known}
        if answer["error"]:
            raise raised(json.loads(answer["error"]))
        for one in answer["frames"]:
            told = json.loads(one["facts"])
            chosen = by_number[told["number"]]
            before = None if told["before"] is None else by_number[told["before"]]
            anchor = by_number[told["anchor"]]
            if told["error"] is not None:
                error = raised(told["error"])
                yield Made(chosen, None, told["seconds"], before, anchor, error=error)
                return
            state = self._painter.restore({n: _array(a) for n, a in one["state"].items()})
            facts = Facts(**told["facts"])
            yield Made(
                chosen, None, told["seconds"], before, anchor, _array(one["picture"]), state, facts
            )


def paint(run: Run) -> dict[str, Any]:
    """Paint a run of frames, on a worker; return as many as are done when there is enough to send.

    ``frames``, each with ``facts``, JSON, and ``picture`` and ``state``, arrays as plain values; or
    ``error``.
    """
    with worker.alone():
        try:
            worker.check(run.terms, worker.versions())
            return {"error": "", "frames": _painted(run, worker.resolved(run.machine))}
        except Exception as error:
            return {"error": json.dumps(failure(error)), "frames": []}


def _plain(array: np.ndarray) -> dict[str, Any]:
    """Return an array as plain values, which are read without pickle."""
    array = np.asarray(array)
    return {"type": array.dtype.str, "shape": [*array.shape], "bytes": array.tobytes()}


def _array(plain: Mapping[str, Any]) -> np.ndarray:
    return np.frombuffer(plain["bytes"], np.dtype(plain["type"])).reshape(plain["shape"]).copy()


def _readable(frames: Iterator[Made]) -> Iterator[Made]:
    """Yield frames up to where the source breaks off; raises only if that is before the first."""
    found = False
    try:
        for made in frames:
            found = True
            yield made
    except DamagedFilmError:
        if not found:
            raise


def _painted(run: Run, machine: Machine) -> list[dict[str, Any]]:
    task, stopped = run.plan.task, worker.stopping()
    key = repr((task.settings, task.film, task.styles, machine))
    opened: Opened = worker.keep(key, lambda: open_painter(task, machine, Watch()))
    for model in run.terms.weights:
        worker.check_weights(run.terms, model, opened.weights_digest)
    before = None if run.state is None else opened.painter.restore(run.state)
    start = Start(run.seen, run.anchor, before)
    found: list[dict[str, Any]] = []
    size = 0
    with contextlib.ExitStack() as stack:
        stream: Any = paint_frames(run.plan, opened.painter, run.frames, start)
        stack.callback(stream.close)
        for made in _readable(stream):
            one: dict[str, Any] = {
                "facts": json.dumps(
                    {
                        "number": made.chosen.number,
                        "seconds": made.seconds,
                        "before": None if made.before is None else made.before.number,
                        "anchor": made.anchor.number,
                        "facts": asdict(made.facts),
                        "error": None if made.error is None else failure(made.error),
                    }
                )
            }
            if made.picture is not None and made.state is not None:
                state = {name: _plain(a) for name, a in made.state.to_arrays().items()}
                one |= {"picture": _plain(made.picture), "state": state}
                size += sum(len(array["bytes"]) for array in (one["picture"], *state.values()))
            found.append(one)
            if size > _LARGEST or stopped():
                break
    return found
