"""What an objective is to those who minimise it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from styletransfer.objective.term import Term


@dataclass(frozen=True)
class Evaluation:
    """What an objective is at one image.

    Attributes
    ----------
    loss : float
        The weighted sum of the terms.
    gradient : ndarray
        Its derivative by the image, of the image's shape, float32.
    terms : dict of str to float
        Each term with its weight, by the term's name; the loss is their sum.
    """

    loss: float
    gradient: np.ndarray
    terms: dict[str, float]

    @classmethod
    def of(
        cls, terms: Sequence[Term], values: np.ndarray, weights: np.ndarray, gradient: np.ndarray
    ) -> "Evaluation":
        """Return the evaluation of terms whose values and weights, (T,), are given."""
        # Summed here in float64: the steps between losses soon fall below float32's resolution.
        weighted = weights * values
        names = (term.name for term in terms)
        return cls(
            # A term of no weight changes nothing, not even the order of the sum.
            float(weighted[weights != 0].sum()),
            gradient,
            dict(zip(names, weighted.tolist(), strict=True)),
        )


class Objective(Protocol):
    """A function of an image that has a gradient."""

    def evaluate(self, image: np.ndarray) -> Evaluation:
        """Return the loss and its gradient at an image (1, 3, H, W), as the network sees it."""
        ...
