"""Stages and scales as numbers."""

import pytest

from styletransfer import UsageError
from styletransfer.settings import Settings, presets
from styletransfer.transfer.stages import Stage, plan

SHAPE = (400, 600, 3)


def test_usually_there_is_one():
    (stage,) = plan(Settings(), SHAPE, 224)
    assert stage == Stage(512, 1.0, 1e4, 512, 224)
    assert stage.scale_for(SHAPE) == 512 / 600


def test_demo_is_the_original_s():
    settings = presets.override(presets.read("demo").values, {})
    assert plan(settings, SHAPE, 224) == [
        Stage(360, 1.0, 2e3, 32, 224),
        Stage(512, 1.0, 2e4, 16, 224),
    ]


def test_scales_are_a_factor_of_root_two_apart_and_share_the_iterations():
    stages = plan(Settings(scales="3", n_iter=100), SHAPE, 224)
    assert [stage.n_iter for stage in stages] == [33, 34, 33]
    sides = [stage.scale_for(SHAPE) * 600 for stage in stages]
    assert sides == pytest.approx([256, 362.04, 512], abs=0.01)


def test_automatic_scales_go_down_to_224_pixels():
    assert len(plan(Settings(scales="auto", length=384), SHAPE, 224)) == 1
    stages = plan(Settings(scales="auto", length=1024), SHAPE, 224)
    short = [stage.scale_for(SHAPE) * 400 for stage in stages]
    assert short[-1] == pytest.approx(1024 * 400 / 600)
    assert 224 <= short[0] < 224 * 2**0.5


def test_no_room_for_so_many():
    with pytest.raises(UsageError, match=r"scales is 16, but .* 341 pixels there is room for 5"):
        plan(Settings(scales="16"), SHAPE, 224)
    with pytest.raises(UsageError, match=r"n_iter .* is 2, but the run has 3 stages"):
        plan(Settings(scales="3", n_iter=2), SHAPE, 224)
