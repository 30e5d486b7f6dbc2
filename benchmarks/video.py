"""Films that hold together, beside the same painted frame by frame: clips with known motion.

python -m benchmarks.video --network multistyle26:7 --network arbitrary:wave
python -m benchmarks.video --optimise wave --clips pan zoom --frames 8

For each clip, with and without coherence: the warping error E (the mean square of what changes
along the true motion, where a pixel is to be seen in both frames), its root, the style's loss by
the network that judges, and the sharpness (the mean absolute difference of horizontal neighbours).
"carried" is the root of E of the first painting moved along the true motion, in one step from each
frame: of what is finer than a pixel's motion E sees a change where nothing has changed.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import clips
from benchmarks.clips import Clip
from benchmarks.common import CONTENT
from styletransfer import StyleTransfer, images
from styletransfer.feedforward import Stylizer
from styletransfer.objective.whole import WholeObjective
from styletransfer.progress import Progress
from styletransfer.settings import Settings
from styletransfer.transfer import inputs
from styletransfer.transfer.problem import ProblemMaker
from styletransfer.transfer.stages import plan
from styletransfer.video import flow
from styletransfer.video.networked import NetworkPainter
from styletransfer.video.optimised import OptimisingPainter
from styletransfer.video.painter import Facts

STYLES = Path(CONTENT).parent.parent / "style"
OPTIONS: dict[str, Any] = {"ratio": 1e4, "init": "content", "optimizer": "lbfgs"}


def warping_error(pictures: Sequence[np.ndarray], clip: Clip) -> float:
    """Return E."""
    errors = []
    for t in range(1, len(pictures)):
        if clip.seen[t].any():
            moved = flow.warp(pictures[t - 1], clip.flows[t])
            errors.append(np.square(pictures[t] - moved).mean(-1)[clip.seen[t]].mean())
    return float(np.mean(errors))


def carried(pictures: Sequence[np.ndarray], clip: Clip) -> list[np.ndarray]:
    """Return a clip in which each shot's first painting is moved along exactly, in one step."""
    first, way, made = pictures[0], clip.flows[0], []
    for picture, moved, seen in zip(pictures, clip.flows, clip.seen, strict=True):
        if seen.any():
            way = moved + flow.warp(way, moved, kernel="linear")
        else:
            first, way = picture, clip.flows[0]  # nowhere
        made.append(np.clip(flow.warp(first, way, kernel="lanczos"), 0, 1))
    return made


def sharpness(pictures: Sequence[np.ndarray]) -> float:
    """Return the mean absolute difference of horizontal neighbours."""
    return float(np.mean([np.abs(np.diff(picture, axis=1)).mean() for picture in pictures]))


class Judge:
    """The losses of pictures beside a style, by a network."""

    def __init__(self, transfer: StyleTransfer, style: np.ndarray) -> None:
        self._transfer, self._style = transfer, style
        self._problems = ProblemMaker(transfer.device)

    def losses(
        self, pictures: Sequence[np.ndarray], frames: Sequence[np.ndarray]
    ) -> tuple[float, float]:
        """Return the means of the style's part of the loss and of the whole."""
        found = []
        for picture, frame in zip(pictures, frames, strict=True):
            settings = Settings(length=max(picture.shape), any_size=True, ratio=1e4)
            given = inputs.check(settings, frame, self._style, None, None, None)
            network = self._transfer.network
            stage = plan(settings, frame.shape, network.input_size)[-1]
            objective: WholeObjective = self._problems.make(
                settings, network, given, stage
            ).objective
            terms = objective.evaluate(images.preprocess(picture, network.mean)).terms
            found.append((_of_style(terms), sum(terms.values())))
        style_loss, total = np.mean(found, axis=0)
        return float(style_loss), float(total)


def film(painter: Any, clip: Clip, coherent: bool) -> tuple[list[np.ndarray], list[Facts]]:
    """Return a clip painted, and how."""
    tracker = flow.Tracker(painter.offsets, anchored=painter.anchored)
    state, pictures, facts = painter.begin(), [], []
    linked = ((frame, tracker.follow(frame) if coherent else None) for frame in clip.frames)
    for frame, link in flow.ahead(linked):
        state = state if link else painter.begin()
        picture, state, how = painter.paint(frame, state, link)
        pictures.append(picture)
        facts.append(how)
    return pictures, facts


def sheet(path: Path, apart: Sequence[np.ndarray], together: Sequence[np.ndarray]) -> None:
    """Write four consecutive frames of both, and below each what changes, four times as strong."""
    rows = []
    for pictures in (apart, together):
        rows.append(np.concatenate(list(pictures[:4]), 1))
        changes = [np.clip(0.5 + 4 * (b - a), 0, 1) for a, b in pairwise(pictures[:5])]
        rows.append(np.concatenate(changes, 1))
    images.save(str(path), np.concatenate(rows))


def compare(name: str, painter: Any, clip: Clip, judge: Judge, sheets: Path | None) -> None:
    """Print a line of what a clip is like with and without coherence."""
    apart, alone = film(painter, clip, coherent=False)
    together, linked = film(painter, clip, coherent=True)
    films = apart, together, carried(together, clip)
    before, after, best = (warping_error(film, clip) for film in films)
    line = (
        f"| {name} | {clip.name} | {before**0.5:.3f} | {after**0.5:.3f} | {best**0.5:.3f}"
        f" | {after / before:.3f} | {sharpness(together) / sharpness(apart):.2f} |"
    )
    losses = np.array([judge.losses(p[1:], clip.frames[1:]) for p in (together, apart)])
    style_loss, total = losses[0] / losses[1]
    line += f" {style_loss:.3f} |"
    if alone[0].loss is not None:
        evaluations = [sum(f.evaluations for f in facts[1:]) for facts in (linked, alone)]
        line += f" {total:.3f} | {evaluations[0] / evaluations[1]:.2f} |"
    print(line, flush=True)
    if sheets is not None:
        sheets.mkdir(parents=True, exist_ok=True)
        sheet(sheets / f"{name.replace(':', '-')}-{clip.name}.png", apart, together)


def still(painter: Any, count: int, size: tuple[int, int]) -> None:
    """Print how a still scene with the noise of a sensor drifts and flickers."""
    clip = clips.clips(count, size)["noise"]
    films = [np.array(film(painter, clip, coherent)[0]) for coherent in (False, True)]
    deviations = [pictures.std(axis=0).mean() for pictures in films]
    means = films[1].mean(axis=(1, 2, 3))
    print(
        f"still, {count} frames: the mean drifts by {255 * abs(means[-1] - means[0]):.2f} / 255;"
        f" deviation over time {deviations[1] / deviations[0]:.2f} of frame by frame's"
    )


def timing(rounds: int, names: Sequence[str], threads: int) -> None:
    """Print what flow takes, what the rest adds to a network's time, and what both add to a film's.

    Flow is found a frame ahead in a thread, as in a film; the more cores there are, the less of it
    is seen by the clock.
    """
    for size in ((240, 320), (360, 640)):
        clip = clips.clips(8, size)["turn"]
        before, now = clip.frames[:2]
        for name, stylizer, style in _stylizers(names, threads):
            plain = NetworkPainter(stylizer, style, remembers=False)
            painter = NetworkPainter(stylizer, style)
            tracker = flow.Tracker()
            tracker.follow(before)
            link = tracker.follow(now)
            _, state, _ = painter.paint(before, painter.begin(), None)
            frames = [
                partial(stylizer.stylize, now, style),
                partial(painter.paint, now, state, link),
                partial(tracker.follow, now),
            ]
            films = [partial(film, plain, clip, False), partial(film, painter, clip, True)]
            taken = np.array([[_seconds(work) for work in frames] for _ in range(rounds)])
            taken_films = np.array([[_seconds(work) for work in films] for _ in range(3)])
            for kind, clock in enumerate(("processor", "wall")):
                alone, together, pair = 1000 * np.median(taken[..., kind], axis=0)
                ratios = (np.median(t[:, 1, kind] / t[:, 0, kind]) for t in (taken, taken_films))
                print(
                    f"| {name} | {size[1]}×{size[0]} | {clock} | {alone:.0f} | {together:.0f}"
                    " | {:.2f} | {:.2f} |".format(*ratios)
                    + f" {pair:.0f} |",
                    flush=True,
                )


def pace(transfer: StyleTransfer, style: np.ndarray, iterations: int) -> None:
    """Print what frames that follow take, beside the same painted alone up to their style loss."""
    clip = clips.clips(3, (360, 640))["turn"]
    painter, judge = _optimising(transfer, style, 640, iterations), Judge(transfer, style)
    tracker = flow.Tracker(painter.offsets, anchored=painter.anchored)
    state, rows = painter.begin(), []
    for frame in clip.frames:
        start = time.perf_counter()
        link = tracker.follow(frame)
        picture, state, facts = painter.paint(frame, state, link)
        seconds = time.perf_counter() - start
        if link is None:
            continue
        wanted, _ = judge.losses([picture], [frame])
        course: list[Progress] = []
        alone = OPTIONS | {
            "length": 640,
            "any_size": True,
            "n_iter": 2 * iterations,
        }
        transfer.transfer_style(style, frame, progress=course.append, **alone)
        reached = [step for step in course if _of_style(step.terms) <= wanted]
        there = reached[0] if reached else course[-1]
        row = seconds, facts.iterations, there.seconds, there.iteration
        rows.append((*row, _of_style(there.terms) / wanted))
    after, own, alone_, others, ratio = np.median(rows, axis=0)
    print(
        f"640 x 360: a following frame {after:.1f} s, {own:.0f} iterations; alone {alone_:.1f} s,"
        f" {others:.0f} iterations, up to {ratio:.3f} of its style loss"
    )


def _of_style(terms: Mapping[str, float]) -> float:
    return sum(value for name, value in terms.items() if name.startswith("style"))


def _optimising(
    transfer: StyleTransfer, style: np.ndarray, side: int, iterations: int, **more: Any
) -> OptimisingPainter:
    given = OPTIONS | {"length": side, "any_size": True, "n_iter": iterations}
    return OptimisingPainter(transfer, [style], given, next_iters=iterations // 2, **more)


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that work takes the second time, of the processor and of the clock."""
    # The threads of another session are busy waiting for a while after its run.
    time.sleep(0.1)
    work()
    used, start = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - used, time.perf_counter() - start


def _stylizers(names: Sequence[str], threads: int) -> Iterator[tuple[str, Stylizer, Any]]:
    """Yield networks and their styles by names such as ``multistyle26:7``."""
    for name in names:
        model, _, style = name.partition(":")
        stylizer = Stylizer(model, threads=threads)
        own = stylizer.styles
        yield name, stylizer, int(style or 0) if own else images.load(str(STYLES / f"{style}.jpg"))


def _networks(
    names: Sequence[str], transfer: StyleTransfer, threads: int
) -> Iterator[tuple[str, NetworkPainter, Judge]]:
    """Yield painters by names, and what judges each.

    For a style that a network has of its own, and of which there is no painting here, another
    photograph painted in it stands in.
    """
    other = images.load(str(Path(CONTENT).parent / "cat.jpg"))
    for name, stylizer, style in _stylizers(names, threads):
        painting = stylizer.stylize(other, style) if stylizer.styles else style
        yield name, NetworkPainter(stylizer, style), Judge(transfer, painting)


def main() -> None:
    """Print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", help="the folder with GoogLeNet's weights")
    parser.add_argument(
        "--network", action="append", default=[], help="multistyle26:N, or arbitrary:wave"
    )
    parser.add_argument("--optimise", action="append", default=[], metavar="STYLE", help="wave")
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--weight", type=float, nargs="*", default=[None])
    parser.add_argument("--clips", nargs="*", default=["pan", "zoom", "turn", "noise", "cut"])
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--side", type=int, default=320, help="the long side, 4:3")
    parser.add_argument("--still", type=int, default=0, help="frames of a still scene")
    parser.add_argument("--timing", type=int, default=0, help="rounds; nothing else is done")
    parser.add_argument("--pace", action="store_true", help="time optimisation of larger frames")
    parser.add_argument("--sheets", type=Path, help="a folder for contact sheets")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.timing:
        print("| | size | clock | ms alone | together | ratio | film's ratio | flow and mask |")
        timing(options.timing, options.network, options.threads)
        return
    size = options.side * 3 // 4, options.side
    made = clips.clips(options.frames, size)
    transfer = StyleTransfer("googlenet", False, models=options.models, threads=options.threads)
    print(
        "| | clip | e_stab apart | together | carried | E | sharpness | style loss"
        " | total loss | evaluations |"
    )
    networks = _networks(options.network, transfer, options.threads)
    painters: list[tuple[str, Any, Judge]] = list(networks)
    for name in options.optimise:
        style = images.load(str(STYLES / f"{name}.jpg"))
        if options.pace:
            pace(transfer, style, options.iterations)
        for weight in options.weight:
            more = {} if weight is None else {"weight": weight}
            painter = _optimising(transfer, style, options.side, options.iterations, **more)
            painters.append((name, painter, Judge(transfer, style)))
    for name, painter, judge in painters:
        for clip in options.clips:
            compare(name, painter, made[clip], judge, options.sheets)
        if options.still:
            still(painter, options.still, size)


if __name__ == "__main__":
    main()
