"""``styletransfer stylize``: paint pictures in one pass of a network."""

import argparse
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from styletransfer import settings
from styletransfer.cli import cluster, sheet, streams
from styletransfer.cli.arguments import add_common, add_machine, add_options, given
from styletransfer.cli.files import (
    add_format,
    check_there,
    check_writable,
    file_name,
    file_path,
    suffix,
)
from styletransfer.cli.messages import complain, say, tally
from styletransfer.errors import UsageError
from styletransfer.settings import Painting

if TYPE_CHECKING:
    from styletransfer.display import Display
    from styletransfer.jobs.local import Watch
    from styletransfer.jobs.painting import PaintedOutcome
    from styletransfer.jobs.plan import Order
    from styletransfer.jobs.recipe import Recipe
    from styletransfer.jobs.task import Machine, Task

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument_group("pictures in").add_argument
    add(
        "-s",
        "--style-img",
        nargs="+",
        action="extend",
        type=file_path,
        metavar="FILE",
        help="the painting; several are blended",
    )
    add(
        "-c",
        "--content-img",
        nargs="+",
        action="extend",
        type=file_path,
        metavar="FILE",
        help="the photo, - for stdin; of several, or of a folder, each becomes a picture",
    )
    add("--like", type=file_path, metavar="FILE", help="repeat a picture that this command made")
    add = parser.add_argument_group("pictures out").add_argument
    add(
        "-o",
        "--output",
        type=file_name,
        metavar="FILE",
        help="the result, or a folder, which is there or ends in a /, of several any name; - for"
        " stdout (default: a name of the arguments, in outputs)",
    )
    add("--overwrite", action="store_true", help="make what is there already of several again")
    add_format(add)
    add("--grid", action="store_true", help="write photo, paintings and result side by side, too")
    add(
        "--sheet",
        action="store_true",
        help="paint a small photo in all styles of the network, on one sheet",
    )
    add("--json", action="store_true", help="print what was made as JSON, a line for each picture")
    add_options(parser.add_argument_group("how it is painted").add_argument, Painting)
    add_machine(parser)
    cluster.add_arguments(parser)
    add_common(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Paint one picture, or several."""
    ending = suffix(options)
    if options.output == streams.STREAM and options.json:
        raise UsageError("-o - and --json exclude each other; leave one of them out")
    with streams.redirected(options) as redirected:
        return _run(redirected, ending)


def _run(options: argparse.Namespace, ending: str) -> int:
    from styletransfer.display import Display
    from styletransfer.jobs import naming, painting
    from styletransfer.jobs.local import Watch
    from styletransfer.jobs.plan import divide
    from styletransfer.jobs.task import Machine

    like, values = _starting_point(options)
    order = _order(options, like, values, ending)
    streams.check_one(options, order.is_batch)
    if options.sheet:
        if order.is_batch:
            raise UsageError("a sheet is of one photo; give one")
        if cluster.place(options) is not None:
            raise UsageError("a sheet is made by one machine; leave --cluster out")
        stem = naming.default(order.contents[0].stem, order.styles, order.settings, None)
        order = replace(order, output=str(sheet.place(options, f"{stem}-sheet")))
    tasks, there = divide(order)
    threads = options.threads or (like.threads if like is not None else 0)
    models = None if options.models is None else Path(options.models)
    machine = Machine(options.gpu_id, threads, models, options.provider)
    with Display(not options.quiet) as display:
        watch = Watch(display.show, options.signals.stopped)
        if options.sheet:
            return _sheet(tasks[0], machine, watch, options)
        check_writable(tasks)
        outcomes = cluster.outcomes(options, tasks, machine, watch, like, painting.make_all)
        failed = _tell(outcomes, display, order.is_batch, options, (len(tasks), len(there)))
    return options.signals.code if options.signals.stopped() else int(failed > 0)


def _tell(
    outcomes: Iterable["PaintedOutcome"],
    display: "Display",
    batch: bool,
    options: argparse.Namespace,
    counts: tuple[int, int],
) -> int:
    """Say what became of each picture, and of all of a batch; return how many were not painted.

    `counts` are of pictures to be made, and of those that are there already.
    """
    made = failed = 0
    try:
        for outcome in outcomes:
            display.end()
            if outcome.error is not None and (options.debug or not batch):
                raise outcome.error
            if outcome.error is not None:
                title = outcome.task.title
                complain(outcome.error, "" if title in str(outcome.error) else title)
                failed += 1
                continue
            made += 1
            if options.json or not options.quiet:
                say(_told(outcome, options))
    except KeyboardInterrupt:
        display.end()
        if batch and not (options.quiet or options.json):
            tally(sum(counts), made, counts[1], failed)
        raise
    display.end()
    if batch and not (options.quiet or options.json):
        tally(sum(counts), made, counts[1], failed)
    return failed


def _order(
    options: argparse.Namespace, like: "Recipe | None", values: Mapping[str, object], ending: str
) -> "Order":
    """Return what the arguments ask for, as values."""
    from styletransfer.jobs.plan import Order
    from styletransfer.jobs.task import Extras

    contents = options.content_img or ([like.content] if like is not None else [])
    styles = options.style_img or (like.styles if like is not None else ())
    if not contents or None in contents:
        raise UsageError("there is no -c; give a photo")
    check_there([*contents, *styles])
    return Order(
        tuple(contents),
        tuple(styles),
        settings.make(Painting, {**values, **given(options, Painting)}),
        options.outputs,
        output=options.output,
        overwrite=options.overwrite,
        suffix=ending,
        extras=Extras(options.depth, grid=options.grid),
        stdin=options.stdin,
    )


def _starting_point(options: argparse.Namespace) -> tuple["Recipe | None", Mapping[str, object]]:
    """Return the picture that is to be repeated, and its parameters."""
    if not options.like:
        return None, {}
    from styletransfer.jobs import recipe

    check_there([options.like])
    kinds = {"content": options.content_img, "styles": options.style_img}
    like = recipe.read(options.like, {k for k, given in kinds.items() if given}, Painting)
    return like, like.values


def _sheet(task: "Task", machine: "Machine", watch: "Watch", options: argparse.Namespace) -> int:
    from styletransfer.jobs import painting

    check_writable([task])
    path = painting.sheet(task, machine, watch)
    if not (options.quiet or options.streamed):
        say(f"saved {path.resolve()}")
    return 0


def _told(outcome: "PaintedOutcome", options: argparse.Namespace) -> str:
    """Return a line about a picture that was made."""
    task, end = outcome.task, outcome.painted
    assert end is not None
    assert outcome.output is not None
    path = outcome.output.resolve()
    if not options.json:
        place = "" if options.streamed else f", saved {path}"
        return f"{end.size[0]}x{end.size[1]} in {end.seconds:.2f} s{place}"
    facts = {
        "content": streams.STREAM if task.streamed_in else str(task.content),
        "styles": [str(style) for style in task.styles],
        "output": str(path),
        "width": end.size[0],
        "height": end.size[1],
        "seconds": round(end.seconds, 3),
        "settings": task.settings.plain(),
    }
    return json.dumps(facts)
