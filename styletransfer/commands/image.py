"""``styletransfer image`` and ``style.py``: render the content of one image in another's style."""

import argparse
from pathlib import Path

import styletransfer
from styletransfer.commands.arguments import add_common, add_settings, given
from styletransfer.errors import ImageError, UsageError
from styletransfer.settings import Settings, compact

INTERRUPTED = 130
"""The exit code of a program that Ctrl-C stopped, as shells count."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument_group("pictures").add_argument
    add("-s", "--style-img", required=True, metavar="FILE", help="the style image")
    add("-c", "--content-img", required=True, metavar="FILE", help="the content image")
    add(
        "-o",
        "--output",
        metavar="FILE",
        help="the result, .jpg, .png, .tif or .webp (default: a name of the arguments, in outputs)",
    )
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
    add("--threads", default=0, type=int, metavar="N", help="threads on the CPU (default: all)")
    add_common(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="log every iteration")
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {styletransfer.__version__}"
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Render one picture."""
    typed = given(options)
    settings = Settings(**typed)
    output = Path(options.output or options.outputs / default_name(options, settings, typed))
    from styletransfer import images

    try:
        images.check_writable(output)
    except ImageError as error:
        raise UsageError(str(error)) from error
    style, content = images.load(options.style_img), images.load(options.content_img)
    from styletransfer.transfer import StyleTransfer

    transfer = StyleTransfer(
        settings.model,
        not options.quiet,
        gpu_id=options.gpu_id,
        models=options.models,
        threads=options.threads,
    )
    interrupted = False
    try:
        transfer.transfer_style(style, content, verbose=options.verbose, **settings.options())
    except KeyboardInterrupt:
        interrupted = True
    if not transfer.has_image:
        raise KeyboardInterrupt
    images.save(output, transfer.get_generated())
    if not options.quiet:
        end = transfer.summary
        print(
            f"{end.iterations} iterations in {end.seconds:.1f} s, stopped because {end.reason};"
            f" loss {end.first_loss:.4g} -> {end.last_loss:.4g}\nsaved {output.resolve()}"
        )
    return INTERRUPTED if interrupted else 0


def default_name(options: argparse.Namespace, settings: Settings, typed: dict[str, object]) -> str:
    """Return the original's name for a result; the ratio and the exponent as typed."""
    ratio = typed.get("ratio", compact(settings.ratio))
    content, style = Path(options.content_img).stem, Path(options.style_img).stem
    model = Path(settings.model).name
    return f"{content}-{style}-{model}-{settings.init}-{ratio}-{settings.n_iter}.jpg"
