import numpy as np
import onnx
import onnxruntime
import pytest

from styletransfer import caffe, networks
from styletransfer.networks import MEAN, NETWORKS
from tests.caffe.caffe_files import write_caffemodel
from tests.conftest import SHARED, golden, golden_layers

MODELS = SHARED / "models"
PROTOTXTS = {
    "vgg16": "VGG_ILSVRC_16_layers_deploy.prototxt",
    "vgg19": "VGG_ILSVRC_19_layers_deploy.prototxt",
    "googlenet": "deploy.prototxt",
    "caffenet": "deploy.prototxt",
}
CAFFEMODELS = {"googlenet": "bvlc_googlenet", "caffenet": "random_caffenet"}
CONVOLUTIONS = {"vgg16": 13, "vgg19": 16, "googlenet": 57, "caffenet": 5}


def random_weights(name):
    rng = np.random.default_rng(0)
    return {
        layer: [rng.random(shape, np.float32) for shape in shapes]
        for layer, shapes in networks.weight_shapes(NETWORKS[name]).items()
    }


@pytest.mark.golden
@pytest.mark.parametrize("shape", [(1, 3, 227, 241), (1, 3, "height", "width")], ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_table_gives_the_graph_of_the_prototxt(name, shape, tmp_path):
    if name in CAFFEMODELS:
        caffemodel = MODELS / name / f"{CAFFEMODELS[name]}.caffemodel"
    else:
        caffemodel = write_caffemodel(tmp_path / "random.caffemodel", random_weights(name))
    converted = caffe.convert(MODELS / name / PROTOTXTS[name], caffemodel, shape).graph
    weights = caffe.read_caffemodel(caffemodel)
    graph = networks.to_onnx(NETWORKS[name], weights, shape).graph
    assert len([node for node in graph.node if node.op_type == "Conv"]) == CONVOLUTIONS[name]
    for part in ("node", "input", "output", "initializer"):
        assert getattr(graph, part) == getattr(converted, part), part


@pytest.mark.golden
@pytest.mark.parametrize("name", CAFFEMODELS)
def test_weight_shapes_are_those_of_the_caffemodel(name):
    weights = caffe.read_caffemodel(MODELS / name / f"{CAFFEMODELS[name]}.caffemodel")
    shapes = networks.weight_shapes(NETWORKS[name])
    assert shapes == {layer: tuple(a.shape for a in arrays) for layer, arrays in weights.items()}


@pytest.mark.golden
@pytest.mark.parametrize("name", NETWORKS)
def test_layers_to_match_are_those_of_the_original(name):
    style, content = golden_layers(golden(f"{name}_256_20"))
    assert NETWORKS[name].style_layers == style
    assert NETWORKS[name].content_layers == content


@pytest.mark.golden
def test_mean_is_that_of_ilsvrc():
    mean = caffe.read_mean(MODELS / "caffenet" / "ilsvrc_2012_mean.npy")
    np.testing.assert_allclose(MEAN, mean, atol=1e-8)


@pytest.mark.parametrize("name", NETWORKS)
def test_graph_runs_at_odd_sizes_and_pools_as_caffe_does(name):
    model = networks.to_onnx(NETWORKS[name], random_weights(name))
    onnx.checker.check_model(model)
    assert model.opset_import[0].version == 18
    assert model.ir_version <= 10
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    height, width = 233, 239
    image = np.zeros((1, 3, height, width), np.float32)
    outputs = session.run(None, {"data": image})
    shapes = {
        output.name: array.shape
        for output, array in zip(session.get_outputs(), outputs, strict=True)
    }
    for layer in NETWORKS[name].layers:
        if layer.type == "Pooling" and layer.name in shapes:
            before, after = shapes[layer.bottoms[0]], shapes[layer.name]
            for side in (0, 1):
                kernel, stride, pad = (
                    layer.settings[key][side] for key in ("kernel", "stride", "pad")
                )
                expected = -(-(before[2 + side] + 2 * pad - kernel) // stride) + 1
                assert after[2 + side] == expected, layer.name


@pytest.mark.parametrize("name", NETWORKS)
def test_input_size_and_layers_exist(name):
    network = NETWORKS[name]
    assert network.name == name
    assert network.input_size == (227 if name == "caffenet" else 224)
    blobs = {layer.tops[0] for layer in network.layers}
    assert blobs.issuperset([*network.style_layers, *network.content_layers])
    assert sum(network.style_layers.values()) == pytest.approx(1)
    assert sum(network.content_layers.values()) == pytest.approx(1)
