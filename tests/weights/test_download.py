"""Downloads against a local server that does everything a server can do wrong."""

import hashlib
import threading

import numpy as np
import pytest

from styletransfer.errors import WeightsError
from styletransfer.progress import Download
from styletransfer.weights import connection
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


@pytest.fixture
def never_answered(monkeypatch):
    monkeypatch.setattr(connection, "OPEN_SECONDS", 0.2)


@pytest.fixture
def soon_too_slow(monkeypatch):
    """Only for servers that are slow on purpose: a loaded machine makes slow ones of the others."""
    monkeypatch.setattr(connection, "STALL_SECONDS", 0.3)


def get(server, folder, manner="good", expected=DIGEST, limit=1_000_000, progress=None):
    return download(
        server.address(manner, "weights.bin"),
        folder,
        expected=expected,
        limit=limit,
        progress=progress or (lambda _: None),
    )


def reason(server, folder, manner, **arguments) -> str:
    with pytest.raises(WeightsError) as error:
        get(server, folder, manner, **arguments)
    return str(error.value)


@pytest.mark.parametrize("manner", ["good", "redirect"])
def test_file_is_fetched_whole(server, tmp_path, manner):
    seen = []
    path = get(server, tmp_path, manner, progress=seen.append)
    assert path.read_bytes() == BODY
    assert list(tmp_path.iterdir()) == [path]
    assert seen[0] == Download("weights.bin", 0, len(BODY))
    assert seen[-1] == Download("weights.bin", len(BODY), len(BODY))
    assert [step.done for step in seen] == sorted(step.done for step in seen)


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
    assert get(server, tmp_path, progress=seen.append).read_bytes() == BODY
    assert server.requests == [("/good/weights.bin", "bytes=150000-")]
    assert seen[0] == Download("weights.bin", 150_000, 300_000)


def test_interrupt_keeps_the_part(server, tmp_path):
    def interrupt(step: Download) -> None:
        if step.done:
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
        ("endless_trailer", "the server sends too much after the file"),
        ("endless_head", "the server sends too much before the file"),
        ("endless_redirect", "the server sends too much before the file"),
        ("to_ftp", "could not connect: unknown url type: ftp"),
    ],
)
def test_bad_server_is_reported_in_a_clause(server, tmp_path, manner, expected):
    assert reason(server, tmp_path, manner).startswith(expected)


@pytest.mark.parametrize(
    ("manner", "expected"),
    [
        ("slow", "the server is too slow: "),
        ("stalled", "the transfer stopped after "),
        ("dripping_trailer", "the server is too slow: "),
    ],
)
@pytest.mark.usefixtures("soon_too_slow")
def test_slow_server_is_reported_in_a_clause(server, tmp_path, manner, expected):
    assert reason(server, tmp_path, manner).startswith(expected)


@pytest.mark.usefixtures("never_answered")
def test_silent_server_is_reported_in_a_clause(server, tmp_path):
    message = reason(server, tmp_path, "silent")
    assert message == "could not connect: no answer within 0.2 seconds"


def test_words_of_the_server_s_are_bounded(server, tmp_path):
    message = reason(server, tmp_path, "babbling")
    assert message.startswith("the server answered 404 no")
    assert len(message) < 120


@pytest.mark.parametrize("manner", ["superscript", "many_digits"])
def test_length_that_is_no_number_is_as_good_as_none(server, tmp_path, manner):
    assert get(server, tmp_path, manner).read_bytes() == BODY


def test_the_whole_transfer_has_a_deadline(server, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "MINIMUM_RATE", 0.0)
    monkeypatch.setattr(connection, "seconds_for", lambda size: 0.3)
    assert reason(server, tmp_path, "slow") == (
        "the transfer takes too long (the next try goes on from there)"
    )
    assert BODY.startswith((tmp_path / "weights.bin.part").read_bytes())


@pytest.mark.usefixtures("never_answered")
def test_nothing_goes_on_after_a_server_was_given_up(server, tmp_path):
    message = reason(server, tmp_path, "dripping_head")
    assert message == "could not connect: no answer within 0.2 seconds"
    for thread in threading.enumerate():
        if "(ask)" in thread.name:
            thread.join(10)
            assert not thread.is_alive()


def test_closed_port_is_reported(tmp_path):
    url = f"http://127.0.0.1:{closed_port()}/weights.bin"
    with pytest.raises(WeightsError, match=r"^could not connect: Connection refused$"):
        download(url, tmp_path, expected=None, limit=1, progress=lambda _: None)


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
