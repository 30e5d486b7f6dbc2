"""``styletransfer export``: a trained network for other programs."""

import argparse
import logging
import re
from pathlib import Path

from styletransfer.cli.arguments import add_common
from styletransfer.errors import UsageError

logger = logging.getLogger(__name__)

_LARGEST = 1 << 15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("file", type=Path, help="a network or a checkpoint that `train` wrote")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="(default: FILE-export.onnx)"
    )
    parser.add_argument(
        "--fp16", action="store_true", help="weights of 16 bits, which halves the file"
    )
    parser.add_argument(
        "--size", type=_size, metavar="HxW", help="for pictures of this height and width alone"
    )
    parser.add_argument(
        "--opset",
        type=int,
        metavar="N",
        help="of ONNX's operators: 11 to 23, with --size from 7 (default: 18)",
    )
    add_common(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Write a network anew."""
    from styletransfer.feedforward import trained
    from styletransfer.onnxgrad.builder import OPSET

    source = options.file
    output = options.output or source.with_name(f"{source.stem}-export.onnx")
    if output.exists() and source.exists() and output.samefile(source):
        raise UsageError(f"{output} is what is exported; give another -o")
    network = trained.read(source)
    opset = OPSET if options.opset is None else options.opset
    trained.save(output, network, half=options.fp16, size=options.size, opset=opset)
    logger.info("saved %s", output.resolve())
    return 0


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", text)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 0 < min(size) <= max(size) <= _LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; give height and width: 720x1280")
    return size
