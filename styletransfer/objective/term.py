"""What a loss term is: sums over positions of a layer, and the distance that is made of them.

The features of a layer give a *statistic*, which is a sum over positions, so that those of the
parts of an image add up to that of the whole. The sum is *finished*, a covariance made of moments
say, and the *distance* is made of it and of the target.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import prod
from typing import ClassVar, NamedTuple

import numpy as np

from styletransfer.onnxgrad import GraphBuilder


class Sides(NamedTuple):
    """Which sides of a part of an image are the image's own.

    Where the lower or the right one is not, the last row or column belongs to the part that comes
    next, and is there for what is between it and the one before.
    """

    top: bool = True
    left: bool = True
    bottom: bool = True
    right: bool = True


WHOLE = Sides()


@dataclass(frozen=True)
class Part:
    """The positions that a statistic is summed over: all of a layer, or those of one tile.

    Attributes
    ----------
    features : str
        The layer's output there, (1, C, h, w).
    whole : tuple of int
        Height and width of the layer in the whole image.
    weights : str, optional
        What each position counts, (1, 1, h, w), from `Matching.weights`; without, all the same.
    reference : str, optional
        What is taken off the features before anything else, where a term says so.
    sides : Sides
        Read by terms about neighbouring positions only.
    share : float, optional
        How much of what is added once for the whole image is added here; by default as much as
        the part has of its positions. Parts that overlap, where weights are 0, need it.
    """

    features: str
    whole: tuple[int, int]
    weights: str | None = None
    reference: str | None = None
    sides: Sides = WHOLE
    share: float | None = None

    @classmethod
    def entire(cls, graph: GraphBuilder, features: str) -> "Part":
        """Return all positions of a layer."""
        _, _, height, width = graph.shape(features)
        return cls(features, (height, width))

    @property
    def count(self) -> int:
        """How many positions the layer has in the whole image."""
        return prod(self.whole)


@dataclass(frozen=True)
class Term(ABC):
    """A loss of what one layer, or the image, is like."""

    layer: str

    @property
    @abstractmethod
    def name(self) -> str:
        """The term's name, unique within one objective."""

    @abstractmethod
    def statistic(self, graph: GraphBuilder, part: Part) -> str:
        """Append what is summed over the positions of a part, and return its name."""

    def finish(self, graph: GraphBuilder, statistic: str, reference: str | None = None) -> str:
        """Append what is made of the sum over the whole image, taken with a reference or not."""
        return statistic

    @abstractmethod
    def distance(
        self, graph: GraphBuilder, finished: str, target: str | None, whole: tuple[int, int]
    ) -> str:
        """Append the term's value, (1,), given what `finish` returned and `Part.whole`.

        There is no target for a term that matches nothing, or whose statistic has seen it.
        """


@dataclass(frozen=True)
class Matching(Term):
    """A term that compares one layer's features with those of a picture.

    Attributes
    ----------
    layer : str
        The layer whose output is compared.
    picture : str
        What it is compared with; part of the term's name.
    mask : str, optional
        The name of a mask of what positions count, from 0 to 1.
    """

    # Whether features are compared position by position: `Part.reference` is then the target.
    pointwise: ClassVar[bool] = False
    # Whether parts are taken about a common `Part.reference`, (C, 1), near to what `centre` gives.
    centred: ClassVar[bool] = False

    picture: str
    mask: str | None = field(default=None, kw_only=True)

    @property
    def name(self) -> str:
        """The term's name, unique within one objective."""
        return f"{self.picture}/{self.layer}"

    def weights(self, graph: GraphBuilder, mask: str) -> str:
        """Append what each position counts, given a mask (1, 1, H, W) of the whole layer.

        Their mean is 1, so that regions of any size compare with a picture as a whole image does.
        """
        return graph.op("Div", mask, graph.op("ReduceMean", mask, keepdims=1))

    def centre(self, statistic: np.ndarray) -> np.ndarray:
        """Return the best reference, of a statistic about any other; for centred terms only."""
        raise NotImplementedError

    def of_picture(self, graph: GraphBuilder, features: str) -> str:
        """Append what is kept of the picture, from its features (1, C, H, W)."""
        return self.finish(graph, self.statistic(graph, Part.entire(graph, features)))

    def target(self, value: np.ndarray) -> np.ndarray:
        """Return the target, of the value that `of_picture` has."""
        return value
