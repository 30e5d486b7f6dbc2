"""What an objective is to those who minimise it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


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


class Objective(Protocol):
    """A function of an image that has a gradient."""

    def evaluate(self, image: np.ndarray) -> Evaluation:
        """Return the loss and its gradient at an image (1, 3, H, W), as the network sees it."""
        ...
