"""Contrast, scale by scale."""

import numpy as np
import pytest

from styletransfer import images
from styletransfer.video import contrast
from tests.conftest import ROOT

cv2 = pytest.importorskip("cv2", reason="the extra `video` is not installed")
WAVE = images.load(ROOT / "images" / "style" / "wave.jpg")[:288:3, :384:3].astype(np.float32)


def covariances(picture):
    found = []
    for _ in contrast.STEPS:
        smaller = contrast._halved(picture)
        found.append(contrast._covariance(picture - contrast._enlarged(smaller, picture)))
        picture = smaller
    return found


@pytest.mark.parametrize("cut", [slice(None), slice(1, -2)])  # odd sizes, too
def test_a_blurred_picture_is_as_strong_as_before_at_each_scale(cut):
    wave = WAVE[cut, cut]
    blurred = cv2.GaussianBlur(wave, (0, 0), 0.4)
    result = contrast.restored(blurred, wave, 1.6)
    before, after, wanted = map(covariances, (blurred, result, wave))
    assert before[0].max() < 0.8 * wanted[0].max()
    for found, aim in zip(after, wanted, strict=True):
        assert np.abs(found - aim).max() < 0.1 * aim.max()


def test_no_scale_becomes_stronger_than_that():
    blurred = cv2.GaussianBlur(WAVE, (0, 0), 1.0)
    before, once, more = (
        covariances(p)[0].trace() ** 0.5
        for p in (blurred, contrast.restored(blurred, WAVE, 1.1), contrast.restored(blurred, WAVE))
    )
    assert once == pytest.approx(1.1 * before, rel=0.02)
    assert more > 1.2 * before
    assert np.abs(contrast.restored(blurred, WAVE, 1.0) - blurred).max() < 0.02


def test_the_same_picture_stays():
    assert np.abs(contrast.restored(WAVE, WAVE) - WAVE).max() < 1e-3


def test_what_is_not_there_is_not_made_up():
    flat = np.full_like(WAVE, 0.5)
    result = contrast.restored(flat, WAVE)
    assert np.abs(result - WAVE.mean(axis=(0, 1))).max() < 1e-3
    noise = 0.5 + 1e-3 * np.random.default_rng(0).standard_normal(WAVE.shape).astype(np.float32)
    assert (contrast.restored(noise, WAVE) - WAVE.mean(axis=(0, 1))).std() < 2e-3
