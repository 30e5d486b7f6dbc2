"""Files placed by hand; the rest of it is tested with the store."""

import dataclasses
import hashlib

import pytest

from styletransfer.errors import WeightsError
from styletransfer.weights.acquisition import obtain
from styletransfer.weights.sources import Source

CONTENT = b"weights" * 100


def test_file_placed_by_hand_is_used_and_kept(tmp_path) -> None:
    digest = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
    source = Source("site", "http://localhost:9/net.bin", "onnx", digest, 1, "CC0")
    placed = tmp_path / "net.bin"
    placed.write_bytes(CONTENT)
    with obtain(source, [tmp_path], tmp_path, lambda _: None) as path:
        assert path == placed
    assert placed.exists()
    wrong = dataclasses.replace(source, digest="sha256:0")
    with pytest.raises(WeightsError) as error, obtain(wrong, [tmp_path], tmp_path, print):
        pass
    assert str(error.value).startswith(f"{placed}: the file is not the expected one")
    assert str(error.value).endswith("; delete it")
