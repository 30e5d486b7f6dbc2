"""The first layer of the GoogLeNet that stands in: computed, in the tools and in the file."""

import math

import numpy as np
import pytest

from styletransfer import weights
from styletransfer.networks import NETWORKS
from styletransfer.weights import shipped
from tools.distill import filters

BANK = filters.bank()


def grating(frequency: float, angle: float, phase: float) -> np.ndarray:
    """Return a gray patch (3, 7, 7); frequency as a share of Nyquist's."""
    y, x = np.mgrid[:7, :7]
    along = x * math.cos(angle) + y * math.sin(angle)
    return np.tile(np.cos(math.pi * frequency * along + phase), (3, 1, 1))


def power(frequency: float, angle: float) -> np.ndarray:
    """Return each kernel's mean squared answer over the phases of a grating."""
    phases = np.linspace(0, 2 * math.pi, 16, endpoint=False)
    answers = [(BANK * grating(frequency, angle, phase)).sum((1, 2, 3)) for phase in phases]
    return np.square(answers).mean(axis=0)


def test_kernels_have_the_shape_of_the_layer_and_norm_1() -> None:
    assert BANK.shape == (64, 3, 7, 7)
    assert BANK.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(BANK.reshape(64, -1), axis=1), 1, rtol=1e-6)


def test_all_but_the_blobs_are_blind_to_flat_colour() -> None:
    sums = np.abs(BANK.sum((2, 3)))
    assert sums[12:].max() < 1e-5
    assert sums[:12].max(axis=1).min() > 1
    # The blobs' directions are spread evenly: their second moments are those of a sphere.
    directions = BANK[:12].sum((2, 3)) / np.linalg.norm(BANK[:12].sum((2, 3)), axis=1)[:, None]
    np.testing.assert_allclose(directions.T @ directions, 4 * np.eye(3), atol=1e-5)


def test_no_two_kernels_are_alike() -> None:
    flat = BANK.reshape(64, -1)
    likeness = flat @ flat.T - 2 * np.eye(64)
    assert likeness.max() < 0.95


@pytest.mark.parametrize("frequency", [0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85])
def test_every_grating_of_every_band_is_answered(frequency: float) -> None:
    """A pattern that no kernel answers is one that a transfer can paint unseen."""
    angles = np.linspace(0, math.pi, 12, endpoint=False)
    strongest = [power(frequency, angle).max() for angle in angles]
    assert min(strongest) > 5


def test_bands_are_answered_by_channels_of_their_own() -> None:
    fine, coarse = power(0.65, 0.1), power(0.24, 0.0)
    assert fine[12:24].max() > 20 * fine[36:44].max()
    assert coarse[36:44].max() > 20 * coarse[12:24].max()


@pytest.mark.skipif(shipped.path("googlenet") is None, reason="the trained file is not here")
def test_the_file_of_the_project_begins_with_them() -> None:
    _, values, _ = weights.read_shipped(NETWORKS["googlenet"])
    flat, bank = values["conv1/7x7_s2"][0].reshape(64, -1), BANK.reshape(64, -1)
    cosines = (flat * bank).sum(1) / np.linalg.norm(flat, axis=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-3)
