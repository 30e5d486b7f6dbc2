"""Files that appear whole or not at all."""

import errno
import os
import stat
import time
from pathlib import Path

import pytest

from styletransfer import storage


def write(path: Path) -> None:
    with storage.replacing(path) as stream:
        stream.write(b"new")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_takes_the_place_of_the_old_one_in_the_end(tmp_path):
    path = tmp_path / "new folder" / "file"
    with storage.replacing(path) as stream:
        stream.write(b"first")
        assert not path.exists()
    with storage.replacing(path) as stream:
        stream.write(b"second")
        assert path.read_bytes() == b"first"
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="no such call")
def test_file_and_folder_are_on_the_disk_in_this_order(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    done = []

    def note(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append(("folder" if folder else "file", path.read_bytes()))

    monkeypatch.setattr(os, "fsync", note)
    write(path)
    assert done == [("file", b"old"), ("folder", b"new")]


@pytest.mark.skipif(os.name != "posix", reason="no such call")
def test_a_folder_that_cannot_be_synchronised_is_no_error(tmp_path, monkeypatch):
    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "refused")

    monkeypatch.setattr(os, "fsync", refuse)
    write(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path):
    path = tmp_path / ("n" * 251 + ".png")
    with storage.replacing(path) as stream:
        stream.write(b"whole")
    assert path.read_bytes() == b"whole"


def test_an_error_leaves_nothing_behind(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with storage.replacing(path) as stream:
            stream.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_mode_that_open_gives(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "new")
    finally:
        os.umask(before)
    assert mode(tmp_path / "new") == 0o640


@pytest.mark.parametrize("wanted", [0o600, 0o640, 0o666, 0o444])
def test_the_mode_of_a_file_is_kept(tmp_path, wanted):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(wanted)
    with storage.replacing(path) as stream:
        stream.write(b"new")
        (part,) = tmp_path.glob(".*.part")
        assert mode(part) == wanted  # never open to others, not even on the way
    assert mode(path) == wanted
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_followed(tmp_path, exists):
    (tmp_path / "there").mkdir()
    file, link = tmp_path / "there" / "file", tmp_path / "link"
    if exists:
        file.write_bytes(b"old")
    link.symlink_to(Path("there") / "file")
    (tmp_path / "second").symlink_to(link)
    write(tmp_path / "second")
    assert file.read_bytes() == b"new"
    assert link.is_symlink()
    assert not file.is_symlink()


def test_what_is_no_file_is_refused(tmp_path):
    folder, pipe, loop = tmp_path / "folder", tmp_path / "pipe", tmp_path / "loop"
    folder.mkdir()
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    (tmp_path / "null").symlink_to("/dev/null")
    for name, problem in {
        "folder": "it is a folder",
        "pipe": "it is no regular file",
        "null": "it is no regular file",
        "loop": os.strerror(errno.ELOOP),
    }.items():
        with pytest.raises(OSError, match=problem):
            write(tmp_path / name)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert not list(tmp_path.glob(".*"))


def test_a_disk_that_is_full_in_the_end_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fsync(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left"):
        write(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_processes_left_is_removed_after_a_day(tmp_path):
    days = {"dead": 2, "alive": 0.9, "other": 2, "link": 2}
    names = {"dead": "0" * 16, "alive": "1" * 16, "other": "cat", "link": "2" * 16}
    paths = {kind: tmp_path / f".{name}.part" for kind, name in names.items()}
    for kind, path in paths.items():
        if kind == "link":
            path.symlink_to(paths["other"])
        else:
            path.write_bytes(b"half")
        then = time.time() - days[kind] * 86_400
        os.utime(path, (then, then), follow_symlinks=False)
    write(tmp_path / "file")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"file", *(paths[kind].name for kind in ("alive", "other", "link"))}


def test_a_folder_that_cannot_be_listed_can_be_written_to(tmp_path, monkeypatch):
    def refuse(folder: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", refuse)
        write(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_another_name_of_the_file_keeps_what_it_had(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    os.link(tmp_path / "a", tmp_path / "b")
    write(tmp_path / "a")
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"new", b"old")


def test_digest(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert storage.digest(tmp_path / "a").startswith("ba7816bf8f01cfea")
    assert storage.digest(tmp_path / "a", "md5") == "900150983cd24fb0d6963f7d28e17f72"


def test_a_scratch_folder_is_there_for_a_while(tmp_path):
    with storage.scratch(tmp_path) as folder:
        (folder / "inside").touch()
        assert folder.parent == tmp_path
    assert not list(tmp_path.iterdir())


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    (tmp_path / "0123456789abcdef.part").touch()
    (tmp_path / ".mine.part").touch()
    (tmp_path / "file.part").mkdir()
    kept = sorted(tmp_path.iterdir())
    (tmp_path / ".0123456789abcdef.part").touch()
    (tmp_path / ".fedcba9876543210.part").mkdir()
    (tmp_path / ".fedcba9876543210.part" / "inside").touch()
    storage.remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == kept
