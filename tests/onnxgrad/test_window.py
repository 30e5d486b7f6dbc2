"""The geometry of windows beside NumPy's, by laying them out one by one."""

import numpy as np
import pytest
from onnx import helper

from styletransfer.onnxgrad import GradientError
from styletransfer.onnxgrad.window import Axis, Window

AXES = [
    Axis(3),
    Axis(3, before=1, after=1),
    Axis(3, 2, before=1),
    Axis(2, 2),
    Axis(2, 3),
    Axis(3, 1, 2, 2, 1),
    Axis(5, 3, before=2, after=2),
]


def starts(axis: Axis, length: int, ceil: bool) -> list[int]:
    """Return where windows begin: all that fit, and with `ceil` the first that does not."""
    found, start = [], -axis.before
    while start + axis.extent <= length + axis.after:
        found.append(start)
        start += axis.stride
    overhangs = found and found[-1] + axis.extent < length + axis.after
    return [*found, start] if ceil and overhangs else found


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("length", [5, 6, 7, 8])
def test_count_and_elements(axis, length, ceil):
    found = starts(axis, length, ceil)
    assert axis.count(length, ceil) == len(found)
    for padding in (False, True):
        before, after = (axis.before, axis.after) if padding else (0, 0)
        taps = [range(s, s + axis.extent, axis.dilation) for s in found]
        expected = [sum(-before <= tap < length + after for tap in window) for window in taps]
        np.testing.assert_array_equal(axis.elements(length, len(found), padding), expected)


@pytest.mark.parametrize("axis", AXES)
def test_length_is_what_windows_cover(axis):
    for count in range(2, 6):
        length = axis.length(count)
        assert axis.count(length) == axis.count(length, ceil=True) == count
        assert axis.count(length - 1) == count - 1


def test_windows_that_tile():
    assert Axis(2, 2).tiles(7)
    assert Axis(3, 2).tiles(1)
    assert not Axis(3, 2).tiles(2)
    assert not Axis(2, 2, 2).tiles(1)


@pytest.mark.parametrize("axis", [axis for axis in AXES if axis.stride == 1])
def test_mirrored_leads_back_to_the_input(axis):
    assert axis.mirrored().count(axis.count(9)) == 9
    assert axis.mirrored().mirrored() == axis


def test_window_that_would_begin_in_the_end_padding_is_trimmed():
    """Of 11 elements, padded to 13, windows 3 long cover 12: the fifth begins at the padding."""
    axis = Axis(3, 3, before=1, after=1)
    assert axis.count(11, ceil=True) == 5
    assert axis.trimmed(11) == Axis(3, 3, before=1, after=0)
    assert axis.trimmed(11).count(11, ceil=True) == 4
    assert axis.trimmed(10) is axis  # all is covered
    assert Axis(3, 2, after=1).trimmed(6) == Axis(3, 2, after=1)  # the last one begins inside
    assert Axis(1, 3).trimmed(11).after < 0


def pool(**attributes):
    return helper.make_node("AveragePool", ["x"], ["y"], name="p", **attributes)


def test_window_of_a_node():
    assert Window.of(pool(kernel_shape=[2, 3])) == Window((Axis(2), Axis(3)))
    attributes = {"strides": [2, 1], "dilations": [1, 2], "pads": [1, 0, 0, 2]}
    window = Window.of(pool(kernel_shape=[2, 3], ceil_mode=1, **attributes))
    assert window == Window((Axis(2, 2, 1, 1, 0), Axis(3, 1, 2, 0, 2)), ceil=True)
    assert window.attributes == {"kernel_shape": [2, 3], **attributes}
    assert Window.of(pool(), [3]) == Window((Axis(3),))
    assert Window.of(pool(kernel_shape=[2], auto_pad="VALID")) == Window((Axis(2),))
    assert Window.of(pool(kernel_shape=[2], auto_pad="SAME_UPPER")) is None


def test_elements_over_two_axes():
    counts = Window((Axis(2, 2), Axis(3, 1, 1, 1, 1))).elements((5, 4), (3, 4), False)
    expected = np.outer([2, 2, 1], [2, 3, 3, 2])[None, None]
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize(
    "attributes", [{"strides": [0, 1]}, {"strides": [1]}, {"pads": [1, 1]}, {"dilations": [1, -1]}]
)
def test_window_that_cannot_be(attributes):
    with pytest.raises(GradientError, match="AveragePool node 'p' has no possible window: kernel"):
        Window.of(pool(kernel_shape=[2, 2], **attributes))
