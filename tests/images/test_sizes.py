"""Scales and resampling against the original's, and their bounds."""

import numpy as np
import pytest

from styletransfer import images
from styletransfer.errors import UsageError


@pytest.mark.parametrize(
    ("shape", "length", "size", "scale"),
    [
        ((427, 640, 3), 512, 224, 0.8),
        ((427, 640, 3), 256, 224, 224 / 427),
        ((100, 50), 512, 224, 5.12),
        ((1000, 50), 512, 224, 4.48),
    ],
)
def test_scale_never_goes_below_the_networks_input(shape, length, size, scale):
    assert images.scale_for(shape, length, size) == pytest.approx(scale)


@pytest.mark.parametrize("length", [0, -3, float("nan")])
def test_a_length_must_be_positive(length):
    with pytest.raises(UsageError, match=f"positive, not {length}"):
        images.scale_for((4, 4), length, 224)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rescaling_is_the_libraries_with_the_old_settings(rgb, dtype):
    from skimage.transform import rescale

    # The last has no black: its enlarged edges are darker than any of it, and clipped.
    for picture in (rgb, rgb[:1, :5], 0.2 + 0.6 * rgb):
        picture = picture.astype(dtype)
        for scale in (0.02, 0.37, 1, 1.3, 2.6):
            expected = rescale(
                picture, scale, order=1, mode="constant", anti_aliasing=False, channel_axis=2
            )
            result = images.rescale(picture, scale)
            assert result.dtype == dtype
            np.testing.assert_array_equal(result, expected)


def test_rescaling_is_bounded():
    strip = np.zeros((1, 10_000, 3), np.float32)
    with pytest.raises(UsageError, match="10000x1 pixels would become 2240000x224"):
        images.rescale(strip, 224)


@pytest.mark.parametrize("shape", [(1, 1000, 3), (1000, 1), (10, 321)])
@pytest.mark.parametrize("length", [1, 512, 7000])
def test_proportions_that_no_length_helps_are_refused(shape, length):
    with pytest.raises(UsageError, match=r"needs 224 on the short side: its proportions .* crop"):
        images.scale_for(shape, length, 224)


def test_the_size_that_proportions_ask_for_is_told():
    with pytest.raises(UsageError, match="of 1000x1 pixels would become 224000x224, as"):
        images.scale_for((1, 1000, 3), 512, 224)


@pytest.mark.parametrize(
    ("shape", "length", "scale"),
    [
        ((10, 320), 512, 22.4),
        ((320, 10), 1, 22.4),
        ((10, 1000), 22_400, 22.4),
        ((1, 100), 1e5, 1e3),
    ],
)
def test_long_pictures_that_are_bearable_or_wanted_are_scaled(shape, length, scale):
    assert images.scale_for(shape, length, 224) == pytest.approx(scale)
