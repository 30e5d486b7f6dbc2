"""Contrast, scale by scale."""

import numpy as np

from styletransfer import images
from styletransfer.video import contrast
from tests.conftest import ROOT

WAVE = images.load(ROOT / "images" / "style" / "wave.jpg")[:288:3, :384:3].astype(np.float32)


def covariances(picture):
    found = []
    for scale in contrast.SCALES:
        smooth = contrast._smoothed(picture, scale)
        found.append(contrast._covariance(picture - smooth))
        picture = smooth
    return found


def test_a_blurred_picture_is_as_strong_as_before_at_each_scale():
    blurred = contrast._smoothed(WAVE, 0.4)
    result = contrast.restored(blurred, WAVE)
    before, after, wanted = map(covariances, (blurred, result, WAVE))
    assert before[0].max() < 0.7 * wanted[0].max()
    for found, aim in zip(after, wanted, strict=True):
        assert np.abs(found - aim).max() < 0.1 * aim.max()


def test_the_same_picture_stays():
    assert np.abs(contrast.restored(WAVE, WAVE) - WAVE).max() < 1e-3


def test_what_is_not_there_is_not_made_up():
    flat = np.full_like(WAVE, 0.5)
    result = contrast.restored(flat, WAVE)
    assert np.abs(result - WAVE.mean(axis=(0, 1))).max() < 1e-3
    noise = 0.5 + 1e-3 * np.random.default_rng(0).standard_normal(WAVE.shape).astype(np.float32)
    assert (contrast.restored(noise, WAVE) - WAVE.mean(axis=(0, 1))).std() < 2e-3
