"""What a frame is expected to be."""

import numpy as np

from styletransfer.video.flow import Motion
from styletransfer.video.temporal import expected

SIZE = (4, 6)
RANDOM = np.random.default_rng(0)


def still(offset, trust):
    return Motion(offset, np.zeros((*SIZE, 2), np.float32), np.full(SIZE, trust, np.float32))


def picture():
    return RANDOM.random((*SIZE, 3)).astype(np.float32)


def test_one_term_stands_for_all_but_for_a_constant():
    paintings = [picture() for _ in range(3)]
    trusts = [0.25, 0.5, 1.0]
    earlier = [(p, still(n, c)) for p, n, c in zip(paintings, (1, 2, 4), trusts, strict=True)]
    near, trust = expected(earlier, None)
    assert near.dtype == trust.dtype == np.float32
    weights = [0.25, 0.25, 0.25]  # max(c_j - the sum of the nearer, 0)

    def several(x):
        return sum(w * np.square(x - p).sum() for w, p in zip(weights, paintings, strict=True))

    def one(x):
        return (trust[..., np.newaxis] * np.square(x - near)).sum()

    x, y = picture(), picture()
    assert np.isclose(several(x) - several(y), one(x) - one(y), rtol=1e-4)


def test_the_anchor_takes_its_part():
    before, anchor = picture(), picture()
    near, trust = expected([(before, still(1, 1.0))], (anchor, still(7, 1.0)), 0.25)
    assert np.allclose(near, 0.75 * before + 0.25 * anchor, atol=1e-6)
    assert np.allclose(trust, 1)
    near, trust = expected([(before, still(1, 0.0))], (anchor, still(7, 1.0)), 0.25)
    assert np.allclose(near, anchor, atol=1e-6)
    assert np.allclose(trust, 0.25)


def test_what_has_moved_is_not_held_to_the_anchor():
    before, anchor = picture(), picture()
    flow = np.zeros((*SIZE, 2), np.float32)
    flow[:, 3:] = (0, 0.25)
    moved = Motion(7, flow, np.ones(SIZE, np.float32))
    near, _ = expected([(before, still(1, 1.0))], (anchor, moved), 0.25)
    assert np.allclose(near[:, :3], (0.75 * before + 0.25 * anchor)[:, :3], atol=1e-6)
    assert np.allclose(near[:, 3:], before[:, 3:], atol=1e-6)


def test_nothing_is_expected_where_nothing_is_trusted():
    near, trust = expected([(picture(), still(1, 0.0))], None)
    assert np.isfinite(near).all()
    assert not trust.any()


def test_paintings_of_another_size_than_the_source_are_moved():
    motion = Motion(1, np.full((2, 3, 2), (1, 0), np.float32), np.ones((2, 3), np.float32))
    before = picture()
    near, _ = expected([(before, motion)], None)
    assert np.allclose(near[:, :-2], before[:, 2:], atol=1e-6)
