"""``styletransfer train``: train a network that paints in one pass."""

import argparse
import logging
from pathlib import Path

from styletransfer.cli.arguments import add_common, add_provider
from styletransfer.display import Display
from styletransfer.errors import UsageError
from styletransfer.progress import TrainingProgress

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument_group("what is learnt").add_argument
    add(
        "-c",
        "--conf",
        type=Path,
        metavar="FILE",
        help="the configuration, .yml as hzy46's fast-neural-style-tensorflow has it, or .toml",
    )
    add(
        "--base",
        metavar="NETWORK",
        help="learn one more style, in minutes, for a copy of this trained network: multistyle26,"
        " or a file that `train` wrote",
    )
    add(
        "--all",
        action="store_true",
        help="with --base: learn all of the copy, which keeps the new style only",
    )
    add(
        "-s",
        "--style-img",
        nargs="+",
        action="extend",
        metavar="FILE",
        help="the style; instead of style_image",
    )
    add(
        "--dataset",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="the photographs to learn from, there and in folders in it",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a key of the configuration, before the file's; docs/training.md lists them",
    )
    add = parser.add_argument_group("going on").add_argument
    add(
        "--resume",
        action="store_true",
        help="end unless there is a checkpoint to go on from; without this, go on if there is one",
    )
    add("--restart", action="store_true", help="begin anew and delete the checkpoints there are")
    add = parser.add_argument_group("the machine").add_argument
    add("-g", "--gpu-id", type=int, metavar="N", help="the CUDA device, -1 for the CPU")
    add_provider(add)
    add("--threads", default=0, type=_count, metavar="N", help="threads on the CPU")
    add("--workers", default=0, type=_count, metavar="N", help="threads that read pictures")
    add("--tensorboard", action="store_true", help="write event files for TensorBoard, too")
    add_common(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Train a network, or go on with it."""
    from styletransfer.feedforward import conffile, configuration
    from styletransfer.feedforward.training import ANEW, AUTO, REQUIRED, Training, train

    if options.resume and options.restart:
        raise UsageError("--resume and --restart exclude each other; leave one of them out")
    values = conffile.read(options.conf) if options.conf else {}
    where = str(options.conf) if options.conf else "the configuration"
    configuration.read(values, where)
    values |= conffile.assigned(options.set)
    if options.base is not None:
        values["base"] = options.base
    if options.all:
        values["learns"] = "all"
    if options.style_img:
        values["style_image"] = options.style_img
    training = Training(
        configuration.read(values),
        options.dataset,
        None if options.models is None else Path(options.models),
        options.gpu_id,
        options.threads,
        options.workers,
        ANEW if options.restart else REQUIRED if options.resume else AUTO,
        options.tensorboard,
        options.provider,
    )
    signals = options.signals
    with Display(not options.quiet) as display:

        def tell(step: TrainingProgress) -> None:
            signals.saving = True
            display.show(step)

        result = train(training, tell, signals.stopped)
    if result.steps < result.wanted:
        logger.warning(
            "stopped after step %d of %d; the same command goes on from there",
            result.steps,
            result.wanted,
        )
        return int(signals.code)
    logger.info("saved %s after %d steps", result.network, result.steps)
    if result.style is not None:
        logger.info("its new style is %d: stylize -m FILE --style %d", *[result.style] * 2)
    return 0


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of threads; give 1 or more")
    return number
