"""The TensorFlow tutorial's system beside an independent version of its mathematics in PyTorch.

The numbers come from ``reference/tensorflow_tutorial.py``, which says what they are.
"""

from pathlib import Path

import numpy as np
import pytest

from styletransfer import images
from styletransfer.losses import Content, Gram, Term, TotalVariation
from styletransfer.objective import Objective, statistics
from styletransfer.optimizers import adam
from styletransfer.pooling import with_pooling
from styletransfer.session import Device
from tests.conftest import golden_network

# Keras' mean for VGG, BGR.
MEAN = np.array([103.939, 116.779, 123.68])
CONTENT = Content("conv5_2", reduction="mean")
STYLES = [Gram(f"conv{block}_1", normalization="hw", reduction="mean") for block in range(1, 6)]
VARIATION = TotalVariation("l1")
WEIGHTS: dict[Term, float] = {
    CONTENT: 1e4,
    **dict.fromkeys(STYLES, 1e-2 / len(STYLES)),
    VARIATION: 30.0,
}


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    path = Path(__file__).parent / "reference" / "tensorflow_tutorial.npz"
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def seen(picture: np.ndarray) -> np.ndarray:
    return images.preprocess(np.float32(picture / 255), MEAN)


def objective(data: dict[str, np.ndarray], terms: list[Term]) -> Objective:
    network = with_pooling(golden_network("vgg19"), "max")
    content = seen(data["content"])
    targets = statistics(network, content, [CONTENT], Device())
    targets |= statistics(network, seen(data["style"]), STYLES, Device())
    result = Objective(network, content.shape, terms, Device())
    result.bind(targets, [WEIGHTS[term] for term in terms])
    return result


def relative(value: np.ndarray, expected: np.ndarray) -> float:
    """Return the norm of the difference over the norm of what is expected."""
    return float(np.linalg.norm(value - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("terms", [[CONTENT, *STYLES], [VARIATION], list(WEIGHTS)])
def test_loss_and_gradient_of_the_first_image(data, terms):
    loss, gradient = 0.0, 0.0
    if CONTENT in terms:
        loss, gradient = loss + data["loss"], gradient + data["gradient"].astype(float)
    if VARIATION in terms:
        loss, gradient = loss + data["loss_variation"], gradient + data["gradient_variation"]
    evaluation = objective(data, terms).evaluate(seen(data["content"]))
    assert evaluation.loss == pytest.approx(float(loss), rel=1e-5)
    # By the image in [0, 1], RGB, (H, W, 3).
    ours = 255 * evaluation.gradient[0, ::-1].transpose(1, 2, 0)
    assert relative(ours, gradient) < 1e-5


def test_twenty_steps_of_adam(data):
    minimised = objective(data, list(WEIGHTS))
    losses, last = [], None

    def evaluate(image: np.ndarray) -> tuple[float, np.ndarray]:
        evaluation = minimised.evaluate(image)
        return evaluation.loss, evaluation.gradient

    def accept(iterate) -> None:
        nonlocal last
        losses.append(iterate.loss)
        last = iterate.image

    mean = MEAN.reshape(1, 3, 1, 1)
    first = seen(data["content"])
    adam(
        *(evaluate, first, -mean, 255 - mean, len(data["losses"]), accept),
        step=0.02,
        betas=(0.99, 0.999),
        epsilon=0.1,
    )
    np.testing.assert_allclose(losses, data["losses"], rtol=1e-3)
    difference = np.abs(255 * images.deprocess(last, MEAN) - data["image"])
    assert difference.mean() < 1
