"""First images that are made of the content and the styles."""

import numpy as np
import pytest

from styletransfer.transfer import inputs
from styletransfer.transfer.firstimage import coloured
from tests.transfer.conftest import CONTENT, NIGHT, SHAPE, WAVE


def given(*styles, masks=()):
    return inputs.Inputs(CONTENT, styles, masks, None, "colours")


def moments(picture):
    pixels = picture.reshape(-1, 3)
    return [*pixels.mean(0), *np.cov(pixels.T).ravel()]


def test_the_content_has_the_colours_of_the_style():
    first = coloured(given(NIGHT), [1.0], SHAPE[:2])
    assert (first.shape, first.dtype) == (SHAPE, np.float32)
    # Clipped colours are no longer those of the style exactly.
    assert moments(first) == pytest.approx(moments(NIGHT), abs=0.02)
    light, content = first.mean(-1), CONTENT.mean(-1)[:: len(CONTENT) // 20]
    assert light.std() > 0.05
    assert content.std() > 0.05


def test_several_styles_are_blended_by_their_weights():
    night, wave = (coloured(given(style), [1.0], SHAPE[:2]) for style in (NIGHT, WAVE))
    both = coloured(given(NIGHT, WAVE), [3.0, 1.0], SHAPE[:2])
    np.testing.assert_allclose(both, 0.75 * night + 0.25 * wave, atol=1e-6)


def test_each_style_where_its_mask_is():
    left, right = np.zeros(CONTENT.shape[:2]), np.zeros(CONTENT.shape[:2])
    half = CONTENT.shape[1] // 2
    left[:, :half], right[:, half:] = 1, 1
    first = coloured(given(NIGHT, WAVE, masks=(left, right)), [1.0, 1.0], SHAPE[:2])
    night, wave = (coloured(given(style), [1.0], SHAPE[:2]) for style in (NIGHT, WAVE))
    part = SHAPE[1] // 2 - 2
    np.testing.assert_allclose(first[:, :part], night[:, :part], atol=1e-6)
    np.testing.assert_allclose(first[:, -part:], wave[:, -part:], atol=1e-6)


def test_a_run_begins_with_it(transfer):
    seen = []
    transfer.transfer_style(
        NIGHT, CONTENT, 64, n_iter=1, init="colours", optimizer="adam", step=1e-6,
        callback=seen.append,
    )  # fmt: skip
    np.testing.assert_allclose(seen[0], coloured(given(NIGHT), [1.0], SHAPE[:2]), atol=1e-3)
