"""The command line: arguments, messages, exit codes."""

import argparse
import logging
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import styletransfer
from styletransfer.errors import ImageError, StyleTransferError, UsageError

if TYPE_CHECKING:
    from styletransfer.weights import Status

# Nothing heavy is imported up here: --help must come at once.

INTERRUPTED = 130
"""The exit code of a program that Ctrl-C stopped, as shells count."""

NETWORK_NAMES = "vgg16, vgg19, googlenet or caffenet"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command ``styletransfer`` and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.
    """
    parser = _parser()
    return _run(parser.parse_args(arguments))


def main_style(arguments: Sequence[str] | None = None, outputs: Path | None = None) -> int:
    """Run ``style.py``, the original's command, and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.
    outputs : Path, optional
        The folder for results whose path is not given.
    """
    parser = argparse.ArgumentParser(
        prog="style.py", description="Render the content of one image in the style of another."
    )
    _add_image_arguments(parser)
    return _run(parser.parse_args(arguments), outputs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="styletransfer", description="Neural style transfer on ONNX Runtime."
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    image = commands.add_parser(
        "image",
        help="render an image in the style of another",
        description="Render the content of one image in the style of another.",
    )
    _add_image_arguments(image)
    models = commands.add_parser(
        "models",
        help="list, fetch, verify and convert networks",
        description="Without a sub-command: list each network, where it is and where it is from.",
    )
    _add_models_arguments(models)
    return parser


def _add_image_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("-s", "--style-img", required=True, metavar="FILE", help="the style image")
    add("-c", "--content-img", required=True, metavar="FILE", help="the content image")
    add(
        "-g",
        "--gpu-id",
        default=0,
        type=int,
        metavar="N",
        help="the CUDA device, -1 for the CPU; where there is none, the CPU is taken (default: 0)",
    )
    add(
        "-m",
        "--model",
        default="vgg16",
        metavar="NAME",
        help=f"{NETWORK_NAMES}, or a folder with a Caffe network (default: vgg16)",
    )
    add(
        "-i",
        "--init",
        default="content",
        help="the first image: content, mixed, or the exponent of a noise, such as -1 or 0"
        " (default: content)",
    )
    add(
        "-r",
        "--ratio",
        default="1e4",
        help="the weight of the style over that of the content (default: 1e4)",
    )
    add(
        "-n",
        "--num-iters",
        default=512,
        type=int,
        metavar="N",
        help="the most iterations (default: 512)",
    )
    add(
        "-l",
        "--length",
        default=512,
        type=float,
        metavar="PIXELS",
        help="the longest side of the result; the shortest is never below the network's input"
        " size (default: 512)",
    )
    add("-v", "--verbose", action="store_true", help="log each step and iteration")
    add(
        "-o",
        "--output",
        metavar="FILE",
        help="the result, .jpg, .png, .tif or .webp (default: a name of the arguments, in outputs)",
    )
    for kind in ("style", "content"):
        add(
            f"--{kind}-layers",
            nargs="+",
            type=_layer,
            metavar="LAYER[=WEIGHT]",
            help=f"the layers that the {kind} is matched at (default: the network's own)",
        )
    add("--optimizer", default="lbfgsb", help="the minimiser: lbfgsb is SciPy's (default: lbfgsb)")
    add("--seed", type=int, metavar="N", help="makes the noise of a first image repeatable")
    _add_common_arguments(parser)
    add("--version", action="version", version=_version())
    parser.set_defaults(command=_image)


def _add_models_arguments(parser: argparse.ArgumentParser) -> None:
    _add_common_arguments(parser)
    parser.set_defaults(command=_models_list)
    commands = parser.add_subparsers(metavar="COMMAND")
    fetch = commands.add_parser("fetch", help="fetch networks")
    fetch.add_argument("names", nargs="+", metavar="NAME", help=NETWORK_NAMES)
    fetch.add_argument("--source", help="take this source and no other; `models` lists them")
    fetch.set_defaults(command=_models_fetch)
    verify = commands.add_parser("verify", help="check the digests of the networks present")
    verify.add_argument("names", nargs="*", metavar="NAME", help=f"{NETWORK_NAMES}; default: all")
    verify.set_defaults(command=_models_verify)
    convert = commands.add_parser("convert", help="convert a Caffe network to ONNX")
    convert.add_argument("prototxt", help="the network's description")
    convert.add_argument("caffemodel", help="its weights")
    convert.add_argument("onnx", help="the file to write")
    convert.set_defaults(command=_models_convert)
    for sub in (fetch, verify, convert):
        _add_common_arguments(sub, suppress=True)


def _add_common_arguments(parser: argparse.ArgumentParser, suppress: bool = False) -> None:
    """Add what every command takes; `suppress` keeps a sub-command's defaults from winning."""
    default = {"default": argparse.SUPPRESS} if suppress else {}
    add = parser.add_argument
    add(
        "--models",
        metavar="DIR",
        help="the folder with the networks (default: $STYLETRANSFER_MODELS, ./models, or the"
        " user's data folder)",
        **default,
    )
    add("--quiet", action="store_true", help="print nothing but warnings and errors", **default)
    add("--debug", action="store_true", help="show the traceback of an error", **default)


def _layer(text: str) -> tuple[str, float | None]:
    """Parse ``name`` or ``name=weight``."""
    name, equals, weight = text.rpartition("=")
    if not equals:
        return text, None
    try:
        return name, float(weight)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"the weight of {text!r} is no number; write it as {name}=0.5"
        ) from None


def _layers(pairs: Sequence[tuple[str, float | None]] | None) -> dict[str, float] | None:
    """Return the weight of each layer; those without one share 1 evenly."""
    if pairs is None:
        return None
    return {name: 1 / len(pairs) if weight is None else weight for name, weight in pairs}


def _run(options: argparse.Namespace, outputs: Path | None = None) -> int:
    """Carry a command out and turn what goes wrong into one sentence and an exit code."""
    _start_logging(options)
    options.outputs = outputs or Path("outputs")
    try:
        return options.command(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if options.debug:
            raise
        if isinstance(error, StyleTransferError):
            message = str(error)
        elif isinstance(error, MemoryError):
            message = f"the memory is not enough ({error}); try a smaller --length"
        else:
            message = f"{type(error).__name__}: {error} (--debug shows where)"
        print(f"error: {message}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


def _start_logging(options: argparse.Namespace) -> None:
    """Send the package's log to stderr, with --quiet warnings and errors only."""
    logger = logging.getLogger("styletransfer")
    logger.setLevel(logging.WARNING if options.quiet else logging.INFO)
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    logger.handlers = [handler]
    logger.propagate = False


class _Formatter(logging.Formatter):
    """Plain lines, those that warn marked so."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"


def _image(options: argparse.Namespace) -> int:
    """Render one picture."""
    try:
        ratio = float(options.ratio)
    except ValueError:
        raise UsageError(f"--ratio is {options.ratio!r}; give a number such as 1e4") from None
    output = Path(options.output) if options.output else options.outputs / _default_name(options)
    from styletransfer import images

    try:
        images.check_writable(output)
    except ImageError as error:
        raise UsageError(str(error)) from error
    style, content = images.load(options.style_img), images.load(options.content_img)
    from styletransfer.transfer import StyleTransfer

    transfer = StyleTransfer(
        options.model, not options.quiet, gpu_id=options.gpu_id, models=options.models
    )
    interrupted = False
    try:
        transfer.transfer_style(
            style,
            content,
            length=options.length,
            ratio=ratio,
            n_iter=options.num_iters,
            init=options.init,
            verbose=options.verbose,
            style_layers=_layers(options.style_layers),
            content_layers=_layers(options.content_layers),
            optimizer=options.optimizer,
            seed=options.seed,
        )
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


def _default_name(options: argparse.Namespace) -> str:
    """Return the original's name for a result; the ratio and the exponent as typed."""
    content, style = Path(options.content_img).stem, Path(options.style_img).stem
    model = Path(options.model).name
    return f"{content}-{style}-{model}-{options.init}-{options.ratio}-{options.num_iters}.jpg"


def _models_list(options: argparse.Namespace) -> int:
    """List the networks."""
    from styletransfer import weights
    from styletransfer.networks import NETWORKS

    folders = weights.model_directories(options.models)
    for name in NETWORKS:
        print(f"{name}: {_state(weights.status(name, folders))}")
        for source in weights.SOURCES[name]:
            print(f"    source {source.name}: {source.origin} ({source.licence})")
    print(f"looked for in {', '.join(map(str, folders))}")
    return 0


def _state(status: "Status") -> str:
    """Say in a line what there is of a network."""
    if status.problem:
        return f"unusable: {status.problem}"
    if not status.path:
        return "not here; fetched on first use"
    origin = status.provenance
    if not origin:
        return f"{status.path}, converted on first use"
    return (
        f"{status.path}\n    from {origin.source} ({origin.origin}), {origin.identity},"
        f" {origin.precision}, {origin.licence}\n    sha256 of the tensors {origin.weights_digest}"
    )


def _models_fetch(options: argparse.Namespace) -> int:
    """Fetch networks."""
    from styletransfer import weights
    from styletransfer.progress import DownloadDisplay

    folders = weights.model_directories(options.models)
    for name in options.names:
        with nullcontext() if options.quiet else DownloadDisplay() as display:
            progress = display.show if display else None
            status = weights.fetch(name, folders, options.source, _report, progress)
        _report(f"{name}: {_state(status)}")
    return 0


def _models_verify(options: argparse.Namespace) -> int:
    """Check digests; go on after a network that fails."""
    from styletransfer import weights
    from styletransfer.networks import NETWORKS

    folders = weights.model_directories(options.models)
    here = [n for n in NETWORKS if weights.status(n, folders) != weights.Status(n)]
    names = options.names or here
    code = 0
    for name in names:
        try:
            print(f"{name}: good, {_state(weights.verify(name, folders, _report))}")
        except StyleTransferError as error:
            print(f"error: {name}: {error}", file=sys.stderr)
            code = 1
    return code


def _models_convert(options: argparse.Namespace) -> int:
    """Convert a Caffe network to an ONNX file."""
    from styletransfer import caffe, files

    model = caffe.convert(options.prototxt, options.caffemodel)
    files.write(Path(options.onnx), model.SerializeToString())
    _report(f"wrote {options.onnx}")
    return 0


def _report(line: str) -> None:
    logging.getLogger("styletransfer").info(line)


def _version() -> str:
    return f"%(prog)s {styletransfer.__version__}"
