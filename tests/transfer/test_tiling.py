"""Which tiles the memory allows, and what is done where it is not enough all the same."""

import logging

import numpy as np
import pytest

from styletransfer import images
from styletransfer.errors import UsageError
from styletransfer.objective.losses import Content, Gram
from styletransfer.objective.tiled import TiledObjective
from styletransfer.objective.whole import WholeObjective
from styletransfer.runtime.devices import Device
from styletransfer.settings import Settings
from styletransfer.transfer import StyleTransfer, tiling
from styletransfer.transfer.tiling import Need, Tiling, Work, side, smaller
from tests.conftest import ROOT
from tests.objective.test_tiled import NETWORK

TERMS = (Content("joined"), Gram("conv1"), Gram("conv2"))
SETTINGS = Settings(optimizer="adam")


def work(height: int, width: int) -> Work:
    return Work(NETWORK, (1, 3, height, width), TERMS, Device(threads=1), "auto")


def test_the_whole_where_there_is_room(monkeypatch):
    monkeypatch.setattr(tiling, "available", lambda: 10**12)
    assert side(Tiling(), work(300, 400), SETTINGS) is None


def test_nothing_is_known_of_the_memory(monkeypatch):
    monkeypatch.setattr(tiling, "available", lambda: None)
    assert side(Tiling(), work(300, 400), SETTINGS) is None


def test_the_largest_tile_that_fits(monkeypatch):
    large = work(1500, 1800)
    needs = {n: large.need(n, SETTINGS).total for n in tiling.SIDES if n < 1800}
    assert list(needs.values()) == sorted(needs.values(), reverse=True)
    assert next(iter(needs.values())) < large.need(None, SETTINGS).total < large.roughly() + 10**9
    for fitting, need in needs.items():
        monkeypatch.setattr(tiling, "available", lambda need=need: need)
        chosen = side(Tiling(), large, SETTINGS)
        assert chosen == next(n for n in needs if needs[n] <= need)
        assert chosen >= fitting


def test_none_fits(monkeypatch, caplog):
    monkeypatch.setattr(tiling, "available", lambda: 1000)
    assert side(Tiling(), work(300, 400), SETTINGS) == tiling.SIDES[-1]
    assert "hardly do" in caplog.text


def test_what_is_asked_for():
    assert side(Tiling("off", 1), work(300, 400), SETTINGS) is None
    assert side(Tiling(100), work(300, 400), SETTINGS) == 100
    assert side(Tiling(400), work(300, 400), SETTINGS) is None
    for wrong in (31, 0, -5, True, "some", 64.0):
        with pytest.raises(UsageError, match="tile is"):
            Tiling(wrong)
    with pytest.raises(UsageError, match="memory_limit is -1"):
        Tiling("auto", -1)


def test_smaller():
    assert smaller(None, (1, 3, 700, 2000)) == 1024
    assert smaller(512, (1, 3, 700, 2000)) == 384
    assert smaller(128, (1, 3, 700, 2000)) is None


@pytest.fixture
def quick(quick_network):
    name, models = quick_network
    return lambda **options: StyleTransfer(name, False, gpu_id=-1, models=models, **options)


PICTURE, STYLE = (
    images.resize(images.load(ROOT / "images" / name), size)
    for name, size in (("content/cat.jpg", (150, 220)), ("style/wave.jpg", (150, 200)))
)


def made(transfer: StyleTransfer) -> np.ndarray:
    layers = {"style_layers": ["conv1/7x7_s2", "conv2/3x3"], "content_layers": ["conv2/3x3"]}
    given = STYLE, PICTURE, 220, 1e4, 2, "content"
    transfer.transfer_style(*given, any_size=True, **layers)
    return transfer.get_generated()


def test_a_picture_in_tiles_is_the_same(quick):
    np.testing.assert_allclose(made(quick(tile=64)), made(quick()), atol=1e-3)


def test_lack_of_memory_is_met_with_smaller_tiles(quick, monkeypatch, caplog):
    """Whether an evaluation of the whole fails, or the making of the first tiles."""
    expected = made(quick())
    transfer = quick()
    monkeypatch.setattr(tiling, "SIDES", (160, 128, 64))
    sides = []

    def fails(*_):
        raise MemoryError("no 5 GB")

    class Scarce(TiledObjective):
        def __init__(self, *arguments, side):
            sides.append(side)
            if side > 64:
                raise MemoryError("no 2 GB")
            super().__init__(*arguments, side=side)

    monkeypatch.setattr("styletransfer.transfer.problem.TiledObjective", Scarce)
    monkeypatch.setattr(WholeObjective, "evaluate", fails)
    with caplog.at_level(logging.WARNING):
        found = made(transfer)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert sides == [160, 64]
    assert "no 5 GB" in caplog.text
    assert "in tiles of 64 pixels" in caplog.text


def test_off_is_off(quick, monkeypatch):
    def fails(*_):
        raise MemoryError("no 5 GB")

    monkeypatch.setattr(WholeObjective, "evaluate", fails)
    with pytest.raises(MemoryError, match="no 5 GB"):
        made(quick(tile="off"))


def test_the_minimiser_s_images_come_after_the_session_is_made():
    assert Need(weights=1000, live=0, beside=5, images=1000).total == 5 + 2100
    assert Need(weights=1000, live=0, beside=5, images=3000).total == 5 + 3000 + 650
