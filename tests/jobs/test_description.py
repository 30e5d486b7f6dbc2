"""Networks described: shapes, weights, statistics against NumPy, and the graph for Graphviz."""

import re
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from styletransfer import cli, images
from styletransfer.errors import StyleTransferError
from styletransfer.jobs.description import describe
from styletransfer.networks import MEAN
from tests.conftest import MODELS, ROOT
from tests.weights.weight_files import write_caffemodel

PHOTO = ROOT / "images" / "content" / "cat.jpg"
PROTOTXT = """
name: "two"
input: "data"
input_dim: 1 input_dim: 3 input_dim: 24 input_dim: 24
layer { name: "one" type: "Convolution" bottom: "data" top: "one"
        convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "r" type: "ReLU" bottom: "one" top: "one" }
layer { name: "half" type: "Pooling" bottom: "one" top: "half"
        pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    kernel = np.array([[1, 0, 0], [0, -1, 0]], np.float32)[:, :, None, None]
    write_caffemodel(tmp_path / "a.caffemodel", {"one": (kernel, np.array([20, 0], np.float32))})
    (tmp_path / "a.prototxt").write_text(PROTOTXT)
    return tmp_path


def test_statistics_of_a_caffe_folder(folder):
    one, half = describe(str(folder), PHOTO, length=40)[0]
    assert (one.name, one.operators, one.weights) == ("one", ("Conv", "Relu"), 8)
    assert (half.name, half.operators, half.weights) == ("half", ("MaxPool",), 0)
    picture = images.load(PHOTO)
    scale = images.scale_for(picture.shape, 40, 24)
    blue, green, _ = images.preprocess(images.rescale(picture, scale), MEAN)[0]
    maps = np.maximum([blue + 20, -green], 0)
    assert one.shape == (1, *maps.shape)
    assert half.shape[2:] == tuple(-(-side // 2) for side in maps.shape[1:])
    for spread, values in (
        (one.output, maps),
        (one.gram, np.einsum("ahw,bhw->ab", maps, maps) / maps[0].size),
    ):
        found = (spread.least, spread.most, spread.mean)
        assert found == pytest.approx((values.min(), values.max(), values.mean()), rel=1e-4)


def test_without_a_photograph_there_are_shapes_alone(folder, capsys):
    assert cli.main(["models", "describe", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "layer  operators  shape      weights",
        "one    Conv+Relu  1x2x24x24  8",
        "half   MaxPool    1x2x12x12",
    ]


def painter() -> bytes:
    """Return a network that paints, of one convolution."""
    kernel = numpy_helper.from_array(np.full((3, 3, 1, 1), 0.25, np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["x"]),
        helper.make_node("Sigmoid", ["x"], ["out"]),
    ]
    sizes = [1, 3, "h", "w"]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, sizes) for n in ("image", "out")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [kernel])
    opset = helper.make_opsetid("", 18)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()


def test_a_network_that_paints(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(painter())
    (conv, out), dot = describe(str(path), PHOTO, length=64)
    assert (conv.operators, conv.weights, conv.shape[1]) == (("Conv",), 9, 3)
    assert max(conv.shape) == 64
    assert out.output.most < 1
    assert conv.output.most <= 0.75
    assert re.search(r'label="Conv\\nConv 1x3x\d+x64"', dot)


def test_graph_for_graphviz(folder, tmp_path):
    path = tmp_path / "net.dot"
    assert cli.main(["models", "describe", str(folder), "--dot", str(path)]) == 0
    lines = path.read_text().splitlines()
    assert lines[0] == "digraph network {"
    assert lines[-1] == "}"
    boxes = dict(re.findall(r'^  (\w+) \[label="([^"]*)"', "\n".join(lines), re.MULTILINE))
    arrows = re.findall(r"^  (\w+) -> (\w+);", "\n".join(lines), re.MULTILINE)
    named = [(boxes[a].split(r"\n")[0], boxes[b].split(r"\n")[0]) for a, b in arrows]
    assert named == [("data", "one/before/r"), ("one/before/r", "one"), ("one", "half")]


def test_names_cannot_leave_their_quotes(folder):
    prototxt = folder / "a.prototxt"
    evil = PROTOTXT.replace('top: "half"', r'top: "a\"]; evil [label=\"\\\n\033"')
    prototxt.write_text(evil)
    _, dot = describe(str(folder))
    assert "\x1b" not in dot
    line = next(line for line in dot.splitlines() if "evil" in line)
    assert re.fullmatch(r'  n2 \[label="(?:[^"\\]|\\.)*"\];', line)


def test_published_networks_that_paint(published):
    published("multistyle26")
    facts, _ = describe("multistyle26", PHOTO, MODELS, length=96)
    assert facts[-1].shape[:2] == (1, 3)
    assert sum(fact.weights for fact in facts) == 166_104
    assert 0 <= facts[-1].output.least <= facts[-1].output.most <= 1


def test_what_cannot_be_described(tmp_path, capsys):
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    with pytest.raises(StyleTransferError, match="is no ONNX file"):
        describe(str(tmp_path / "x.onnx"))
    assert cli.main(["models", "describe", "vgg17"]) == 2
    assert "did you mean vgg1" in capsys.readouterr().err
    assert cli.main(["models", "describe", "vgg16", str(tmp_path / "none.jpg")]) == 2
