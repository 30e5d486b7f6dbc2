"""The cached network: what is written comes back, and what is damaged is refused."""

import dataclasses
import re

import numpy as np
import onnx
import pytest

from styletransfer.errors import WeightsError
from styletransfer.weights import cache
from styletransfer.weights.cache import Provenance
from tests.weights.weight_files import provenance_of, random_weights, short_vgg

NETWORK = short_vgg()
WEIGHTS = random_weights(NETWORK)
PROVENANCE = provenance_of(WEIGHTS, origin="http://localhost/net.h5", file_digest="md5:0")


@pytest.fixture
def path(tmp_path):
    return cache.write(NETWORK, WEIGHTS, PROVENANCE, tmp_path)


def refusal(path, why: str) -> str:
    """Return a pattern of the whole message that says why a file is refused."""
    return (
        rf"^{re.escape(str(path))} is damaged or was not written by this program: .*{why}.*\. "
        r"`styletransfer models fetch vgg16` replaces it\.$"
    )


def test_weights_and_provenance_come_back(path):
    weights, provenance = cache.read(path, NETWORK)
    assert provenance == PROVENANCE
    assert list(weights) == list(WEIGHTS)
    for layer in weights:
        for one, other in zip(weights[layer], WEIGHTS[layer], strict=True):
            np.testing.assert_array_equal(one, other)
    assert [p.name for p in path.parent.iterdir()] == ["vgg16.onnx"]


def test_file_is_a_plain_forward_graph(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [i.name for i in model.graph.input] == ["data"]
    outputs = [output.name for output in model.graph.output]
    assert {"conv1_1", "conv1_2", "pool1", "conv2_1"} <= set(outputs)
    assert {entry.key for entry in model.metadata_props} == {
        f"styletransfer.{field.name}" for field in dataclasses.fields(Provenance)
    }


def test_digest_of_a_model_s_weights():
    made = cache.model(NETWORK, WEIGHTS, PROVENANCE)
    assert cache.weights_digest(made) == PROVENANCE.weights_digest
    plain = cache.graph(NETWORK, WEIGHTS)
    digest = cache.weights_digest(plain)
    assert cache.weights_digest(cache.graph(NETWORK, WEIGHTS)) == digest
    other = random_weights(NETWORK, seed=1)
    assert cache.weights_digest(cache.graph(NETWORK, other)) != digest


@pytest.mark.parametrize("length", [0, 1, 1000, -1, -100])
def test_truncated_file_is_refused(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(cache.CacheError, match=refusal(path, "")):
        cache.read(path, NETWORK)


def test_flipped_bit_is_noticed(path):
    data = bytearray(path.read_bytes())
    place = data.find(WEIGHTS["conv1_2"][0].tobytes()[:64])
    data[place + 7] ^= 1
    path.write_bytes(data)
    why = "its weights have another digest than when it was written"
    with pytest.raises(cache.CacheError, match=refusal(path, why)):
        cache.read(path, NETWORK)


def test_model_of_others_is_refused(path):
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    with pytest.raises(cache.CacheError, match=refusal(path, "does not say where its weights are")):
        cache.read(path, NETWORK)


def test_weights_that_end_too_early_are_refused(tmp_path):
    short = {layer: WEIGHTS[layer] for layer in ("conv1_1", "conv1_2")}
    with pytest.raises(WeightsError, match="the weights end before layer 'conv2_1' of vgg16"):
        cache.write(NETWORK, short, PROVENANCE, tmp_path)
    assert not list(tmp_path.iterdir())


def test_failed_write_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def fail(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(type(path), "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        cache.write(NETWORK, WEIGHTS, PROVENANCE, path.parent)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["vgg16.onnx"]
