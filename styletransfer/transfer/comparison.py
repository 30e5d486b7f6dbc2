"""How far what a device computes is off what the CPU computes: loss and gradient of a small run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from styletransfer import images
from styletransfer.runtime.devices import Device
from styletransfer.settings import Settings
from styletransfer.transfer.inputs import Inputs
from styletransfer.transfer.problem import Problem, ProblemMaker
from styletransfer.transfer.stages import plan
from styletransfer.weights.loading import LoadedNetwork

MOST_LOSS, MOST_GRADIENT = 1e-3, 1e-2
"""Relative errors beyond which a run goes another way than on the CPU.

Sums in another order, and ReLUs that flip by them, change a gradient by 1e-3 at most; numbers of 8
bits of mantissa, by much more than its norm where it is small.
"""


@dataclass(frozen=True)
class Difference:
    """How far a device is off at one image.

    Attributes
    ----------
    loss : float
        The difference of the losses, as a part of the CPU's.
    gradient : float
        The norm of the difference of the gradients, as a part of that of the CPU's.
    """

    loss: float
    gradient: float

    @property
    def small(self) -> bool:
        """Whether pictures come out alike; nothing is small that is no number."""
        return self.loss <= MOST_LOSS and self.gradient <= MOST_GRADIENT


def compare(network: LoadedNetwork, device: Device) -> Mapping[str, Difference]:
    """Return how far a device is off, by the image: noise, and the content itself.

    Near the content the gradient is small beside the numbers that it is the difference of.
    """
    settings = Settings(any_size=True, length=96, style_scale=(1.0,))
    rng = np.random.default_rng(0)
    given = Inputs(_picture(rng), (_picture(rng),), (), None, "content")
    stage = plan(settings, given.content.shape, network.input_size)[0]
    # A device that fails has its say before the CPU works.
    problems = [
        ProblemMaker(place).make(settings, network, given, stage)
        for place in (device, Device(threads=device.threads))
    ]
    content = problems[0].content
    noise = rng.uniform(*images.bounds(network.mean), content.shape).astype(np.float32)
    near = np.float32(0.98) * content + np.float32(0.02) * noise
    return {name: _of(problems, image) for name, image in (("noise", noise), ("content", near))}


def _of(problems: Sequence[Problem], image: np.ndarray) -> Difference:
    found, exact = (problem.objective.evaluate(image) for problem in problems)
    off = np.linalg.norm((found.gradient - exact.gradient).astype(np.float64))
    norm = np.linalg.norm(exact.gradient.astype(np.float64))
    return Difference(abs(found.loss - exact.loss) / abs(exact.loss), float(off / norm))


def _picture(rng: np.random.Generator) -> np.ndarray:
    """Return a picture of smooth blots, (96, 96, 3) in [0, 1]."""
    coarse = rng.uniform(size=(12, 12, 3)).astype(np.float32)
    return np.clip(images.resize(coarse, (96, 96)), 0, 1)
