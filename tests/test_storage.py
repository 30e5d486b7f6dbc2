"""Files that appear whole or not at all, and locks."""

import subprocess
import sys
import threading
import time

import pytest

from styletransfer import storage as files
from tests.conftest import ROOT


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


def test_a_scratch_folder_is_there_for_a_while(tmp_path):
    with files.scratch(tmp_path) as folder:
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
    files.remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == kept


def test_a_lock_is_held_by_one_thread_at_a_time(tmp_path):
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            with files.locked(tmp_path / ".lock") as got:
                assert got
                inside += 1
                most = max(most, inside)
                time.sleep(0.001)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)
    assert not list(tmp_path.iterdir())


HOLDER = """
import sys, time
from pathlib import Path
from styletransfer import storage
with storage.locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_waited_for_and_its_end_frees_the_lock(tmp_path):
    path = tmp_path / ".lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout.readline() == b"held\n"
            # Killed as soon as this process waits: the file stays, and is nobody's.
            with files.locked(path, waiting=holder.kill) as got:
                assert got
                assert holder.wait() != 0
        finally:
            holder.kill()
    assert not list(tmp_path.iterdir())


def test_where_no_lock_can_be_had_that_is_said(tmp_path, monkeypatch):
    with files.locked(tmp_path / "none" / ".lock") as got:
        assert not got

    def fail(stream) -> bool:
        raise OSError("this file system has no locks")

    monkeypatch.setattr(files, "_try_to_lock", fail)
    with files.locked(tmp_path / ".lock") as got:
        assert not got
    assert not list(tmp_path.iterdir())
