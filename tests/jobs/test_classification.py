"""What networks see: a small one that is trained here, and the built-in ones of made-up weights."""

import dataclasses
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import correlate

from styletransfer import cli, images, weights
from styletransfer.errors import NetworkError, UsageError, WeightsError
from styletransfer.jobs.classification import classify
from styletransfer.networks import CLASSIFIERS, MEAN
from styletransfer.weights import sources
from tests.weights.file_server import file_server
from tests.weights.weight_files import random_weights, write_caffemodel, write_hdf5

SIDE = 12
KINDS = ("red", "blue", "rows", "columns")


def picture(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return a picture of a colour, or of gray stripes, with some noise."""
    shown = 0.3 * rng.random((SIDE, SIDE, 3)) + 0.2
    if kind in ("red", "blue"):
        shown[:, :, 0 if kind == "red" else 2] += 0.4
    else:
        stripes = np.arange(rng.integers(4), SIDE + 4)[:SIDE] // 2 % 2
        shown += 0.45 * (stripes[:, None, None] if kind == "rows" else stripes[None, :, None])
    return shown


def features(rgb: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """Return the mean of the rectified convolutions of a picture: what the last layer reads."""
    bgr = (255 * rgb[:, :, ::-1] - MEAN).transpose(2, 0, 1)
    maps = np.array([correlate(bgr, kernel, "valid")[0] for kernel in kernels])
    return np.maximum(maps, 0).mean(axis=(1, 2))


PROTOTXT = f"""
name: "small"
input: "data"
input_dim: 10 input_dim: 3 input_dim: {SIDE} input_dim: {SIDE}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param {{ num_output: 16 kernel_size: 3 }} }}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
layer {{ name: "pool" type: "Pooling" bottom: "conv" top: "pool"
        pooling_param {{ pool: AVE global_pooling: true }} }}
layer {{ name: "drop" type: "Dropout" bottom: "pool" top: "pool" }}
layer {{ name: "top" type: "InnerProduct" bottom: "pool" top: "top"
        inner_product_param {{ num_output: 4 }} }}
"""
SOFTMAX = 'layer { name: "last" type: "Softmax" bottom: "top" top: "likely" }'


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A Caffe folder: random convolutions, and a last layer that has learnt the four kinds."""
    folder = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(0)
    kernels = rng.standard_normal((16, 3, 3, 3)).astype(np.float32)
    seen = np.array([features(picture(kind, rng), kernels) for kind in KINDS for _ in range(40)])
    scale = seen.std(axis=0)
    wanted = np.repeat(np.eye(4), 40, axis=0)
    weight, bias = np.zeros((16, 4)), np.zeros(4)
    for _ in range(500):
        logits = seen / scale @ weight + bias
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (likely / likely.sum(axis=1, keepdims=True) - wanted) / len(seen)
        weight -= seen.T / scale[:, None] @ error
        bias -= error.sum(axis=0)
    layers = {
        "conv": (kernels, np.zeros(16, np.float32)),
        "top": ((weight.T / scale).astype(np.float32), bias.astype(np.float32)),
    }
    write_caffemodel(folder / "net.caffemodel", layers)
    (folder / "net.prototxt").write_text(PROTOTXT + SOFTMAX)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_trained_network_tells_colours_and_stripes(trained, tmp_path, kind, capsys):
    """With red for blue, or rows for columns, it would tell the wrong one."""
    photo = tmp_path / "photo.png"
    images.save(photo, picture(kind, np.random.default_rng(99)))
    seen = classify(str(trained), photo, top=4)
    assert seen[0].number == KINDS.index(kind)
    assert seen[0].probability > 0.8
    assert sum(s.probability for s in seen) == pytest.approx(1, abs=1e-5)
    assert seen == sorted(seen, key=lambda s: -s.probability)
    assert cli.main(["models", "classify", str(trained), str(photo), "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith(f"%  class {seen[0].number}")


def test_photograph_is_stretched_as_the_tutorial_does(trained, tmp_path):
    """A larger one of other proportions, bilinear."""
    photo = tmp_path / "photo.png"
    images.save(photo, np.kron(picture("columns", np.random.default_rng(3)), np.ones((3, 5, 1))))
    assert classify(str(trained), photo)[0].number == KINDS.index("columns")


def test_a_network_that_classifies_nothing_is_told(trained, tmp_path):
    photo = tmp_path / "photo.png"
    images.save(photo, picture("red", np.random.default_rng(1)))
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "net.caffemodel").write_bytes((trained / "net.caffemodel").read_bytes())
    (folder / "net.prototxt").write_text(PROTOTXT)
    with pytest.raises(NetworkError, match="no blob prob and no softmax"):
        classify(str(folder), photo)
    with pytest.raises(UsageError, match="'vgg17' is neither a network nor a folder"):
        classify("vgg17", photo)


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    images.save(path, np.random.default_rng(5).random((60, 90, 3)))
    return path


def test_nothing_is_fetched_to_classify(photo, tmp_path, monkeypatch):
    """One sentence says which file goes where."""
    monkeypatch.setattr(weights, "model_directories", lambda _: [tmp_path])
    with pytest.raises(WeightsError) as error:
        classify("vgg19", photo, tmp_path / "models")
    folder = tmp_path / "models" / "vgg19"
    assert "`styletransfer models fetch vgg19-classifier` (575 MB), or put" in str(error.value)
    assert (
        "vgg19_weights_tf_dim_ordering_tf_kernels.h5 or VGG_ILSVRC_19_layers.caffemodel into"
        f" {folder}." in str(error.value)
    )
    assert not folder.exists()


def test_googlenet_is_fetched_on_request_and_kept_apart(photo, tmp_path, monkeypatch, capsys):
    """Style transfer neither loads it nor takes it for its own."""
    network = CLASSIFIERS["googlenet-classifier"]
    made_up = random_weights(network)
    made_up["loss3/classifier"][1][283] += 50
    write_caffemodel(tmp_path / "net.caffemodel", made_up)
    data = (tmp_path / "net.caffemodel").read_bytes()
    models = tmp_path / "models"
    with file_server() as server:
        server.files["bvlc_googlenet.caffemodel"] = data
        known = dataclasses.replace(
            sources.SOURCES["googlenet"][2],
            origin=server.address("good", "bvlc_googlenet.caffemodel"),
            digest="sha1:" + hashlib.sha1(data).hexdigest(),
        )
        monkeypatch.setitem(sources.SOURCES, "googlenet-classifier", [known])
        fetch = ["models", "fetch", "googlenet-classifier", "--models", str(models)]
        assert cli.main(fetch) == 0
    assert [p.name for p in (models / "googlenet").iterdir()] == ["googlenet-classifier.onnx"]
    assert not weights.status("googlenet", [models]).present
    capsys.readouterr()
    command = ["models", "classify", "googlenet", str(photo), "--models", str(models)]
    assert cli.main([*command, "--top", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].endswith("%  Persian cat (n02123394)")
    assert cli.main(["models", "verify", "--models", str(models)]) == 0
    assert "googlenet-classifier: good" in capsys.readouterr().out


def test_a_file_placed_by_hand_is_used(photo, tmp_path, monkeypatch):
    """No server is asked."""
    network = CLASSIFIERS["googlenet-classifier"]
    made_up = random_weights(network)
    made_up["loss3/classifier"][1][7] += 50
    placed = tmp_path / "models" / "googlenet" / "placed.caffemodel.bin"
    placed.parent.mkdir(parents=True)
    write_caffemodel(placed, made_up)
    known = dataclasses.replace(
        sources.SOURCES["googlenet"][2],
        origin=f"http://127.0.0.1:9/{placed.name}",
        digest="sha1:" + hashlib.sha1(placed.read_bytes()).hexdigest(),
    )
    monkeypatch.setitem(sources.SOURCES, "googlenet-classifier", [known])
    assert classify("googlenet", photo, tmp_path / "models")[0].number == 7


def test_weights_that_end_early_are_refused(photo, tmp_path):
    """As a caffemodel of convolutions only, which does for style transfer."""
    whole = random_weights(CLASSIFIERS["googlenet-classifier"])
    folder = tmp_path / "models" / "googlenet"
    folder.mkdir(parents=True)
    del whole["loss3/classifier"]
    write_caffemodel(folder / "bvlc_googlenet.caffemodel", whole)
    with pytest.raises(WeightsError, match="the weights end before layer 'prob'"):
        classify("googlenet", photo, tmp_path / "models")


def forward(rgb: np.ndarray, layers: dict) -> np.ndarray:
    """Return VGG-16's probabilities as Keras computes them: maps are (H, W, C) throughout."""
    x = 255 * rgb[:, :, ::-1] - MEAN
    for block, depth in enumerate((2, 2, 3, 3, 3), 1):
        for i in range(1, depth + 1):
            weight, bias = layers[f"conv{block}_{i}"]
            kernel = weight.transpose(2, 3, 1, 0)
            padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
            rows, columns = x.shape[:2]
            x = sum(
                padded[dy : dy + rows, dx : dx + columns] @ kernel[dy, dx]
                for dy in range(3)
                for dx in range(3)
            )
            x = np.maximum(x + bias, 0)
        x = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).max(axis=(1, 3))
    first = layers["fc6"][0].reshape(4096, 512, 7, 7)
    x = np.maximum(np.einsum("hwc,ochw->o", x, first, optimize=True) + layers["fc6"][1], 0)
    x = np.maximum(layers["fc7"][0] @ x + layers["fc7"][1], 0)
    x = layers["fc8"][0] @ x + layers["fc8"][1]
    likely = np.exp(x - x.max())
    return likely / likely.sum()


CLASSIFY = """
import sys, resource
from pathlib import Path
from styletransfer.jobs.classification import classify
from styletransfer.weights import sources
import dataclasses
known = dataclasses.replace(sources.SOURCES["vgg16-classifier"][0], digest=sys.argv[3])
sources.SOURCES["vgg16-classifier"] = [known]
for seen in classify("vgg16", Path(sys.argv[1]), Path(sys.argv[2]), top=5):
    print(seen.number, seen.probability)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(peak if sys.platform == "linux" else peak / 1024)
"""


@pytest.mark.slow
def test_vgg16_whole_of_made_up_weights(photo, tmp_path):
    """Half a gigabyte in Keras's file, placed by hand: shapes, the order of channels, memory."""
    rng = np.random.default_rng(0)
    network = CLASSIFIERS["vgg16-classifier"]
    layers = {  # of such sizes that values keep theirs from layer to layer
        name: (weight * np.float32(28 / np.sqrt(weight[0].size)), bias)
        for name, (weight, bias) in random_weights(network).items()
    }
    layers["fc8"] = (layers["fc8"][0] * np.float32(0.01), rng.standard_normal(1000, np.float32))
    folder = tmp_path / "models" / "vgg16"
    folder.mkdir(parents=True)
    placed = folder / "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
    write_hdf5(placed, layers)
    expected = forward(images.resize(images.load(photo), (224, 224)), layers)
    del layers
    digest = "md5:" + hashlib.md5(placed.read_bytes()).hexdigest()
    peaks = []
    for _ in ("from Keras's file", "from the one that is kept"):
        arguments = [sys.executable, "-c", CLASSIFY, photo, tmp_path / "models", digest]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True)
        *rows, peak = done.stdout.splitlines()
        found = {int(row.split()[0]): float(row.split()[1]) for row in rows}
        assert list(found) == list(np.argsort(-expected)[:5])
        np.testing.assert_allclose(list(found.values()), expected[list(found)], rtol=1e-3)
        peaks.append(float(peak))
    assert max(peaks) < 2500, peaks
    print(peaks)
    assert not (folder / "vgg16.onnx").exists()
    shutil.rmtree(folder)  # more than a gigabyte
