"""``styletransfer stylize``: paint pictures in one pass of a network."""

import argparse
import json
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from styletransfer import settings
from styletransfer.cli import streams
from styletransfer.cli.arguments import add_common, add_machine
from styletransfer.cli.image import check_writable, file_name, file_path
from styletransfer.cli.messages import complain, say
from styletransfer.errors import UsageError
from styletransfer.settings import Painting

if TYPE_CHECKING:
    from styletransfer.jobs.painting import PaintedOutcome
    from styletransfer.jobs.recipe import Recipe
    from styletransfer.jobs.task import Task

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument_group("pictures in").add_argument
    add(
        "-s",
        "--style-img",
        nargs="+",
        type=file_path,
        metavar="FILE",
        help="the painting; several are blended",
    )
    add(
        "-c",
        "--content-img",
        nargs="+",
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
        help="the result, or a folder, which is there or ends in a /; - for stdout (default: a"
        " name of the arguments, in outputs)",
    )
    add("--overwrite", action="store_true", help="make what is there already of several again")
    add("--depth", type=int, default=8, metavar="BITS", help="bits a channel: 8, or 16")
    add("--grid", action="store_true", help="write photo, paintings and result side by side, too")
    add(
        "--sheet",
        action="store_true",
        help="paint a small photo in all styles of the network, on one sheet",
    )
    add("--json", action="store_true", help="print what was made as JSON, a line for each picture")
    group = parser.add_argument_group("how it is painted")
    for name, option in settings.describe(Painting).items():
        group.add_argument(
            *settings.flags(name, option), dest=name, default=argparse.SUPPRESS,
            nargs=option.kind.nargs, metavar=option.kind.metavar,
            help=option.help.replace("%", "%%"),
        )  # fmt: skip
    add_machine(parser)
    add_common(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Paint one picture, or several."""
    with tempfile.TemporaryDirectory(prefix="styletransfer-") as folder:
        return _run(options, Path(folder))


def _run(options: argparse.Namespace, scratch: Path) -> int:
    from styletransfer.display import Display
    from styletransfer.jobs import painting
    from styletransfer.jobs.local import Watch
    from styletransfer.jobs.plan import Order, plan
    from styletransfer.jobs.task import Extras, Machine

    like, values = _starting_point(options)
    typed = {n: v for n, v in vars(options).items() if n in settings.describe(Painting)}
    contents = options.content_img or ([like.content] if like is not None else [])
    styles = options.style_img or (like.styles if like is not None else ())
    if not contents or None in contents:
        raise UsageError("there is no -c; give a photo")
    given = [str(content) for content in contents]
    if given.count(streams.STREAM) > 1:
        raise UsageError("standard input is one picture; give - once")
    if streams.STREAM in given:
        contents[given.index(streams.STREAM)] = streams.read(scratch / "stdin")
    to_stdout = options.output == streams.STREAM
    if to_stdout and options.json:
        raise UsageError("-o - and --json exclude each other; leave one of them out")
    output = str(scratch / "result.png") if to_stdout else options.output
    order = Order(
        tuple(contents),
        tuple(styles),
        settings.make(Painting, {**values, **typed}),
        options.outputs,
        output=output,
        overwrite=options.overwrite,
        extras=Extras(options.depth, grid=options.grid),
    )
    if to_stdout and order.is_batch:
        raise UsageError("several pictures need a folder, and not stdout; give another -o")
    tasks = plan(order)
    threads = options.threads or (like.threads if like is not None else 0)
    models = None if options.models is None else Path(options.models)
    machine = Machine(options.gpu_id, threads, models)
    with Display(not options.quiet) as display:
        watch = Watch(display.show, options.signals.stopped)
        if options.sheet:
            return _sheet(_sheet_task(tasks, options), machine, watch, to_stdout)
        check_writable(tasks)
        code = 0
        for outcome in painting.make_all(tasks, machine, watch, like):
            display.end()
            if outcome.error is not None and (options.debug or not order.is_batch):
                raise outcome.error
            if outcome.error is not None:
                complain(outcome.error, str(outcome.task.content))
                code = 1
            elif to_stdout and outcome.output is not None:
                streams.write(outcome.output)
            elif options.json or not options.quiet:
                say(_told(outcome, options.json))
    return options.signals.code if options.signals.stopped() else code


def _starting_point(options: argparse.Namespace) -> tuple["Recipe | None", Mapping[str, object]]:
    """Return the picture that is to be repeated, and its parameters."""
    if not options.like:
        return None, {}
    from styletransfer.jobs import recipe

    kinds = {"content": options.content_img, "styles": options.style_img}
    like = recipe.read(options.like, {k for k, given in kinds.items() if given}, Painting)
    return like, like.values


def _sheet_task(tasks: list["Task"], options: argparse.Namespace) -> "Task":
    if len(tasks) != 1:
        raise UsageError("a sheet is of one photo; give one")
    (task,) = tasks
    named = options.output is not None
    return (
        task
        if named
        else replace(task, output=task.output.with_name(f"{task.output.stem}-sheet.png"))
    )


def _sheet(task: "Task", machine: object, watch: object, to_stdout: bool) -> int:
    from styletransfer.jobs import painting

    check_writable([task])
    path = painting.sheet(task, machine, watch)  # type: ignore[arg-type]
    if to_stdout:
        streams.write(path)
    else:
        say(f"saved {path.resolve()}")
    return 0


def _told(outcome: "PaintedOutcome", as_json: bool) -> str:
    """Return a line about a picture that was made."""
    task, end = outcome.task, outcome.painted
    assert end is not None
    assert outcome.output is not None
    path = outcome.output.resolve()
    if not as_json:
        return f"{end.size[0]}x{end.size[1]} in {end.seconds:.2f} s, saved {path}"
    facts = {
        "content": str(task.content),
        "styles": [str(style) for style in task.styles],
        "output": str(path),
        "width": end.size[0],
        "height": end.size[1],
        "seconds": round(end.seconds, 3),
        "settings": task.settings.plain(),
    }
    return json.dumps(facts)
