"""What is compared: loss and gradient, by the product and by PyTorch."""

from collections.abc import Callable

import numpy as np

from benchmarks.common import Evaluate, Problem
from styletransfer.objective.losses import Content, Gram
from styletransfer.objective.statistics import statistics
from styletransfer.objective.whole import WholeObjective
from styletransfer.runtime.devices import Device


def ours(given: Problem, convolution: str, threads: int) -> Evaluate:
    """Return the product's loss and gradient."""
    device = Device(threads=threads)
    contents, styles = [Content(x) for x in given.contents], [Gram(x) for x in given.styles]
    targets = statistics(given.model, given.content, contents, device)
    targets |= statistics(given.model, given.style, styles, device)
    objective = WholeObjective(
        given.model, given.content.shape, [*contents, *styles], device, convolution
    )
    objective.bind(targets, [*given.contents.values(), *given.styles.values()])

    def evaluate(image: np.ndarray) -> tuple[float, np.ndarray]:
        evaluation = objective.evaluate(image)
        return evaluation.loss, evaluation.gradient

    return evaluate


def pytorch(given: Problem, threads: int) -> Evaluate:
    """Return the same loss and gradient by PyTorch in eager mode."""
    from benchmarks.eager import objective  # not above: what runs without PyTorch is to weigh less

    return objective(given, threads)


def implementations(given: Problem, threads: int) -> dict[str, Callable[[], Evaluate]]:
    """Return what is compared: makers of evaluations by name."""
    return {
        "PyTorch": lambda: pytorch(given, threads),
        "direct": lambda: ours(given, "direct", threads),
        "auto": lambda: ours(given, "auto", threads),
    }
