"""Finding, fetching and verifying networks, with sources on a local server."""

import dataclasses
import hashlib
import multiprocessing
import shutil
import sys
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from styletransfer import weights
from styletransfer.errors import NetworkError, WeightsError
from styletransfer.networks import NETWORKS
from styletransfer.weights import containers, download, sources
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
    monkeypatch.setattr(download, "OPEN_SECONDS", 0.3)
    monkeypatch.setattr(download, "STALL_SECONDS", 0.5)
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
        progress=lambda *state: seen.append(state),
    )
    expected = random_weights(CAFFENET)["conv1"][0]
    assert (conv1(model) == expected).all()
    assert seen[-1][2] == FILE
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
        "caffenet: silent failed: could not connect: no answer within 0.3 seconds",
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
        f"There are no weights of caffenet in {tmp_path}: "
        "get them with `styletransfer models fetch caffenet`."
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


def test_processes_that_fetch_at_once_do_not_meet(publish, tmp_path):
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


def test_folders_in_their_order(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("STYLETRANSFER_MODELS", raising=False)
    data = tmp_path / "data" / "styletransfer" / "models"
    assert weights.model_directories() == [data]
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("STYLETRANSFER_MODELS", str(tmp_path / "env"))
    assert weights.model_directories("given") == [
        Path("given"),
        tmp_path / "env",
        Path("models"),
        data,
    ]


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"XDG_DATA_HOME": "relative"}, "home/.local/share"),
        ("linux", {}, "home/.local/share"),
        ("darwin", {}, "home/Library/Application Support"),
        ("win32", {}, "home/AppData/Local"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local"),
    ],
)
def test_user_data_folder_of_each_system(monkeypatch, tmp_path, platform, environment, expected):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "platform", platform)
    for variable in ("XDG_DATA_HOME", "LOCALAPPDATA", "STYLETRANSFER_MODELS"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in (environment | {"HOME": str(tmp_path / "home")}).items():
        monkeypatch.setenv(variable, value)
    assert weights.model_directories() == [tmp_path / expected / "styletransfer" / "models"]


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
