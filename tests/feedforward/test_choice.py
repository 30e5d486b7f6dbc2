"""Styles by number, and blends of them."""

import numpy as np
import pytest

from styletransfer.errors import UsageError
from styletransfer.feedforward.choice import style_weights


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (1, [0, 1, 0]),
        (np.int64(2), [0, 0, 1]),
        ("1", [0, 1, 0]),
        ("0:0.5,2:1.5", [0.25, 0, 0.75]),
        ("0, 2, 0", [2 / 3, 0, 1 / 3]),
        ({1: 2, 2: 2}, [0, 0.5, 0.5]),
        ([1, 1, 2], [0.25, 0.25, 0.5]),
        (np.array([[0, 3.0, 0]]), [0, 1, 0]),
    ],
)
def test_choices(choice, expected):
    np.testing.assert_allclose(style_weights(choice, 3), expected)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (3, "no style 3; its styles are 0 to 2"),
        (-1, "no style -1"),
        ("7", "no style 7"),
        ("wave", "'wave' is no style: give its number"),
        ("1:x", "is no style"),
        ("", "is no style"),
        ({1: -1}, "at least 0"),
        ({1: 0}, "not all 0"),
        ({1: float("nan")}, "at least 0"),
        ({1.5: 1}, "no style 1.5"),
        ([1, 2], "2 weights for the network's 3 styles"),
        (["a", 1, 2], "'a' is no weight"),
    ],
)
def test_what_is_none(choice, message):
    with pytest.raises(UsageError, match=message):
        style_weights(choice, 3)
