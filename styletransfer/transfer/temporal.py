"""What a frame of a film is expected to be, from those before it."""

from dataclasses import dataclass

import numpy as np

from styletransfer.caffe.layers import INPUT
from styletransfer.objective.losses import Content

MASK = "temporal"


@dataclass(frozen=True)
class Expected:
    """A picture that a result should be near to where it can be trusted.

    Attributes
    ----------
    picture : ndarray, shape (H, W, 3)
        RGB, float in [0, 1], of the result's size.
    trust : ndarray, shape (H, W)
        How much each pixel counts, from 0 to 1.
    weight : float
        Of the term: the mean over all elements of trust · difference², in units of 0..255.
    """

    picture: np.ndarray
    trust: np.ndarray
    weight: float


TERM = Content(INPUT, picture="temporal", reduction="mean", mask=MASK)
"""The temporal loss of Ruder, Dosovitskiy and Brox (2016), of the image itself.

A weighted sum of such losses, one an earlier frame, is one of the weighted mean of their pictures,
but for a constant.
"""
