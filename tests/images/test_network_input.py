"""What a network sees is what it saw in the original."""

import numpy as np
import pytest

from styletransfer import images
from tests.conftest import SHARED, golden

MEAN = np.array([104.00698793, 116.66876762, 122.67891434])


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "length", "input_size"),
    [
        ("caffenet_256_10_noise", 256, 227),
        ("caffenet_256_20", 256, 227),
        ("googlenet_256_20", 256, 224),
        ("googlenet_400_10_mixed", 400, 224),
        ("vgg16_256_20", 256, 224),
        ("vgg19_256_20", 256, 224),
    ],
)
def test_networks_see_what_the_original_saw(name, length, input_size):
    run = golden(name)
    for key, file, factor in [
        ("content_in", "content/nanjing.jpg", 1),
        ("style_in", "style/starry_night.jpg", 1.2),
    ]:
        picture = images.load(SHARED / "images" / file)
        scale = factor * images.scale_for(picture.shape, length, input_size)
        data = images.preprocess(images.rescale(picture, scale), MEAN)
        assert data.dtype == np.float32
        np.testing.assert_allclose(data[0], run[key], rtol=0, atol=1e-4)


@pytest.mark.golden
def test_a_style_stretched_over_the_content_is_the_originals(rgb):
    run = golden("googlenet_400_10_mixed")
    style = images.load(SHARED / "images" / "style" / "starry_night.jpg")
    style = images.rescale(style, 1.2 * images.scale_for(style.shape, 400, 224))
    height, width = run["content_in"].shape[1:]
    style = images.preprocess(images.resize(style, (height, width)), MEAN)[0]
    mixed = 0.95 * run["content_in"] + 0.05 * style
    np.testing.assert_allclose(mixed.ravel(), run["x0"], rtol=0, atol=1e-4)


def test_preprocessing_is_bgr_less_the_mean(rgb):
    data = images.preprocess(rgb, MEAN)
    assert data.shape == (1, 3, 12, 20)
    assert data.dtype == np.float32
    assert data.flags.c_contiguous
    np.testing.assert_allclose(data[0, 0], rgb[:, :, 2] * 255 - MEAN[0], atol=1e-4)
    np.testing.assert_allclose(data[0, 2], rgb[:, :, 0] * 255 - MEAN[2], atol=1e-4)


def test_deprocessing_is_its_inverse_clipped(rgb):
    data = images.preprocess(rgb, MEAN)
    back = images.deprocess(data, MEAN)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, rgb, atol=1e-6)
    data[0, :, 0, 0] = [-105, 0, 300]
    assert images.deprocess(data, MEAN)[0, 0].tolist() == pytest.approx([1, MEAN[1] / 255, 0])
