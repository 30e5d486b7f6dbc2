"""What keeping colours does to the statistics and to the pixels."""

import numpy as np
import pytest
from skimage.color import rgb2lab, rgb2yuv

from styletransfer import images
from styletransfer.errors import UsageError
from styletransfer.images import colour
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def style() -> np.ndarray:
    return images.rescale(images.load(ROOT / "images/style/night.jpg"), 0.2)


@pytest.fixture(scope="module")
def content() -> np.ndarray:
    return images.rescale(images.load(ROOT / "images/content/coffee.jpg"), 0.3)


@pytest.mark.parametrize("method", colour.LINEAR)
def test_match_moves_mean_and_covariance(method: str) -> None:
    random = np.random.default_rng(0)
    # Far from the ends of the range, so that clipping does not come into it.
    picture = 0.5 + 0.03 * random.normal(size=(40, 50, 3)) @ random.normal(size=(3, 3))
    reference = 0.4 + 0.02 * random.normal(size=(30, 20, 3)) @ random.normal(size=(3, 3))
    matched = colour.match(picture, reference, method).reshape(-1, 3)
    wanted = reference.reshape(-1, 3)
    assert matched.mean(axis=0) == pytest.approx(wanted.mean(axis=0), abs=1e-4)
    assert np.cov(matched.T) == pytest.approx(np.cov(wanted.T), rel=0.05, abs=5e-6)


@pytest.mark.parametrize("method", colour.LINEAR)
def test_match_keeps_what_matches_already(content: np.ndarray, method: str) -> None:
    assert np.abs(colour.match(content, content, method) - content).max() < 1e-5


@pytest.mark.parametrize("method", colour.LINEAR)
def test_match_brings_a_style_near_the_content(style, content, method: str) -> None:
    before = np.abs(style.mean(axis=(0, 1)) - content.mean(axis=(0, 1))).max()
    after = colour.match(style, content, method).mean(axis=(0, 1)) - content.mean(axis=(0, 1))
    assert before > 0.15
    assert np.abs(after).max() < 0.03


@pytest.mark.parametrize("method", colour.LINEAR)
def test_a_gray_picture_stays_finite(content: np.ndarray, method: str) -> None:
    gray = np.full((20, 30, 3), 0.5)
    assert np.isfinite(colour.match(gray, content, method)).all()
    assert np.isfinite(colour.match(content, gray, method)).all()


@pytest.mark.parametrize(("method", "space"), [("luminance", rgb2yuv), ("lab", rgb2lab)])
def test_restore_keeps_luminance_and_takes_chroma(style, content, method: str, space) -> None:
    # Pulled to the middle of the range, so that hardly a mixed colour lies outside of it.
    style, content = 0.4 + 0.2 * style, 0.4 + 0.2 * content
    restored = colour.restore(style, content, method)
    stretched = images.resize(content, style.shape[:2])
    scale = 100 if method == "lab" else 1
    assert np.abs(space(restored) - space(style))[..., 0].mean() < 2e-3 * scale
    assert np.abs(space(restored) - space(stretched))[..., 1:].mean() < 2e-3 * scale
    assert restored.shape == style.shape
    assert restored.dtype == np.float32


def test_restore_by_statistics(style: np.ndarray, content: np.ndarray) -> None:
    restored = colour.restore(style, content, "covariance")
    np.testing.assert_array_equal(restored, colour.match(style, content, "covariance"))


def test_unknown_methods_are_told(style: np.ndarray) -> None:
    with pytest.raises(UsageError, match="'hsv'; choose luminance, lab, covariance, cholesky"):
        colour.restore(style, style, "hsv")
    with pytest.raises(UsageError, match="'lab' before the run; choose one of covariance, chol"):
        colour.match(style, style, "lab")
