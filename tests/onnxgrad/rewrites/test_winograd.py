"""Winograd's convolutions beside the plain ones."""

import numpy as np
import pytest

from styletransfer.onnxgrad import GradientError, GraphBuilder, backward
from styletransfer.onnxgrad.rewrites import winograd
from styletransfer.onnxgrad.rule import RULES
from styletransfer.onnxgrad.rules.windows import conv_rule
from tests.conftest import relative
from tests.onnxgrad.graphs import run

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def always(_: winograd.Convolution) -> bool:
    return True


def plain(x: np.ndarray, weight: np.ndarray, pads: list[int]) -> np.ndarray:
    """A convolution 3×3 in float64."""
    top, left, bottom, right = pads
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    height, width = x.shape[2] - 2, x.shape[3] - 2
    return sum(
        np.einsum("kc,nchw->nkhw", weight[:, :, i, j], x[:, :, i : i + height, j : j + width])
        for i in range(3)
        for j in range(3)
    )


def convolution(x: np.ndarray, weight: np.ndarray, *bias: np.ndarray, **attributes) -> GraphBuilder:
    builder = GraphBuilder()
    constants = (builder.constant(array) for array in (weight, *bias))
    builder.op("Conv", builder.input("x", x.shape, x.dtype), *constants, output="y", **attributes)
    return builder


def operators(builder: GraphBuilder) -> list[str]:
    return [node.op_type for node in builder.nodes]


@pytest.mark.parametrize("strip_bytes", [1, 1 << 30])
@pytest.mark.parametrize(
    ("size", "pads"),
    [
        ((16, 24), [1, 1, 1, 1]),
        ((13, 18), [1, 1, 1, 1]),
        ((15, 11), [0, 0, 0, 0]),
        ((3, 3), [0, 0, 0, 0]),
        ((9, 10), [2, 2, 2, 2]),
        ((10, 9), [0, 2, 1, 0]),
        ((1, 1), [1, 1, 1, 1]),
    ],
)
def test_one_convolution(size, pads, strip_bytes, monkeypatch) -> None:
    monkeypatch.setattr(winograd, "STRIP_BYTES", strip_bytes)
    x, weight, bias = normal(1, 8, *size), normal(6, 8, 3, 3), normal(6)
    builder = convolution(x, weight, bias, pads=pads)
    assert winograd.rewrite(builder, always) == 1
    assert "MatMul" in operators(builder)
    y = run(builder.model(["y"]), {"x": x})["y"]
    expected = plain(x, weight, pads) + bias[:, None, None]
    assert relative(y, expected) < 1e-5


def test_error_grows_little_with_the_channels() -> None:
    x, weight = np.maximum(normal(1, 512, 24, 24), 0), normal(32, 512, 3, 3)
    builder = convolution(x, weight, pads=[1, 1, 1, 1])
    winograd.rewrite(builder, always)
    y = run(builder.model(["y"]), {"x": x})["y"]
    assert relative(y, plain(x, weight, [1, 1, 1, 1])) < 1e-5


def network(x: np.ndarray) -> tuple[GraphBuilder, str]:
    """Two convolutions, and the gradient of their result."""
    rng = np.random.default_rng(1)
    builder = GraphBuilder()
    y = builder.input("x", x.shape)
    for maps in (12, 16):
        weight = rng.standard_normal((maps, builder.shape(y)[1], 3, 3)).astype(np.float32)
        bias = rng.standard_normal(maps).astype(np.float32)
        constants = builder.constant(weight), builder.constant(bias)
        y = builder.op("Relu", builder.op("Conv", y, *constants, pads=[1, 1, 1, 1]))
    dy = builder.input("dy", builder.shape(y))
    return builder, backward(builder, {y: dy}, ["x"])["x"]


def test_a_gradient_shares_the_weights_of_the_way_forward() -> None:
    feeds = {"x": normal(1, 8, 14, 22), "dy": normal(1, 16, 14, 22)}
    builder, gradient = network(feeds["x"])
    expected = run(builder.model([gradient]), feeds)[gradient]
    weights = sum(v.size for v in builder.initializers.values() if v.ndim == 4)
    assert weights == 2 * 9 * (8 * 12 + 12 * 16)

    assert winograd.rewrite(builder, always) == 4
    spectra = [v.size for v in builder.initializers.values() if v.shape[0] == 36 and v.ndim == 3]
    assert sum(spectra) == 36 * (8 * 12 + 12 * 16)
    model = builder.model([gradient])
    assert relative(run(model, feeds)[gradient], expected) < 1e-5


@pytest.mark.parametrize("row", [None, 0, 3])
def test_only_mirrored_weights_are_shared(row: int | None) -> None:
    weight = normal(4, 4, 3, 3)
    other = np.ascontiguousarray(np.flip(weight, (2, 3)).swapaxes(0, 1))
    if row is not None:
        other[row, 1, 2, 0] += 1
    feeds = {"x": normal(1, 4, 8, 8)}
    builder = convolution(feeds["x"], weight, pads=[1] * 4)
    builder.op("Conv", "y", builder.constant(other), pads=[1] * 4, output="z")
    expected = run(builder.model(["z"]), feeds)["z"]
    assert winograd.rewrite(builder, always) == 2
    assert relative(run(builder.model(["z"]), feeds)["z"], expected) < 1e-5
    spectra = [a for a in builder.initializers.values() if a.shape == (36, 4, 4)]
    assert len(spectra) == (1 if row is None else 2)


def test_only_standard_operators_leave() -> None:
    builder, gradient = network(normal(1, 8, 14, 22))
    winograd.rewrite(builder, always)
    assert all(node.domain == "" for node in builder.model([gradient]).graph.node)


@pytest.mark.parametrize(
    ("channels", "weight", "attributes"),
    [
        (8, (6, 8, 3, 3), {"strides": [2, 2]}),
        (8, (6, 8, 3, 3), {"dilations": [2, 2]}),
        (8, (6, 8, 3, 3), {"auto_pad": "SAME_UPPER"}),
        (8, (6, 4, 3, 3), {"group": 2}),
        (8, (6, 8, 5, 5), {}),
        (7, (6, 7, 3, 3), {}),
    ],
)
def test_other_convolutions_stay(channels, weight, attributes) -> None:
    builder = convolution(normal(1, channels, 12, 12), normal(*weight), **attributes)
    assert winograd.rewrite(builder, always) == 0
    assert operators(builder) == ["Conv"]


def test_other_types_and_ranks_stay() -> None:
    for x, weight in (
        (normal(1, 8, 12, 12).astype(np.float64), normal(6, 8, 3, 3).astype(np.float64)),
        (normal(1, 8, 12), normal(6, 8, 3)),
    ):
        assert winograd.rewrite(convolution(x, weight), always) == 0


@pytest.mark.parametrize("strip_bytes", [1, 1 << 30])
@pytest.mark.parametrize(("size", "pads"), [((8, 12), [1] * 4), ((9, 10), [2, 0, 1, 2])])
def test_several_images(size, pads, strip_bytes, monkeypatch) -> None:
    monkeypatch.setattr(winograd, "STRIP_BYTES", strip_bytes)
    x, weight, bias = normal(3, 8, *size), normal(6, 8, 3, 3), normal(6)
    builder = convolution(x, weight, bias, pads=pads)
    assert winograd.rewrite(builder, always) == 1
    y = run(builder.model(["y"]), {"x": x})["y"]
    assert relative(y, plain(x, weight, pads) + bias[:, None, None]) < 1e-5


@pytest.mark.parametrize("images", [1, 3])
def test_computed_weights_and_their_gradient(images) -> None:
    """Forward and both gradients, against the plain ones."""
    shapes = {"x": (images, 8, 13, 18), "w": (6, 8, 3, 3), "dy": (images, 6, 14, 17)}
    feeds = {name: normal(*shape) for name, shape in shapes.items()}
    results = []
    for choose in (lambda _: False, always):
        builder = GraphBuilder()
        x, w, dy = (builder.input(name, shape) for name, shape in shapes.items())
        builder.op("Conv", x, w, output="y", pads=[1, 0, 2, 1])
        rules = RULES | {"Conv": conv_rule(winograd.weight_gradient(choose))}
        gradients = backward(builder, {"y": dy}, ["x", "w"], rules)
        assert winograd.rewrite(builder, choose) == (2 if choose is always else 0)
        model = builder.model(["y", *gradients.values()])
        results.append(list(run(model, feeds).values()))
    for value, expected in zip(*results[::-1], strict=True):
        assert relative(value, expected) < 1e-5


def test_it_pays_for_many_channels_and_tiles() -> None:
    def pays(channels: int, maps: int, *size: int) -> bool:
        return winograd.pays(winograd.Convolution(channels, maps, size))

    assert pays(256, 256, 96, 128)
    assert pays(64, 128, 192, 256)
    assert not pays(3, 64, 384, 512)
    assert not pays(64, 64, 384, 512)
    assert not pays(96, 208, 14, 21)
    assert not pays(512, 512, 6, 6)


def test_it_pays_less_in_a_batch_and_more_with_computed_weights() -> None:
    def pays(channels: int, side: int, computed: bool) -> bool:
        size = (side, side)
        given = winograd.Convolution(channels, channels, size, images=4, computed=computed)
        return winograd.pays(given)

    assert pays(256, 32, computed=False)
    assert not pays(128, 64, computed=False)
    assert not pays(128, 32, computed=False)
    assert pays(128, 32, computed=True)


def test_a_replacement_of_another_shape_is_refused() -> None:
    builder = convolution(normal(1, 8, 12, 12), normal(6, 8, 3, 3))

    def wrong(node) -> bool:
        builder.op("Identity", node.input[0], output=node.output[0])
        return True

    with pytest.raises(GradientError, match="another tensor"):
        builder.rebuild(wrong)
