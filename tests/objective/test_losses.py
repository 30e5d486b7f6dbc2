"""Each loss beside NumPy and SciPy, and its gradient beside differences, in float64."""

import numpy as np
import pytest
from scipy import linalg

from styletransfer.objective.losses import (
    RIDGE,
    Content,
    Gram,
    Matching,
    TotalVariation,
    Wasserstein,
)
from styletransfer.onnxgrad import GraphBuilder
from tests.onnxgrad.graphs import check_vjp, evaluate

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


def statistic(term: Matching, features: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    graph = GraphBuilder()
    name = graph.input(LAYER, features.shape, features.dtype)
    feeds = {LAYER: features}
    if mask is not None:
        feeds["mask"] = mask
        mask = graph.input("mask", mask.shape, mask.dtype)
    model = graph.model([term.statistic(graph, name, mask)])
    (value,) = evaluate(model, {i.name: feeds[i.name] for i in model.graph.input}).values()
    return value


def distance_model(term: Matching, target: np.ndarray):
    graph = GraphBuilder()
    features = graph.input(LAYER, SHAPE, float)
    held = graph.constant(target, "target")
    mask = graph.constant(MASK, "mask") if term.mask else None
    own = term.statistic(graph, features, mask)
    loss = term.distance(graph, features, own, held, mask)
    return graph.model([graph.op("Identity", loss, output="loss")])


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


@pytest.mark.parametrize("case", MATCHING)
def test_distance(case):
    term = MATCHING[case]
    target = term.target(statistic(term, picture_of(term)))
    (loss,) = evaluate(distance_model(term, target), {LAYER: FEATURES}).values()
    assert loss.shape == (1,)
    # The factors that are attributes of Gemm are float32.
    tolerance = 1e-6 if isinstance(term, Wasserstein) else 1e-7
    assert loss[0] == pytest.approx(expected(term), rel=tolerance)


@pytest.mark.parametrize("case", MATCHING)
def test_gradient(case):
    term = MATCHING[case]
    target = term.target(statistic(term, picture_of(term)))
    check_vjp(distance_model(term, target), {LAYER: FEATURES})


@pytest.mark.parametrize("case", MATCHING)
def test_a_mask_of_ones_is_no_mask(case):
    term = MATCHING[case]
    ones = np.ones((1, 1, *SHAPE[2:]))
    np.testing.assert_allclose(
        statistic(term, FEATURES, ones), statistic(term, FEATURES), rtol=1e-12
    )


@pytest.mark.parametrize("case", [name for name, term in MATCHING.items() if not term.mask])
def test_distance_from_itself_is_nothing(case):
    term = MATCHING[case]
    target = term.target(statistic(term, FEATURES))
    (loss,) = evaluate(distance_model(term, target), {LAYER: FEATURES}).values()
    assert abs(loss[0]) < 1e-6


def variation_model(kind: str, height: int = 5, width: int = 6):
    graph = GraphBuilder()
    image = graph.input("data", (1, 3, height, width), float)
    value = TotalVariation(kind).value(graph, image)
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


def test_names():
    assert Content("conv4_2").name == "content/conv4_2"
    assert Gram("conv1_1").name == "style/conv1_1"
    assert Gram("conv1_1", "style 2").name == "style 2/conv1_1"
    assert Wasserstein("conv1_1", "night").name == "night/conv1_1"
    assert TotalVariation().name == "total variation"
