"""The class: the original's contract, and each effect shown by a number, on real weights."""

import inspect
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import style
import styletransfer
from styletransfer import NetworkError, StyleTransfer, UsageError, images, optim
from styletransfer.optim import OPTIMIZERS
from styletransfer.settings import Settings, describe
from styletransfer.settings.choices import RATIOS
from styletransfer.transfer import facade
from styletransfer.transfer.options import Options
from tests.conftest import ROOT
from tests.transfer.conftest import CONTENT, NIGHT, SHAPE, WAVE


def test_the_signature_is_the_original_s():
    assert style.StyleTransfer is StyleTransfer
    parameters = inspect.signature(StyleTransfer.transfer_style).parameters
    assert [(p.name, p.default) for p in list(parameters.values())[3:9]] == [
        ("length", 512),
        ("ratio", 1e5),
        ("n_iter", 512),
        ("init", "-1"),
        ("verbose", False),
        ("callback", None),
    ]
    assert list(parameters)[1:3] == ["img_style", "img_content"]
    assert list(inspect.signature(StyleTransfer).parameters)[:2] == ["model_name", "use_pbar"]


def test_a_style_too_small_for_the_network(picture):
    with pytest.raises(UsageError, match=r"1 x 1 pixels, and needs 32 .* larger style_scale"):
        picture(style_scale=1e-6)


def test_callback_and_result(transfer):
    seen, steps = [], []
    done = transfer.transfer_style(
        WAVE, CONTENT, 64, 1e4, 3, "content", callback=seen.append, progress=steps.append
    )
    assert done == 3 == len(seen)
    assert all(image.shape == SHAPE and 0 <= image.min() <= image.max() <= 1 for image in seen)
    np.testing.assert_array_equal(transfer.get_generated(), seen[-1])
    assert [step.iteration for step in steps] == [1, 2, 3]
    losses = [step.loss for step in steps]
    assert losses == sorted(losses, reverse=True)
    assert sum(steps[-1].terms.values()) == pytest.approx(losses[-1])
    summary = transfer.summary
    assert (summary.iterations, summary.last_loss) == (3, losses[-1])
    assert summary.first_loss > losses[0]
    assert summary.reason == "all 3 iterations are done"


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_an_objective_beyond_float32_is_told_at_once(transfer, optimizer):
    with pytest.raises(UsageError, match=r"loss of the first image, .*e\+\d+, .* beyond float32; "):
        transfer.transfer_style(WAVE, CONTENT, 64, 1e38, 2, "content", optimizer=optimizer)
    assert transfer.summary.evaluations == 0


@pytest.mark.parametrize("bad", ["shape", "range", "type"])
def test_images_are_checked(transfer, bad):
    image = {
        "shape": CONTENT[..., :2],
        "range": CONTENT * 255,
        "type": (CONTENT * 255).astype(int),
    }[bad]
    with pytest.raises(UsageError, match="an image "):
        transfer.transfer_style(WAVE, image)


def test_options_are_checked(transfer):
    with pytest.raises(UsageError, match="no parameter 'colour'"):
        transfer.transfer_style(WAVE, CONTENT, colour="red")
    with pytest.raises(UsageError, match="model_name"):
        transfer.transfer_style(WAVE, CONTENT, model="vgg19")
    with pytest.raises(
        UsageError, match=r"style_scale \(--style-scale\) has 2 values for 1 style image;"
    ):
        transfer.transfer_style(WAVE, CONTENT, 64, style_scale=[1, 2])
    with pytest.raises(UsageError, match="1 style masks for 2 style images"):
        transfer.transfer_style([WAVE, NIGHT], CONTENT, 64, style_masks=[CONTENT[..., 0]])
    with pytest.raises(UsageError, match="same proportions"):
        transfer.transfer_style(WAVE, CONTENT, 64, content_mask=np.ones((10, 10)))
    with pytest.raises(NetworkError, match=r"no layer 'conv9'; it has "):
        transfer.transfer_style(WAVE, CONTENT, 64, style_layers=["conv9"])


@pytest.mark.parametrize("wrong", [object(), 3.5, {1: 2}, [[]], 1j, {3}, lambda: 0])
def test_values_of_other_types_are_told(transfer, wrong):
    given = {"img_style": WAVE, "img_content": CONTENT, "length": 64, "n_iter": 1}
    pictures = ("img_style", "img_content", "style_masks", "content_mask")
    called = () if callable(wrong) else ("callback", "progress", "stopped")
    for name in (*pictures, "preset", "style_layers", "stages", *called):
        with pytest.raises(UsageError):
            transfer.transfer_style(**(given | {name: wrong}))
    for name in ("length", "ratio", "n_iter", "init", "seed", "style_scale"):
        if wrong != 3.5 or name in ("n_iter", "seed"):
            with pytest.raises(UsageError, match=name):
                transfer.transfer_style(**(given | {name: wrong}))


@pytest.mark.parametrize("name", ["model_name", "models", "gpu_id", "threads"])
@pytest.mark.parametrize("wrong", [object(), 3.5, {1: 2}, [[]], 1j, np.zeros(2)])
def test_no_network_is_loaded_with_other_types(name, wrong):
    with pytest.raises(UsageError, match=r"; (give|choose)"):
        StyleTransfer(**({"model_name": "vgg16", "use_pbar": False} | {name: wrong}))


def test_first_images(transfer):
    """After one tiny step from each, the image still shows what it began from."""
    size = SHAPE[:2]
    begun = {}
    for init in ("content", "mixed", "-1", NIGHT):
        seen = []
        transfer.transfer_style(
            WAVE,
            CONTENT,
            64,
            1e4,
            1,
            init,
            optimizer="adam",
            step=1e-6,
            callback=seen.append,
            seed=1,
        )
        begun[str(init)[:7]] = seen[0]
    content = images.resize(CONTENT, size)
    assert np.abs(begun["content"] - content).mean() < 1e-3
    mixed = 0.95 * content + 0.05 * images.resize(WAVE, size)
    assert np.abs(begun["mixed"] - mixed).mean() < 4e-3
    assert np.abs(begun[str(NIGHT)[:7]] - images.resize(NIGHT, size)).mean() < 1e-3
    noise = begun["-1"]
    assert np.abs(noise - content).mean() > 0.1
    assert (noise.min(), noise.max()) == (pytest.approx(0, abs=0.01), pytest.approx(1, abs=0.01))


def test_a_seed_repeats_the_noise(picture):
    first, again, other = (picture(n_iter=1, init="-1", seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.01


def test_uint8_is_taken_too(picture, plain):
    made = picture(np.rint(WAVE * 255).astype(np.uint8))
    assert np.abs(made - plain).mean() < 1e-3


def test_weights_of_styles(picture, plain):
    def difference(image, other):
        return np.abs(image - other).mean()

    assert difference(picture(WAVE, NIGHT, style_weights=[3, 0]), plain) < 2e-3
    night = picture(NIGHT)
    mostly_wave, mostly_night = (
        picture(WAVE, NIGHT, style_weights=weights) for weights in ([9, 1], [1, 9])
    )
    assert difference(mostly_wave, plain) < difference(mostly_wave, night) / 2
    assert difference(mostly_night, night) < difference(mostly_night, plain) / 2


def test_style_masks(picture):
    left = np.zeros(CONTENT.shape[:2])
    left[:, : left.shape[1] // 2] = 1
    made = picture(WAVE, style_masks=[left])
    change = np.abs(made - images.resize(CONTENT, SHAPE[:2])).mean(axis=(0, 2))
    # Far from the border, beyond the reach of the deepest layer.
    assert change[:36].mean() > 10 / 255
    assert change[-18:].max() < 0.1 / 255


def test_content_mask(picture, plain):
    """Where the content does not count, the picture leaves it further behind."""
    left = np.zeros(CONTENT.shape[:2])
    left[:, : left.shape[1] // 2] = 1
    content = images.resize(CONTENT, SHAPE[:2])
    difference = {
        name: np.abs(made - content).mean(axis=(0, 2))
        for name, made in (
            ("all", picture(ratio=1e2, n_iter=16)),
            ("left", picture(ratio=1e2, n_iter=16, content_mask=left)),
        )
    }
    gain = difference["left"] - difference["all"]
    assert gain[-43:].mean() > gain[:43].mean() + 1 / 255


@pytest.mark.parametrize("method", ["luminance", "lab"])
def test_luminance_only(picture, plain, method):
    from skimage.color import rgb2lab, rgb2yuv

    convert = rgb2yuv if method == "luminance" else rgb2lab
    made = picture(preserve_colors=method)
    content = images.resize(CONTENT, SHAPE[:2])
    kept, usual = (
        np.abs(convert(p)[..., 1:] - convert(content)[..., 1:]).mean() for p in (made, plain)
    )
    assert kept < usual / 2
    assert np.abs(255 * (made.mean((0, 1)) - content.mean((0, 1)))).max() < 25


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["covariance", "cholesky"])
def test_matched_colours(picture, method, when):
    made = picture(n_iter=8, preserve_colors=[method, when])
    content = images.resize(CONTENT, SHAPE[:2])
    assert np.abs(255 * (made.mean((0, 1)) - content.mean((0, 1)))).max() < 5


def test_total_variation_smooths(picture, plain):
    def variation(image):
        return np.abs(np.diff(image, axis=0)).mean() + np.abs(np.diff(image, axis=1)).mean()

    for kind, weight in (("l1", 1e8), ("l2", 1e9), ("nine-point", 3e13)):
        assert variation(picture(tv=weight, tv_kind=kind)) < 0.9 * variation(plain)


def test_scales_reach_a_lower_loss(transfer):
    """With the same work at the final scale, and some at a coarse one before."""
    losses = {}
    for scales, n_iter in (("1", 5), ("2", 10)):
        transfer.transfer_style(
            WAVE, CONTENT, 64, 2e4, n_iter, "content", scales=scales, optimizer="lbfgs"
        )
        assert transfer.get_generated().shape == SHAPE
        assert transfer.summary.iterations == n_iter
        losses[scales] = transfer.summary.last_loss
    assert losses["2"] < losses["1"]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"style_loss": "wasserstein", "ratio": 1e9}, marks=pytest.mark.slow),
        {"gram": "hw", "reduction": "mean", "ratio": 1e3},
        {"gram": "chw", "pooling": "max"},
        {"pooling": "l2", "conv": "direct"},
        {"optimizer": "lbfgs", "history": 3, "pooling": "avg"},
        {"optimizer": "adam", "step": 0.01, "average": 0.5, "decay": 0.9},
        {"mean": (103.939, 116.779, 123.68)},
    ],
    ids=lambda options: "-".join(options),
)
def test_the_loss_falls(transfer, options):
    given = {"length": 64, "n_iter": 2, "init": "content", **options}
    transfer.transfer_style(WAVE, CONTENT, **given)
    assert transfer.summary.last_loss < transfer.summary.first_loss


def test_style_scale(picture, plain):
    assert np.abs(picture(style_scale=[0.5]) - plain).mean() > 1 / 255


def test_one_objective_serves_pictures_of_one_size(transfer, monkeypatch):
    from styletransfer.transfer import problem

    made = []

    class Counted(problem.WholeObjective):
        def __init__(self, *arguments):
            made.append(arguments[1])
            super().__init__(*arguments)

    monkeypatch.setattr(problem, "WholeObjective", Counted)
    for content, length in ((CONTENT, 70), (CONTENT[::-1], 70), (CONTENT, 180)):
        transfer.transfer_style(WAVE, content, length, 1e4, 1, "content", gram="hw")
    assert [shape[2:] for shape in made] == [(96, 144), (120, 180)]


def test_terms_add_up_to_the_loss_that_is_told(transfer, monkeypatch):
    """Also where a line search accepts another image than the last that it evaluated."""
    search = optim.Lbfgs._search

    def looks_once_more(self, function, state, direction):
        found = search(self, function, state, direction)
        function(self._clip(state.image + 3 * direction, state.shape))
        return found

    monkeypatch.setattr(optim.Lbfgs, "_search", looks_once_more)
    steps = []
    for optimizer in ("lbfgs", "adam"):
        transfer.transfer_style(
            WAVE, CONTENT, 64, 1e4, 2, "content", progress=steps.append, optimizer=optimizer
        )
    for step in steps:
        assert sum(step.terms.values()) == pytest.approx(step.loss, rel=1e-12)


def test_what_a_style_gives_is_computed_once(transfer, monkeypatch):
    from styletransfer.transfer import problem

    seen = []
    statistics = problem.statistics

    def counted(network, image, terms, device):
        seen.append(image.shape)
        return statistics(network, image, terms, device)

    monkeypatch.setattr(problem, "statistics", counted)
    for content in (CONTENT, CONTENT[::-1]):
        transfer.transfer_style(WAVE, content, 64, 1e4, 1, "content", style_scale=1.05)
    assert len(seen) == 3  # a content each, and one style


def test_a_path_is_a_first_image(transfer):
    path = ROOT / "images" / "style" / "night.jpg"
    transfer.transfer_style(WAVE, CONTENT, 64, 1e4, 1, path, optimizer="adam", step=1e-6)
    expected = images.resize(NIGHT, SHAPE[:2])
    assert np.abs(transfer.get_generated() - expected).mean() < 1e-3


def test_pictures_are_taken_as_paths_as_images_of_pillow_and_as_arrays(transfer, plain):
    paths = [ROOT / "images" / "style" / "wave.jpg", ROOT / "images" / "content" / "cat.jpg"]
    for convert in (str, Path, Image.open):
        style, content = map(convert, paths)
        transfer.transfer_style(style, content, 64, 2e4, 4, "content")
        np.testing.assert_array_equal(transfer.get_generated(), plain)
    styletransfer_load = styletransfer.load(paths[1])
    np.testing.assert_array_equal(styletransfer_load, CONTENT)


def test_a_preset_stands_for_what_is_left_at_its_default(transfer, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('ratio = 3e3\nn_iter = 3\ninit = "content"\noptimizer = "lbfgs"\nlength = 64\n')
    assert transfer.transfer_style(WAVE, CONTENT, preset=str(path)) == 3
    assert transfer.transfer_style(WAVE, CONTENT, n_iter=1, preset=str(path), tv=1e3) == 1
    with pytest.raises(UsageError, match=r"no preset 'fats'; .*; did you mean fast"):
        transfer.transfer_style(WAVE, CONTENT, preset="fats")


def test_any_size_lifts_the_bound_on_the_short_side(transfer, caplog):
    with caplog.at_level("INFO", "styletransfer"):
        transfer.transfer_style(WAVE, CONTENT, 90, 1e4, 1, "content", any_size=True)
        assert "not 90 on its long side" not in caplog.text
        assert transfer.get_generated().shape == (60, 90, 3)
        transfer.transfer_style(WAVE, CONTENT, 90, 1e4, 1, "content")
    assert "the result has 144 x 96 pixels, not 90 on its long side" in caplog.text


def test_the_keyword_arguments_are_those_of_settings():
    named = {"length", "ratio", "n_iter", "init", "model"}
    assert set(Options.__annotations__) == set(describe(Settings)) - named


@pytest.mark.parametrize(
    ("losses", "given", "used"),
    [
        ({}, {}, 1e5),
        ({"reduction": "mean"}, {}, RATIOS["gram", "caffe", "mean"]),
        ({"style_loss": "wasserstein"}, {}, RATIOS["wasserstein", None, "sum"]),
        ({"style_loss": "wasserstein"}, {"ratio": 3.0}, 3.0),
    ],
)
def test_a_default_ratio_belongs_to_the_losses(transfer, monkeypatch, losses, given, used):
    seen = []

    def note(_problems, settings, *_):
        seen.append(settings.ratio)
        raise KeyboardInterrupt

    monkeypatch.setattr(facade, "run", note)
    with pytest.raises(KeyboardInterrupt):
        transfer.transfer_style(WAVE, CONTENT, 64, **given, **losses)
    assert seen == [used]
