"""Loss terms as forward graph fragments; their gradients are derived by `onnxgrad`.

A term that matches a picture looks at one layer's features. Its *statistic* (the features
themselves, their Gram matrix, their mean and covariance) is computed from the image under
optimisation and, once, from the picture; its *distance* is the scalar between the two. A term
with a *mask* counts positions by it: a map (1, 1, H, W) of the layer's size, from 0 to 1.

What is published with sums keeps its ½ and ¼, what is published with means has none:
``reduction`` chooses between the two.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from styletransfer.objective import newtonschulz
from styletransfer.onnxgrad import GraphBuilder

FULL_RANGE = 255.0
"""From black to white in the image that a network sees."""

RIDGE = 1e-4
"""Added to the diagonal of covariances: keeps the root of a flat image's defined."""


@dataclass(frozen=True)
class Matching(ABC):
    """A term that compares one layer's features with those of a picture.

    Attributes
    ----------
    layer : str
        The layer whose output is compared.
    picture : str
        What it is compared with; part of the term's name.

    Notes
    -----
    Every kind also has a ``mask``: the name of one, or None.
    """

    layer: str
    picture: str

    @property
    def name(self) -> str:
        """The term's name, unique within one objective."""
        return f"{self.picture}/{self.layer}"

    @abstractmethod
    def statistic(self, graph: GraphBuilder, features: str, mask: str | None = None) -> str:
        """Append what is computed of an image, and return its name.

        Parameters
        ----------
        graph : GraphBuilder
            It gets the nodes.
        features : str
            The layer's output, (1, C, H, W).
        mask : str, optional
            What positions count, (1, 1, H, W), from 0 to 1.
        """

    def target(self, statistic: np.ndarray) -> np.ndarray:
        """Return what `distance` takes as its target, from the picture's statistic."""
        return statistic

    @abstractmethod
    def distance(
        self,
        graph: GraphBuilder,
        features: str,
        statistic: str,
        target: str,
        mask: str | None = None,
    ) -> str:
        """Append the distance to a target, (1,), and return its name.

        Parameters
        ----------
        graph, features, mask
            As for `statistic`.
        statistic : str
            What `statistic` returned.
        target : str
            What `target` returned, of the statistic's shape.
        """


@dataclass(frozen=True)
class Content(Matching):
    """The squared difference of the features themselves.

    Attributes
    ----------
    layer : str
        The layer whose output is compared.
    picture : str
        What is compared with; part of the term's name.
    reduction : {"sum", "mean"}
        ``sum``: ½ Σ (F − F_content)², as in the original. ``mean``: the mean over all elements.
    mask : str, optional
        The name of a mask: each position's square is multiplied by it. It is not normalised, so
        that where it is 1 the term is as without one.

    References
    ----------
    Gatys, Ecker, Bethge: A Neural Algorithm of Artistic Style (2015), equation 1.
    """

    picture: str = "content"
    reduction: Literal["sum", "mean"] = "sum"
    mask: str | None = None

    def statistic(self, graph: GraphBuilder, features: str, mask: str | None = None) -> str:
        """Return the tensor that is compared: the features, (1, C, H, W)."""
        return features

    def distance(
        self,
        graph: GraphBuilder,
        features: str,
        statistic: str,
        target: str,
        mask: str | None = None,
    ) -> str:
        """See `Matching`."""
        difference = graph.op("Sub", statistic, target)
        if mask is not None:
            difference = graph.op("Mul", difference, graph.op("Sqrt", mask))
        factor = 0.5 if self.reduction == "sum" else 1 / prod(graph.shape(features))
        return _scaled_sum_of_squares(graph, difference, factor)


@dataclass(frozen=True)
class Gram(Matching):
    """The squared difference of Gram matrices F Fᵀ, F being the features as (C, M), M = H·W.

    Attributes
    ----------
    layer : str
        The layer whose output's channels are correlated.
    picture : str
        Whose Gram matrix is matched; part of the term's name.
    normalization : {"caffe", "hw", "chw"}
        What each Gram matrix is divided by: ``hw`` its M, ``chw`` its C M, each of its own image.
        ``caffe``: nothing; the distance is divided by C² M² instead, those of the image under
        optimisation even where the style image has another size: so does the original.
    reduction : {"sum", "mean"}
        ``sum``: ¼ of the sum over the C² elements, as in the original. ``mean``: their mean.
    mask : str, optional
        The name of a mask: positions are weighted by it, and what is divided by is as if the
        region filled the image: Σ mask F Fᵀ · M / Σ mask stands for F Fᵀ. Then regions of any
        size compare with a style image as a whole image does.

    References
    ----------
    Gatys, Ecker, Bethge: A Neural Algorithm of Artistic Style (2015), equations 3 and 4.
    Gatys et al.: Controlling Perceptual Factors in Neural Style Transfer (2017), for masks.
    """

    picture: str = "style"
    normalization: Literal["caffe", "hw", "chw"] = "caffe"
    reduction: Literal["sum", "mean"] = "sum"
    mask: str | None = None

    def statistic(self, graph: GraphBuilder, features: str, mask: str | None = None) -> str:
        """Return the Gram matrix, (C, C), divided by what the normalisation says."""
        flat = _flat(graph, features)
        channels, positions = graph.shape(flat)
        if mask is not None:
            flat = graph.op("Mul", flat, graph.op("Sqrt", _weights(graph, mask)))
        count = {"caffe": 1, "hw": positions, "chw": channels * positions}[self.normalization]
        return graph.op("Gemm", flat, flat, transB=1, alpha=1 / count)

    def distance(
        self,
        graph: GraphBuilder,
        features: str,
        statistic: str,
        target: str,
        mask: str | None = None,
    ) -> str:
        """See `Matching`."""
        _, channels, height, width = graph.shape(features)
        factor = 0.25 if self.reduction == "sum" else 1 / channels**2
        if self.normalization == "caffe":
            factor /= (channels * height * width) ** 2
        difference = graph.op("Sub", statistic, target)
        return _scaled_sum_of_squares(graph, difference, factor)


@dataclass(frozen=True)
class Wasserstein(Matching):
    """The squared 2-Wasserstein distance of the features, taken as normally distributed.

    With means μ and covariances Σ of the C channels over positions,
    (|μ − μₛ|² + tr(Σ + Σₛ − 2 (Σₛ^½ Σ Σₛ^½)^½)) / C.

    Attributes
    ----------
    layer : str
        The layer whose output's distribution is matched.
    picture : str
        Whose distribution is matched; part of the term's name.
    mask : str, optional
        The name of a mask: positions are weighted by it.

    Notes
    -----
    The style side's root is taken once, by its eigenvalues, in `target`; that of the product at
    each evaluation, by `newtonschulz`. Σ has `RIDGE` added to its diagonal.

    References
    ----------
    Dowson, Landau: The Fréchet distance between multivariate normal distributions (1982).
    Crowson: style-transfer-pytorch, where the division by C and the ridge come from.
    """

    picture: str = "style"
    mask: str | None = None

    def statistic(self, graph: GraphBuilder, features: str, mask: str | None = None) -> str:
        """Return covariance and mean side by side, (C, C + 1)."""
        flat = _flat(graph, features)
        channels, positions = graph.shape(flat)
        weights = None if mask is None else _weights(graph, mask)
        weighted = flat if weights is None else graph.op("Mul", flat, weights)
        axis = graph.constant(np.array([1], np.int64))
        mean = graph.op("ReduceMean", weighted, axis, keepdims=1)
        centred = graph.op("Sub", flat, mean)
        if weights is not None:
            centred = graph.op("Mul", centred, graph.op("Sqrt", weights))
        identity = graph.constant(np.eye(channels, dtype=graph.dtype(features)), "identity")
        factors = {"alpha": 1 / positions, "beta": RIDGE}
        covariance = graph.op("Gemm", centred, centred, identity, transB=1, **factors)
        return graph.op("Concat", covariance, mean, axis=1)

    def target(self, statistic: np.ndarray) -> np.ndarray:
        """Return the covariance's root and the mean side by side, (C, C + 1)."""
        values, vectors = np.linalg.eigh(statistic[:, :-1].astype(np.float64))
        root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
        return np.column_stack([root, statistic[:, -1]]).astype(statistic.dtype)

    def distance(
        self,
        graph: GraphBuilder,
        features: str,
        statistic: str,
        target: str,
        mask: str | None = None,
    ) -> str:
        """See `Matching`."""
        channels = graph.shape(features)[1]
        dtype = graph.dtype(features)
        parts = graph.constant(np.array([channels, 1], np.int64))
        covariance, mean = graph.ops("Split", statistic, parts, outputs=2, axis=1)
        root, style_mean = graph.ops("Split", target, parts, outputs=2, axis=1)
        shift = _sum_of_squares(graph, graph.op("Sub", mean, style_mean))
        product = graph.op("MatMul", graph.op("MatMul", root, covariance), root)
        cross = newtonschulz.trace_of_root(graph, product)
        cross = graph.op("Mul", cross, graph.constant(np.array([-2], dtype)))
        own = newtonschulz.trace(graph, covariance)
        total = graph.op("Sum", shift, own, _sum_of_squares(graph, root), cross)
        return graph.op("Mul", total, graph.constant(np.array([1 / channels], dtype)))


@dataclass(frozen=True)
class TotalVariation:
    """How much neighbouring pixels differ, in units of the full range from black to white.

    Attributes
    ----------
    kind : {"l1", "l2", "nine-point"}
        ``l1``: Σ |right − here| + Σ |below − here|, as ``tf.image.total_variation``. ``l2``: the
        sum of the squares of the same differences. ``nine-point``: a mean of squares over both
        axes and both diagonals, the edge repeated outwards, as style-transfer-pytorch has it:
        ⅔ of the mean for each axis, ⅙ for each diagonal.

    Notes
    -----
    In these units the weights are those published for images in [0, 1]. One published for an
    image in 0..255 becomes 255 times as large for ``l1``, and 255² times for squares.

    References
    ----------
    Mahendran, Vedaldi: Understanding Deep Image Representations by Inverting Them (2015).
    """

    kind: Literal["l1", "l2", "nine-point"] = "l1"
    layer: str = "data"

    @property
    def name(self) -> str:
        """The term's name, unique within one objective."""
        return "total variation"

    def value(self, graph: GraphBuilder, image: str) -> str:
        """Return the total variation of an image (1, 3, H, W), (1,).

        Parameters
        ----------
        graph : GraphBuilder
            It gets the nodes.
        image : str
            The tensor.
        """
        if self.kind == "nine-point":
            return self._nine_point(graph, image)
        _, _, height, width = graph.shape(image)
        right = _difference(graph, image, (0, 1), (0, 0), (height, width - 1))
        below = _difference(graph, image, (1, 0), (0, 0), (height - 1, width))
        if self.kind == "l2":
            squares = [_sum_of_squares(graph, difference) for difference in (right, below)]
            return _scaled(graph, graph.op("Add", *squares), FULL_RANGE**-2)
        sums = [_sum(graph, graph.op("Abs", difference)) for difference in (right, below)]
        return _scaled(graph, graph.op("Add", *sums), 1 / FULL_RANGE)

    def _nine_point(self, graph: GraphBuilder, image: str) -> str:
        _, _, height, width = graph.shape(image)
        padded = _edge_repeated(graph, _edge_repeated(graph, image, 2), 3)
        whole, wider = (height, width), (height + 1, width + 1)
        terms = []
        for share, there, here, size in (
            (2 / 3, (1, 2), (1, 1), whole),
            (2 / 3, (2, 1), (1, 1), whole),
            (1 / 6, (1, 1), (0, 0), wider),
            (1 / 6, (1, 0), (0, 1), wider),
        ):
            difference = _difference(graph, padded, there, here, size)
            count = prod(graph.shape(difference))
            factor = share / count / FULL_RANGE**2
            terms.append(_scaled_sum_of_squares(graph, difference, factor))
        return graph.op("Sum", *terms)


Term = Matching | TotalVariation


def _flat(graph: GraphBuilder, features: str) -> str:
    """Return features (1, C, H, W) as (C, H W)."""
    _, channels, height, width = graph.shape(features)
    shape = np.array([channels, height * width], np.int64)
    return graph.op("Reshape", features, graph.constant(shape))


def _weights(graph: GraphBuilder, mask: str) -> str:
    """Return a mask as weights of positions whose mean is 1, (1, H W)."""
    flat = graph.op("Reshape", mask, graph.constant(np.array([1, -1], np.int64)))
    return graph.op("Div", flat, graph.op("ReduceMean", flat, keepdims=1))


def _sum(graph: GraphBuilder, values: str, operator: str = "ReduceSum") -> str:
    """Return the sum over all elements, (1,), added up in two steps.

    In one, float32 loses the sixth digit of a hundred thousand summands: the runtime adds them
    one after the other.
    """
    shape = graph.shape(values)
    cuts = [(prod(shape[:axis]), prod(shape[axis:])) for axis in range(len(shape) + 1)]
    rows, columns = min(cuts, key=max)
    table = graph.op("Reshape", values, graph.constant(np.array([rows, columns], np.int64)))
    axis = graph.constant(np.array([1], np.int64))
    return graph.op("ReduceSum", graph.op(operator, table, axis, keepdims=0))


def _sum_of_squares(graph: GraphBuilder, values: str) -> str:
    return _sum(graph, values, "ReduceSumSquare")


def _scaled(graph: GraphBuilder, value: str, factor: float) -> str:
    return graph.op("Mul", value, graph.constant(np.array([factor], graph.dtype(value))))


def _scaled_sum_of_squares(graph: GraphBuilder, values: str, factor: float) -> str:
    """Return factor · Σ values², of shape (1,)."""
    return _scaled(graph, _sum_of_squares(graph, values), factor)


def _difference(
    graph: GraphBuilder,
    image: str,
    there: tuple[int, int],
    here: tuple[int, int],
    size: tuple[int, int],
) -> str:
    """Return one box of an image less another, each `size` from its upper left corner on."""
    return graph.op("Sub", _box(graph, image, there, size), _box(graph, image, here, size))


def _box(graph: GraphBuilder, image: str, corner: tuple[int, int], size: tuple[int, int]) -> str:
    ends = [start + length for start, length in zip(corner, size, strict=True)]
    bounds = (graph.constant(np.array(b, np.int64)) for b in (corner, ends, (2, 3)))
    return graph.op("Slice", image, *bounds)


def _edge_repeated(graph: GraphBuilder, image: str, axis: int) -> str:
    """Return an image one element longer at both ends of an axis, the same as at its edge."""
    length = graph.shape(image)[axis]
    first, last = (
        graph.op("Slice", image, *(graph.constant(np.array([n], np.int64)) for n in bounds))
        for bounds in ((0, 1, axis), (length - 1, length, axis))
    )
    return graph.op("Concat", first, image, last, axis=axis)
