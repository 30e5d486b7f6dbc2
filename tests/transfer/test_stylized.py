"""A first image that a network paints in one pass."""

import numpy as np
import pytest

from styletransfer import StyleTransfer, UsageError, WeightsError, images, weights
from styletransfer.feedforward import Stylizer
from styletransfer.images.sizes import resize_smoothly
from styletransfer.transfer import inputs, stylized
from tests.conftest import MODELS
from tests.transfer.conftest import CONTENT, NIGHT, SHAPE, WAVE

RED, BLUE = (np.broadcast_to(np.float32(colour), (40, 40, 3)) for colour in ((1, 0, 0), (0, 0, 1)))


@pytest.fixture
def begun(transfer, published):
    """Return a function that gives what a run begins with, by one step of next to nothing."""
    for name in ("arbitrary_predict", "arbitrary_transform"):
        published(name)
    seen = []

    def begun(*styles, **options):
        given = {"length": 64, "n_iter": 1, "optimizer": "adam", "step": 1e-6, **options}
        transfer.transfer_style(
            list(styles), CONTENT, init="stylized", callback=seen.append, **given
        )
        return seen[-given["n_iter"]]

    return begun


def test_a_run_begins_from_what_the_network_paints(begun):
    painter = Stylizer("arbitrary", models=MODELS)
    content = resize_smoothly(CONTENT, SHAPE[:2])
    expected = painter.stylize(content, [WAVE, NIGHT], style_weights=[3, 1])
    first = begun(WAVE, NIGHT, style_weights=[3, 1])
    assert first.shape == SHAPE
    assert np.abs(first - expected).mean() < 1e-3
    assert np.abs(first - content).mean() > 0.05


def test_colours_are_preserved(begun):
    content = images.resize(CONTENT, SHAPE[:2])
    first = begun(NIGHT, preserve_colors=["covariance", "before"])
    plain = begun(NIGHT)
    assert np.abs(first.mean((0, 1)) - content.mean((0, 1))).max() < 0.1
    assert np.abs(plain.mean((0, 1)) - content.mean((0, 1))).max() > 0.1


def test_scales_begin_at_the_coarse_one(begun):
    first = begun(NIGHT, length=180, scales=2, n_iter=2)
    assert first.shape == (85, 127, 3)


class _Painter:
    """Paints the mean colour of the styles, and keeps what it was given."""

    def __init__(self):
        self.sizes, self.weights = [], []

    def stylize(self, image, style, style_weights=None):
        self.sizes.append(image.shape)
        self.weights.append(style_weights)
        one = style[0] if isinstance(style, tuple) else style
        return np.broadcast_to(one.mean((0, 1)), image.shape)


def given(*styles, masks=()):
    return inputs.Inputs(np.full((60, 90, 3), 0.5), styles, masks, None, "stylized")


@pytest.mark.parametrize(
    ("size", "seen"),
    [((60, 90), (60, 90, 3)), ((800, 1200), (299, 448, 3)), ((8, 300), (16, 300, 3))],
)
def test_large_pictures_are_painted_small(size, seen):
    painter = _Painter()
    result = stylized.paint(painter, given(RED, BLUE), [2, 1], size)
    assert (result.shape, result.dtype) == ((*size, 3), np.float32)
    assert (painter.sizes, painter.weights) == ([seen], [[2, 1]])


def test_each_style_where_its_mask_is():
    left, right = np.zeros((60, 90)), np.zeros((60, 90))
    left[:, :30], right[:, 60:] = 1, 0.5
    result = stylized.paint(_Painter(), given(RED, BLUE, masks=(left, right)), [1, 1], (60, 90))
    np.testing.assert_allclose(result[:, :29], RED[:1, :1].repeat(29, 1).repeat(60, 0), atol=1e-6)
    np.testing.assert_allclose(result[:, 31:59], 0.5, atol=1e-6)
    np.testing.assert_allclose(result[30, 80], (0.25, 0.25, 0.75), atol=1e-6)


def test_without_the_network(quick_network, monkeypatch):
    name, folder = quick_network
    transfer = StyleTransfer(name, use_pbar=False, gpu_id=-1, models=folder)

    def refuse(network, *_):
        raise WeightsError(f"The network {network} could not be fetched:", ["  no connection"])

    monkeypatch.setattr(weights, "load_ready", refuse)
    with pytest.raises(WeightsError) as error:
        transfer.transfer_style(WAVE, CONTENT, 64, init="stylized")
    assert error.value.text.startswith("init is 'stylized', which needs networks that are neither")
    assert "The network arbitrary_predict could not be fetched" in str(error.value)
    assert not transfer.has_image


def test_weights_that_are_all_zero(begun):
    left = np.ones(CONTENT.shape[:2])
    for masks in (None, [left]):
        with pytest.raises(UsageError, match=r"style_weights \(--style-weights\) are all 0"):
            begun(WAVE, style_weights=[0], style_masks=masks)
