"""Which objectives are kept for the next picture."""

import logging
from dataclasses import replace

import pytest

from styletransfer import StyleTransfer, images
from styletransfer.objective.whole import WholeObjective
from styletransfer.transfer.tiling import Tiling
from tests.transfer.conftest import CONTENT, SHAPE, WAVE

WIDE, HIGH, SQUARE, NARROW = (
    images.resize(CONTENT, size) for size in ((96, 144), (144, 96), (96, 96), (160, 96))
)


@pytest.fixture
def sizes(monkeypatch):
    """The sizes for which an objective was made, in turn."""
    made = []

    class Noted(WholeObjective):
        def __init__(self, network, shape, *others):
            made.append(shape[2:])
            super().__init__(network, shape, *others)

    monkeypatch.setattr("styletransfer.transfer.problem.WholeObjective", Noted)
    return made


@pytest.fixture
def paint(quick_network):
    name, folder = quick_network
    transfer = StyleTransfer(name, use_pbar=False, gpu_id=-1, models=folder)
    transfer.network = replace(transfer.network, input_size=SHAPE[0])

    def make(*pictures, tiling=None, n_iter=1, **options):
        transfer._problems.tiling = tiling or Tiling()
        for picture in pictures:
            transfer.transfer_style(WAVE, picture, 64, 1e4, n_iter, "content", **options)
        return transfer.get_generated()

    return make


def test_three_sizes_have_their_sessions_and_the_one_used_least_goes_first(paint, sizes):
    paint(WIDE, HIGH, SQUARE, WIDE, HIGH, SQUARE, WIDE)
    assert sizes == [(96, 144), (144, 96), (96, 96)]
    del sizes[:]
    paint(NARROW, WIDE, SQUARE, HIGH)
    assert sizes == [(160, 96), (144, 96)]


def test_where_the_memory_is_short_only_one_is_kept(paint, sizes):
    little = Tiling("off", limit=1)
    paint(WIDE, HIGH, HIGH, WIDE, tiling=little)
    assert sizes == [(96, 144), (144, 96), (96, 144)]


def test_a_coarse_scale_is_not_kept_beside_the_next(paint, sizes):
    paint(WIDE, WIDE, scales="2", n_iter=2)
    assert sizes == [(68, 102), (96, 144), (68, 102)]


def test_others_go_before_a_picture_is_divided(paint, sizes, monkeypatch, caplog):
    evaluate, failed = WholeObjective.evaluate, []

    def scarce(self, image):
        if self.shape[2:] == (144, 96) and not failed:
            failed.append(True)
            raise MemoryError("no 5 GB")
        return evaluate(self, image)

    expected = paint(HIGH)
    del sizes[:]
    monkeypatch.setattr(WholeObjective, "evaluate", scarce)
    with caplog.at_level(logging.WARNING):
        found = paint(WIDE, HIGH)
    assert failed
    assert (found == expected).all()
    assert sizes == [(96, 144), (144, 96)]
    assert "tiles" not in caplog.text
