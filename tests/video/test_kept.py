"""Painted frames that wait for their film."""

import numpy as np
import pytest

from styletransfer.errors import FilmError
from styletransfer.video.kept import Kept


def noise(seed=0):
    return np.random.default_rng(seed).integers(0, 65536, (7, 5, 3), np.uint16)


def test_frames_come_back_bit_for_bit(tmp_path):
    kept = Kept(tmp_path / "film.frames")
    digest = kept.save(12, noise())
    assert kept.has(12)
    assert not kept.has(13)
    np.testing.assert_array_equal(kept.load(12, digest), noise())


def test_a_frame_that_was_changed_is_told(tmp_path):
    kept = Kept(tmp_path)
    digest = kept.save(1, noise())
    kept.save(1, noise(1))
    with pytest.raises(FilmError, match="is not as it was painted"):
        kept.load(1, digest)
    kept.frame(1).unlink()
    with pytest.raises(FilmError, match="cannot be read"):
        kept.load(1, digest)


def test_what_is_remembered_comes_back_bit_for_bit(tmp_path):
    kept = Kept(tmp_path)
    arrays = {"a/b": np.float32([1, np.pi]), "n": np.int64(4)}
    kept.save_state(3, arrays)
    found = kept.load_state(3)
    assert found is not None
    assert [*found] == [*arrays]
    assert all(
        np.array_equal(found[k], arrays[k]) and found[k].dtype == arrays[k].dtype for k in arrays
    )
    kept.forget_state(3)
    assert kept.load_state(3) is None


def test_what_is_remembered_is_never_executed(tmp_path):
    kept = Kept(tmp_path)
    np.savez(kept.state(1), evil=np.array([object()], object))
    with pytest.raises(FilmError, match="is damaged"):
        kept.load_state(1)
    kept.state(2).write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(FilmError, match="is damaged"):
        kept.load_state(2)


def test_only_what_it_has_kept_is_deleted(tmp_path):
    kept = Kept(tmp_path / "film.frames")
    kept.save(1, noise())
    kept.save_state(1, {})
    mine = kept.folder / "mine.png"
    mine.write_bytes(b"")
    kept.clear()
    assert [*kept.folder.iterdir()] == [mine]
    mine.unlink()
    kept.clear()
    assert not kept.folder.exists()
