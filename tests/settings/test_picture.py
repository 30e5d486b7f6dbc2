"""The parameters: the original's defaults, one check for all of them."""

from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from styletransfer import UsageError, settings
from styletransfer.images.colour import METHODS
from styletransfer.networks import NETWORKS
from styletransfer.optim import OPTIMIZERS
from styletransfer.settings import Part, Settings, choices


def test_the_defaults_are_those_of_the_original_command():
    plain = Settings()
    assert (plain.model, plain.init, plain.ratio, plain.n_iter, plain.length) == (
        *("vgg16", "content", 1e4, 512, 512),
    )
    assert plain.optimizer == "lbfgsb"
    assert plain.style_scale == (1.2,)
    assert plain.optimizer_options == {}


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("n_iter", 0, "n_iter (--num-iters) is 0; give a whole number of at least 1"),
        ("ratio", -1.0, "ratio is -1.0; give a number that is not negative, up to 1e38"),
        ("tv_kind", "l3", "tv_kind (--tv-kind) is 'l3'; give one of l1, l2, nine-point"),
        ("scales", "many", "from 1 to 16, or auto"),
        ("mean", [1, 2], "give 3 numbers, each from 0 to 255"),
        ("betas", [0.9, 1.0], "from 0 to below 1"),
        ("decay", 1.5, "above 0 and at most 1"),
        ("preserve_colors", ["lab", "before"], "lab (after)"),
        ("stages", [{"size": 2}], "tables of length, ratio and n_iter"),
        ("style_weights", ["x"], "style_weights (--style-weights) is ['x']"),
        ("preserve_colors", ["lab", ["x"]], "lab (after)"),
        ("n_iter", 1e308, "up to 1e9"),
        ("init", "a\0.png", "a file"),
        ("init", ["x.png"], "a file"),
        ("model", "x" * 5000, "the name of a network"),
        ("optimizer", {}, "one of lbfgsb, lbfgs, adam"),
    ],
)
def test_a_bad_value_is_named(name, value, part):
    with pytest.raises(UsageError) as raised:
        Settings(**{name: value})
    assert part in str(raised.value)


def test_a_path_is_taken_as_its_text():
    assert Settings(init=Path("x") / "y.png") == Settings(init="x/y.png")


def test_unknown_names_come_with_the_known_ones():
    with pytest.raises(UsageError, match=r"no parameter 'colour' in x.toml; there are model, init"):
        settings.make(Settings, {"colour": 1}, "x.toml")


def test_what_excludes_each_other():
    with pytest.raises(UsageError, match="step is no parameter of the optimizer lbfgs, which"):
        Settings(optimizer="lbfgs", step=0.1)
    with pytest.raises(
        UsageError, match=r"gram is no parameter of the style_loss \(--style-loss\) wasserstein,"
    ):
        Settings(style_loss="wasserstein", gram="caffe")
    with pytest.raises(UsageError, match="scales and stages"):
        Settings(scales="2", stages=[{"length": 0.5}])


def test_values_are_brought_to_one_form():
    assert Settings(ratio="2e3", scales=2) == Settings(ratio=2000, scales="2")
    assert Settings(style_layers=["a"]).style_layers == {"a": 1.0}
    made = Settings(stages=[{"length": 0.5}], model="x")
    assert made.stages == (Part(length=0.5),)
    assert Settings(model="x", **made.options()) == made


def test_each_optimizer_takes_its_parameters_and_has_their_defaults():
    assert set(choices.OPTIMIZERS) == set(OPTIMIZERS)
    for name, known in choices.OPTIMIZERS.items():
        made = OPTIMIZERS[name](0.0, 1.0, **known)
        assert made == OPTIMIZERS[name](0.0, 1.0)
        fields = set(vars(made)) - {"lower", "upper"}
        assert {"step_size" if field == "step" else field for field in known} == fields


def test_choices_are_those_of_the_modules_that_take_them():
    assert tuple(NETWORKS) == choices.NETWORK_NAMES
    assert tuple(choices.COLOUR_METHODS) == METHODS


@pytest.mark.parametrize(
    ("number", "text"),
    [(1e4, "1e4"), (2e3, "2e3"), (0.02, "0.02"), (512, "512"), (1e-8, "1e-8"), (0, "0")],
)
def test_compact(number, text):
    assert settings.compact(number) == text
    assert float(text) == number


@pytest.mark.parametrize(
    ("losses", "ratio"),
    [
        ({}, 1e4),
        ({"gram": "caffe"}, 1e4),
        *(
            ({"style_loss": kind, "gram": gram, "reduction": reduction}, value)
            for (kind, gram, reduction), value in choices.RATIOS.items()
        ),
    ],
)
def test_each_loss_has_a_default_ratio_of_its_own(losses, ratio):
    assert Settings(**losses).ratio == ratio
    assert Settings(**losses, ratio=3).ratio == 3


def test_all_losses_have_one():
    grams = product(["gram"], get_args(choices.Normalization), get_args(choices.Reduction))
    others = product(["wasserstein"], [None], get_args(choices.Reduction))
    assert set(choices.RATIOS) == {*grams, *others}
