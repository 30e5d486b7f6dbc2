"""The loss of `lbfgs` over that of `lbfgsb` after as many evaluations, over networks and pairs.

It counts and does not time, so that it may run on a machine in use.

python -m benchmarks.evaluations --length 256 --case vgg16 cat night 1e4
"""

import numpy as np

from benchmarks.common import Evaluate, Problem, arguments
from benchmarks.implementations import ours
from benchmarks.time_to_loss import same
from styletransfer.optim import minimise

NETWORKS = ("vgg16", "vgg19", "googlenet")
PAIRS = (("cat", "night", "1e4"), ("coffee", "wave", "1e4"), ("rocket", "mosaic", "2e3"))


class _Ended(Exception):
    """There were evaluations enough."""


def course(name: str, evaluate: Evaluate, given: Problem, most: int) -> list[float]:
    """Return the least loss after each evaluation of a minimiser from the content image."""
    losses: list[float] = []

    def counted(image: np.ndarray) -> tuple[float, np.ndarray]:
        if len(losses) == most:
            raise _Ended
        loss, gradient = evaluate(image)
        losses.append(min([loss, *losses[-1:]]))
        return loss, gradient

    try:
        minimise(name, counted, given.content, given.bounds, most, lambda iterate: None)
    except _Ended:
        return losses
    raise ValueError(f"{name} ended after {len(losses)} evaluations, before {most}")


def main() -> None:
    """Print a table."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--case", nargs=4, action="append", help="network, content, style, ratio")
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--after", nargs="+", type=int, default=[20, 40, 70])
    options = parser.parse_args()
    cases = options.case or [(network, *pair) for network in NETWORKS for pair in PAIRS]
    print(f"| {options.length} pixels, after evaluations | {' | '.join(map(str, options.after))} |")
    print("|---|" + "---|" * len(options.after))
    for options.case in cases:
        given = same(options)
        evaluate = ours(given, "auto", options.threads)
        theirs, own = (
            course(name, evaluate, given, max(options.after)) for name in ("lbfgsb", "lbfgs")
        )
        network, content, style, ratio = options.case
        row = [f"{own[n - 1] / theirs[n - 1]:.3f}" for n in options.after]
        title = f"{network}, {content} as {style}, ratio {ratio}"
        print(f"| {title} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
