"""``styletransfer models``: list, fetch, verify, convert networks; see also `inspection`."""

import argparse
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from styletransfer.cli import inspection
from styletransfer.cli.arguments import add_common, add_machine
from styletransfer.cli.messages import complain, say
from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.settings.choices import CLASSIFIER_NAMES, NETWORK_NAMES, PAINTERS, SAMPLES

if TYPE_CHECKING:
    from styletransfer.weights import Status

logger = logging.getLogger(__name__)

_ALL = (*NETWORK_NAMES, *PAINTERS)
_NAMES = ", ".join((*_ALL, *CLASSIFIER_NAMES))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``styletransfer models``."""
    add_common(parser)
    parser.set_defaults(command=_list)
    commands = parser.add_subparsers(metavar="COMMAND")
    fetch = commands.add_parser("fetch", help="fetch networks")
    fetch.add_argument("names", nargs="+", metavar="NAME", help=_NAMES)
    fetch.add_argument("--source", help="take this source and no other; `models` lists them")
    fetch.set_defaults(command=_fetch)
    verify = commands.add_parser("verify", help="check the digests of the networks present")
    verify.add_argument("names", nargs="*", metavar="NAME", help=f"{_NAMES} (default: all)")
    verify.set_defaults(command=_verify)
    convert = commands.add_parser("convert", help="convert a Caffe network to ONNX")
    convert.add_argument("prototxt", help="the network's description")
    convert.add_argument("caffemodel", help="its weights")
    convert.add_argument("onnx", type=Path, help="the file to write")
    convert.set_defaults(command=_convert)
    inspection.add_arguments(commands.add_parser)
    check = commands.add_parser(
        "check", help="compare what a provider computes with what the CPU computes"
    )
    check.add_argument(
        "name",
        nargs="?",
        default="googlenet",
        metavar="NETWORK",
        help=f"{', '.join(NETWORK_NAMES)}, or a folder with a Caffe network (default: googlenet)",
    )
    add_machine(check)
    check.set_defaults(command=_check)
    for sub in (fetch, verify, convert, check):
        add_common(sub, suppress=True)


def _list(options: argparse.Namespace) -> int:
    from styletransfer import weights
    from styletransfer.networks import NETWORKS

    folders = weights.model_directories(options.models)
    published = weights.SOURCES | {name: (source,) for name, source in weights.READY.items()}
    for name in _ALL:
        for line in _state(f"{name}:", weights.status(name, folders)):
            say(line)
        for source in published[name]:
            say(
                f"    source {source.name}: {source.origin}, {source.megabytes} MB,"
                f" {source.precision} ({source.licence})"
            )
        stand_in = weights.read_shipped(NETWORKS[name]) if name in NETWORKS else None
        if stand_in is not None:
            place, _, origin = stand_in
            say(
                f"    where none of these is reachable: {place}, {origin.identity},"
                f" {origin.precision} ({origin.licence})"
            )
    samples = weights.shipped_path(SAMPLES)
    if samples is not None:
        say(f"{SAMPLES}: {samples}")
        say("    made by this project of multistyle26 and of its sample pictures (Apache-2.0)")
    for name in CLASSIFIER_NAMES:  # hundreds of megabytes, which are not read for a list
        kept = weights.kept(name, folders)
        say(f"{name}: {kept or 'not here; fetched on request'}")
        for source in published[name]:
            say(f"    source {source.name}: {source.origin}, {source.megabytes} MB")
    say(f"looked for in {', '.join(map(str, folders))}")
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from styletransfer import weights
    from styletransfer.display import Display

    folders = weights.model_directories(options.models)
    for name in options.names:
        with Display(not options.quiet) as display:
            status = weights.fetch(name, folders, options.source, logger.info, display.show)
        for line in _state(f"{name}:", status):
            logger.info("%s", line)
    return 0


def _verify(options: argparse.Namespace) -> int:
    """Check digests; go on after a network that fails."""
    from styletransfer import weights

    folders = weights.model_directories(options.models)
    here = [n for n in _ALL if weights.status(n, folders) != weights.Status(n)]
    here += [n for n in CLASSIFIER_NAMES if weights.kept(n, folders)]
    if not (options.names or here):
        say(f"there are no networks in {', '.join(map(str, folders))}")
    code = 0
    for name in options.names or here:
        try:
            status = weights.verify(name, folders, logger.info)
        except StyleTransferError as error:
            complain(error, name)
            code = 1
        else:
            for line in _state(f"{name}: good,", status):
                say(line)
    return code


def _convert(options: argparse.Namespace) -> int:
    from styletransfer import caffe, storage

    for given in (options.prototxt, options.caffemodel):
        if all(map(os.path.exists, (options.onnx, given))) and options.onnx.samefile(given):
            raise UsageError(f"{options.onnx} is what is converted: give another file to write")
    model = caffe.convert(options.prototxt, options.caffemodel)
    try:
        with storage.replacing(options.onnx) as stream:
            stream.write(model.SerializeToString())
    except OSError as error:
        raise StyleTransferError(f"{options.onnx} cannot be written: {error}") from error
    logger.info("saved %s", options.onnx.resolve())
    return 0


def _check(options: argparse.Namespace) -> int:
    """Say how far loss and gradient of a small problem are off; 1 where that is too far."""
    from styletransfer.display import Display
    from styletransfer.runtime.devices import choose_device
    from styletransfer.transfer.comparison import compare
    from styletransfer.weights.loading import load_network

    device, reason = choose_device(options.gpu_id, options.threads or 0, options.provider)
    if reason:
        logger.warning("it is the CPU that is compared: %s", reason)
    with Display(not options.quiet) as display:
        network = load_network(options.name, options.models, logger.info, display.show)
    found = compare(network, device)
    for image, difference in found.items():
        say(
            f"{options.name} on {device}, near {image}: loss off by {difference.loss:.1e},"
            f" gradient by {difference.gradient:.1e} of its norm"
        )
    if all(difference.small for difference in found.values()):
        say(f"{device} computes as the CPU does")
        return 0
    raise StyleTransferError(
        f"{device} is too far off: pictures made on it are others than the CPU's, and worse where"
        " the gradient is off by more than its norm"
    )


def _state(start: str, status: "Status") -> list[str]:
    """Say in a few lines, the first of which begins so, what there is of a network."""
    if status.problem:
        return [f"{start} unusable: {status.problem}"]
    if not status.path:
        return [f"{start} not here; fetched on first use"]
    origin = status.provenance
    if not origin:
        return [f"{start} {status.path}, converted on first use"]
    digest = f"sha256 of the tensors {origin.weights_digest}"
    if not origin.weights_digest:
        digest = f"digest of the file {origin.file_digest}"
    return [
        f"{start} {status.path}",
        f"    from {origin.source} ({origin.origin}), {origin.identity}, {origin.precision},"
        f" {origin.licence}",
        f"    {digest}",
    ]
