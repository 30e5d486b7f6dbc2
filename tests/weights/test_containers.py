"""Weights out of every container, against what was put in."""

import contextlib
import random

import h5py
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from styletransfer import networks
from styletransfer.errors import WeightsError
from styletransfer.networks import NETWORKS
from styletransfer.weights import containers
from tests.weights.test_torchfile import dictionary, legacy_file, tensor
from tests.weights.weight_files import (
    random_weights,
    short_vgg,
    tiny_classifier,
    write_caffemodel,
    write_hdf5,
)


def equal(one, other) -> bool:
    """Whether the same layers, in the same order, have the same tensors, as float32."""
    return list(one) == list(other) and all(
        a.dtype == np.float32 and np.array_equal(a, b)
        for layer in one
        for a, b in zip(one[layer], other[layer], strict=True)
    )


def reason(container, path, network) -> str:
    with pytest.raises(WeightsError) as error:
        containers.read(container, path, network)
    return str(error.value)


def test_caffemodel(tmp_path):
    network = NETWORKS["caffenet"]
    weights = random_weights(network)
    path = tmp_path / "net.caffemodel"
    classifier = {"fc6": (np.zeros((3, 4), np.float32), np.zeros(3, np.float32))}
    write_caffemodel(path, weights | classifier)
    assert equal(containers.read("caffemodel", path, network), weights)


def test_caffemodel_of_the_legacy_shapes(tmp_path):
    network = short_vgg()
    weights = random_weights(network)
    legacy = {layer: (w, b.reshape(1, 1, 1, -1)) for layer, (w, b) in weights.items()}
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, legacy)
    assert equal(containers.read("caffemodel", path, network), weights)


def test_hdf5(tmp_path):
    network = short_vgg()
    weights = random_weights(network)
    path = tmp_path / "net.h5"
    write_hdf5(path, weights)
    assert equal(containers.read("hdf5", path, network), weights)


def test_codebook(tmp_path):
    network = short_vgg()
    rng = np.random.default_rng(0)
    content, storages, expected = {}, {}, {}
    for layer, (shape, (count,)) in networks.weight_shapes(network).items():
        name = f"block{layer[4]}_conv{layer[6]}"
        indices = rng.integers(0, 256, shape, np.uint8)
        table = rng.standard_normal(256, np.float32)
        bias = rng.standard_normal(count, np.float32)
        expected[layer] = (table[indices], bias)
        for suffix, array in (("W_q", indices), ("W_table", table), ("b", bias)):
            key = f"{name}_{suffix}"
            storages[key] = array.reshape(-1)
            kind = "ByteStorage" if suffix == "W_q" else "FloatStorage"
            strides = tuple(stride // array.itemsize for stride in array.strides)
            content[key] = tensor(kind, key, array.size, array.shape, strides)
    path = tmp_path / "net.bin"
    path.write_bytes(legacy_file(dictionary(**content), storages))
    assert equal(containers.read("codebook", path, network), expected)


def disguised(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    """Return the model with its tensors renamed, its nodes in another order, and a classifier."""
    rng = random.Random(seed)
    graph = model.graph
    last = graph.node[-1].output[0]
    names = {
        t: f"t{i}" for i, t in enumerate({t for n in graph.node for t in (*n.input, *n.output)})
    }
    producers = {t: node for node in graph.node for t in node.output}
    order = []

    def visit(node) -> None:
        if any(node is seen for seen in order):
            return
        for name in rng.sample(list(node.input), len(node.input)):
            if name in producers:
                visit(producers[name])
        order.append(node)

    visit(producers[last])
    nodes = [
        helper.make_node(n.op_type, [names[t] for t in n.input], [names[t] for t in n.output])
        for n in order
    ]  # attributes are left out: a reader of weights has no use for them
    nodes.append(helper.make_node("LRN", [names[last]], ["normalised"], size=5))
    nodes.append(helper.make_node("Gemm", ["normalised", "fc", "fc"], ["probabilities"]))
    arrays = [
        numpy_helper.from_array(numpy_helper.to_array(t), names[t.name])
        for t in graph.initializer
        if t.name in names
    ]
    rng.shuffle(arrays)
    arrays.append(numpy_helper.from_array(np.zeros((4, 4), np.float32), "fc"))
    output = helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, None)
    return helper.make_model(helper.make_graph(nodes, "g", [], [output], arrays))


@pytest.mark.parametrize("name", ["googlenet", "caffenet"])
def test_onnx_is_read_by_its_structure(tmp_path, name):
    network = NETWORKS[name]
    weights = random_weights(network)
    path = tmp_path / "net.onnx"
    path.write_bytes(disguised(networks.to_onnx(network, weights), seed=1).SerializeToString())
    assert equal(containers.read("onnx", path, network), weights)


def test_onnx_of_another_network_is_refused(tmp_path):
    path = tmp_path / "net.onnx"
    other = NETWORKS["caffenet"]
    path.write_bytes(networks.to_onnx(other, random_weights(other)).SerializeToString())
    assert reason("onnx", path, short_vgg()).startswith("net.onnx: ")
    assert "not that of googlenet" in reason("onnx", path, NETWORKS["googlenet"])


def test_onnx_never_follows_data_in_other_files(tmp_path):
    network = short_vgg()
    model = networks.to_onnx(network, random_weights(network))
    secret = model.graph.initializer[0]
    secret.ClearField("raw_data")
    secret.data_location = onnx.TensorProto.EXTERNAL
    secret.external_data.add(key="location", value="/etc/passwd")
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    assert f"tensor {secret.name!r} is kept in another file" in reason("onnx", path, network)


@pytest.mark.parametrize("container", containers.READERS)
def test_garbage_is_refused_in_one_sentence(tmp_path, container):
    path = tmp_path / "net.bin"
    path.write_bytes(b"<html>Sign in to continue</html>" * 100)
    message = reason(container, path, short_vgg())
    assert "net.bin" in message
    assert "\n" not in message


def test_misfits_are_named(tmp_path):
    network = short_vgg()
    weights = random_weights(network)
    bias = weights["conv1_1"][1]

    def message(tensors) -> str:
        with pytest.raises(WeightsError) as error:
            containers.fit(tensors, network)
        return str(error.value)

    gap = {layer: arrays for layer, arrays in weights.items() if layer != "conv1_2"}
    assert message(gap) == "it has no weights of layer 'conv1_2', so it is not a vgg16"
    assert message({}) == "it has no weights of layer 'conv1_1', so it is not a vgg16"
    assert message(weights | {"conv1_1": (bias,)}) == "layer 'conv1_1' has 1 tensors instead of 2"
    assert message(weights | {"conv1_1": (bias, bias)}) == (
        "layer 'conv1_1' has shapes (64,) and (64,) where vgg16 has (64, 3, 3, 3) and (64,)"
    )


def test_file_that_ends_early_gives_what_it_has():
    network = short_vgg()
    weights = random_weights(network)
    del weights["conv2_1"]
    assert list(containers.fit(weights, network)) == ["conv1_1", "conv1_2"]


def test_digest_depends_on_the_weights_alone():
    weights = random_weights(short_vgg())
    strided = {k: (np.asfortranarray(w), b.copy()) for k, (w, b) in weights.items()}
    assert containers.weights_digest(weights) == containers.weights_digest(strided)
    weights["conv1_1"][0][0, 0, 0, 0] += 1
    assert containers.weights_digest(weights) != containers.weights_digest(strided)


def test_hdf5_that_is_damaged_inside_is_refused(tmp_path):
    """The reader raises RuntimeError for some of it."""
    network = short_vgg()
    whole = tmp_path / "whole.h5"
    write_hdf5(whole, random_weights(network))
    data = whole.read_bytes()
    path = tmp_path / "net.h5"
    rng = random.Random(1)
    for _ in range(200):
        damaged = bytearray(data)
        for _ in range(8):
            damaged[rng.randrange(3000)] = rng.randrange(256)
        path.write_bytes(damaged)
        with contextlib.suppress(WeightsError):
            containers.read("hdf5", path, network)


def graph_of(*nodes: onnx.NodeProto, outputs: int = 1) -> bytes:
    ends = [helper.make_tensor_value_info("end", onnx.TensorProto.FLOAT, None)] * outputs
    return helper.make_model(helper.make_graph(nodes, "g", [], ends)).SerializeToString()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (graph_of(outputs=0), "index"),
        (graph_of(helper.make_node("Relu", [], ["end"])), "graph is not that of"),
        (graph_of(helper.make_node("Conv", ["a"], ["end"])), "graph is not that of"),
        # A circle, and a graph of 2 ** 60 ways.
        (graph_of(helper.make_node("Relu", ["end"], ["end"])), "too many nodes"),
        (
            graph_of(
                *(
                    helper.make_node("Concat", [f"{i}"] * 2, [f"{i + 1}"], axis=1)
                    for i in range(60)
                ),
                helper.make_node("Relu", ["60"], ["end"]),
            ),
            "too many nodes",
        ),
        (b"\x3a\x00" * 300_000, "too many fields"),
        (b"\x3a\x80\x02" + b"\x0a\x00" * 128 + b"\x12" * 10, "ends in a"),
    ],
    ids=["no output", "no input", "no weight", "circle", "branches", "fields", "cut"],
)
def test_onnx_that_no_converter_writes_is_refused(tmp_path, data, expected):
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    assert expected in reason("onnx", path, NETWORKS["googlenet"])


def test_file_that_is_too_long_is_not_read(tmp_path):
    with (tmp_path / "net.bin").open("wb") as file:
        file.truncate((1 << 30) + 1)
    for container in ("codebook", "onnx", "hdf5"):
        assert "more than 1073741824 bytes" in reason(container, tmp_path / "net.bin", short_vgg())


@pytest.mark.parametrize("how", ["link", "external", "virtual", "texts"])
def test_hdf5_never_follows_data_in_other_files(tmp_path, how):
    network = short_vgg()
    write_hdf5(tmp_path / "other.h5", random_weights(network))
    (tmp_path / "secret").write_bytes(bytes(1 << 20))
    path = tmp_path / "net.h5"
    write_hdf5(path, random_weights(network))
    with h5py.File(path, "a") as file:
        if how == "link":
            del file["block1_conv2"]
            file["block1_conv2"] = h5py.ExternalLink(tmp_path / "other.h5", "block1_conv2")
        group = file["block1_conv1"]
        del group["block1_conv1_b_1:0"]
        if how == "external":
            where = [(str(tmp_path / "secret"), 0, 256)]
            group.create_dataset("b", (64,), "f4", external=where)
        elif how == "virtual":
            layout = h5py.VirtualLayout((64,), "f4")
            name = "block1_conv1/block1_conv1_b_1:0"
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", name, (64,))
            group.create_virtual_dataset("b", layout)
        elif how == "texts":
            group.create_dataset("b", (64,), "S1000000")
        else:
            group["b"] = np.zeros(64, np.float32)
    assert "lies in another file" in reason("hdf5", path, network)


def ends_at_last(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose only output is its last blob, as published ones have it."""
    del model.graph.output[:-1]
    return model


def test_fully_connected_layers_of_every_container(tmp_path):
    """Keras flattens maps as (H, W, C), Caffe as (C, H, W); of V1 all have four axes."""
    network = tiny_classifier()
    weights = random_weights(network)
    assert [w.shape for w, _ in weights.values()][2:] == [(5, 64 * 16), (6, 5), (7, 6)]
    write_hdf5(tmp_path / "net.h5", weights, side=4)
    assert equal(containers.read("hdf5", tmp_path / "net.h5", network), weights)
    legacy = {
        layer: tuple(a.reshape(*[1] * (4 - a.ndim), *a.shape) for a in pair)
        for layer, pair in weights.items()
    }
    write_caffemodel(tmp_path / "net.caffemodel", legacy)
    assert equal(containers.read("caffemodel", tmp_path / "net.caffemodel", network), weights)
    graph = ends_at_last(networks.to_onnx(network, weights))
    (tmp_path / "net.onnx").write_bytes(graph.SerializeToString())
    assert equal(containers.read("onnx", tmp_path / "net.onnx", network), weights)
    for node in graph.graph.node:  # (in, out), without transB
        if node.name == "fc7":
            del node.attribute[:]
    for kept in graph.graph.initializer:
        if kept.name == "fc7/weight":
            turned = np.ascontiguousarray(numpy_helper.to_array(kept).T)
            kept.CopyFrom(numpy_helper.from_array(turned, kept.name))
    (tmp_path / "net.onnx").write_bytes(graph.SerializeToString())
    assert equal(containers.read("onnx", tmp_path / "net.onnx", network), weights)


def test_onnx_whole_is_read_by_its_structure(tmp_path):
    network = networks.CLASSIFIERS["googlenet-classifier"]
    weights = random_weights(network)
    path = tmp_path / "net.onnx"
    path.write_bytes(ends_at_last(networks.to_onnx(network, weights)).SerializeToString())
    assert equal(containers.read("onnx", path, network), weights)
