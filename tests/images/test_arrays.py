"""What is taken as a picture or a mask, and what is refused in a sentence."""

import decimal

import numpy as np
import pytest
from PIL import Image

from styletransfer.errors import UsageError
from styletransfer.images.arrays import as_mask, as_rgb

LEVELS = np.arange(24).reshape(2, 4, 3) / 24
FLOATS = [np.float16, np.float32, np.float64, np.longdouble, ">f4", ">f8"]


@pytest.mark.parametrize("dtype", FLOATS)
def test_floats_are_taken(dtype):
    """float32 and float64 as they are, others as float32: what follows computes in these."""
    array = LEVELS.astype(dtype)
    for found, wanted in [(as_rgb(array), array), (as_mask(array[..., 0], (2, 4)), array[..., 0])]:
        assert found.dtype == ("f8" if array.dtype.itemsize == 8 else "f4")
        assert found.dtype.isnative
        np.testing.assert_array_equal(found, wanted.astype(found.dtype))


def test_arrays_of_the_usual_kinds_are_not_copied():
    for dtype in (np.float32, np.float64):
        array = LEVELS.astype(dtype)
        assert as_rgb(array) is array


@pytest.mark.parametrize(("dtype", "most"), [(np.uint8, 255), (np.uint16, 65_535), (">u2", 65_535)])
def test_levels_become_floats(dtype, most):
    array = np.array([[0, most // 2, most]], dtype)
    expected = array.astype(np.float64) / most
    for found in (as_rgb(np.dstack([array] * 3))[..., 1], as_mask(array, (10, 30, 3))):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_masks_may_be_bool():
    found = as_mask(np.eye(3, dtype=bool), (3, 3))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.eye(3))


def test_gray_is_taken():
    gray = LEVELS[..., 0]
    for array in (gray, gray[..., np.newaxis], gray.tolist()):
        np.testing.assert_array_equal(as_rgb(array), np.dstack([gray] * 3))
    np.testing.assert_array_equal(as_mask(gray[..., np.newaxis], (2, 4)), gray)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_transparency_is_laid_over_white(dtype):
    rgba = np.zeros((1, 3, 4))
    rgba[0, :, 0] = 1
    rgba[0, :, 3] = [0, 0.2, 1]
    array = rgba.astype(np.float32) if dtype == np.float32 else np.rint(rgba * 255).astype(dtype)
    expected = [[[1, 1, 1], [1, 0.8, 0.8], [1, 0, 0]]]
    np.testing.assert_allclose(as_rgb(array), expected, atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16", "P", "LA", "CMYK", "1"])
def test_images_of_pillow_with_plain_pixels_are_taken(mode):
    white = Image.new("RGB", (3, 2), "white").convert(mode if mode != "I;16" else "L")
    if mode == "I;16":
        white = Image.new(mode, (3, 2), 65_535)
    assert as_rgb(white).tolist() == np.ones((2, 3, 3)).tolist()


@pytest.mark.parametrize("mode", ["LAB", "F"])
def test_images_of_pillow_with_other_pixels_are_refused(mode):
    for call in (as_rgb, lambda image: as_mask(image, (2, 3))):
        with pytest.raises(UsageError, match=f"PIL image of the mode {mode} .* convert"):
            call(Image.new(mode, (3, 2)))


KINDS = r"is float in \[0, 1\], uint8 or uint16; this one is"
ODD = [
    (None, f"{KINDS} object"),
    (np.full((2, 4, 3), "0.5"), f"{KINDS} <U3"),
    (np.full((2, 4, 3), decimal.Decimal(1)), f"{KINDS} object"),
    (np.zeros((2, 4, 3), complex), f"{KINDS} complex128"),
    (np.zeros((2, 4), [("a" * 999, "f4")]), rf"{KINDS} \[\('a.{{,60}}$"),
    ([[0.5, 0.5], [0.5]], "is an array, not list"),
    (np.float32(0.5), r"shape .*, not \(\)"),
    (np.zeros((2, 0, 3)), r"shape .*, not \(2, 0, 3\)"),
    (np.zeros(3), r"shape .*, not \(3,\)"),
    (np.zeros((2, 4, 2)), r"shape .*, not \(2, 4, 2\)"),
    (np.zeros((2, 4, 3, 1)), r"shape .*, not \(2, 4, 3, 1\)"),
]
OUTSIDE = [
    (np.full((2, 4), np.nan), f"{KINDS} float64 from nan to nan"),
    (np.full((2, 4), 255.0), f"{KINDS} float64 from 255.0 to 255.0"),
    (np.full((2, 4), -0.1, np.float32), f"{KINDS} float32 from -0.1"),
    (np.full((2, 4), np.longdouble("1e4000")), rf"{KINDS} float\d+ from inf"),
    (np.full((2, 4), np.inf, np.float16), f"{KINDS} float16 from inf"),
    (np.full((2, 4), 128, np.int64), f"{KINDS} int64 from 128 to 128"),
]


@pytest.mark.parametrize(("image", "problem"), [*ODD, *OUTSIDE, (np.eye(3) > 0, f"{KINDS} bool")])
def test_what_is_no_image(image, problem):
    with pytest.raises(UsageError, match=f"^an image {problem}|^an image has the {problem}"):
        as_rgb(image)


@pytest.mark.parametrize(
    ("mask", "problem"),
    [
        *ODD,
        *OUTSIDE,
        (np.ones((2, 4, 3)), r"shape \(height, width\), not \(2, 4, 3\)"),
        (np.ones((4, 2)), "of 2 x 4 pixels does not fit a content image of 4 x 2"),
    ],
)
def test_what_is_no_mask(mask, problem):
    with pytest.raises(UsageError, match=f"^a mask {problem}|^a mask has the {problem}"):
        as_mask(mask, (2, 4, 3))


def test_a_mask_that_is_black_all_over_is_refused():
    with pytest.raises(UsageError, match="black all over"):
        as_mask(np.zeros((2, 4), np.uint8), (2, 4, 3))
