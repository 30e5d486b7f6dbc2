"""The preset ``tensorflow`` beside an independent version of the tutorial's mathematics in PyTorch.

The numbers come from ``reference/tensorflow_tutorial.py``, which says what they are. Everything
that the preset decides is taken from the preset.
"""

from pathlib import Path

import numpy as np
import pytest

from styletransfer import images
from styletransfer.networks.pooling import with_pooling
from styletransfer.objective.losses import TotalVariation
from styletransfer.objective.statistics import statistics
from styletransfer.objective.whole import WholeObjective
from styletransfer.runtime.devices import Device
from styletransfer.settings import Settings, presets
from styletransfer.transfer import goals
from styletransfer.weights.loading import LoadedNetwork
from tests.conftest import course, golden_network, relative


def preset(**changes: object) -> Settings:
    return presets.override(presets.read("tensorflow").values, changes)


DATA = Path(__file__).parent / "reference" / "tensorflow_tutorial.npz"
MEAN = np.array(preset().mean)


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    with np.load(DATA, allow_pickle=False) as arrays:
        return dict(arrays)


def seen(picture: np.ndarray) -> np.ndarray:
    return images.preprocess(np.float32(picture / 255), MEAN)


def objective(data: dict[str, np.ndarray], settings: Settings) -> WholeObjective:
    model = with_pooling(golden_network("vgg19"), settings.pooling)
    network = LoadedNetwork(model, MEAN, 224, {}, {})
    wanted = goals.choose(settings, network, 1, False, False)
    content = seen(data["content"])
    found = statistics(model, content, wanted.content, Device())
    found |= statistics(model, seen(data["style"]), wanted.styles[0], Device())
    result = WholeObjective(model, content.shape, wanted.terms, Device(), settings.conv)
    result.bind(found, goals.factors(settings, network, 1, settings.ratio))
    return result


def by_unit(gradient: np.ndarray) -> np.ndarray:
    """Return a gradient by the image in [0, 1], RGB, (H, W, 3)."""
    return 255 * gradient[0, ::-1].transpose(1, 2, 0)


@pytest.mark.parametrize("variation", [False, True])
def test_loss_and_gradient_of_the_first_image(data, variation):
    loss, gradient = float(data["loss"]), data["gradient"].astype(float)
    if variation:
        loss, gradient = loss + data["loss_variation"], gradient + data["gradient_variation"]
    settings = preset() if variation else preset(tv=0)
    evaluation = objective(data, settings).evaluate(seen(data["content"]))
    assert evaluation.loss == pytest.approx(float(loss), rel=1e-5)
    assert relative(by_unit(evaluation.gradient), gradient) < 1e-5


def test_total_variation_by_itself(data):
    """It is a small part of the sum."""
    settings = preset()
    image = seen(data["content"])
    term = TotalVariation(settings.tv_kind)
    result = WholeObjective(golden_network("vgg19"), image.shape, [term], Device())
    result.bind({}, [settings.tv])
    evaluation = result.evaluate(image)
    assert evaluation.loss == pytest.approx(float(data["loss_variation"]), rel=1e-6)
    assert relative(by_unit(evaluation.gradient), data["gradient_variation"]) < 1e-6


def test_twenty_steps_of_adam(data):
    settings = preset()
    mean = MEAN.reshape(1, 3, 1, 1)
    losses, last = course(
        settings.optimizer,
        objective(data, settings),
        seen(data["content"]),
        -mean,
        255 - mean,
        len(data["losses"]),
        **settings.optimizer_options,
    )
    np.testing.assert_allclose(losses, data["losses"], rtol=2e-3)
    difference = np.abs(255 * images.deprocess(last, MEAN) - data["image"])
    assert difference.mean() < 1
