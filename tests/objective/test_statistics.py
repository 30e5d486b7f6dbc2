"""What is matched of a picture."""

from dataclasses import replace

import numpy as np
import pytest

from styletransfer import cli
from styletransfer.caffe import layers
from styletransfer.caffe.layers import Layer
from styletransfer.errors import NetworkError
from styletransfer.objective.losses import Content, Gram, Wasserstein
from styletransfer.objective.statistics import statistics
from styletransfer.runtime.devices import Device
from tests.caffe.caffe_files import CONVOLUTION, HEADER, weights_of_convolution, write_caffemodel
from tests.conftest import ROOT

CPU = Device(threads=1)
SHAPE = (1, 3, 8, 6)
IMAGE = np.random.default_rng(0).uniform(-120, 130, SHAPE).astype(np.float32)


def network(*more: Layer):
    settings = {"num_output": 2, "kernel": (3, 3), "pad": (1, 1)}
    table = [Layer("c", "Convolution", ("data",), ("c",), settings), *more]
    return layers.to_onnx(table, {"c": weights_of_convolution()}, SHAPE)


TERMS = [
    Content("c"),
    Content("data", "image"),
    Gram("c", normalization="hw"),
    Wasserstein("c", "w"),
]


def test_targets_by_name():
    found = statistics(network(), IMAGE, TERMS, CPU)
    assert list(found) == ["content/c", "image/data", "style/c", "w/c"]
    features = found["content/c"]
    np.testing.assert_array_equal(found["image/data"], IMAGE)
    flat = features.reshape(2, -1)
    np.testing.assert_allclose(found["style/c"], flat @ flat.T / flat.shape[1], rtol=1e-5)
    root, mean = found["w/c"][:, :2], found["w/c"][:, 2]
    np.testing.assert_allclose(mean, flat.mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(root @ root, np.cov(flat, ddof=0), rtol=1e-3)


def test_masks_make_no_difference():
    """They are of the result: a caller may keep what it has for results with other masks."""
    plain = statistics(network(), IMAGE, TERMS, CPU)
    masked = statistics(network(), IMAGE, [replace(term, mask="m") for term in TERMS], CPU)
    for name, value in plain.items():
        np.testing.assert_array_equal(masked[name], value)


def test_layer_without_positions():
    flat = network(Layer("f", "Flatten", ("c",), ("f",)))
    with pytest.raises(NetworkError, match=r"the layer 'f' has no height and width.*\(1, 96\)"):
        statistics(flat, IMAGE, [Gram("f")], CPU)


def test_network_that_fits_no_image_is_told_in_a_sentence(tmp_path, capsys):
    """What the graph's builder refuses reaches the user of the command as any other error does."""
    pool = 'layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: AVE %s } }'
    both = 'layer { name: "both" type: "Concat" bottom: "c" bottom: "p" top: "both" }'
    text = HEADER + CONVOLUTION + pool % "kernel_size: 2 stride: 2" + both
    (tmp_path / "net.prototxt").write_text(text)
    write_caffemodel(tmp_path / "net.caffemodel", {"c": weights_of_convolution()})
    pictures = [ROOT / "images" / name for name in ("style/night.jpg", "content/cat.jpg")]
    arguments = ["-s", pictures[0], "-c", pictures[1], "-m", tmp_path, "-g", "-1", "-l", "64"]
    layers = ["--style-layers", "both", "--content-layers", "c", "-o", tmp_path / "x.png"]
    assert cli.main_style([str(argument) for argument in (*arguments, *layers)]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: The Concat node 'both' on 'c' (")
    assert "--debug" not in line
