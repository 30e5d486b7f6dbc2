"""The network that is part of this project: it paints in the styles of the sample pictures."""

import numpy as np
import onnx
import pytest

from styletransfer import StyleTransfer, images, weights
from styletransfer.feedforward import Stylizer
from tests.conftest import MODELS, ROOT

STYLES = {26: "night", 27: "wave"}
PHOTO = ROOT / "images" / "content" / "coffee.jpg"


@pytest.fixture(scope="module")
def samples() -> Stylizer:
    return Stylizer("samples")


def test_it_is_small_and_says_what_it_is(samples):
    path = weights.shipped_path("samples")
    assert path is not None
    assert path.stat().st_size < 1 << 20
    assert samples.styles == 26 + len(STYLES)
    facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    said = " ".join(facts.values())
    assert "Apache-2.0" in said
    assert "base_sha256" in " ".join(facts)


def test_it_paints_in_the_styles_of_the_sample_pictures(samples):
    """Each painting is nearer to its own style than the photo is, and the other painting."""
    photo = images.resize(images.load(PHOTO), (160, 240)).astype(np.float32)
    pictures = {None: photo} | {number: samples.stylize(photo, number) for number in STYLES}
    assert all(picture.shape == photo.shape for picture in pictures.values())
    transfer = StyleTransfer("vgg16", False, gpu_id=-1, models=MODELS)
    for number, name in STYLES.items():
        style = images.load(ROOT / "images" / "style" / f"{name}.jpg")
        losses = {}
        for painted, first in pictures.items():
            # Nearly all of the loss is the style's.
            transfer.transfer_style(
                style, photo, length=240, ratio=1e8, n_iter=1, init=first, any_size=True
            )
            assert transfer.summary is not None
            losses[painted] = transfer.summary.first_loss
        assert min(losses, key=losses.__getitem__) == number
        assert losses[number] < 0.7 * losses[None]


def test_the_styles_of_its_base_are_as_they_were(samples):
    photo = images.resize(images.load(PHOTO), (96, 144))
    base = Stylizer("multistyle26", models=MODELS)
    for number in (0, 7, 25):
        difference = np.abs(samples.stylize(photo, number) - base.stylize(photo, number))
        assert difference.mean() < 1 / 255
