"""The weights that stand in where a network's own cannot be had."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from styletransfer import weights
from styletransfer.errors import WeightsError
from styletransfer.networks import NETWORKS
from styletransfer.weights import cache, shipped, sources
from styletransfer.weights.sources import Source
from tests.weights.file_server import closed_port, file_server
from tests.weights.weight_files import provenance_of, random_weights

NETWORK = NETWORKS["caffenet"]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """A stand-in for CaffeNet in float16, with no other source in reach; its weights."""
    half = {
        layer: tuple(array.astype(np.float16).astype(np.float32) for array in arrays)
        for layer, arrays in random_weights(NETWORK).items()
    }
    facts = provenance_of(half, source="distilled", identity="not BVLC's", precision="float16")
    path = cache.write(NETWORK, half, facts, tmp_path)
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, path)
    monkeypatch.setattr(shipped, "path", lambda name: path if name == "caffenet" else None)
    nowhere = Source(
        "nowhere", f"http://127.0.0.1:{closed_port()}/net.caffemodel", "caffemodel", None, 1, "CC0"
    )
    monkeypatch.setitem(sources.SOURCES, "caffenet", [nowhere])
    return half


def test_it_stands_in_and_says_so(stand_in, tmp_path, caplog) -> None:
    models = tmp_path / "models"
    first = sources.SOURCES["caffenet"][0]
    sources.SOURCES["caffenet"] = [first, replace(first, name="else", origin=first.origin + "2")]
    with caplog.at_level(logging.INFO, "styletransfer"):
        model = weights.load("caffenet", [models])
    loaded = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    np.testing.assert_array_equal(loaded["conv1/weight"], stand_in["conv1"][0])
    asked, record = caplog.records  # one line of all that was asked, and the warning
    assert asked.getMessage().startswith("caffenet: fetching 1 MB of weights from nowhere (")
    for part in ("neither here nor reachable", "not BVLC's", "bvlc_reference_caffenet.caffemodel"):
        assert part in record.getMessage()
    # Not kept as the network's weights: the next run looks for the right ones again.
    assert not (models / "caffenet" / "caffenet.onnx").exists()


def test_sources_that_failed_lately_are_not_asked_again(stand_in, tmp_path, caplog) -> None:
    models = [tmp_path / "models"]
    with caplog.at_level(logging.INFO, "styletransfer"), file_server() as server:
        first = sources.SOURCES["caffenet"][0]
        known = [
            replace(first, name=name, origin=server.address("missing", f"{name}.caffemodel"))
            for name in ("one", "two")
        ]
        sources.SOURCES["caffenet"] = known[:1]
        weights.load("caffenet", models)
        assert len(server.requests) == 1
        caplog.clear()
        weights.load("caffenet", models)
        assert len(server.requests) == 1
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "neither here nor reachable" in record.getMessage()
        sources.SOURCES["caffenet"] = known
        caplog.clear()
        weights.load("caffenet", models)
        assert len(server.requests) == 2
        assert caplog.records[0].getMessage() == (
            "caffenet: failed within the last hour, and not asked: one; "
            "`styletransfer models fetch caffenet` asks again"
        )
        with pytest.raises(WeightsError, match="could not be fetched"):
            weights.fetch("caffenet", models)
        assert len(server.requests) == 4


def test_not_where_the_right_ones_are_here(stand_in, tmp_path, caplog) -> None:
    models = tmp_path / "models"
    (models / "caffenet").mkdir(parents=True)
    right = random_weights(NETWORK, seed=1)
    cache.write(NETWORK, right, provenance_of(right), models / "caffenet")
    with caplog.at_level(logging.WARNING, "styletransfer"):
        model = weights.load("caffenet", [models])
    loaded = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    np.testing.assert_array_equal(loaded["conv1/weight"], right["conv1"][0])
    assert not caplog.records


def test_not_where_a_source_was_asked_for(stand_in, tmp_path) -> None:
    with pytest.raises(WeightsError, match="could not be fetched"):
        weights.load("caffenet", [tmp_path / "models"], source="nowhere")
    with pytest.raises(WeightsError, match="could not be fetched"):
        weights.fetch("caffenet", [tmp_path / "models"])


def test_no_other_network_has_one() -> None:
    assert [name for name in NETWORKS if name in shipped.FILES] == ["googlenet"]
    assert weights.read_shipped(NETWORKS["vgg16"]) is None


@pytest.mark.skipif(shipped.path("googlenet") is None, reason="the trained file is not here")
def test_the_file_of_the_project() -> None:
    path, _, provenance = weights.read_shipped(NETWORKS["googlenet"])
    assert path.stat().st_size <= 10_000_000
    assert provenance.source == "distilled"
    assert "not BVLC's" in provenance.identity
