import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from styletransfer.caffe import layers
from styletransfer.caffe.layers import Layer
from styletransfer.errors import NetworkError

SHAPE = (2, 6, 5, 4)


def evaluate(*description, weights=None, input_shape=SHAPE, image=None, input_name="data"):
    """Return every blob of a network by name, as onnx's own reference computes it."""
    model = layers.to_onnx(description, weights or {}, input_shape, input_name)
    onnx.checker.check_model(model, full_check=True)
    image = random_image() if image is None else image
    names = [output.name for output in model.graph.output]
    return dict(zip(names, ReferenceEvaluator(model).run(names, {"data": image}), strict=True))


def random_image(shape=SHAPE):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def layer(kind, bottoms="data", tops="x", name="l", **settings):
    return Layer(name, kind, tuple(bottoms.split()), tuple(tops.split()), settings)


def test_blob_keeps_its_name_for_the_last_value_written():
    network = [
        layer("Power", tops="a", name="first", shift=1.0),
        layer("ReLU", "a", "a", name="second"),
        layer("Dropout", "a", "a", name="nothing"),
        layer("Power", "a", "between", name="reader", scale=2.0),
        layer("Power", "a", "a", name="third", scale=3.0),
    ]
    model = layers.to_onnx(network, {}, SHAPE)
    assert [list(node.output) for node in model.graph.node] == [
        ["a/before/second"],
        ["a/before/third"],
        ["between"],
        ["a"],
    ]
    assert [node.name for node in model.graph.node] == ["first", "second", "reader", "third"]
    image = random_image()
    outputs = evaluate(*network, image=image)
    assert outputs.keys() == {"a", "between"}
    np.testing.assert_allclose(outputs["a"], 3 * np.maximum(image + 1, 0), rtol=1e-6)
    np.testing.assert_allclose(outputs["between"], 2 * np.maximum(image + 1, 0), rtol=1e-6)


def test_input_that_is_rewritten_in_place_stays_the_input():
    outputs = evaluate(layer("ReLU", "image", "image", name="relu"), input_name="image")
    np.testing.assert_array_equal(outputs["data/after/relu"], np.maximum(random_image(), 0))


def test_split_copies_its_bottom():
    outputs = evaluate(layer("Split", tops="a b"), layer("ReLU", "a", "a", name="r"))
    np.testing.assert_array_equal(outputs["b"], random_image())
    np.testing.assert_array_equal(outputs["a"], np.maximum(random_image(), 0))


@pytest.mark.parametrize(
    ("axis", "points", "shapes"),
    [(1, (), [(2, 3, 5, 4)] * 2), (1, (2,), [(2, 2, 5, 4), (2, 4, 5, 4)]), (-1, (1,), None)],
)
def test_slice_cuts_along_an_axis(axis, points, shapes):
    outputs = evaluate(layer("Slice", tops="a b", axis=axis, points=points))
    joined = np.concatenate([outputs["a"], outputs["b"]], axis=axis)
    np.testing.assert_array_equal(joined, random_image())
    assert shapes is None or [outputs["a"].shape, outputs["b"].shape] == shapes


def test_slice_needs_known_channels_only():
    model = layers.to_onnx([layer("Slice", tops="a b")], {}, (1, 6, "height", "width"))
    channels = [output.type.tensor_type.shape.dim[1].dim_value for output in model.graph.output]
    assert channels == [3, 3]


@pytest.mark.parametrize(
    ("dims", "shape"),
    [
        ((0, -1), (2, 120)),
        ((0, 3, 2, 0, 5), (2, 3, 2, 4, 5)),
        ((2, 6, 20), (2, 6, 20)),
        ((-1, 5), (48, 5)),
    ],
)
def test_reshape_keeps_zeros_and_fills_minus_one(dims, shape):
    outputs = evaluate(layer("Reshape", dims=dims))
    np.testing.assert_array_equal(outputs["x"], random_image().reshape(shape))


@pytest.mark.parametrize("dims", [(), (0, 7, -1), (0, -1, -1), (0, -2), (0, 6, 5, 4, 0), (1, 3)])
def test_reshape_to_what_does_not_fit(dims):
    with pytest.raises(NetworkError, match="cannot give"):
        evaluate(layer("Reshape", dims=dims))


def test_network_of_which_nothing_is_left():
    with pytest.raises(NetworkError, match="no layer of the network can be used: it works for one"):
        layers.to_onnx([layer("Flatten")], {}, (1, 6, "height", "width"))


def test_flatten_then_softmax():
    outputs = evaluate(layer("Flatten"), layer("Softmax", "x", "y", name="s"))
    flat = random_image().reshape(2, -1)
    expected = np.exp(flat) / np.exp(flat).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["y"], expected, rtol=1e-5)


@pytest.mark.parametrize("dims", [(0, 6, 20), (0, -1)])
def test_layer_that_fixes_the_size_is_cut_where_the_size_is_open(dims, caplog):
    network = [
        layer("ReLU", tops="r", name="r"),
        layer("Reshape", "r", dims=dims, name="reshape"),
        layer("ReLU", "x", "x", name="after"),
    ]
    model = layers.to_onnx(network, {}, (1, 6, "height", "width"))
    assert [output.name for output in model.graph.output] == ["r"]
    assert "'reshape'" in caplog.text


@pytest.mark.parametrize(
    ("operation", "coefficients", "function"),
    [
        ("SUM", (), lambda a, b, c: a + b + c),
        ("SUM", (2.0, 1.0, -1.0), lambda a, b, c: 2 * a + b - c),
        ("PROD", (), lambda a, b, c: a * b * c),
        ("MAX", (), lambda a, b, c: np.maximum(a, np.maximum(b, c))),
    ],
)
def test_eltwise_of_three_blobs(operation, coefficients, function):
    outputs = evaluate(
        layer("ReLU", tops="r", name="r"),
        layer("TanH", tops="t", name="t"),
        layer("Eltwise", "data r t", operation=operation, coefficients=coefficients),
    )
    image = random_image()
    expected = function(image, np.maximum(image, 0), np.tanh(image))
    np.testing.assert_allclose(outputs["x"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "function", "operators"),
    [
        ({}, lambda x: x, ["Mul"]),
        ({"scale": 2.0}, lambda x: 2 * x, ["Mul"]),
        ({"shift": 9.0, "power": 0.5}, lambda x: np.sqrt(x + 9), ["Add", "Pow"]),
        ({"power": 3.0}, lambda x: x**3, ["Pow"]),
    ],
)
def test_power_leaves_out_what_does_nothing(settings, function, operators):
    network = layer("Power", **settings)
    nodes = layers.to_onnx([network], {}, SHAPE).graph.node
    assert [node.op_type for node in nodes] == operators
    np.testing.assert_allclose(evaluate(network)["x"], function(random_image()), rtol=1e-5)


def test_normalisation_layers_by_hand():
    rng = np.random.default_rng(1)
    mean, variance = rng.normal(size=6), rng.uniform(1, 2, 6)
    scale, bias = rng.normal(size=6), rng.normal(size=6)
    weights = {"n": [mean * 4, variance * 4, np.array([4.0])], "s": [scale, bias]}
    outputs = evaluate(
        layer("BatchNorm", tops="n", name="n", eps=0.1),
        layer("Scale", "n", "s", name="s", bias=True),
        weights=weights,
    )
    per_channel = (None, slice(None), None, None)
    normal = (random_image() - mean[per_channel]) / np.sqrt(variance + 0.1)[per_channel]
    np.testing.assert_allclose(outputs["n"], normal, rtol=1e-4, atol=1e-5)
    expected = normal * scale[per_channel] + bias[per_channel]
    np.testing.assert_allclose(outputs["s"], expected, rtol=1e-4, atol=1e-5)


def test_statistics_that_were_never_gathered_are_zero():
    weights = {"l": [np.ones(6), np.ones(6), np.zeros(1)]}
    outputs = evaluate(layer("BatchNorm", eps=0.25), weights=weights)
    np.testing.assert_allclose(outputs["x"], random_image() / 0.5, rtol=1e-5)


@pytest.mark.parametrize("shared", [True, False])
def test_prelu_has_a_slope_for_all_or_for_each_channel(shared):
    slope = np.array([0.5]) if shared else np.linspace(0.1, 0.6, 6)
    outputs = evaluate(layer("PReLU", shared=shared), weights={"l": [slope]})
    image = random_image()
    expected = np.where(image > 0, image, image * slope.reshape(-1, 1, 1))
    np.testing.assert_allclose(outputs["x"], expected, rtol=1e-6)


def test_inner_product_with_transposed_weights():
    weight = np.random.default_rng(1).normal(size=(120, 3)).astype(np.float32)
    network = layer("InnerProduct", num_output=3, bias=False, transposed=True)
    outputs = evaluate(network, weights={"l": [weight]})
    expected = random_image().reshape(2, -1) @ weight
    np.testing.assert_allclose(outputs["x"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", range(5, 13))
@pytest.mark.parametrize(("kernel", "stride", "pad"), [(3, 3, 1), (2, 2, 1), (5, 3, 2), (3, 2, 0)])
def test_pooled_size_is_stated_as_it_comes_out(kernel, stride, pad, size):
    # onnx's inference, which the checker compares with the stated shape, differs from the runtime
    # where the last window would start beyond the padded input.
    settings = {"kernel": (kernel,) * 2, "stride": (stride,) * 2, "pad": (pad,) * 2}
    shape = (1, 1, size, size)
    model = layers.to_onnx([layer("Pooling", method="AVE", **settings)], {}, shape)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.output[0]
    extent = -(-(size + 2 * pad - kernel) // stride) + 1
    extent -= pad > 0 and (extent - 1) * stride >= size + pad
    dims = inferred.type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims] == [1, 1, extent, extent]


def test_pooling_smaller_than_its_image_side():
    network = layer("Pooling", method="MAX", kernel=(7, 7))
    with pytest.raises(NetworkError, match=r"input 5 pixels long.*use a larger image"):
        layers.to_onnx([network], {}, SHAPE)


def test_names_that_would_clash():
    network = [layer("ReLU", tops="l/weight", name="r"), layer("Scale", "l/weight")]
    with pytest.raises(NetworkError, match="two tensors of the network would be called 'l/weight'"):
        layers.to_onnx(network, {"l": [np.ones(6)]}, SHAPE)
