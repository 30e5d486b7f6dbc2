"""Files that appear whole or not at all."""

import pytest

from styletransfer import storage as files


def test_a_file_takes_the_place_of_the_old_one_in_the_end(tmp_path):
    path = tmp_path / "new folder" / "file"
    with files.replacing(path) as stream:
        stream.write(b"first")
        assert not path.exists()
    with files.replacing(path) as stream:
        stream.write(b"second")
        assert path.read_bytes() == b"first"
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path):
    path = tmp_path / ("n" * 251 + ".png")
    with files.replacing(path) as stream:
        stream.write(b"whole")
    assert path.read_bytes() == b"whole"


def test_an_error_leaves_nothing_behind(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with files.replacing(path) as stream:
            stream.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
