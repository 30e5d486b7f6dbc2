"""The library: pictures painted in one pass."""

import numpy as np
import pytest

from styletransfer.errors import NetworkError, StyleTransferError, UsageError, WeightsError
from styletransfer.feedforward import Stylizer
from styletransfer.feedforward.memory import STYLE, Memory
from tests.conftest import MODELS
from tests.feedforward.conftest import planes, run
from tests.feedforward.networks import Maker, candy

PICTURE = np.random.default_rng(0).integers(0, 256, (45, 62, 3), np.uint8)


@pytest.fixture(scope="module")
def one() -> Stylizer:
    """A network of one style."""
    return Stylizer(candy(64).SerializeToString())


@pytest.fixture(scope="module")
def many(published) -> Stylizer:
    published("multistyle26")
    return Stylizer("multistyle26", models=MODELS)


@pytest.fixture(scope="module")
def any_style(published) -> Stylizer:
    published("arbitrary_predict")
    published("arbitrary_transform")
    return Stylizer("arbitrary", models=MODELS)


def test_a_network_at_the_size_of_its_own(one):
    picture = np.random.default_rng(1).random((64, 64, 3), np.float32)
    (expected,) = run(candy(64), input1=255 * planes(picture))
    expected = np.clip(expected.transpose(1, 2, 0) / 255, 0, 1)
    result = one.stylize(picture)
    assert (result.dtype, one.styles, one.device) == (np.float32, 1, "CPU")
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_any_size_and_kind_of_picture(one):
    expected = one.stylize(PICTURE)
    assert expected.shape == (45, 62, 3)
    assert expected.min() >= 0
    assert expected.max() <= 1
    np.testing.assert_allclose(one.stylize(PICTURE / 255), expected, atol=1e-5)
    np.testing.assert_allclose(one.stylize(257 * PICTURE.astype(np.uint16)), expected, atol=1e-5)
    opaque = np.dstack([PICTURE, np.full((45, 62), 255, np.uint8)])
    np.testing.assert_allclose(one.stylize(opaque), expected, atol=1e-5)
    assert one.stylize(PICTURE[:, :, 0]).shape == (45, 62, 3)


def test_sides_are_reflected_to_the_multiple_and_cut_off_again(one):
    rows = np.concatenate([np.arange(45), [43, 42, 41]])
    columns = np.concatenate([np.arange(62), [60, 59]])
    padded = PICTURE[rows][:, columns]
    np.testing.assert_allclose(one.stylize(PICTURE), one.stylize(padded)[:45, :62], atol=1e-5)


def test_colours_in_the_other_order():
    rgb, bgr = (Stylizer(candy(64).SerializeToString(), order=order) for order in ("RGB", "BGR"))
    expected = rgb.stylize(PICTURE[:, :, ::-1])[:, :, ::-1]
    np.testing.assert_allclose(bgr.stylize(PICTURE), expected, atol=1e-5)


def test_strength_mixes_the_photo_in(one):
    photo, painting = PICTURE / 255, one.stylize(PICTURE)
    mixed = one.stylize(PICTURE, strength=0.25)
    np.testing.assert_allclose(mixed, 0.25 * painting + 0.75 * photo, atol=1e-5)


def test_style_scale_shows_the_network_a_smaller_photo(one):
    result = one.stylize(PICTURE, style_scale=2)
    assert result.shape == (45, 62, 3)
    assert (
        np.abs(np.diff(result, axis=1)).mean()
        < np.abs(np.diff(one.stylize(PICTURE), axis=1)).mean()
    )


def test_enlarging_networks():
    maker = Maker()
    x = maker.op("Resize", "input1", "", maker.constant([1.0, 1.0, 2.0, 2.0]), mode="nearest")
    maker.op("Clip", x, maker.constant(0.0), maker.constant(1.0), output="output1")
    twice = Stylizer(maker.model(18, [1, 3, "h", "w"]).SerializeToString())
    expected = (PICTURE / 255).repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_allclose(twice.stylize(PICTURE), expected, atol=1e-5)
    np.testing.assert_allclose(twice.stylize(PICTURE, strength=0.5).shape, expected.shape)


def test_styles_of_a_network(many, published, cat):
    assert many.styles == 26
    picture = cat[:100, :121]
    padded = np.pad(picture, ((0, 0), (0, 3), (0, 0)), mode="reflect")
    for style, chosen in ((7, {7: 1.0}), ("3:0.5,12:0.5", {3: 0.5, 12: 0.5})):
        shares = np.zeros(26)
        shares[list(chosen)] = list(chosen.values())
        expected = run(published("multistyle26"), image=planes(padded), style_weights=shares)
        result = many.stylize(picture, style)
        difference = np.abs(result - expected[0].transpose(1, 2, 0)[:, :121])
        assert difference.max() * 255 < 0.1
    np.testing.assert_array_equal(many.stylize(picture), many.stylize(picture, {0: 1}))


def test_any_painting_agrees_with_the_published_pair(any_style, published, cat, night):
    """At the pair's own sizes the difference is that of its activations of 8 bits."""
    photo = np.ascontiguousarray(np.tile(cat, (2, 1, 1))[:384, :384])
    painting = np.ascontiguousarray(night[:256, :256])
    numbers = run(published("arbitrary_predict"), style_image=painting[np.newaxis])
    inputs = {"content_image": photo[np.newaxis], "mobilenet_conv/Conv/BiasAdd": numbers}
    expected = run(published("arbitrary_transform"), **inputs)[0]
    result = any_style.stylize(photo, painting)
    assert 255 * np.abs(result - expected).mean() < 12  # 7.8 measured
    own = any_style._predictor.numbers(painting)
    assert np.linalg.norm(own - numbers.ravel()) < 0.1 * np.linalg.norm(numbers)


def test_any_painting(any_style, cat, night):
    assert any_style.styles == 0
    picture = cat[:150, :200]
    result = any_style.stylize(picture, night)
    assert result.shape == picture.shape
    # The night is blue, the cat is not.
    assert result[:, :, 2].mean() > result[:, :, 0].mean() + 0.1
    half = any_style.stylize(picture, night, strength=0.5)
    own = any_style.stylize(picture, picture)
    none = any_style.stylize(picture, night, strength=0)
    np.testing.assert_allclose(none, own, atol=1e-5)
    assert result[:, :, 2].mean() > half[:, :, 2].mean() > none[:, :, 2].mean()
    only = any_style.stylize(picture, [night, picture], style_weights=[1, 0])
    np.testing.assert_allclose(only, result, atol=1e-5)
    blend = any_style.stylize(picture, [night, picture])
    np.testing.assert_allclose(blend, half, atol=1e-5)


def test_in_a_film_the_part_of_the_first_frames_own_style_stays(any_style, cat, night):
    first, second = cat[:96, :128], cat[150:246, :128]
    painting, values = any_style.stylize_next(first, night, before=Memory(), strength=0.5)
    np.testing.assert_array_equal(painting, any_style.stylize(first, night, strength=0.5))
    _, after = any_style.stylize_next(second, night, before=Memory(values, 0.1), strength=0.5)
    np.testing.assert_array_equal(after[STYLE], values[STYLE])
    _, alone = any_style.stylize_next(second, night, before=Memory(), strength=0.5)
    assert np.abs(alone[STYLE] - values[STYLE]).max() > 1e-3


def test_in_a_film_a_painting_is_put_into_numbers_once(any_style, cat, night):
    _, values = any_style.stylize_next(cat[:96, :128], night, before=Memory())
    _, after = any_style.stylize_next(cat[:96, :128], 1 - night, before=Memory(values, 0.1))
    np.testing.assert_array_equal(after[STYLE], values[STYLE])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"style": 3}, "has one style; give none"),
        ({"strength": 1.5}, "strength is 1.5; give a number from 0 to 1"),
        ({"style_scale": 0}, r"style_scale \(--style-scale\) is 0; give a number from 0.05 to 20"),
        ({"style_weights": [1]}, r"style_weights \(--style-weights\) are for several paintings"),
        ({"image": np.zeros((3, 40, 3), np.uint8)}, "40 x 3 pixels cannot be painted"),
        ({"image": np.zeros((40, 40, 2), np.uint8)}, "an image has the shape"),
        ({"image": np.full((40, 40, 3), 2.0)}, "this one is float64 from 2.0"),
        ({"image": None}, "an image is"),
    ],
)
def test_arguments_that_cannot_work(one, arguments, message):
    with pytest.raises(UsageError, match=message):
        one.stylize(**({"image": PICTURE} | arguments))


WRONG = [object(), {"a": 1}, [None], {3}, b"x", 1j, "\0", np.array(["a"]), 10**400, lambda: 0]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: type(wrong).__name__)
def test_values_of_other_types_are_told(one, many, any_style, wrong):
    for stylizer, style in ((one, None), (many, 3), (any_style, PICTURE)):
        for name in ("image", "style", "style_weights", "strength", "style_scale"):
            with pytest.raises(StyleTransferError):
                stylizer.stylize(**({"image": PICTURE, "style": style} | {name: wrong}))


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: type(wrong).__name__)
@pytest.mark.parametrize("name", ["gpu_id", "threads", "order", "takes", "gives"])
def test_networks_are_not_opened_with_other_types(name, wrong):
    if name == "gpu_id" and isinstance(wrong, int):
        return  # a machine has not so many, but it is a number
    with pytest.raises(UsageError, match=name):
        Stylizer(candy(64).SerializeToString(), **{name: wrong})


@pytest.mark.parametrize("wrong", [None, 3, object(), [], {}])
def test_a_model_of_another_type(wrong):
    with pytest.raises(UsageError, match=r"model is .*; give a name, a path"):
        Stylizer(wrong)
    if wrong is not None:
        with pytest.raises(UsageError, match=r"models is .*; give the path of a folder"):
            Stylizer("multistyle26", models=wrong)


def test_no_paintings(any_style):
    with pytest.raises(UsageError, match="the style is a painting, an array"):
        any_style.stylize(PICTURE, [])


def test_styles_that_cannot_work(many, any_style, night):
    with pytest.raises(UsageError, match="no style 26; its styles are 0 to 25"):
        many.stylize(PICTURE, 26)
    for style in (None, 7, "7"):
        with pytest.raises(UsageError, match="the style is a painting, an array"):
            any_style.stylize(PICTURE, style)
    with pytest.raises(UsageError, match="2 style weights for 1 paintings"):
        any_style.stylize(PICTURE, night, style_weights=[1, 2])
    with pytest.raises(UsageError, match="not all 0"):
        any_style.stylize(PICTURE, [night, night], style_weights=[0, 0])


def test_models_that_are_none(tmp_path):
    with pytest.raises(UsageError, match="'candi' is neither a network nor a file"):
        Stylizer("candi")
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    with pytest.raises(NetworkError, match=r"x\.onnx is no ONNX file"):
        Stylizer(tmp_path / "x.onnx")
    (tmp_path / "multistyle26").mkdir()
    (tmp_path / "multistyle26" / "multistyle26.onnx").write_bytes(b"other")
    with pytest.raises(WeightsError, match="is not the network multistyle26 as published"):
        Stylizer("multistyle26", models=tmp_path)
