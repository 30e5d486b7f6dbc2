"""Locks between processes and threads."""

import subprocess
import sys
import threading
import time

from styletransfer import locks
from tests.conftest import ROOT


def test_a_lock_is_held_by_one_thread_at_a_time(tmp_path):
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            with locks.locked(tmp_path / ".lock") as got:
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
from styletransfer import locks
with locks.locked(Path(sys.argv[1])):
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
            with locks.locked(path, waiting=holder.kill) as got:
                assert got
                assert holder.wait() != 0
        finally:
            holder.kill()
    assert not list(tmp_path.iterdir())


def test_where_no_lock_can_be_had_that_is_said(tmp_path, monkeypatch):
    with locks.locked(tmp_path / "none" / ".lock") as got:
        assert not got

    def fail(stream) -> bool:
        raise OSError("this file system has no locks")

    monkeypatch.setattr(locks, "_try_to_lock", fail)
    with locks.locked(tmp_path / ".lock") as got:
        assert not got
    assert not list(tmp_path.iterdir())
