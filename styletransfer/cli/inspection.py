"""``styletransfer models classify`` and ``describe``: what a network sees, and what it is."""

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from styletransfer.cli.arguments import add_common, count
from styletransfer.cli.files import check_there, file_path
from styletransfer.cli.messages import say
from styletransfer.errors import StyleTransferError
from styletransfer.settings.choices import NETWORK_NAMES, PAINTERS

if TYPE_CHECKING:
    from styletransfer.jobs.description import LayerFacts, Spread

logger = logging.getLogger(__name__)

_NETWORKS = ", ".join(NETWORK_NAMES)


def add_arguments(add_parser: Callable[..., argparse.ArgumentParser]) -> None:
    """Add both commands, by the `add_parser` of the commands that they are among."""
    classify = add_parser("classify", help="say what a network sees in a photograph")
    classify.add_argument(
        "network", metavar="NETWORK", help=f"{_NETWORKS}, or the folder of a Caffe network"
    )
    classify.add_argument("photo", type=file_path, metavar="PHOTO", help="the photograph")
    classify.add_argument(
        "--top", type=count, default=5, metavar="N", help="how many classes (default: 5)"
    )
    classify.set_defaults(command=_classify)
    describe = add_parser("describe", help="list the layers of a network")
    describe.add_argument(
        "network",
        metavar="NETWORK",
        help=f"{_NETWORKS}, {', '.join(PAINTERS)}, an ONNX file of a network that paints, or the"
        " folder of a Caffe network",
    )
    describe.add_argument(
        "photo",
        nargs="?",
        type=file_path,
        metavar="PHOTO",
        help="a photograph, of which each layer's output and its Gram matrix are described",
    )
    describe.add_argument(
        "-l",
        "--length",
        type=count,
        metavar="N",
        help="longest side of the photograph (default: that of the network's own input)",
    )
    describe.add_argument(
        "--dot", type=Path, metavar="FILE", help="write the graph for Graphviz, too"
    )
    describe.set_defaults(command=_describe)
    for sub in (classify, describe):
        add_common(sub, suppress=True)


def _classify(options: argparse.Namespace) -> int:
    from styletransfer.jobs.classification import classify

    check_there([options.photo])
    for seen in classify(options.network, options.photo, _models(options), options.top):
        label = f"{seen.name} ({seen.synset})" if seen.name else f"class {seen.number}"
        say(f"{seen.probability:8.2%}  {label}")
    return 0


def _describe(options: argparse.Namespace) -> int:
    from styletransfer import storage
    from styletransfer.jobs.description import describe

    check_there([options.photo] if options.photo else [])
    facts, dot = describe(options.network, options.photo, _models(options), options.length)
    for line in _table([_HEAD, *map(_row, facts)]):
        say(line)
    if options.dot is not None:
        try:
            with storage.replacing(options.dot) as stream:
                stream.write(dot.encode())
        except OSError as error:
            raise StyleTransferError(f"{options.dot} cannot be written: {error}") from error
        logger.info("saved %s", options.dot.resolve())
    return 0


_HEAD = (
    "layer",
    "operators",
    "shape",
    "weights",
    "min",
    "max",
    "mean",
    *(f"Gram {what}" for what in ("min", "max", "mean")),
)


def _row(fact: "LayerFacts") -> tuple[str, ...]:
    shape = "x".join(map(str, fact.shape))
    known = (fact.name, "+".join(fact.operators), shape, str(fact.weights or ""))
    return (*known, *_numbers(fact.output), *_numbers(fact.gram))


def _numbers(spread: "Spread | None") -> list[str]:
    if spread is None:
        return [""] * 3
    return [f"{value:.4g}" for value in (spread.least, spread.most, spread.mean)]


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Return rows as lines, without columns that are empty but for their head."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True)
    return [
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _models(options: argparse.Namespace) -> Path | None:
    return None if options.models is None else Path(options.models)
