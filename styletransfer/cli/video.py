"""``styletransfer video``: paint films, animated pictures and folders of frames."""

import argparse
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from styletransfer import settings
from styletransfer.cli import cluster
from styletransfer.cli.arguments import (
    add_common,
    add_machine,
    add_options,
    add_settings,
    add_tiles,
    count,
    given,
)
from styletransfer.cli.files import check_there, file_name, file_path
from styletransfer.cli.messages import FRAMES, logging_to_file, say
from styletransfer.errors import UsageError
from styletransfer.settings import Painting, Settings, presets
from styletransfer.settings.choices import IN_ONE_PASS, NETWORK_NAMES, PAINTERS, SAMPLES
from styletransfer.settings.film import Film
from styletransfer.text import counted, suggestion

if TYPE_CHECKING:
    from styletransfer.jobs.film import FilmTask, Plan
    from styletransfer.jobs.filming import FilmOutcome
    from styletransfer.jobs.local import Watch
    from styletransfer.jobs.task import Machine

T = TypeVar("T")

logger = logging.getLogger(__name__)

OPTIMISE, NETWORK = "optimise", "network"
ARBITRARY = Painting().model
HALVES = ("split", "join")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "film",
        nargs="+",
        metavar="FILM",
        help="a film, a GIF, APNG or WebP that moves, a folder of frames, or a pattern of their"
        " names such as frames/%%05d.png; `split FILM` writes the frames into the folder -o, `join"
        " FRAMES` makes the film -o of frames, with --times-of for their times and the sound",
    )
    add = parser.add_argument_group("in and out").add_argument
    add(
        "-s",
        "--style-img",
        nargs="+",
        action="extend",
        type=file_path,
        metavar="FILE",
        help="the style images",
    )
    add(
        "-o",
        "--output",
        type=file_name,
        metavar="FILE",
        help="the film, .mp4, .mkv, .mov, .webm, .gif or .apng, or a folder or pattern of frames"
        " (default: a name of the arguments, in outputs)",
    )
    add("--times-of", type=file_path, metavar="FILM", help="join: the film that was split")
    add("--log", type=file_path, metavar="FILE", help="append all that happens to a file")
    add("--json", action="store_true", help="print what is made, or planned, as JSON")
    _add_course(parser)
    _add_painting(parser)
    add_machine(parser)
    add_tiles(parser)
    cluster.add_arguments(parser)
    add_common(parser)
    parser.set_defaults(command=run)


def _add_course(parser: argparse.ArgumentParser) -> None:
    """Add what says how a long run goes."""
    add = parser.add_argument_group("going on").add_argument
    add(
        "--resume",
        action="store_true",
        help="paint what an earlier run has left undone; so it is without this flag, too",
    )
    add("--overwrite", action="store_true", help="delete what an earlier run has left")
    add("--retry-failed", action="store_true", help="try frames again that failed before")
    add("--keep-frames", action="store_true", help="keep the painted frames beside the film")
    add(
        "--no-frames",
        action="store_true",
        help="keep no frames while it lasts, so that there is nothing to go on from",
    )
    add = parser.add_argument_group("first a look").add_argument
    add(
        "--preview",
        type=count,
        metavar="N",
        help="first write a contact sheet of N frames, each painted alone",
    )
    add(
        "--dry-run",
        action="store_true",
        help="say how many frames and shots there are, and how long it will take; paint nothing",
    )


def _add_painting(parser: argparse.ArgumentParser) -> None:
    """Add what says how frames are chosen, painted and held together."""
    add = parser.add_argument_group("how frames hang together").add_argument
    add(
        "--method",
        choices=(OPTIMISE, NETWORK),
        help="paint by optimisation, as `image`, or in one pass, as `stylize` (default: by -m)",
    )
    add_options(add, Film)
    add_settings(parser)
    for action in parser._actions:  # what differs from `image`
        action.help = _HELP.get(action.dest, action.help)
    parser.add_argument("--preset", metavar="NAME", help="parameters under a name, or a .toml file")
    add = parser.add_argument_group("in one pass of a network (--method network)").add_argument
    add_options(add, Painting, leave_out=settings.describe(Settings))


_HELP = {
    "model": f"{ARBITRARY} (paintings are its styles), {PAINTERS[0]}, {SAMPLES} or an ONNX file"
    f" paint in one pass, {', '.join(NETWORK_NAMES)} or a Caffe folder by optimisation (default:"
    f" {ARBITRARY}, with --method optimise googlenet)",
    "length": "the longest side of the result (default: the film's own)",
    "any_size": "as it is for films in any case",
    "optimizer": "the minimiser: SciPy's L-BFGS-B, our own L-BFGS, or Adam (default: lbfgs)",
}


def run(options: argparse.Namespace) -> int:
    """Paint a film, or do one of its halves."""
    words = options.film
    half = words[0] if len(words) == 2 and words[0] in HALVES else None
    if len(words) == 1 and words[0] in HALVES and not os.path.exists(words[0]):
        raise UsageError(f"there is nothing to {words[0]}; give a film or frames after it")
    if len(words) > 1 and half is None:
        raise UsageError(f"one film at a time; {' '.join(words)[:200]} are {len(words)}")
    with logging_to_file(options.log):
        if half == "split":
            return _split(_source(words[1]), options)
        if half == "join":
            return _join(_source(words[1]), options)
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    from styletransfer.jobs import film
    from styletransfer.jobs.task import Machine

    task = _task(options)
    models = None if options.models is None else Path(options.models)
    machine = Machine(
        options.gpu_id,
        options.threads or 0,
        models,
        options.provider,
        options.tile,
        options.memory_limit,
    )
    plan = film.plan(task)
    if options.dry_run:
        return _tell_plan(plan, machine, options)
    if not options.quiet:
        logger.info("%s", _described(plan))
    outcome = _watched(options, lambda watch: cluster.film(options, plan, machine, watch))
    return _tell(plan, outcome, options)


def _task(options: argparse.Namespace) -> "FilmTask":
    """Return what the arguments ask for, as a value."""
    from styletransfer.jobs.film import FilmExtras, FilmTask

    source = _source(options.film[0])
    styles = tuple(options.style_img or ())
    check_there(styles)
    how = _settings(options)
    if not styles and (isinstance(how, Settings) or how.model == ARBITRARY):
        raise UsageError("there is no -s; give a painting, or a network with styles by -m")
    extras = FilmExtras(
        options.keep_frames,
        options.no_frames,
        options.overwrite,
        options.retry_failed,
        options.preview,
    )
    output = Path(options.output) if options.output else _named(source, styles, how, options)
    return FilmTask(source, styles, output, how, _film(options), extras)


def _source(text: str) -> Path:
    """Return the path of a film, which is there, or a pattern."""
    path = file_path(text)
    if not (os.path.exists(path) or "%" in path.name or "*" in path.name):
        raise UsageError(f"there is no film {path}; check the path")
    return path


def _settings(options: argparse.Namespace) -> Settings | Painting:
    """Return how a frame is painted, having said which method that is if it was not asked for."""
    typed = given(options)
    painting = given(options, Painting)
    model = typed.get("model")
    method = options.method or _method(model, options.preset)
    if method == NETWORK:
        # Both have a --style-scale; a network's is one number.
        scale = painting.get("style_scale")
        if isinstance(scale, list) and len(scale) == 1:
            painting["style_scale"] = scale[0]
        others = [name for name in typed if name not in settings.describe(Painting)]
        others += [name for name in _OF_OPTIMISATION if name in vars(options)]
        others += ["preset"] if options.preset else []
        others += ["tile"] if options.tile != "auto" else []
        others += ["memory-limit"] if options.memory_limit is not None else []
        if others:
            raise UsageError(
                f"{_flag(others[0])} is of --method optimise; a network paints in one pass: leave"
                " it out"
            )
        how: Settings | Painting = settings.make(Painting, painting)
    else:
        others = [name for name in painting if name not in settings.describe(Settings)]
        if others:
            raise UsageError(
                f"{_flag(others[0])} is of --method network; leave it out, or choose that"
            )
        values = presets.read(options.preset).values if options.preset else {}
        usual: dict[str, object] = {"model": "googlenet", "optimizer": "lbfgs", "any_size": True}
        if "length" not in {*values, *typed}:
            usual["length"] = _own_length(options)
        how = presets.override({**usual, **values}, typed)
    if options.method is None:
        logger.info("painting by %s (--method %s): %s", _MEANS[method], method, how.model)
    return how


def _own_length(options: argparse.Namespace) -> int:
    """Return the longest side of the film that goes in."""
    from styletransfer.video import source

    found = source.probe(options.film[0])
    return max(found.width, found.height)


def _flag(name: str) -> str:
    """Return a parameter's flag."""
    for kind in (Settings, Painting, Film):
        if name in settings.describe(kind):
            return settings.flags(name, settings.describe(kind)[name])[-1]
    return f"--{name}"


_OF_OPTIMISATION = ("next_iters", "temporal_weight", "passes")
_MEANS = {OPTIMISE: "optimisation", NETWORK: "a network in one pass"}


def _method(model: object, preset: str | None) -> str:
    """Return which method a network is for."""
    if preset is not None:
        return OPTIMISE
    if model is None:
        return NETWORK
    if model in NETWORK_NAMES or Path(str(model)).is_dir():
        return OPTIMISE
    if model not in IN_ONE_PASS and not Path(str(model)).is_file():
        names = (*IN_ONE_PASS, *NETWORK_NAMES)
        raise UsageError(
            f"{model} is neither a network nor a file; {', '.join(IN_ONE_PASS)} and ONNX files"
            f" paint in one pass, {', '.join(NETWORK_NAMES)} by optimisation"
            f"{suggestion(model, names)}"
        )
    return NETWORK


def _named(
    source: Path, styles: tuple[Path, ...], how: Settings | Painting, options: argparse.Namespace
) -> Path:
    """Return a name of the arguments."""
    parts = [source.stem.replace("%", ""), "+".join(style.stem for style in styles)]
    parts += [Path(how.model).stem, getattr(how, "style", None) or ""]
    name = "-".join(filter(None, parts)).replace(":", "_").replace(",", "_")
    suffix = source.suffix.lower()
    known = (".mp4", ".mkv", ".mov", ".webm", ".gif", ".apng")
    folder: Path = options.outputs
    return folder / f"{name}{suffix if suffix in known else '.mp4'}"


def _watched(options: argparse.Namespace, work: Callable[["Watch"], T]) -> T:
    """Do work that is shown, logged and stopped after the frame at hand."""
    from styletransfer.display import Display, frame_line
    from styletransfer.jobs.local import Watch
    from styletransfer.progress import FilmProgress

    frames = logging.getLogger(FRAMES)
    signals = options.signals
    with Display(not options.quiet) as display:

        def tell(step: Any) -> None:
            signals.saving = True
            if options.log and isinstance(step, FilmProgress):
                frames.info("%s", frame_line(step))
            display.show(step)

        return work(Watch(tell, signals.stopped))


def _described(plan: "Plan") -> str:
    found = plan.source
    shots = counted(len(plan.shots), "shot")
    length = float(plan.end - plan.begin)
    return (
        f"{counted(plan.count, 'frame')} in {shots}, {found.width}x{found.height}, {length:.2f} s"
    )


def _tell_plan(plan: "Plan", machine: "Machine", options: argparse.Namespace) -> int:
    """Say what a film comes to."""
    from styletransfer.jobs import outlook

    guess = _watched(options, lambda watch: outlook.estimate(plan, machine, watch))
    if plan.task.extras.preview:
        _watched(options, lambda watch: outlook.preview_with(plan, machine, watch))
    facts = {
        "frames": plan.count,
        "shots": [shot[0].number for shot in plan.shots],
        "width": guess.size[0],
        "height": guess.size[1],
        "seconds": round(guess.seconds, 3),
        "memory": guess.memory,
    }
    if options.json:
        say(json.dumps(facts), limit=1_000_000)
        return 0
    say(_described(plan))
    say(f"painted at {guess.size[0]}x{guess.size[1]} with {guess.model} on {guess.device}")
    memory = "" if guess.memory is None else f" and {guess.memory / 2**20:.0f} MiB"
    say(f"about {_time(guess.seconds)}{memory}; goes to {plan.task.output}")
    return 0


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 100:
        return counted(round(seconds), "second")
    return counted(minutes, "minute") if minutes < 100 else f"{minutes / 60:.1f} hours"


def _tell(plan: "Plan", outcome: "FilmOutcome", options: argparse.Namespace) -> int:
    """Say what became of a film, and how to go on; return the exit code."""
    stopped = options.signals.stopped()
    if options.json:
        facts = {
            "output": None if outcome.output is None else str(outcome.output.resolve()),
            "frames": outcome.wanted,
            "painted": outcome.painted,
            "there": outcome.there,
            "failed": {str(number): text for number, text in outcome.failed.items()},
            "seconds": round(outcome.seconds, 3),
        }
        say(json.dumps(facts), limit=1_000_000)
    if outcome.output is not None and outcome.painted and not (options.quiet or options.json):
        counts = f"{counted(outcome.painted, 'frame')} painted in {_time(outcome.seconds)}"
        there = f", {outcome.there} there already" if outcome.there else ""
        say(f"{counts}{there}; saved {outcome.output.resolve()}")
    left = outcome.wanted - outcome.painted - outcome.there - len(outcome.failed)
    if left:
        kept = (
            "they are not kept (--no-frames)" if options.no_frames else "the same command goes on"
        )
        logger.warning("%d of %d frames are left; %s", left, outcome.wanted, kept)
    if outcome.failed:
        numbers = ", ".join(map(str, [*outcome.failed][:10]))
        more = " and others" if len(outcome.failed) > 10 else ""
        logger.warning(
            "%d frames failed (%s%s), so that the film is not written; --retry-failed tries them"
            " again",
            len(outcome.failed),
            numbers,
            more,
        )
    return int(options.signals.code) if stopped else int(outcome.output is None)


def _split(path: Path, options: argparse.Namespace) -> int:
    """Write the frames of a film into a folder."""
    from styletransfer.video import halves, source

    if options.output is None:
        raise UsageError("there is no -o; give the folder that the frames go to")
    film = _film(options)
    count, damage = halves.split(source.probe(path), options.output, film.begin, film.end)
    if damage:
        logger.warning("%s", damage)
    say(f"{count} frames in {Path(options.output).resolve()}")
    return 0


def _join(frames: Path, options: argparse.Namespace) -> int:
    """Make a film of frames."""
    from styletransfer.jobs.film import exact_rate
    from styletransfer.video import halves, source

    if options.output is None:
        raise UsageError("there is no -o; give the film that the frames become")
    if options.times_of and "fps" in vars(options):
        raise UsageError("--times-of and --fps exclude each other; leave one of them out")
    film = _film(options)
    timed = source.probe(options.times_of) if options.times_of else None
    rate = exact_rate(film.fps) if film.fps else source.DEFAULT_RATE
    halves.join(frames, options.output, timed, rate, film.begin, film.end)
    say(f"saved {Path(options.output).resolve()}")
    return 0


def _film(options: argparse.Namespace) -> Film:
    return settings.make(Film, given(options, Film))
