"""How a run ends: by its limits, by who watches it, by an error; and what it leaves then."""

import numpy as np
import pytest

from styletransfer import StyleTransfer, UsageError, images, optim
from styletransfer.optim import Lbfgs, Stop
from tests.transfer.conftest import CONTENT, SHAPE, WAVE


def test_there_is_no_image_before_a_run(quick_network, monkeypatch):
    name, folder = quick_network
    fresh = StyleTransfer(name, use_pbar=False, gpu_id=-1, models=folder)
    assert not fresh.has_image
    with pytest.raises(UsageError, match="call transfer_style first"):
        fresh.get_generated()

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(optim.Lbfgsb, "minimise", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fresh.transfer_style(WAVE, CONTENT, 64, n_iter=1)
    assert not fresh.has_image
    with pytest.raises(UsageError, match="the run was broken off before its first step"):
        fresh.get_generated()


def test_a_first_image_that_no_step_improves_is_the_result(transfer, monkeypatch, caplog):
    """At every scale, and of the full size."""

    def find_nothing(_, function, image, *__):
        function(image)
        return Stop.NO_GRADIENT

    monkeypatch.setattr(optim.Lbfgsb, "minimise", find_nothing)
    with caplog.at_level("WARNING", "styletransfer"):
        assert transfer.transfer_style(WAVE, CONTENT, 64, 0, 2, "content", scales=2) == 0
    np.testing.assert_allclose(
        transfer.get_generated(), images.resize(CONTENT, SHAPE[:2]), atol=1e-6
    )
    (record,) = caplog.records
    assert record.getMessage() == (
        "no step was better than the first image, which is the result: the gradient has vanished;"
        " another init or ratio may do more"
    )
    assert transfer.summary.stop is Stop.NO_GRADIENT


def test_limits(transfer):
    transfer.transfer_style(WAVE, CONTENT, 64, 1e4, 50, "content", time=0.01)
    assert transfer.summary.iterations == 1
    assert transfer.summary.reason == "the 0.01 seconds are over"
    transfer.transfer_style(WAVE, CONTENT, 64, 1e4, 50, "content", tolerance=0.9)
    assert transfer.summary.iterations == 1
    assert transfer.summary.reason == "the loss no longer falls"


def test_what_is_beyond_float32_is_no_result(transfer):
    options = {"init": "content", "optimizer": "adam"}
    transfer.transfer_style(WAVE, CONTENT, 64, 1e28, 3, **options)
    assert transfer.summary.stop is Stop.NOT_FINITE
    assert transfer.summary.iterations < 3
    assert np.isfinite(transfer.summary.last_loss)
    assert np.isfinite(transfer.get_generated()).all()


def test_a_run_that_ends_in_a_coarse_scale_says_so(transfer, caplog):
    options = {"length": 144, "n_iter": 6, "init": "content", "scales": "2"}
    transfer.transfer_style(WAVE, CONTENT, time=0.01, **options)
    assert transfer.summary.reason == "the 0.01 seconds are over"
    height, width = transfer.get_generated().shape[:2]
    assert (height, width) < SHAPE[:2]
    assert f"coarse scale, {width} x {height}" in caplog.text
    caplog.clear()

    def interrupt(step):
        if step.iteration == 4:
            raise KeyboardInterrupt

    # In the second scale: the first ended well, which is not why the run did.
    with pytest.raises(KeyboardInterrupt):
        transfer.transfer_style(WAVE, CONTENT, progress=interrupt, **options)
    assert transfer.summary.stop is Stop.INTERRUPTED
    assert transfer.get_generated().shape == SHAPE
    assert "coarse scale" not in caplog.text


def test_the_reason_is_that_of_the_stage_that_ended_early(transfer, monkeypatch):
    step = Lbfgs.step

    def stops_soon(self, function, state):
        stop = step(self, function, state)
        return Stop.NO_PROGRESS if state.shape[2] < SHAPE[0] else stop

    monkeypatch.setattr(Lbfgs, "step", stops_soon)
    transfer.transfer_style(WAVE, CONTENT, 200, 1e4, 6, "content", scales="2", optimizer="lbfgs")
    assert transfer.summary.iterations == 4
    assert transfer.summary.reason == "the loss no longer falls"


def test_losses_of_a_summary_are_those_of_the_last_stage(transfer):
    """With a hundred times the ratio there, they are no comparison with the first."""
    parts = [{"ratio": 0.01}, {}]
    options = {"length": 64, "ratio": 1e6, "init": "content", "optimizer": "lbfgs"}
    transfer.transfer_style(WAVE, CONTENT, n_iter=6, stages=parts, **options)
    assert transfer.summary.first_loss > transfer.summary.last_loss


def test_a_run_can_be_stopped_between_evaluations(transfer):
    steps = []
    done = transfer.transfer_style(
        WAVE, CONTENT, 64, 1e4, 9, "content", progress=steps.append, stopped=lambda: len(steps) == 2
    )
    assert done == 2
    assert transfer.summary.stop is Stop.INTERRUPTED
    assert transfer.summary.reason == "interrupted"
    np.testing.assert_array_equal(transfer.get_generated(), steps[-1].image())


def test_an_error_is_not_called_an_interruption(transfer):
    def fail(step):
        raise RuntimeError("the listener's own")

    with pytest.raises(RuntimeError, match="the listener's own"):
        transfer.transfer_style(WAVE, CONTENT, 64, 1e4, 3, "content", progress=fail)
    assert transfer.summary.stop is Stop.FAILED
    assert transfer.has_image


def test_without_memory_for_the_next_scale_the_coarser_picture_is_the_result(
    transfer, monkeypatch, caplog
):
    from styletransfer.transfer.problem import ProblemMaker

    make = ProblemMaker.make

    def scarce(self, settings, network, given, stage):
        if stage.shrink == 1:
            raise MemoryError("Unable to allocate 9 GiB")
        return make(self, settings, network, given, stage)

    monkeypatch.setattr(ProblemMaker, "make", scarce)
    assert transfer.transfer_style(WAVE, CONTENT, 144, 1e4, 4, "content", scales=2) == 2
    assert transfer.summary.stop is Stop.MEMORY
    assert transfer.get_generated().shape < SHAPE
    assert "not enough for the next scale (Unable to allocate 9 GiB)" in caplog.text
    with pytest.raises(MemoryError):
        transfer.transfer_style(WAVE, CONTENT, 200, 1e4, 4, "content")


def test_a_run_whose_style_hardly_took_hold_says_which_ratio_may_do_more(transfer, caplog):
    def warnings(**options):
        caplog.clear()
        transfer.transfer_style(
            WAVE, CONTENT, 64, n_iter=10, optimizer="lbfgs", **{"init": "content"} | options
        )
        return [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]

    (message,) = warnings(ratio=1e-3)
    assert "the style hardly took hold: " in message
    assert message.endswith("a ratio of 1e4 (--ratio) may do more, now it is 1e-3")
    assert warnings(ratio=1e5) == []
    assert warnings(ratio=1e-3, init=WAVE) == []  # which may have the style already
