"""The pictures of a run are checked."""

import numpy as np
import pytest

from styletransfer.errors import UsageError
from styletransfer.settings import Settings
from styletransfer.transfer import inputs

IMAGE = np.full((4, 6, 3), 0.5)


def test_arrays_of_all_kinds_become_inputs():
    gray, mask = np.full((8, 5), 65_535, np.uint16), np.eye(4, 6, dtype=bool)
    found = inputs.check(Settings(), IMAGE, [IMAGE, gray], [mask, IMAGE[..., 0]], mask, gray)
    assert found.content is IMAGE
    assert [style.tolist() for style in found.styles] == [
        IMAGE.tolist(),
        np.ones((8, 5, 3)).tolist(),
    ]
    np.testing.assert_array_equal(found.style_masks, [np.eye(4, 6), IMAGE[..., 0]])
    np.testing.assert_array_equal(found.content_mask, np.eye(4, 6))
    assert found.init.shape == (8, 5, 3)


@pytest.mark.parametrize(
    ("masks", "problem"),
    [
        (np.ones((4, 6)), r"a mask has the shape \(height, width\), not \(6,\)"),
    ],
)
def test_what_is_no_list_of_masks(masks, problem):
    with pytest.raises(UsageError, match=problem):
        inputs.check(Settings(), IMAGE, IMAGE, masks, None, None)
