"""Finding, fetching and verifying networks, with sources on a local server."""

import dataclasses
import hashlib
import multiprocessing
import shutil
import threading
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from styletransfer import locks, weights
from styletransfer.errors import NetworkError, WeightsError
from styletransfer.networks import NETWORKS
from styletransfer.weights import cache, connection, containers, sources
from styletransfer.weights.sources import Source
from tests.conftest import SHARED
from tests.weights.file_server import closed_port, file_server
from tests.weights.weight_files import random_weights, write_caffemodel

CAFFENET = NETWORKS["caffenet"]
FILE = "net.caffemodel"


@pytest.fixture(scope="module")
def caffemodel(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("published") / FILE
    write_caffemodel(path, random_weights(CAFFENET))
    return path


@pytest.fixture
def server(caffemodel, monkeypatch):
    monkeypatch.setattr(connection, "OPEN_SECONDS", 1.0)
    monkeypatch.setattr(connection, "STALL_SECONDS", 1.5)
    with file_server() as server:
        server.files[FILE] = caffemodel.read_bytes()
        yield server


@pytest.fixture
def publish(server, monkeypatch):
    """Return a function that makes CaffeNet's sources: one for each manner of the server's."""

    def publish(*manners: str, **changes) -> list[Source]:
        digest = "sha1:" + hashlib.sha1(server.files[FILE]).hexdigest()
        known = [
            dataclasses.replace(
                Source(manner, server.address(manner, FILE), "caffemodel", digest, 10, "CC0"),
                **changes,
            )
            for manner in manners
        ]
        monkeypatch.setitem(sources.SOURCES, "caffenet", known)
        return known

    return publish


def conv1(model: onnx.ModelProto):
    return next(
        numpy_helper.to_array(t) for t in model.graph.initializer if t.name == "conv1/weight"
    )


def reason(function, *arguments, **keywords) -> str:
    with pytest.raises(WeightsError) as error:
        function(*arguments, **keywords)
    return str(error.value)


def test_first_use_fetches_and_later_use_does_not(server, publish, tmp_path):
    publish("good")
    lines, seen = [], []
    model = weights.load(
        "caffenet",
        [tmp_path / "models"],
        report=lines.append,
        progress=seen.append,
    )
    expected = random_weights(CAFFENET)["conv1"][0]
    assert (conv1(model) == expected).all()
    assert seen[-1].what == FILE
    assert lines == [
        f"caffenet: fetching 10 MB of weights from good ({server.address('good', FILE)})",
        "caffenet: weights of good (exact) kept in "
        f"{tmp_path / 'models' / 'caffenet' / 'caffenet.onnx'}",
    ]
    assert [p.name for p in (tmp_path / "models" / "caffenet").iterdir()] == ["caffenet.onnx"]
    again = weights.load("caffenet", [tmp_path / "models"], fetch=False)
    assert again == model
    assert len(server.requests) == 1


def test_every_failing_source_gives_a_line_and_the_next_is_tried(server, publish, tmp_path):
    publish("missing", "silent", "wrong", "stalled", "redirect")
    server.files["wrong.caffemodel"] = b"another file"
    known = sources.SOURCES["caffenet"]
    known[2] = dataclasses.replace(known[2], origin=server.address("good", "wrong.caffemodel"))
    lines = []
    status = weights.fetch("caffenet", [tmp_path], report=lines.append)
    assert status.provenance.source == "redirect"
    failures = [line for line in lines if "failed" in line]
    expected = [
        "caffenet: missing failed: the server answered 404 Not Found",
        "caffenet: silent failed: could not connect: no answer within 1 seconds",
        "caffenet: wrong failed: the file is not the expected one: its sha1 is ",
        "caffenet: stalled failed: the transfer stopped after ",
    ]
    assert len(failures) == len(expected)
    for line, start in zip(failures, expected, strict=True):
        assert line.startswith(start)


def test_nothing_reachable_lists_every_source_and_the_way_out(server, publish, tmp_path):
    known = publish("missing", "truncated", "closed")
    closed = f"http://127.0.0.1:{closed_port()}/{FILE}"
    known[2] = dataclasses.replace(known[2], origin=closed)
    lines = reason(weights.load, "caffenet", [tmp_path]).splitlines()
    assert lines[0] == "The weights of caffenet could not be fetched:"
    assert lines[1] == (
        f"  missing, {server.address('missing', FILE)}: the server answered 404 Not Found"
    )
    assert lines[2].startswith(f"  truncated, {server.address('truncated', FILE)}: the transfer ")
    assert lines[3] == f"  closed, {closed}: could not connect: Connection refused"
    assert lines[4] == (
        f"Get one of these files on another machine and put it into {tmp_path / 'caffenet'}, "
        "under the name it has there (net.caffemodel or bvlc_reference_caffenet.caffemodel), "
        "or name a folder that has caffenet/caffenet.onnx with --models."
    )


def test_broken_download_goes_on_where_it_stopped(server, publish, tmp_path):
    publish("broken")
    reason(weights.fetch, "caffenet", [tmp_path])
    server.requests.clear()
    publish("good")
    weights.fetch("caffenet", [tmp_path])
    assert server.requests == [(f"/good/{FILE}", f"bytes={len(server.files[FILE]) // 2}-")]


def test_file_without_a_published_digest_must_hold_the_original_weights(
    publish, monkeypatch, tmp_path
):
    publish("good", digest=None)
    monkeypatch.setitem(sources.ORIGINAL_WEIGHTS, "caffenet", "0" * 64)
    assert "its weights are not the original" in reason(weights.fetch, "caffenet", [tmp_path])
    digest = containers.weights_digest(random_weights(CAFFENET))
    monkeypatch.setitem(sources.ORIGINAL_WEIGHTS, "caffenet", digest)
    assert weights.fetch("caffenet", [tmp_path]).provenance.weights_digest == digest


def test_source_can_be_chosen(server, publish, tmp_path):
    publish("good", "redirect")
    assert weights.fetch("caffenet", [tmp_path]).provenance.source == "good"
    assert weights.fetch("caffenet", [tmp_path]).provenance.source == "good"
    assert len(server.requests) == 1
    status = weights.fetch("caffenet", [tmp_path], source="redirect")
    assert status.provenance.source == "redirect"
    assert weights.status("caffenet", [tmp_path]) == status
    weights.load("caffenet", [tmp_path], source="redirect")
    assert len(server.requests) == 3
    assert reason(weights.fetch, "caffenet", [tmp_path], source="ftp") == (
        "caffenet has no source 'ftp': choose one of good, redirect."
    )


def test_absent_network_is_not_fetched_when_that_is_not_wanted(server, publish, tmp_path):
    publish("good")
    assert reason(weights.load, "caffenet", [tmp_path], fetch=False) == (
        f"There are no weights of caffenet in {tmp_path}: get them with"
        " `styletransfer models fetch caffenet` (10 MB), or put net.caffemodel or"
        f" bvlc_reference_caffenet.caffemodel into {tmp_path / 'caffenet'}."
    )
    assert reason(weights.verify, "caffenet", [tmp_path]) == (
        f"There are no weights of caffenet in {tmp_path}."
    )
    assert weights.status("caffenet", [tmp_path]) == weights.Status("caffenet")
    assert not weights.status("caffenet", [tmp_path]).present
    assert not server.requests


def test_unknown_network_is_named():
    with pytest.raises(NetworkError, match=r"no built-in network 'resnet': choose one of vgg16, "):
        weights.load("resnet", [])


def test_damaged_cache_is_an_error_that_fetch_puts_right(publish, tmp_path):
    publish("good")
    path = weights.fetch("caffenet", [tmp_path]).path
    path.write_bytes(path.read_bytes()[:-5000])
    for function in (weights.load, weights.verify):
        assert f"{path} is damaged" in reason(function, "caffenet", [tmp_path])
    status = weights.status("caffenet", [tmp_path])
    assert not status.present
    assert "`styletransfer models fetch caffenet` replaces it" in status.problem
    lines = []
    weights.fetch("caffenet", [tmp_path], report=lines.append)
    assert lines[0] == status.problem
    assert weights.verify("caffenet", [tmp_path]).present


@pytest.mark.parametrize("name", ["bvlc_reference_caffenet.caffemodel", "mine.caffemodel"])
def test_own_caffemodel_is_used_before_all_else(server, publish, caffemodel, tmp_path, name):
    publish("good", digest="sha1:" + "0" * 40)
    folder = tmp_path / "caffenet"
    folder.mkdir()
    shutil.copy(caffemodel, folder / name)
    assert weights.status("caffenet", [tmp_path]) == weights.Status("caffenet", folder / name)
    lines = []
    weights.load("caffenet", [tmp_path], report=lines.append)
    weights.load("caffenet", [tmp_path], report=lines.append)
    assert lines == [f"caffenet: converting {folder / name}"]
    facts = weights.verify("caffenet", [tmp_path]).provenance
    assert (facts.source, facts.origin) == ("user's file", str(folder / name))
    assert (facts.identity, facts.licence) == ("user-supplied, unknown", "unknown")
    sha256 = hashlib.sha256(caffemodel.read_bytes()).hexdigest()
    assert facts.file_digest == f"sha256:{sha256}"
    assert reason(weights.fetch, "caffenet", [tmp_path], source="good") == (
        f"{folder / name} is used before any source: move it away to have good."
    )
    assert not server.requests


def test_changed_caffemodel_is_converted_again(publish, caffemodel, tmp_path):
    publish("good")
    weights.fetch("caffenet", [tmp_path])
    own = tmp_path / "caffenet" / "mine.caffemodel"
    other = random_weights(CAFFENET, seed=1)
    write_caffemodel(own, other)
    assert (conv1(weights.load("caffenet", [tmp_path])) == other["conv1"][0]).all()
    last = random_weights(CAFFENET, seed=2)
    write_caffemodel(own, last)
    assert (conv1(weights.load("caffenet", [tmp_path])) == last["conv1"][0]).all()


def test_known_caffemodel_is_recognised(publish, caffemodel, tmp_path):
    publish("good")
    (tmp_path / "caffenet").mkdir()
    shutil.copy(caffemodel, tmp_path / "caffenet")
    facts = weights.fetch("caffenet", [tmp_path]).provenance
    assert (facts.source, facts.identity, facts.licence) == ("user's file", "original", "CC0")


def test_caffemodel_of_another_network_is_refused(publish, caffemodel, tmp_path):
    (tmp_path / "vgg16").mkdir()
    own = tmp_path / "vgg16" / "VGG_ILSVRC_16_layers.caffemodel"
    shutil.copy(caffemodel, own)
    assert reason(weights.load, "vgg16", [tmp_path]) == (
        f"{own} cannot be used as weights of vgg16: VGG_ILSVRC_16_layers.caffemodel: it has no "
        "weights of layer 'conv1_1', so it is not a vgg16. Replace it, or move it away."
    )


def test_two_caffemodels_are_one_too_many(tmp_path):
    folder = tmp_path / "vgg16"
    folder.mkdir()
    for name in ("a.caffemodel", "b.caffemodel"):
        (folder / name).touch()
    expected = f"{folder} holds 2 caffemodels (a.caffemodel, b.caffemodel): leave one there."
    assert reason(weights.load, "vgg16", [tmp_path]) == expected
    assert weights.status("vgg16", [tmp_path]).problem == expected


@pytest.mark.golden
def test_bvlc_googlenet_is_recognised_by_its_tensors(tmp_path):
    (tmp_path / "googlenet").mkdir()
    shutil.copy(
        SHARED / "models" / "googlenet" / "bvlc_googlenet.caffemodel", tmp_path / "googlenet"
    )
    facts = weights.verify("googlenet", [tmp_path]).provenance
    assert (facts.identity, facts.precision) == ("original", "exact")
    assert facts.licence == "unrestricted (Berkeley Vision and Learning Center)"


def test_file_placed_by_hand_needs_no_network(publish, caffemodel, tmp_path):
    known = publish("closed", container="onnx", digest=None)
    known[0] = dataclasses.replace(
        known[0],
        origin=f"http://127.0.0.1:{closed_port()}/net.bin",
        container="caffemodel",
        digest="sha256:" + hashlib.sha256(caffemodel.read_bytes()).hexdigest(),
    )
    (tmp_path / "caffenet").mkdir()
    placed = tmp_path / "caffenet" / "net.bin"
    shutil.copy(caffemodel, placed)
    assert weights.fetch("caffenet", [tmp_path]).provenance.source == "closed"
    assert placed.exists()


def _fetch_in_a_process(folder: Path, known: list[Source]) -> None:
    sources.SOURCES["caffenet"] = known
    weights.fetch("caffenet", [folder])


def test_processes_that_fetch_at_once_make_one_download(server, publish, tmp_path):
    known = publish("good")
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_fetch_in_a_process, args=(tmp_path, known)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert weights.verify("caffenet", [tmp_path]).present
    assert [path.name for path in (tmp_path / "caffenet").iterdir()] == ["caffenet.onnx"]
    assert len(server.requests) == 1


@pytest.mark.parametrize("own", [False, True])
def test_threads_that_want_one_network_make_it_once(server, publish, caffemodel, tmp_path, own):
    publish("good")
    if own:
        (tmp_path / "caffenet").mkdir()
        shutil.copy(caffemodel, tmp_path / "caffenet")
    lines, models = [], []

    def work() -> None:
        models.append(weights.load("caffenet", [tmp_path], report=lines.append))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert models[0] == models[1] == models[2]
    made = "caffenet: converting" if own else "caffenet: fetching"
    assert len([line for line in lines if line.startswith(made)]) == 1
    assert len(server.requests) == (0 if own else 1)
    assert ".lock" not in {path.name for path in (tmp_path / "caffenet").iterdir()}


def test_where_there_are_no_locks_each_goes_on_alone(publish, tmp_path, monkeypatch):
    def fail(stream) -> bool:
        raise OSError("this file system has no locks")

    monkeypatch.setattr(locks, "_try_to_lock", fail)
    publish("good")
    (tmp_path / "caffenet").mkdir()
    live = tmp_path / "caffenet" / f"{FILE}.part"
    live.write_bytes(b"what another process has so far")
    weights.fetch("caffenet", [tmp_path])
    assert weights.verify("caffenet", [tmp_path]).present
    assert sorted(path.name for path in live.parent.iterdir()) == ["caffenet.onnx", live.name]
    assert live.read_bytes() == b"what another process has so far"


def test_what_killed_processes_left_is_deleted(server, publish, tmp_path):
    publish("missing", "good")
    folder = tmp_path / "caffenet"
    folder.mkdir()
    (folder / ".0123456789abcdef.part").mkdir()
    (folder / ".0123456789abcdef.part" / "some.whl").touch()
    for name in (".fedcba9876543210.part", f"{FILE}.123-0123abcd.part", f"{FILE}.part"):
        (folder / name).write_bytes(server.files[FILE][:1000])
    (folder / "theirs.part").touch()
    weights.fetch("caffenet", [tmp_path])
    assert sorted(p.name for p in folder.iterdir()) == ["caffenet.onnx", "theirs.part"]
    assert ("/good/" + FILE, "bytes=1000-") in server.requests


def test_sources_that_failed_lately_are_asked_last(server, publish, tmp_path):
    publish("missing")
    reason(weights.load, "caffenet", [tmp_path])
    known = publish("missing", "silent", "redirect")
    known[2] = dataclasses.replace(known[2], precision="quantised")
    server.requests.clear()
    lines = []
    weights.load("caffenet", [tmp_path], report=lines.append)
    # Not behind those that are less exact.
    assert [path.split("/")[1] for path, _ in server.requests] == [
        "silent",
        "missing",
        "redirect",
        "good",
    ]
    # What has been found is all that is left there.
    assert [path.name for path in (tmp_path / "caffenet").iterdir()] == ["caffenet.onnx"]


def test_fetch_asks_in_the_usual_order(server, publish, tmp_path):
    publish("missing")
    reason(weights.fetch, "caffenet", [tmp_path])
    publish("missing", "good")
    server.requests.clear()
    weights.fetch("caffenet", [tmp_path])
    assert [path.split("/")[1] for path, _ in server.requests] == ["missing", "good"]


def test_file_placed_by_hand_is_taken_after_its_source_has_failed(publish, caffemodel, tmp_path):
    publish("missing", "missing")
    reason(weights.load, "caffenet", [tmp_path])
    shutil.copy(caffemodel, tmp_path / "caffenet" / "net.bin")
    known = publish("missing", "good")
    known[0] = dataclasses.replace(known[0], origin=known[0].origin.replace(FILE, "net.bin"))
    assert weights.load("caffenet", [tmp_path])


@pytest.fixture
def forged(publish, tmp_path) -> Path:
    """A cached network that says that its weights are a source's, with a digest that fits them."""
    publish("good")
    status = weights.fetch("caffenet", [tmp_path])
    other = random_weights(CAFFENET, seed=3)
    facts = dataclasses.replace(status.provenance, weights_digest=containers.weights_digest(other))
    return cache.write(CAFFENET, other, facts, status.path.parent)


def test_weights_that_are_not_what_they_say_are_told(forged, tmp_path, monkeypatch, caplog):
    # Where the right digest is not known, that is said.
    identity = weights.verify("caffenet", [tmp_path]).provenance.identity
    assert identity == "original as the file says: there is no digest to compare with"
    known = containers.weights_digest(random_weights(CAFFENET))
    monkeypatch.setitem(sources.ORIGINAL_WEIGHTS, "caffenet", known)
    message = reason(weights.verify, "caffenet", [tmp_path])
    assert message.startswith(f"{forged} says that its weights are those of good, but they are unk")
    assert known in message
    facts = weights.status("caffenet", [tmp_path]).provenance
    assert facts.identity.startswith("unknown")
    assert (facts.precision, facts.licence) == ("unknown", "unknown")
    model = weights.load("caffenet", [tmp_path])
    assert [record.getMessage() for record in caplog.records] == [message]
    stated = {entry.key: entry.value for entry in model.metadata_props}
    assert stated["styletransfer.identity"] == facts.identity
    assert weights.fetch("caffenet", [tmp_path]).provenance.weights_digest == known
    assert weights.verify("caffenet", [tmp_path]).provenance.identity == "original"


def test_network_is_found_in_a_later_folder_and_kept_in_the_first_that_can_be_written(
    publish, tmp_path
):
    publish("good")
    blocked = tmp_path / "blocked"
    blocked.touch()  # a file, so that no folder can be made there, not even by root
    path = weights.fetch("caffenet", [blocked / "models", tmp_path / "second"]).path
    assert path == tmp_path / "second" / "caffenet" / "caffenet.onnx"
    assert weights.status("caffenet", [tmp_path / "first", tmp_path / "second"]).path == path
    assert reason(weights.fetch, "caffenet", [blocked / "models"]) == (
        f"No folder for weights can be written: {blocked / 'models'} (Not a directory). "
        "Name one with --models."
    )
