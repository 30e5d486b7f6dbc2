"""Each loss beside NumPy and SciPy, and its gradient beside differences, in float64."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import linalg

from styletransfer.errors import NetworkError
from styletransfer.objective.losses import (
    RIDGE,
    Content,
    Gram,
    TotalVariation,
    Wasserstein,
)
from styletransfer.objective.term import WHOLE, Matching, Part, Sides, Term
from styletransfer.onnxgrad import GraphBuilder
from tests.onnxgrad.graphs import check_vjp, evaluate, run

SHAPE = (1, 4, 5, 6)
OTHER = (1, 4, 7, 3)
LAYER = "layer"

MATCHING = {
    "content": Content(LAYER),
    "content mean": Content(LAYER, reduction="mean"),
    "content masked": Content(LAYER, mask="region"),
    **{
        f"gram {normalization} {reduction} {mask}": Gram(
            LAYER, normalization=normalization, reduction=reduction, mask=mask
        )
        for normalization in ("caffe", "hw", "chw")
        for reduction in ("sum", "mean")
        for mask in (None, "region")
    },
    "wasserstein": Wasserstein(LAYER),
    "wasserstein masked": Wasserstein(LAYER, mask="region"),
}


def normal(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


FEATURES = normal(*SHAPE) + 0.5
STYLE = normal(*OTHER, seed=2) * 1.5
MASK = np.random.default_rng(3).uniform(0, 1, (1, 1, *SHAPE[2:])) * (np.arange(6) < 4)


def picture_of(term: Matching) -> np.ndarray:
    return normal(*SHAPE, seed=2) if isinstance(term, Content) else STYLE


def of_picture(term: Matching, features: np.ndarray) -> np.ndarray:
    """Return the target that features give."""
    graph = GraphBuilder()
    name = term.of_picture(graph, graph.input(LAYER, features.shape, features.dtype))
    model = graph.model([graph.op("Identity", name)])
    (value,) = evaluate(model, {LAYER: features}).values()
    return term.target(value)


def distance_model(term: Matching, target: np.ndarray, mask: np.ndarray | None = None):
    graph = GraphBuilder()
    part = Part.entire(graph, graph.input(LAYER, SHAPE, float))
    held = graph.constant(target, "target")
    if mask is not None:
        part = replace(part, weights=term.weights(graph, graph.constant(mask, "mask")))
    if term.pointwise:
        part = replace(part, reference=held)
    finished = term.finish(graph, term.statistic(graph, part))
    loss = term.distance(graph, finished, None if term.pointwise else held, part.whole)
    return graph.model([graph.op("Identity", loss, output="loss")])


def distance(
    term: Matching, target: np.ndarray, features: np.ndarray, mask: np.ndarray | None = None
) -> float:
    (loss,) = evaluate(distance_model(term, target, mask), {LAYER: features}).values()
    assert loss.shape == (1,)
    return loss[0]


def moments(features: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance over positions, with NumPy's own weights."""
    flat = features.reshape(features.shape[1], -1)
    weights = None if mask is None else mask.ravel()
    mean = np.average(flat, axis=1, weights=weights)
    return mean, np.cov(flat, ddof=0, aweights=weights) + RIDGE * np.eye(len(flat))


def gram(features: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Return the Gram matrix of the positions, counted by a mask as if it filled the image."""
    weights = np.ones(features.shape[2:]) if mask is None else mask[0, 0] / mask.mean()
    return np.einsum("bihw,bjhw,hw->ij", features, features, weights)


def expected(term: Matching) -> float:
    """Return what a term's docstring says, in NumPy."""
    mask = MASK if term.mask else None
    _, channels, height, width = SHAPE
    picture = picture_of(term)
    if isinstance(term, Content):
        squares = (FEATURES - picture) ** 2 * (1 if mask is None else mask)
        return squares.mean() if term.reduction == "mean" else squares.sum() / 2
    if isinstance(term, Gram):
        ours, theirs = gram(FEATURES, mask), gram(picture)
        if term.normalization == "caffe":
            share = (channels * height * width) ** -2
        else:
            share = 1
            ours /= height * width
            theirs /= np.prod(OTHER[2:])
            if term.normalization == "chw":
                ours /= channels
                theirs /= channels
        squares = share * (ours - theirs) ** 2
        return squares.mean() if term.reduction == "mean" else squares.sum() / 4
    (mean, covariance), (style_mean, style) = moments(FEATURES, mask), moments(picture)
    root = linalg.sqrtm(style)
    cross = linalg.sqrtm(root @ covariance @ root).real
    return (((mean - style_mean) ** 2).sum() + np.trace(covariance + style - 2 * cross)) / channels


def mask_of(term: Matching) -> np.ndarray | None:
    return MASK if term.mask else None


@pytest.mark.parametrize("case", MATCHING)
def test_distance(case):
    term = MATCHING[case]
    target = of_picture(term, picture_of(term))
    # The factors that are attributes of Gemm are float32.
    tolerance = 1e-6 if isinstance(term, Wasserstein) else 1e-7
    loss = distance(term, target, FEATURES, mask_of(term))
    assert loss == pytest.approx(expected(term), rel=tolerance)


@pytest.mark.parametrize("case", MATCHING)
def test_gradient(case):
    term = MATCHING[case]
    target = of_picture(term, picture_of(term))
    check_vjp(distance_model(term, target, mask_of(term)), {LAYER: FEATURES})


@pytest.mark.parametrize("case", MATCHING)
def test_a_mask_of_ones_is_no_mask(case):
    term = MATCHING[case]
    target = of_picture(term, picture_of(term))
    ones = np.ones((1, 1, *SHAPE[2:]))
    plain = distance(term, target, FEATURES)
    assert distance(term, target, FEATURES, ones) == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize("case", [name for name, term in MATCHING.items() if not term.mask])
def test_distance_from_itself_is_nothing(case):
    term = MATCHING[case]
    assert abs(distance(term, of_picture(term, FEATURES), FEATURES)) < 1e-6


# --- statistics of parts -------------------------------------------------------------------------


def statistic(
    term: Term,
    features: np.ndarray,
    size: tuple[int, int],
    weights: np.ndarray | None = None,
    reference: np.ndarray | None = None,
    sides: Sides = WHOLE,
) -> np.ndarray:
    """Return a term's statistic of a part of a layer, whose height and width are `size`."""
    graph = GraphBuilder()
    given = {"features": features, "weights": weights, "reference": reference}
    feeds = {name: value for name, value in given.items() if value is not None}
    names = {name: graph.input(name, value.shape, float) for name, value in feeds.items()}
    part = Part(**names, whole=size, sides=sides)
    (value,) = evaluate(graph.model([term.statistic(graph, part)]), feeds).values()
    return value


def weights_of(term: Matching) -> np.ndarray:
    graph = GraphBuilder()
    name = term.weights(graph, graph.input("mask", MASK.shape, float))
    model = graph.model([graph.op("Identity", name)])
    (value,) = evaluate(model, {"mask": MASK}).values()
    return value


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("case", MATCHING)
def test_statistics_of_parts_add_up(case, axis):
    """Each part is told how large the whole is, and what counts of it."""
    term = MATCHING[case]
    cut, size = 2, SHAPE[2:]
    given = {"features": FEATURES}
    if term.mask:
        given["weights"] = weights_of(term)
    if term.pointwise:
        given["reference"] = picture_of(term)
    parts = [{k: np.split(v, [cut], axis)[i] for k, v in given.items()} for i in (0, 1)]
    if isinstance(term, Wasserstein):
        given["reference"] = FEATURES.mean((0, 2, 3))[:, None] + 0.1
        parts = [part | {"reference": given["reference"]} for part in parts]
    total = sum(statistic(term, size=size, **part) for part in parts)
    np.testing.assert_allclose(total, statistic(term, size=size, **given), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("mask", [None, "region"])
def test_moments_about_any_reference_are_finished_to_the_same(mask):
    term = Wasserstein(LAYER, mask=mask)
    weights = weights_of(term) if mask else None
    plain = statistic(term, FEATURES, SHAPE[2:], weights)
    for reference in (np.zeros((4, 1)), normal(4, 1)):
        graph = GraphBuilder()
        moments_input = graph.input("moments", (4, 5), float)
        finished = term.finish(graph, moments_input, graph.constant(reference))
        own = statistic(term, FEATURES, SHAPE[2:], weights, reference)
        (value,) = evaluate(graph.model([finished]), {"moments": own}).values()
        np.testing.assert_allclose(value, plain, rtol=1e-6, atol=1e-7)


def test_what_a_statistic_cannot_do_without():
    graph = GraphBuilder()
    half = Part(graph.input("half", (1, 4, 5, 3)), whole=(5, 6))
    with pytest.raises(ValueError, match="moments of a part are about a reference"):
        Wasserstein(LAYER).statistic(graph, half)
    with pytest.raises(ValueError, match="compared with a reference"):
        Content(LAYER).statistic(graph, half)
    with pytest.raises(ValueError, match="has no target"):
        Gram(LAYER).distance(graph, Gram(LAYER).statistic(graph, half), None, half.whole)


def test_wasserstein_of_features_all_the_same_is_finite_in_float32():
    """The rounding of raw moments would exceed the ridge, and the root diverge."""
    features = np.float32(np.broadcast_to(30 * normal(64, seed=7)[:, None, None], (1, 64, 20, 20)))
    term = Wasserstein(LAYER)
    graph = GraphBuilder()
    part = Part.entire(graph, graph.input(LAYER, features.shape))
    target = graph.constant(np.float32(of_picture(term, normal(1, 64, 20, 20, seed=8))))
    loss = term.distance(graph, term.statistic(graph, part), target, part.whole)
    (value,) = run(graph.model([loss]), {LAYER: features}).values()
    mean = features[0, :, 0, 0].astype(float)
    assert value[0] == pytest.approx((mean @ mean) / 64, rel=0.02)


def variation_model(kind: str, height: int = 5, width: int = 6):
    graph = GraphBuilder()
    part = Part.entire(graph, graph.input("data", (1, 3, height, width), float))
    term = TotalVariation(kind)
    value = term.distance(graph, term.finish(graph, term.statistic(graph, part)), None, part.whole)
    return graph.model([graph.op("Identity", value, output="loss")])


def variation(kind: str, image: np.ndarray) -> float:
    """Return a total variation as the references define it, for an image in 0..255."""
    image = image / 255
    if kind != "nine-point":
        power = {"l1": 1, "l2": 2}[kind]
        return sum((np.abs(np.diff(image, axis=axis)) ** power).sum() for axis in (2, 3))
    padded = np.pad(image, [(0, 0), (0, 0), (1, 1), (1, 1)], mode="edge")
    diagonals = (
        padded[..., 1:, 1:] - padded[..., :-1, :-1],
        padded[..., 1:, :-1] - padded[..., :-1, 1:],
    )
    straight = sum((np.diff(image, axis=axis) ** 2).sum() for axis in (2, 3)) / image.size
    return 2 / 3 * straight + sum((d**2).mean() for d in diagonals) / 6


@pytest.mark.parametrize("kind", ["l1", "l2", "nine-point"])
def test_total_variation(kind):
    image = 255 * np.random.default_rng(4).uniform(-0.5, 0.5, (1, 3, 5, 6))
    model = variation_model(kind)
    (value,) = evaluate(model, {"data": image}).values()
    assert value.shape == (1,)
    assert value[0] == pytest.approx(variation(kind, image), rel=1e-12)
    check_vjp(model, {"data": image})


@pytest.mark.parametrize("kind", ["l1", "l2", "nine-point"])
def test_total_variation_does_not_see_a_shift(kind):
    """Neither the mean that is subtracted nor any brightness is part of it."""
    flat = np.full((1, 3, 5, 6), 77.0)
    (value,) = evaluate(variation_model(kind), {"data": flat}).values()
    assert value[0] == 0


@pytest.mark.parametrize("kind", ["l1", "l2", "nine-point"])
def test_total_variation_of_parts_adds_up(kind):
    """Each has a row and a column more where the image goes on below and to the right."""
    image = 255 * np.random.default_rng(4).uniform(-0.5, 0.5, (1, 3, 7, 9))
    total = 0
    for top, bottom in [(0, 3), (3, 7)]:
        for left, right in [(0, 2), (2, 5), (5, 9)]:
            part = image[:, :, top : bottom + 1, left : right + 1]
            sides = Sides(top == 0, left == 0, bottom == 7, right == 9)
            total += statistic(TotalVariation(kind), part, (7, 9), sides=sides)
    assert total[0] == pytest.approx(variation(kind, image), rel=1e-12)


def test_names():
    assert Content("conv4_2").name == "content/conv4_2"
    assert Gram("conv1_1").name == "style/conv1_1"
    assert Gram("conv1_1", "style 2").name == "style 2/conv1_1"
    assert Wasserstein("conv1_1", "night").name == "night/conv1_1"
    assert TotalVariation().name == "total variation"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_have_no_root(value):
    """NumPy raises an error of its own."""
    moments = np.eye(3, 4)
    moments[1, 1] = value
    with pytest.raises(NetworkError, match="is not finite; check its weights"):
        Wasserstein("layer").target(moments)
