"""Failures are remembered for an hour, and what is damaged is as good as nothing."""

import json

import pytest

from styletransfer.weights import failures
from styletransfer.weights.sources import SOURCES

ONE, OTHER, _ = SOURCES["googlenet"]


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1e9

    monkeypatch.setattr(failures.time, "time", lambda: Clock.now)
    return Clock


def test_a_failure_is_remembered_for_an_hour(tmp_path, clock):
    assert failures.lately(tmp_path, [ONE, OTHER]) == []
    failures.remember(tmp_path, ONE)
    assert failures.lately(tmp_path, [ONE, OTHER]) == [ONE]
    clock.now += 3000
    failures.remember(tmp_path, OTHER)
    assert failures.lately(tmp_path, [ONE, OTHER]) == [ONE, OTHER]
    clock.now += 1000
    assert failures.lately(tmp_path, [ONE, OTHER]) == [OTHER]
    failures.remember(tmp_path, OTHER)
    (path,) = tmp_path.iterdir()
    assert list(json.loads(path.read_text())) == [OTHER.origin]
    clock.now -= 10_000  # somebody has set the clock right
    assert failures.lately(tmp_path, [ONE, OTHER]) == []


def test_failures_are_forgotten(tmp_path):
    failures.remember(tmp_path, ONE)
    failures.forget(tmp_path)
    failures.forget(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"3",
        b"[" * 60_000,
        json.dumps({ONE.origin: "now"}).encode(),
        json.dumps({ONE.origin: float("nan")}).encode(),
        json.dumps({ONE.origin: float("inf")}).encode(),
        b'{"' + ONE.origin.encode() + b'": 1' + b"0" * 5000 + b"}",
        json.dumps({"x" * 70_000: 1.0}).encode(),
    ],
)
def test_a_damaged_file_is_as_good_as_none(tmp_path, content):
    (tmp_path / ".failures.json").write_bytes(content)
    assert failures.lately(tmp_path, [ONE]) == []
    failures.remember(tmp_path, ONE)
    assert failures.lately(tmp_path, [ONE]) == [ONE]


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path):
    folder = tmp_path / "folder"
    folder.touch()
    failures.remember(folder, ONE)
    assert failures.lately(folder, [ONE]) == []
