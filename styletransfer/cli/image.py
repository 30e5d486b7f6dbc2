"""``styletransfer image`` and ``style.py``: render the content of one image in another's style."""

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import styletransfer
from styletransfer.cli import cluster, look, sheet, streams
from styletransfer.cli.arguments import (
    add_common,
    add_forecast,
    add_machine,
    add_settings,
    add_tiles,
    count,
    given,
)
from styletransfer.cli.files import (
    add_format,
    check_checkpoint,
    check_there,
    check_writable,
    file_name,
    file_path,
    suffix,
)
from styletransfer.cli.messages import complain, say, tally
from styletransfer.errors import UsageError
from styletransfer.progress import Progress
from styletransfer.settings import presets
from styletransfer.text import counted

if TYPE_CHECKING:
    from styletransfer.jobs.local import Outcome
    from styletransfer.jobs.plan import Order
    from styletransfer.jobs.recipe import Recipe
    from styletransfer.jobs.task import Machine, Task

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    _add_pictures_in(parser)
    _add_pictures_out(parser)
    add_settings(parser)
    add_machine(parser)
    add_tiles(parser)
    add_forecast(parser)
    cluster.add_arguments(parser)
    add_common(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="log every iteration")
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {styletransfer.__version__}"
    )
    parser.set_defaults(command=run)


def _add_pictures_in(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what goes in."""
    add = parser.add_argument_group("pictures in").add_argument
    files: dict[str, Any] = {
        **{"nargs": "+", "type": file_path, "metavar": "FILE"},
        "action": "extend",  # -c a.jpg -c b.jpg is -c a.jpg b.jpg
    }
    add("-s", "--style-img", **files, help="the style image; several are blended")
    add(
        "-c",
        "--content-img",
        **files,
        help="the content image; of several, or of a folder, each becomes a picture; - is what"
        " comes from standard input",
    )
    add("--all-pairs", action="store_true", help="each style makes a picture of its own")
    add("--style-masks", **files, help="gray images: where in the result each style applies")
    add(
        "--content-mask",
        type=file_path,
        metavar="FILE",
        help="where in the result the content counts",
    )
    add("--preset", metavar="NAME", help="parameters under a name, or a .toml file of them")
    add("--like", type=file_path, metavar="FILE", help="repeat a picture that this program made")


def _add_pictures_out(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what comes out."""
    add = parser.add_argument_group("pictures out").add_argument
    add(
        "-o",
        "--output",
        type=file_name,
        metavar="FILE",
        help="the result, .jpg, .png, .tif or .webp, or a folder, which is there or ends in a /,"
        " of several any name; - is standard output (default: a name of the arguments, in outputs)",
    )
    add("--overwrite", action="store_true", help="make what is there already of several again")
    add_format(add)
    add("--save-every", type=count, metavar="N", help="write the image after every N iterations")
    add(
        "--preview",
        type=file_path,
        metavar="FILE",
        help="rewrite this file every two seconds with the image so far",
    )
    add(
        "--checkpoint",
        nargs="?",
        const="",
        metavar="FILE",
        help="write all that the run depends on every minute, and when it is interrupted, so that"
        " it can be gone on with (default: beside the result); deleted with the last iteration",
    )
    add("--checkpoint-every", type=count, metavar="N", help="write it after every N iterations")
    add(
        "--resume",
        action="store_true",
        help="go on from the checkpoint, if there is one; -n, -o and --time may be others",
    )
    add("--grid", action="store_true", help="write content, styles and result side by side, too")
    add("--plot", action="store_true", help="draw the course of the loss, too")
    add(
        "--edges",
        action="store_true",
        help="write differences of neighbours and Sobel edges of content and result, too, and say"
        " their total variation",
    )
    add(
        "--sheet",
        action="store_true",
        help="make one sheet of small pictures over one or two parameters, whose values are"
        " separated by commas: --sheet -r 1e3,1e4,1e5 --style-scale 0.5,1,2",
    )


def run(options: argparse.Namespace) -> int:
    """Render one picture, or several."""
    suffix(options)  # of standard output, too, before it is a file
    with streams.redirected(options) as redirected:
        return sheet.run(redirected) if options.sheet else _run(redirected)


def _run(options: argparse.Namespace) -> int:
    from styletransfer.jobs.plan import divide

    asked, machine, like = order(options)
    streams.check_one(options, asked.is_batch)
    tasks, there = divide(asked)
    if options.json and not options.dry_run:
        raise UsageError("--json goes with --dry-run; leave it out, or give both")
    if options.dry_run:
        return look.run(tasks, machine, options)
    check_writable(tasks)
    return make(tasks, machine, options, asked.is_batch, like, len(there))


def order(options: argparse.Namespace) -> tuple["Order", "Machine", "Recipe | None"]:
    """Return what the arguments ask for, as values; from here on there are no arguments."""
    from styletransfer.jobs.plan import Order
    from styletransfer.jobs.task import Extras, Machine

    values, like = _starting_point(options)
    typed = given(options)
    ending = suffix(options)
    contents, styles = options.content_img, options.style_img
    masks, content_mask, threads = options.style_masks, options.content_mask, options.threads
    if like is not None:
        contents = contents or [like.content]
        styles = styles or like.styles
        masks = masks or like.style_masks
        content_mask = content_mask or like.content_mask
        threads = threads or like.threads
    for flag, paths in (("-s", styles), ("-c", contents)):
        if not paths:
            raise UsageError(f"there is no {flag}; give a file")
    check_there([*contents, *styles, *(masks or ()), content_mask])
    ratio = typed.get("ratio")
    asked = Order(
        tuple(contents),
        tuple(styles),
        presets.override(values, typed),
        options.outputs,
        options.all_pairs,
        options.output,
        options.overwrite,
        None if ratio is None else str(ratio),
        ending,
        tuple(masks or ()),
        content_mask,
        Extras(
            options.depth,
            options.save_every,
            options.grid,
            options.plot,
            options.preview,
            options.edges,
            *_checkpoints(options),
        ),
        options.stdin,
    )
    if asked.is_batch and asked.extras.checkpoint_file is not None:
        raise UsageError(
            f"several pictures have a checkpoint each; {options.checkpoint} is one file: give"
            " --checkpoint without it"
        )
    models = None if options.models is None else Path(options.models)
    machine = Machine(
        options.gpu_id,
        threads or 0,
        models,
        options.provider,
        options.tile,
        options.memory_limit,
    )
    return asked, machine, like


def _checkpoints(options: argparse.Namespace) -> tuple[bool, Path | None, int | None, bool]:
    """Return whether checkpoints are asked for, in which file, how often, and whether to go on."""
    file, every = options.checkpoint, options.checkpoint_every
    wanted = file is not None or every is not None or options.resume
    if not wanted:
        return False, None, None, False
    if options.sheet:
        raise UsageError("a sheet's pictures have no checkpoints; leave --checkpoint out")
    if options.streamed and not file:
        raise UsageError("nothing is beside standard output; give --checkpoint a file")
    return True, check_checkpoint(file) if file else None, every, options.resume


def _starting_point(options: argparse.Namespace) -> tuple[Mapping[str, object], "Recipe | None"]:
    """Return the parameters of a preset or a picture, and what the picture says of itself."""
    if options.preset is not None and options.like is not None:
        raise UsageError("--preset and --like exclude each other; leave one of them out")
    if options.preset is not None:
        return presets.read(options.preset).values, None
    if options.like is None:
        return {}, None
    from styletransfer.jobs import recipe

    check_there([options.like])
    own = vars(options)
    kinds = {"content": "content_img", "styles": "style_img", "init": "init"}
    kinds |= {kind: kind for kind in ("style_masks", "content_mask")}
    anew = {kind for kind, flag in kinds.items() if own.get(flag) is not None}
    like = recipe.read(options.like, anew)
    return like.values, like


def make(
    tasks: Sequence["Task"],
    machine: "Machine",
    options: argparse.Namespace,
    batch: bool,
    like: "Recipe | None" = None,
    there: int = 0,
    titles: Mapping[Path, str] | None = None,
) -> int:
    """Make pictures and say what became of each; of several, go on after one that fails.

    Of several, `there` were there already. `titles` are what pictures are called by their outputs,
    where that is not the name of the content.
    """
    from styletransfer.display import Display
    from styletransfer.jobs.local import Step, Watch, make_all

    signals = options.signals
    made = failed = 0
    # With --verbose there is a line for each iteration, which a bar would only tear apart.
    with Display(not (options.quiet or options.verbose)) as display:

        def tell(step: Step) -> None:
            signals.saving = signals.saving or isinstance(step, Progress)
            display.show(step)

        watch = Watch(tell, signals.stopped, options.verbose)
        try:
            for outcome in cluster.outcomes(options, tasks, machine, watch, like, make_all):
                signals.saving = options.cluster is not None  # where others are under way
                display.end()
                if outcome.error is not None and (options.debug or not batch):
                    _say_saved(outcome, options.streamed)
                    _say_how_to_go_on(outcome)
                    raise outcome.error
                if outcome.error is not None:
                    title = (titles or {}).get(outcome.task.output, outcome.task.title)
                    complain(outcome.error, "" if title in str(outcome.error) else title)
                    failed += 1
                    continue
                made += 1
                if not options.quiet:
                    _sum_up(outcome, options.streamed)
                _say_how_to_go_on(outcome)
        except KeyboardInterrupt:
            display.end()
            if batch and not options.quiet:
                tally(len(tasks) + there, made, there, failed, again=titles is None)
            raise
    if batch and not options.quiet:
        tally(len(tasks) + there, made, there, failed, again=titles is None)
    return signals.code if signals.stopped() else int(failed > 0)


def _say_saved(outcome: "Outcome", streamed: bool) -> None:
    if outcome.output is not None:
        place = "goes to standard output" if streamed else f"is saved in {outcome.output}"
        logger.warning("the best picture so far %s", place)


def _say_how_to_go_on(outcome: "Outcome") -> None:
    if outcome.checkpoint is not None:
        logger.info(
            "the run can go on from %s: give the same command again, with --resume",
            outcome.checkpoint,
        )


def _sum_up(outcome: "Outcome", streamed: bool) -> None:
    end = outcome.summary
    if end is None or outcome.output is None:
        return
    say(
        f"{counted(end.iterations, 'iteration')} in {end.seconds:.1f} s, stopped because"
        f" {end.reason};"
        f" loss {end.first_loss:.4g} -> {end.last_loss:.4g}"
    )
    if outcome.variations is not None:
        before, after = outcome.variations
        say(f"total variation {before:.2f} -> {after:.2f}")
    if not streamed:
        say(f"saved {outcome.output.resolve()}")
