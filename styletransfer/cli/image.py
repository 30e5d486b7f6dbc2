"""``styletransfer image`` and ``style.py``: render the content of one image in another's style."""

import argparse
import logging
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import styletransfer
from styletransfer.cli.arguments import add_common, add_settings, given
from styletransfer.errors import ImageError, StyleTransferError, UsageError, explain
from styletransfer.jobs import plan as jobs
from styletransfer.jobs.plan import Job
from styletransfer.settings import Settings, compact, is_number, is_picture, presets

if TYPE_CHECKING:
    from styletransfer.jobs.local import Extras
    from styletransfer.jobs.recipe import Recipe
    from styletransfer.transfer.facade import StyleTransfer
    from styletransfer.transfer.run import Summary

INTERRUPTED = 130
"""The exit code of a program that Ctrl-C stopped, as shells count."""

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    _add_pictures(parser)
    add_settings(parser)
    add = parser.add_argument_group("the machine").add_argument
    add(
        "-g",
        "--gpu-id",
        default=0,
        type=int,
        metavar="N",
        help="the CUDA device, -1 for the CPU; where there is none, the CPU is taken (default: 0)",
    )
    add(
        "--threads",
        type=_count,
        metavar="N",
        help="threads on the CPU, at most one a core (default: one a core)",
    )
    add_common(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="log every iteration")
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {styletransfer.__version__}"
    )
    parser.set_defaults(command=run)


def _add_pictures(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what goes in and what comes out."""
    add = parser.add_argument_group("pictures in").add_argument
    files = {"nargs": "+", "type": _path, "metavar": "FILE"}
    add("-s", "--style-img", **files, help="the style image; several are blended")
    add(
        "-c",
        "--content-img",
        **files,
        help="the content image; of several, or of a folder, each becomes a picture",
    )
    add("--all-pairs", action="store_true", help="each style makes a picture of its own")
    add("--style-masks", **files, help="gray images: where in the result each style applies")
    add("--content-mask", type=_path, metavar="FILE", help="where in the result the content counts")
    add("--preset", metavar="NAME", help="parameters under a name, or a .toml file of them")
    add("--like", type=_path, metavar="FILE", help="repeat a picture that this program made")
    add = parser.add_argument_group("pictures out").add_argument
    add(
        "-o",
        "--output",
        type=_name,
        metavar="FILE",
        help="the result, .jpg, .png, .tif or .webp, or a folder, which is there or ends in a /"
        " (default: a name of the arguments, in outputs)",
    )
    add("--overwrite", action="store_true", help="make what is there already of several again")
    add(
        "--depth",
        type=int,
        default=8,
        metavar="BITS",
        help="bits a channel: 8, or 16 in .png, .tif",
    )
    add("--save-every", type=_count, metavar="N", help="write the image after every N iterations")
    add("--grid", action="store_true", help="write content, styles and result side by side, too")
    add("--plot", action="store_true", help="draw the course of the loss, too")


def run(options: argparse.Namespace) -> int:
    """Render one picture, or several."""
    options, values, found = _starting_point(options)
    typed = given(options)
    settings = presets.override(values, typed)
    if settings.seed is None and is_number(settings.init):
        # Chosen here, so that the picture can say what it was.
        settings = replace(settings, seed=secrets.randbelow(1 << 32))
    for flag, value in (("-s", options.style_img), ("-c", options.content_img)):
        if not value:
            raise UsageError(f"there is no {flag}; give a file")
    todo = jobs.plan(
        options.content_img,
        options.style_img,
        options.all_pairs,
        options.output,
        options.outputs,
        lambda content, styles: default_name(content, styles, settings, typed),
    )
    batch = jobs.is_batch(options.content_img, options.style_img, options.all_pairs)
    from styletransfer import images

    try:
        for job in todo:
            images.check_writable(job.output, options.depth)
            for path in _beside(job, options, settings):
                images.check_writable(path)
    except ImageError as error:
        raise UsageError(str(error)) from error
    _check_sources(todo, options, settings)
    if batch and not options.overwrite:
        todo = _missing(todo)
    return _render_all(options, settings, todo, batch, found)


def _starting_point(
    options: argparse.Namespace,
) -> tuple[argparse.Namespace, Mapping[str, object], "Recipe | None"]:
    """Return the parameters of a preset or a picture, and its files where no others are given."""
    if options.preset and options.like:
        raise UsageError("--preset and --like exclude each other; leave one of them out")
    if options.preset:
        return options, presets.read(options.preset).values, None
    if not options.like:
        return options, {}, None
    from styletransfer.jobs import recipe

    own = vars(options)
    kinds = {"content": "content_img", "styles": "style_img", "init": "init"}
    kinds |= {kind: kind for kind in ("style_masks", "content_mask")}
    anew = {kind for kind, flag in kinds.items() if own.get(flag) is not None}
    found = recipe.read(options.like, anew)
    files = {
        "content_img": [found.content],
        "style_img": list(found.styles),
        "style_masks": list(found.style_masks),
        "content_mask": found.content_mask,
        "threads": found.threads,
    }
    filled = {name: own[name] if own[name] is not None else files[name] for name in files}
    return argparse.Namespace(**(own | filled)), found.values, found


def _render_all(
    options: argparse.Namespace,
    settings: Settings,
    todo: Sequence[Job],
    batch: bool,
    found: "Recipe | None",
) -> int:
    """Render pictures; of several, go on after one that fails."""
    from styletransfer.jobs import local as render

    extras = render.Extras(
        tuple(options.style_masks or ()),
        options.content_mask,
        options.depth,
        options.save_every,
        options.grid,
        options.plot,
        options.verbose,
        options.threads or 0,
    )
    transfer = None
    code = 0
    for job in todo:
        try:
            pictures = render.read(job, extras)
        except ImageError as error:
            if not batch:
                raise
            code = _failed(error)
            continue
        transfer = transfer or _transfer(options, settings, extras, found)
        try:
            summary, interrupted = render.render(transfer, job, pictures, settings, extras)
        except (StyleTransferError, MemoryError) as error:
            if not batch:
                raise
            code = _failed(error, job)
            continue
        if not options.quiet:
            _sum_up(summary, job)
        if interrupted:
            return INTERRUPTED
    return code


def _transfer(
    options: argparse.Namespace, settings: Settings, extras: "Extras", found: "Recipe | None"
) -> "StyleTransfer":
    from styletransfer.jobs import recipe
    from styletransfer.transfer.facade import StyleTransfer

    transfer = StyleTransfer(
        settings.model,
        not options.quiet,
        gpu_id=options.gpu_id,
        models=options.models,
        threads=extras.threads,
    )
    if found:
        recipe.warn_of_differences(
            found,
            settings.model,
            str(transfer.device),
            extras.threads,
            transfer.network.weights_digest,
        )
    return transfer


def _beside(job: Job, options: argparse.Namespace, settings: Settings) -> Iterator[Path]:
    """Yield what is written beside a picture; of the snapshots the last."""
    if options.grid:
        yield job.grid()
    if options.plot:
        yield job.curves()
    if options.save_every:
        yield job.snapshot(settings.n_iter)


def _check_sources(todo: Sequence[Job], options: argparse.Namespace, settings: Settings) -> None:
    """Refuse to overwrite what goes in, by a picture or by what is written beside it."""
    others = [*(options.style_masks or ())]
    others += [options.content_mask] if options.content_mask else []
    others += [Path(settings.init)] if is_picture(settings.init) else []

    def written(job: Job) -> Iterator[Path]:
        yield job.output
        yield from _beside(job, options, settings)
        if options.save_every:
            yield from job.snapshots()

    jobs.check_sources(todo, others, written)


def _missing(todo: Sequence[Job]) -> list[Job]:
    """Return the pictures that are not there yet; one that was interrupted does not count."""
    left = []
    for job in todo:
        if job.output.exists() and not _was_interrupted(job.output):
            logger.info("%s is there already", job.output)
        else:
            left.append(job)
    return left


def _was_interrupted(path: Path) -> bool:
    """Whether a picture says that it was; one that cannot be read says nothing."""
    from styletransfer import images

    try:
        stored = images.read_parameters(path)
    except ImageError:
        return False
    return stored is not None and stored.get("reason") == "interrupted"


def _failed(error: Exception, job: Job | None = None) -> int:
    """Say what went wrong with one picture of several."""
    text = explain(error)
    print(f"error: {job.content}: {text}" if job else f"error: {text}", file=sys.stderr)
    return 1


def _sum_up(end: "Summary", job: Job) -> None:
    print(
        f"{end.iterations} iterations in {end.seconds:.1f} s, stopped because {end.reason};"
        f" loss {end.first_loss:.4g} -> {end.last_loss:.4g}\nsaved {job.output.resolve()}",
        flush=True,
    )


def default_name(
    content: Path, styles: Sequence[Path], settings: Settings, typed: Mapping[str, object]
) -> str:
    """Return the original's name for a result; the ratio and the exponent as typed.

    Parameters
    ----------
    content : Path
        The content image.
    styles : sequence of Path
        The style images.
    settings : Settings
        All parameters.
    typed : mapping of str to object
        Those that flags were used for, as they were typed.
    """
    ratio = typed.get("ratio", compact(settings.ratio))
    init = Path(settings.init).stem if is_picture(settings.init) else settings.init
    style = "+".join(path.stem for path in styles)
    model = Path(settings.model).name
    return f"{content.stem}-{style}-{model}-{init}-{ratio}-{settings.n_iter}.jpg"


def _name(text: str) -> str:
    """Parse the name of a file or folder: an empty one, of an unset variable say, is none."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty; give a file")
    return text


def _path(text: str) -> Path:
    """Parse a path."""
    return Path(_name(text))


def _count(text: str) -> int:
    """Parse a number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)
