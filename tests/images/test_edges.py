"""Differences, edges and total variation, against TensorFlow's formulas written out."""

import numpy as np
import pytest
from scipy.ndimage import correlate

from styletransfer import images

RNG = np.random.default_rng(0)
PICTURE = RNG.random((7, 9, 3))


def test_high_pass():
    across, down = images.high_pass(PICTURE)
    assert across.shape == (7, 8, 3)
    assert down.shape == (6, 9, 3)
    assert across[2, 3] == pytest.approx(PICTURE[2, 4] - PICTURE[2, 3])
    assert down[2, 3] == pytest.approx(PICTURE[3, 3] - PICTURE[2, 3])


def test_sobel():
    """``tf.image.sobel_edges``: its kernels, unnormalised; SciPy calls its reflection mirror."""
    kernel = np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]])[:, :, None]
    across, down = images.sobel(PICTURE)
    np.testing.assert_allclose(down, correlate(PICTURE, kernel, mode="mirror"), atol=1e-12)
    np.testing.assert_allclose(across, correlate(PICTURE, kernel.transpose(1, 0, 2), mode="mirror"))


def test_total_variation():
    steps = np.zeros((4, 5, 3))
    steps[:, 2:] = 0.5  # one edge of 4 rows, in each channel
    assert images.total_variation(steps) == pytest.approx(4 * 3 * 0.5)
    loops = sum(
        abs(PICTURE[y, x] - PICTURE[y - dy, x - dx]).sum()
        for y in range(7)
        for x in range(9)
        for dy, dx in ((1, 0), (0, 1))
        if y >= dy and x >= dx
    )
    assert images.total_variation(PICTURE.astype(np.float32)) == pytest.approx(loops)


def test_total_variation_is_that_of_the_tutorial():
    """Its weight of 30 times it is what the reference in PyTorch adds to the loss."""
    from tests.test_tensorflow_tutorial import DATA

    with np.load(DATA, allow_pickle=False) as data:
        content, expected = data["content"] / 255, float(data["loss_variation"])
    assert 30 * images.total_variation(content) == pytest.approx(expected, rel=1e-6)


def test_sheet_has_content_above_result():
    gray = np.full((20, 30, 3), 0.5, np.float32)
    result = gray.copy()
    result[:, 15:] = 1
    sheet = images.edge_sheet(np.full((40, 60, 3), 0.25, np.float32), result)
    upper, lower = sheet[12 + 16 : 12 + 16 + 20, 12:42], sheet[-32:-12, 12:42]
    assert np.unique(upper.round(2)).tolist() == [0.5]
    assert np.unique(lower[:, 15].round(2)).tolist() == [1.0]  # twice the step of 0.5
    assert np.unique(np.delete(lower, 15, axis=1).round(2)).tolist() == [0.5]


def test_sheet_of_a_large_result_is_shown_smaller(monkeypatch):
    monkeypatch.setattr(images.edges, "MOST_SHOWN", 30)
    picture = RNG.random((40, 60, 3), np.float32)
    small = images.edge_sheet(picture[::2, ::2], picture)
    assert small.shape == (2 * (16 + 20 + 12) + 12, 4 * (30 + 12) + 12, 3)


def test_a_row_of_pixels_has_edges():
    sheet = images.edge_sheet(np.zeros((1, 9, 3), np.float32), np.ones((1, 9, 3), np.float32))
    assert sheet.shape[2] == 3
