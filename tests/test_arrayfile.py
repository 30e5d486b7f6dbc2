"""Files of arrays: what was written is read, and what nobody should believe is refused."""

import io
import zipfile

import numpy as np
import pytest

from styletransfer import arrayfile

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(7)}
FACTS = {"format": 1, "text": "ä\x1b", "numbers": [1.5, float("inf")], "none": None}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "x.npz"
    arrayfile.write(path, ARRAYS, FACTS)
    return path


def test_what_was_written_is_read(file):
    facts, arrays = arrayfile.read(file, 100)
    assert facts == arrayfile.read_facts(file) == FACTS
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_a_file_without_facts_has_none(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    assert arrayfile.read_facts(tmp_path / "x.npz") == {}


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        arrayfile.read_facts(tmp_path / "x.npz")


def saved(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


LARGE = saved(np.zeros(8)).replace(b"(8,)", b"(99999999,)").replace(b"        \n", b" \n")


@pytest.mark.parametrize(
    ("members", "packing", "message"),
    [
        ({"a.npy": saved(np.zeros(1 << 15))}, 0, "too large"),
        ({f"{n}.npy": b"" for n in range(1001)}, 0, "too large"),
        ({"a.npy": saved(np.zeros(8))}, zipfile.ZIP_DEFLATED, "compressed"),
        ({"a.bin": b"x"}, 0, "members that are no arrays"),
        ({"a.npy": b"x"}, 0, "."),
        ({"a.npy": LARGE}, 0, "."),
        ({"a.npy": saved(np.array([{}]), allow_pickle=True)}, 0, "objects"),
        ({"a.npy": saved(np.zeros(8))[:-1]}, 0, "not of the size that it says"),
        ({"a.npy": saved(np.zeros(8)) + b"x"}, 0, "not of the size that it says"),
        ({"facts.npy": saved(np.array("[" * 9999))}, 0, "."),
        ({"facts.npy": saved(np.array("[]"))}, 0, "what it says of itself is damaged"),
        ({"facts.npy": saved(np.array("x" * (1 << 20)))}, 0, "says too much"),
    ],
)
def test_what_is_refused(tmp_path, members, packing, message):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(ValueError, match=message):
        arrayfile.read(path, 100)


def test_no_archive_at_all(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK\3\4" + b"\0" * 100)
    with pytest.raises(ValueError, match="zip"):
        arrayfile.read(tmp_path / "x.npz", 100)
