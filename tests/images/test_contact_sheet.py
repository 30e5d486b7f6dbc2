"""Contact sheets."""

import numpy as np

from styletransfer.images import contact_sheet


def test_pictures_in_rows_with_labels():
    pictures = [np.full((10, 30, 3), level, np.float32) for level in (0.0, 0.2, 0.4)]
    sheet = contact_sheet(pictures, ["a", "b", "c"], columns=2, gap=8)
    assert sheet.shape == (2 * (10 + 16 + 8) + 8, 2 * 38 + 8, 3)
    for place, level in enumerate((0.0, 0.2, 0.4)):
        top, left = 8 + 34 * (place // 2) + 16, 8 + 38 * (place % 2)
        np.testing.assert_allclose(sheet[top : top + 10, left : left + 30], level)
        assert sheet[top - 16 : top, left : left + 30].min() < 0.5  # its label
    np.testing.assert_array_equal(sheet[:, -8:], 1)
