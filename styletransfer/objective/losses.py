"""Loss terms as forward graph fragments; their gradients are derived by `onnxgrad`.

What is published with sums keeps its ½ and ¼, what is published with means has none:
``reduction`` chooses between the two.
"""

from dataclasses import dataclass, field
from math import prod
from typing import ClassVar

import numpy as np

from styletransfer.caffe.layers import INPUT
from styletransfer.errors import NetworkError
from styletransfer.objective import newtonschulz
from styletransfer.objective.term import Matching, Part, Term
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.settings.choices import Normalization, Reduction, Variation

FULL_RANGE = 255.0
"""From black to white in the image that a network sees."""

RIDGE = 1e-4
"""Added to the diagonal of covariances: keeps the root of a flat image's defined."""


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

    pointwise: ClassVar[bool] = True

    picture: str = "content"
    reduction: Reduction = "sum"

    def weights(self, graph: GraphBuilder, mask: str) -> str:
        """Return the mask as it is."""
        return mask

    def statistic(self, graph: GraphBuilder, part: Part) -> str:
        """Return the distance itself, a sum over positions; the reference is the target."""
        if part.reference is None:
            raise ValueError("features are compared with a reference, and there is none")
        difference = graph.op("Sub", part.features, part.reference)
        if part.weights is not None:
            difference = graph.op("Mul", difference, graph.op("Sqrt", part.weights))
        channels = graph.shape(part.features)[1]
        factor = 0.5 if self.reduction == "sum" else 1 / (channels * part.count)
        return _scaled_sum_of_squares(graph, difference, factor)

    def distance(
        self, graph: GraphBuilder, finished: str, target: str | None, whole: tuple[int, int]
    ) -> str:
        """Return the statistic."""
        return finished

    def of_picture(self, graph: GraphBuilder, features: str) -> str:
        """Return the features themselves."""
        return features


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
    normalization: Normalization = "caffe"
    reduction: Reduction = "sum"

    def statistic(self, graph: GraphBuilder, part: Part) -> str:
        """Return the Gram matrix, (C, C), divided by what the normalisation says."""
        flat = _flat(graph, part.features)
        if part.weights is not None:
            flat = graph.op("Mul", flat, graph.op("Sqrt", _row(graph, part.weights)))
        channels = graph.shape(flat)[0]
        count = {"caffe": 1, "hw": part.count, "chw": channels * part.count}[self.normalization]
        return graph.op("Gemm", flat, flat, transB=1, alpha=1 / count)

    def distance(
        self, graph: GraphBuilder, finished: str, target: str | None, whole: tuple[int, int]
    ) -> str:
        """See `Term`."""
        channels = graph.shape(finished)[0]
        factor = 0.25 if self.reduction == "sum" else 1 / channels**2
        if self.normalization == "caffe":
            factor /= (channels * prod(whole)) ** 2
        difference = graph.op("Sub", finished, _given(target))
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

    Moments about any reference r that is the same for all parts add up, Σ being those of second
    order less (μ − r)(μ − r)ᵀ. In float32 that is as exact as taking them about the mean, if r is
    not far from it. Raw moments, r = 0, are with features of VGG and GoogLeNet (the loss to 1e-5,
    its gradient to 2e-3, either way), but not of an image all of one colour: there the rounding
    exceeds the ridge, Σ has eigenvalues below 0, and the iteration for the root diverges. So it
    does about the style's mean where an image is far from the style. Hence a whole image's moments
    are about its own mean, and those of parts about one that was near it.

    References
    ----------
    Dowson, Landau: The Fréchet distance between multivariate normal distributions (1982).
    Crowson: style-transfer-pytorch, where the division by C and the ridge come from.
    """

    centred: ClassVar[bool] = True

    picture: str = "style"

    def centre(self, statistic: np.ndarray) -> np.ndarray:
        """Return the mean."""
        return statistic[:, -1:]

    def statistic(self, graph: GraphBuilder, part: Part) -> str:
        """Return moments about the reference and the mean side by side, (C, C + 1).

        The reference is a vector (C, 1); for all of an image it may be left out, and is the mean.
        """
        flat = _flat(graph, part.features)
        channels, positions = graph.shape(flat)
        share = positions / part.count
        ridge = RIDGE * (share if part.share is None else part.share)
        if part.reference is None and share != 1:
            raise ValueError("the moments of a part are about a reference, and there is none")
        weights = None if part.weights is None else _row(graph, part.weights)
        weighted = flat if weights is None else graph.op("Mul", flat, weights)
        axes = graph.integers([1], "axes")
        if share == 1:
            mean = graph.op("ReduceMean", weighted, axes, keepdims=1)
        else:
            total = graph.op("ReduceSum", weighted, axes, keepdims=1)
            mean = graph.op("Div", total, graph.scalar(part.count, total))
        centred = graph.op("Sub", flat, part.reference or mean)
        if weights is not None:
            centred = graph.op("Mul", centred, graph.op("Sqrt", weights))
        identity = graph.constant(np.eye(channels, dtype=graph.dtype(flat)), "identity")
        # The parts of an image add a ridge each.
        moments = graph.op(
            "Gemm", centred, centred, identity, transB=1, alpha=1 / part.count, beta=ridge
        )
        return graph.op("Concat", moments, mean, axis=1)

    def finish(self, graph: GraphBuilder, statistic: str, reference: str | None = None) -> str:
        """Return covariance and mean side by side, (C, C + 1)."""
        if reference is None:
            return statistic
        moments, mean = _halves(graph, statistic)
        shift = graph.op("Sub", mean, reference)
        covariance = graph.op("Gemm", shift, shift, moments, transB=1, alpha=-1.0)
        return graph.op("Concat", covariance, mean, axis=1)

    def target(self, value: np.ndarray) -> np.ndarray:
        """Return the covariance's root and the mean side by side, (C, C + 1)."""
        if not np.isfinite(value).all():
            raise NetworkError(
                "what the network makes of the style is not finite; check its weights"
            )
        values, vectors = np.linalg.eigh(value[:, :-1].astype(np.float64))
        root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
        return np.column_stack([root, value[:, -1]]).astype(value.dtype)

    def distance(
        self, graph: GraphBuilder, finished: str, target: str | None, whole: tuple[int, int]
    ) -> str:
        """See `Term`."""
        covariance, mean = _halves(graph, finished)
        root, style_mean = _halves(graph, _given(target))
        shift = _sum_of_squares(graph, graph.op("Sub", mean, style_mean))
        product = graph.op("MatMul", graph.op("MatMul", root, covariance), root)
        cross = _scaled(graph, newtonschulz.trace_of_root(graph, product), -2)
        own = newtonschulz.trace(graph, covariance)
        total = graph.op("Sum", shift, own, _sum_of_squares(graph, root), cross)
        return _scaled(graph, total, 1 / graph.shape(covariance)[0])


@dataclass(frozen=True)
class TotalVariation(Term):
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

    layer: str = field(default=INPUT, kw_only=True)
    kind: Variation = "l1"

    @property
    def name(self) -> str:
        """The term's name, unique within one objective."""
        return "total variation"

    def statistic(self, graph: GraphBuilder, part: Part) -> str:
        """Return the total variation itself, which is a sum over positions."""
        if self.kind == "nine-point":
            return self._nine_point(graph, part)
        image = part.features
        _, _, height, width = graph.shape(image)
        rows, columns = _own_size(graph, part)
        right = _difference(graph, image, (0, 1), (0, 0), (rows, width - 1))
        below = _difference(graph, image, (1, 0), (0, 0), (height - 1, columns))
        if self.kind == "l2":
            squares = [_sum_of_squares(graph, difference) for difference in (right, below)]
            return _scaled(graph, graph.op("Add", *squares), FULL_RANGE**-2)
        sums = [_sum(graph, graph.op("Abs", difference)) for difference in (right, below)]
        return _scaled(graph, graph.op("Add", *sums), 1 / FULL_RANGE)

    def _nine_point(self, graph: GraphBuilder, part: Part) -> str:
        rows, columns = _own_size(graph, part)
        sides = part.sides
        padded = _edge_repeated(graph, part.features, 2, sides.top, sides.bottom)
        padded = _edge_repeated(graph, padded, 3, sides.left, sides.right)
        # Where the first pixel is now; the diagonals begin before it.
        top, left = int(sides.top), int(sides.left)
        own, wider = (rows, columns), (rows + top, columns + left)
        channels = graph.shape(padded)[1]
        straight = channels * part.count
        diagonal = channels * (part.whole[0] + 1) * (part.whole[1] + 1)
        terms = []
        for share, count, there, here, size in (
            (2 / 3, straight, (top, left + 1), (top, left), own),
            (2 / 3, straight, (top + 1, left), (top, left), own),
            (1 / 6, diagonal, (1, 1), (0, 0), wider),
            (1 / 6, diagonal, (1, 0), (0, 1), wider),
        ):
            difference = _difference(graph, padded, there, here, size)
            factor = share / count / FULL_RANGE**2
            terms.append(_scaled_sum_of_squares(graph, difference, factor))
        return graph.op("Sum", *terms)

    def distance(
        self, graph: GraphBuilder, finished: str, target: str | None, whole: tuple[int, int]
    ) -> str:
        """Return the statistic."""
        return finished


def _given(target: str | None) -> str:
    if target is None:
        raise ValueError("the term matches a picture, and has no target")
    return target


def _own_size(graph: GraphBuilder, part: Part) -> tuple[int, int]:
    """Return how many rows and columns belong to a part."""
    _, _, height, width = graph.shape(part.features)
    return height - (not part.sides.bottom), width - (not part.sides.right)


def _flat(graph: GraphBuilder, features: str) -> str:
    """Return features (1, C, H, W) as (C, H W)."""
    _, channels, height, width = graph.shape(features)
    return graph.reshape(features, (channels, height * width))


def _row(graph: GraphBuilder, weights: str) -> str:
    """Return weights (1, 1, H, W) as (1, H W)."""
    return graph.reshape(weights, (1, prod(graph.shape(weights))))


def _halves(graph: GraphBuilder, pair: str) -> tuple[str, ...]:
    """Return a matrix (C, C) and a vector (C, 1) that stand side by side."""
    parts = graph.integers([graph.shape(pair)[0], 1], "parts")
    return graph.ops("Split", pair, parts, outputs=2, axis=1)


def _sum(graph: GraphBuilder, values: str, operator: str = "ReduceSum") -> str:
    """Return the sum over all elements, (1,), added up in two steps.

    In one, float32 loses the sixth digit of a hundred thousand summands: the runtime adds them
    one after the other.
    """
    shape = graph.shape(values)
    cuts = [(prod(shape[:axis]), prod(shape[axis:])) for axis in range(len(shape) + 1)]
    rows, columns = min(cuts, key=max)
    table = graph.reshape(values, (rows, columns))
    return graph.op("ReduceSum", graph.op(operator, table, graph.integers([1], "axes"), keepdims=0))


def _sum_of_squares(graph: GraphBuilder, values: str) -> str:
    return _sum(graph, values, "ReduceSumSquare")


def _scaled(graph: GraphBuilder, value: str, factor: float) -> str:
    return graph.op("Mul", value, graph.scalar(factor, value))


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
    first, second = (
        graph.slice(image, (2, 3), corner, [a + n for a, n in zip(corner, size, strict=True)])
        for corner in (there, here)
    )
    return graph.op("Sub", first, second)


def _edge_repeated(graph: GraphBuilder, image: str, axis: int, before: bool, after: bool) -> str:
    """Return an image longer by one at either end of an axis, or both, the same as at its edge."""
    length = graph.shape(image)[axis]
    parts = [image]
    if before:
        parts.insert(0, graph.slice(image, [axis], [0], [1]))
    if after:
        parts.append(graph.slice(image, [axis], [length - 1], [length]))
    return graph.op("Concat", *parts, axis=axis) if len(parts) > 1 else image
