"""The words that a user chooses among, and the numbers that stand behind a choice, once.

Settings check them, ``--help`` lists them, and the rooms that do the work are tables over them.
Nothing is imported here, so that ``--help`` comes at once.
"""

from collections.abc import Mapping
from typing import Any, Literal

NETWORK_NAMES = ("vgg16", "vgg19", "googlenet", "caffenet")

CLASSIFIER_NAMES = tuple(f"{name}-classifier" for name in NETWORK_NAMES)
"""The same whole, with the layers that classify."""

PAINTERS = ("multistyle26", "arbitrary_predict", "arbitrary_transform")
"""Published networks that paint in one pass; the last two are one painter together."""

SAMPLES = "samples"
"""The network that is part of this project: multistyle26 and the styles of its sample pictures."""

IN_ONE_PASS = ("arbitrary", PAINTERS[0], SAMPLES)
"""What a network that paints in one pass is called."""

COLOUR_METHODS: Mapping[str, tuple[str, ...]] = {
    "luminance": ("after",),
    "lab": ("after",),
    "covariance": ("before", "after"),
    "cholesky": ("before", "after"),
}
"""The ways to keep the content's colours, and when each can be applied; the usual time first."""

Pooling = Literal["caffe", "max", "avg", "l2"]
Convolution = Literal["auto", "direct", "winograd"]
StyleLoss = Literal["gram", "wasserstein"]
Normalization = Literal["caffe", "hw", "chw"]
Reduction = Literal["sum", "mean"]
Variation = Literal["l1", "l2", "nine-point"]

# Measured at the pictures that 60 iterations reach with the original's losses at 1e4, of VGG-16 and
# GoogLeNet, three pairs each, styles with as many pixels as the content: the ratio at which the
# norms of the style's and the content's gradients stand to each other as there. Geometric means,
# rounded; each pair is within a factor of 2.3. Those of means are for the default length: the mean
# of the content's squares does not grow with the number of pixels, as their sum does.
RATIOS: Mapping[tuple[StyleLoss, Normalization | None, Reduction], float] = {
    ("gram", "caffe", "sum"): 1e4,
    ("gram", "caffe", "mean"): 200,
    ("gram", "hw", "sum"): 0.1,
    ("gram", "hw", "mean"): 5e-3,
    ("gram", "chw", "sum"): 1e4,
    ("gram", "chw", "mean"): 200,
    ("wasserstein", None, "sum"): 5e6,
    ("wasserstein", None, "mean"): 10,
}
"""The ratio that makes of each style loss and reduction a picture like the original's 1e4."""

HISTORY = 8
"""How many pairs of steps and gradient differences L-BFGS keeps: SciPy's ``maxcor`` there."""

TOLERANCE = 2.220446049250313e-09
"""SciPy's ``ftol``: ten million times the resolution of float64."""

OPTIMIZERS: Mapping[str, Mapping[str, Any]] = {
    "lbfgsb": {"history": HISTORY, "tolerance": TOLERANCE},
    "lbfgs": {"history": HISTORY, "tolerance": TOLERANCE},
    "adam": {
        "step": 0.02,
        "betas": (0.9, 0.99),
        "epsilon": 1e-8,
        "decay": 1.0,
        "average": 0.0,
        "tolerance": 0.0,
    },
}
"""The minimisers, and the defaults of the parameters that each takes."""
