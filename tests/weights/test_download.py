"""Downloads against a local server that does everything a server can do wrong."""

import hashlib
import os
import threading
import time

import numpy as np
import pytest

from styletransfer.errors import WeightsError
from styletransfer.weights import download as module
from styletransfer.weights.download import download
from tests.weights.file_server import closed_port, file_server

BODY = np.random.default_rng(0).bytes(300_000)
DIGEST = "sha256:" + hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server():
    with file_server() as server:
        server.files["weights.bin"] = BODY
        yield server


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(module, "OPEN_SECONDS", 0.2)
    monkeypatch.setattr(module, "STALL_SECONDS", 0.3)


def get(server, folder, manner="good", expected=DIGEST, limit=1_000_000, progress=None):
    return download(
        server.address(manner, "weights.bin"),
        folder,
        expected=expected,
        limit=limit,
        progress=progress or (lambda *_: None),
    )


def reason(server, folder, manner, **arguments) -> str:
    with pytest.raises(WeightsError) as error:
        get(server, folder, manner, **arguments)
    return str(error.value)


@pytest.mark.parametrize("manner", ["good", "redirect"])
def test_file_is_fetched_whole(server, tmp_path, manner):
    seen = []
    path = get(server, tmp_path, manner, progress=lambda *state: seen.append(state))
    assert path.read_bytes() == BODY
    assert list(tmp_path.iterdir()) == [path]
    assert seen[0] == (0, len(BODY), "weights.bin")
    assert seen[-1] == (len(BODY), len(BODY), "weights.bin")
    assert seen == sorted(seen)


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_every_published_algorithm_is_checked(server, tmp_path, algorithm):
    good = f"{algorithm}:{hashlib.new(algorithm, BODY).hexdigest()}"
    bad = f"{algorithm}:{hashlib.new(algorithm, b'another').hexdigest()}"
    assert get(server, tmp_path, expected=good).read_bytes() == BODY
    message = reason(server, tmp_path, "good", expected=bad)
    assert good.replace(":", " is ") in message


def test_truncated_transfer_is_resumed_at_once(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 40)  # a half each time: 20 times for 300000 bytes
    assert get(server, tmp_path, "truncated").read_bytes() == BODY
    assert [wanted for _, wanted in server.requests[:3]] == [
        None,
        "bytes=150000-",
        "bytes=225000-",
    ]


def test_broken_transfer_is_reported_and_resumed_by_the_next_try(server, tmp_path):
    message = reason(server, tmp_path, "broken")
    assert message.startswith("the transfer broke off after 150000 of 300000 bytes")
    assert [path.name for path in tmp_path.iterdir()] == ["weights.bin.part"]
    server.requests.clear()
    seen = []
    assert get(server, tmp_path, progress=lambda *state: seen.append(state)).read_bytes() == BODY
    assert server.requests == [("/good/weights.bin", "bytes=150000-")]
    assert seen[0] == (150_000, 300_000, "weights.bin")


def test_interrupt_keeps_the_part(server, tmp_path):
    def interrupt(done, total, what):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(server, tmp_path, progress=interrupt)
    part = (tmp_path / "weights.bin.part").read_bytes()
    assert part
    assert BODY.startswith(part)


def test_server_without_ranges_sends_all_again(server, tmp_path):
    (tmp_path / "weights.bin.part").write_bytes(BODY[:1000])
    assert get(server, tmp_path, "no_ranges").read_bytes() == BODY


def test_whole_part_needs_no_transfer(server, tmp_path):
    (tmp_path / "weights.bin.part").write_bytes(BODY)
    assert get(server, tmp_path).read_bytes() == BODY


def test_part_of_another_edition_is_dropped(server, tmp_path):
    (tmp_path / "weights.bin.part").write_bytes(bytes(1000))
    assert get(server, tmp_path).read_bytes() == BODY
    assert [wanted for _, wanted in server.requests] == ["bytes=1000-", None]


def test_abandoned_part_is_adopted_and_a_live_one_is_not(server, tmp_path):
    live = tmp_path / "weights.bin.1-00000001.part"
    dead = tmp_path / "weights.bin.1-00000002.part"
    live.write_bytes(BODY[:1000])
    dead.write_bytes(BODY[:2000])
    os.utime(dead, (time.time() - 1000,) * 2)
    assert get(server, tmp_path).read_bytes() == BODY
    assert server.requests == [("/good/weights.bin", "bytes=2000-")]
    assert live.exists()
    assert not dead.exists()


def test_two_at_once_do_not_meet(server, tmp_path):
    paths = []
    threads = [
        threading.Thread(target=lambda: paths.append(get(server, tmp_path))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 4
    assert all(path.read_bytes() == BODY for path in paths)


def test_wrong_digest_is_refused_and_nothing_kept(server, tmp_path):
    wanted = "0" * 64
    message = reason(server, tmp_path, "good", expected=f"sha256:{wanted}")
    assert message == (
        f"the file is not the expected one: its {DIGEST.replace(':', ' is ')}, not {wanted}"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("manner", "expected"),
    [
        ("missing", "the server answered 404 Not Found"),
        ("silent", "could not connect: no answer within 0.2 seconds"),
        ("slow", "the server is too slow: "),
        ("stalled", "the transfer stopped after "),
    ],
)
def test_bad_server_is_reported_in_a_clause(server, tmp_path, manner, expected):
    assert reason(server, tmp_path, manner).startswith(expected)


def test_closed_port_is_reported(tmp_path):
    url = f"http://127.0.0.1:{closed_port()}/weights.bin"
    with pytest.raises(WeightsError, match=r"^could not connect: Connection refused$"):
        download(url, tmp_path, expected=None, limit=1, progress=lambda *_: None)


def test_another_part_than_asked_for_is_refused(server, tmp_path):
    (tmp_path / "weights.bin.part").write_bytes(BODY[:1000])
    message = reason(server, tmp_path, "shifted")
    assert message == "the server sent another part of the file than was asked for"


def test_longer_file_than_expected_is_refused(server, tmp_path):
    message = reason(server, tmp_path, "good", limit=1000)
    assert message == "the file has 300000 bytes, more than the 1000 expected"
    message = reason(server, tmp_path, "endless", limit=1000)
    assert message == "the file has more than the 1000 bytes expected"
    assert not list(tmp_path.iterdir())
