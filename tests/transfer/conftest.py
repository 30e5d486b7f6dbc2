"""Style transfer of small pictures on real weights."""

from dataclasses import replace

import pytest

from styletransfer import StyleTransfer, images
from tests.conftest import ROOT

CONTENT = images.load(ROOT / "images" / "content" / "cat.jpg")
WAVE = images.load(ROOT / "images" / "style" / "wave.jpg")
NIGHT = images.load(ROOT / "images" / "style" / "night.jpg")
SHAPE = (96, 144, 3)


@pytest.fixture(scope="module")
def transfer(quick_network):
    """Style transfer with pictures of 96 pixels at least instead of 224, five times as fast."""
    name, folder = quick_network
    transfer = StyleTransfer(name, use_pbar=False, gpu_id=-1, models=folder)
    transfer.network = replace(transfer.network, input_size=SHAPE[0])
    return transfer


@pytest.fixture(scope="module")
def picture(transfer):
    """Return a function that makes a picture of the cat in a few iterations."""

    def make(*styles, n_iter=4, ratio=2e4, init="content", **options):
        transfer.transfer_style(list(styles or [WAVE]), CONTENT, 64, ratio, n_iter, init, **options)
        return transfer.get_generated()

    return make


@pytest.fixture(scope="module")
def plain(picture):
    """A picture without anything special."""
    return picture()
