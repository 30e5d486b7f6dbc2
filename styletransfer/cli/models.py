"""``styletransfer models``: list, fetch, verify and convert networks."""

import argparse
import logging
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from styletransfer.cli.arguments import add_common
from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.settings import NETWORK_NAMES

if TYPE_CHECKING:
    from styletransfer.weights import Status

logger = logging.getLogger(__name__)

_NAMES = ", ".join(NETWORK_NAMES)


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
    for sub in (fetch, verify, convert):
        add_common(sub, suppress=True)


def _list(options: argparse.Namespace) -> int:
    from styletransfer import weights
    from styletransfer.networks import NETWORKS

    folders = weights.model_directories(options.models)
    for name in NETWORK_NAMES:
        print(f"{name}: {_state(weights.status(name, folders))}")
        for source in weights.SOURCES[name]:
            print(
                f"    source {source.name}: {source.origin}, {source.megabytes} MB,"
                f" {source.precision} ({source.licence})"
            )
        stand_in = weights.read_shipped(NETWORKS[name])
        if stand_in is not None:
            place, _, origin = stand_in
            print(
                f"    where none of these is reachable: {place}, {origin.identity},"
                f" {origin.precision} ({origin.licence})"
            )
    print(f"looked for in {', '.join(map(str, folders))}")
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from styletransfer import weights
    from styletransfer.progress import DownloadDisplay

    folders = weights.model_directories(options.models)
    for name in options.names:
        with nullcontext() if options.quiet else DownloadDisplay() as display:
            progress = display.show if display else None
            status = weights.fetch(name, folders, options.source, logger.info, progress)
        logger.info("%s: %s", name, _state(status))
    return 0


def _verify(options: argparse.Namespace) -> int:
    """Check digests; go on after a network that fails."""
    from styletransfer import weights

    folders = weights.model_directories(options.models)
    here = [n for n in NETWORK_NAMES if weights.status(n, folders) != weights.Status(n)]
    if not (options.names or here):
        print(f"there are no networks in {', '.join(map(str, folders))}")
    code = 0
    for name in options.names or here:
        try:
            status = weights.verify(name, folders, logger.info)
        except StyleTransferError as error:
            print(f"error: {name}: {error}", file=sys.stderr)
            code = 1
        else:
            print(f"{name}: good, {_state(status)}")
    return code


def _convert(options: argparse.Namespace) -> int:
    from styletransfer import caffe
    from styletransfer import storage as files

    for given in (options.prototxt, options.caffemodel):
        if options.onnx.exists() and Path(given).exists() and options.onnx.samefile(given):
            raise UsageError(f"{options.onnx} is what is converted: give another file to write")
    model = caffe.convert(options.prototxt, options.caffemodel)
    try:
        with files.replacing(options.onnx) as stream:
            stream.write(model.SerializeToString())
    except OSError as error:
        raise StyleTransferError(f"{options.onnx} cannot be written: {error}") from error
    logger.info("saved %s", options.onnx.resolve())
    return 0


def _state(status: "Status") -> str:
    """Say in a few lines what there is of a network."""
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
