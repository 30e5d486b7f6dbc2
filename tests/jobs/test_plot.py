"""The course of the loss as a picture."""

import numpy as np

from styletransfer.jobs.plot import loss_curves


def test_falling_losses_fall():
    picture = loss_curves([1, 2, 3], {"loss": [1e6, 1e5, 1e4], "none": [0.0, 0.0, 0.0]})
    assert picture.shape == (600, 900, 3)
    plot = picture[:, 85:595].max(axis=2) < 0.3
    left, right = (np.flatnonzero(plot[:550, column]).mean() for column in (0, 509))
    assert left < right - 200


def test_a_single_iteration():
    assert loss_curves([1], {"loss": [5.0]}).min() < 0.5
