import hashlib
import re

import numpy as np
import onnx
import onnxruntime
import pytest

from styletransfer import caffe
from styletransfer.errors import NetworkError
from tests.caffe_files import blob, write_caffemodel
from tests.conftest import SHARED, golden, needs_shared

CONFORMANCE = SHARED / "caffe" / "conformance"
NETS = sorted(path.stem for path in CONFORMANCE.glob("*.prototxt"))
LOOSE = ("lrn", "power")  # these nets to 1e-4, the rest to 1e-5
ANY_SIZE = ("height", "width")

CONVOLUTION = """
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
        convolution_param { num_output: 2 kernel_size: 3 pad: 1 } }
"""
HEADER = 'input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 6 }\n'


def weights_of_convolution(seed=0, inputs=3, outputs=2):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(outputs, inputs, 3, 3)).astype(np.float32)
    return [weight, rng.normal(size=outputs).astype(np.float32)]


def run(model, image):
    """Return every output of a model by name."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"data": image}), strict=True))


def relative_error(actual, expected):
    assert actual.shape == expected.shape
    return np.abs(actual - expected).max() / np.abs(expected).max()


@pytest.fixture
def convert(tmp_path):
    """Convert a prototxt given as text, with weights given as arrays."""

    def convert(text, weights=None, input_shape=None):
        prototxt = tmp_path / "net.prototxt"
        prototxt.write_text(text)
        caffemodel = write_caffemodel(tmp_path / "net.caffemodel", {"none": []} | (weights or {}))
        return caffe.convert(prototxt, caffemodel, input_shape)

    return convert


# --- against the real Caffe ----------------------------------------------------------------------


@needs_shared
def test_conformance_data_is_complete():
    assert len(NETS) == 54


@needs_shared
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "any size"])
def test_forward_pass_is_that_of_the_real_caffe(name, fixed):
    if not fixed and name.startswith("inner_product"):
        pytest.skip("a fully connected layer takes one size only")
    with np.load(CONFORMANCE / f"{name.removesuffix('_v1')}.npz") as data:
        expected = dict(data)
    model = caffe.convert(
        CONFORMANCE / f"{name}.prototxt",
        CONFORMANCE / f"{name}.caffemodel",
        None if fixed else (1, expected["x"].shape[1], *ANY_SIZE),
    )
    outputs = run(model, expected["x"])
    blobs = {key[5:]: value for key, value in expected.items() if key.startswith("blob/")}
    del blobs["data"]
    assert outputs.keys() == blobs.keys()
    tolerance = 1e-4 if name.startswith(LOOSE) else 1e-5
    for key, value in blobs.items():
        assert relative_error(outputs[key], value) < tolerance, key


@needs_shared
@pytest.mark.parametrize("name", [name for name in NETS if name.endswith("_v1")])
def test_both_generations_give_the_same_graph(name):
    v1, v2 = (
        caffe.convert(CONFORMANCE / f"{stem}.prototxt", CONFORMANCE / f"{stem}.caffemodel")
        for stem in (name, name.removesuffix("_v1"))
    )
    assert v1.graph == v2.graph


@needs_shared
def test_googlenet_features_are_those_of_the_real_caffe():
    folder = SHARED / "models" / "googlenet"
    model = caffe.convert(
        folder / "deploy.prototxt", folder / "bvlc_googlenet.caffemodel", (1, 3, *ANY_SIZE)
    )
    expected = golden("googlenet_256_20")
    outputs = run(model, expected["content_in"][None])
    layers = [key[13:] for key in expected if key.startswith("content_feat/")]
    assert layers
    for layer in layers:
        features = outputs[layer].reshape(expected[f"content_feat/{layer}"].shape)
        assert relative_error(features, expected[f"content_feat/{layer}"]) < 2e-6


@needs_shared
def test_weights_are_read_bit_by_bit():
    weights = caffe.read_caffemodel(SHARED / "models" / "googlenet" / "bvlc_googlenet.caffemodel")
    digests = {
        ("conv1/7x7_s2", 0): "61255966f14cf81b",
        ("conv1/7x7_s2", 1): "f418a01f9cd24edf",
        ("inception_5b/pool_proj", 0): "a0dfa4526e78799a",
        ("inception_5b/pool_proj", 1): "1470dc59d13ee74a",
    }
    for (layer, index), digest in digests.items():
        found = hashlib.sha256(weights[layer][index].astype("<f4").tobytes()).hexdigest()
        assert found.startswith(digest)


# --- what a prototxt may say ---------------------------------------------------------------------

VGG_V1 = """
name: "VGG in small"
input: "data" input_dim: 10 input_dim: 3 input_dim: 8 input_dim: 6
layers { bottom: "data" top: "conv1_1" name: "conv1_1" type: CONVOLUTION
         blobs_lr: 0 blobs_lr: 0 weight_decay: 0
         convolution_param { num_output: 2 pad: 1 kernel_size: 3 } }
layers { bottom: "conv1_1" top: "conv1_1" name: "relu1_1" type: RELU }
layers { bottom: "conv1_1" top: "pool1" name: "pool1" type: POOLING
         pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layers { bottom: "pool1" top: "fc6" name: "fc6" type: INNER_PRODUCT
         inner_product_param { num_output: 5 } }
layers { bottom: "fc6" top: "fc6" name: "relu6" type: RELU }
layers { bottom: "fc6" top: "fc6" name: "drop6" type: DROPOUT
         dropout_param { dropout_ratio: 0.5 } }
layers { bottom: "fc6" top: "prob" name: "prob" type: SOFTMAX }
"""


def vgg_weights():
    rng = np.random.default_rng(1)
    full = [rng.normal(size=shape).astype(np.float32) for shape in ((5, 2 * 4 * 3), (5,))]
    return {"conv1_1": weights_of_convolution(), "fc6": full}


def vgg_by_hand(image):
    """Evaluate VGG_V1 in NumPy."""
    (weight, bias), (full, full_bias) = vgg_weights().values()
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    conv = np.einsum("nihwkl,oikl->nohw", windows, weight) + bias[:, None, None]
    conv = np.maximum(conv, 0)
    n, c, h, w = conv.shape
    pool = conv.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))
    fc6 = np.maximum(pool.reshape(n, -1) @ full.T + full_bias, 0)
    prob = np.exp(fc6) / np.exp(fc6).sum(axis=1, keepdims=True)
    return {"conv1_1": conv, "pool1": pool, "fc6": fc6, "prob": prob}


@pytest.mark.parametrize("v1", [True, False])
def test_network_in_the_form_of_the_published_vgg(tmp_path, v1):
    (tmp_path / "vgg.prototxt").write_text(VGG_V1)
    caffemodel = write_caffemodel(tmp_path / "vgg.caffemodel", vgg_weights(), v1=v1)
    image = np.random.default_rng(2).normal(size=(10, 3, 8, 6)).astype(np.float32)
    outputs = run(caffe.convert(tmp_path / "vgg.prototxt", caffemodel), image)
    expected = vgg_by_hand(image)
    assert outputs.keys() == expected.keys()
    for name, value in expected.items():
        assert relative_error(outputs[name], value) < 1e-5, name


@pytest.mark.parametrize(
    ("without", "input_shape", "reason"),
    [("fc6", (1, 3, 8, 6), "none for it"), (None, (1, 3, *ANY_SIZE), "one size")],
)
def test_network_is_cut_where_it_cannot_go_on(convert, caplog, without, input_shape, reason):
    weights = {name: arrays for name, arrays in vgg_weights().items() if name != without}
    model = convert(VGG_V1, weights, input_shape)
    assert [output.name for output in model.graph.output] == ["conv1_1", "pool1"]
    assert "'fc6'" in caplog.text
    assert reason in caplog.text


def test_what_only_training_uses_is_left_out(convert):
    text = """
    layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TRAIN }
            transform_param { mirror: true crop_size: 6 mean_file: "m" }
            data_param { source: "x" batch_size: 256 backend: LMDB } }
    layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TEST }
            transform_param { crop_size: 9 } data_param { source: "x" batch_size: 50 } }
    layer { name: "c" type: "Convolution" bottom: "data" top: "c"
            param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
            convolution_param { num_output: 2 kernel_size: 3 engine: CUDNN
              weight_filler { type: "gaussian" std: 0.01 }
              bias_filler { type: "constant" value: 0 } } }
    layer { name: "only in training" type: "Power" bottom: "c" top: "c" include { phase: TRAIN } }
    layer { name: "not in tests" type: "Power" bottom: "c" top: "c" exclude { phase: TEST } }
    layer { name: "staged" type: "Power" bottom: "c" top: "c" include { stage: "deploy" } }
    layer { name: "a" type: "Accuracy" bottom: "c" bottom: "label" top: "a"
            accuracy_param { top_k: 5 } include { phase: TEST } }
    layer { name: "l" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" top: "l"
            loss_weight: 1 }
    """
    model = convert(text, {"c": weights_of_convolution()})
    assert [node.op_type for node in model.graph.node] == ["Conv"]
    shape = model.graph.input[0].type.tensor_type.shape
    assert [dim.dim_value for dim in shape.dim] == [1, 3, 9, 9]


def test_input_of_another_name_is_called_data(convert):
    text = """
    layer { name: "i" type: "Input" top: "image"
            input_param { shape { dim: 1 dim: 3 dim: 8 dim: 6 } } }
    layer { name: "r" type: "ReLU" bottom: "image" top: "r" }
    """
    image = np.random.default_rng(0).normal(size=(1, 3, 8, 6)).astype(np.float32)
    outputs = run(convert(text), image)
    np.testing.assert_array_equal(outputs["r"], np.maximum(image, 0))


@pytest.mark.parametrize(
    ("param", "kernel", "strides"),
    [
        ("kernel_size: 3", [3, 3], [1, 1]),
        ("kernel_size: 3 kernel_size: 5 stride: 2", [3, 5], [2, 2]),
        ("kernel_h: 3 kernel_w: 5 stride_h: 1 stride_w: 2", [3, 5], [1, 2]),
    ],
)
def test_windows_are_given_once_or_per_axis(convert, param, kernel, strides):
    text = HEADER + CONVOLUTION.replace("kernel_size: 3 pad: 1", param)
    weight = np.ones((2, 3, *kernel), np.float32)
    (node,) = convert(text, {"c": [weight, np.zeros(2, np.float32)]}).graph.node
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert attributes["kernel_shape"] == kernel
    assert attributes["strides"] == strides


# --- weights -------------------------------------------------------------------------------------


def test_double_precision_and_split_data_are_read(tmp_path):
    array = np.arange(6.0).reshape(2, 3)
    path = write_caffemodel(tmp_path / "a.caffemodel", {"a": [array]})
    (read,) = caffe.read_caffemodel(path)["a"]
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, array)


def test_shapes_of_the_first_generation_have_four_axes(tmp_path):
    path = write_caffemodel(tmp_path / "a.caffemodel", {"a": [np.ones(3, np.float32)]}, v1=True)
    (read,) = caffe.read_caffemodel(path)["a"]
    assert read.shape == (1, 1, 1, 3)


# --- errors --------------------------------------------------------------------------------------


def conv(settings):
    return HEADER + CONVOLUTION.replace("num_output: 2 kernel_size: 3 pad: 1", settings)


def layer(kind, rest=""):
    return HEADER + f'layer {{ name: "x" type: "{kind}" bottom: "data" top: "x" {rest} }}'


BAD_TEXTS = {
    "not a prototxt": ("layer { name: ", r"net\.prototxt is not a prototxt of Caffe: at 1:"),
    "misspelt setting": (conv("kernel_sise: 3"), r"at 4:\d+ .*no field named \"kernel_sise\""),
    "no layers": ('name: "empty"', "has 0 layers"),
    "only training layers": (layer("ReLU", "include { phase: TRAIN }"), "has 0 layers"),
    "both generations": (HEADER + CONVOLUTION + "layers { }", "mixes the fields"),
    "no input": (CONVOLUTION, "has 0 inputs"),
    "two inputs": ('input: "b"' + HEADER + CONVOLUTION, "has 2 inputs"),
    "no shape": ('input: "data"' + CONVOLUTION, r"has the shape \(\)"),
    "huge image": (HEADER.replace("8", "999999") + CONVOLUTION, "from 1 to 65536"),
    "negative image": (HEADER.replace("8", "-8") + CONVOLUTION, "from 1 to 65536"),
    "unsupported type": (
        layer("Reverse"),
        "'x' has the type 'Reverse', .* supported are BatchNorm",
    ),
    "unsupported V1 type": (
        HEADER + 'layers { name: "x" type: MVN bottom: "data" top: "x" }',
        "type 'MVN', which is not supported",
    ),
    "unknown blob": (layer("ReLU").replace('m: "data"', 'm: "dat"'), "reads blob 'dat'"),
    "blob written twice": (
        layer("ReLU") + layer("ReLU").removeprefix(HEADER).replace('name: "x"', 'name: "y"'),
        "'y' writes blob 'x', which exists",
    ),
    "name used twice": (
        layer("ReLU") + layer("ReLU").removeprefix(HEADER),
        "two layers are called",
    ),
    "nameless": (layer("ReLU").replace('name: "x"', ""), "lacks its name"),
    "no bottom": (layer("ReLU").replace('bottom: "data"', ""), "reads no blob"),
    "two tops": (layer("ReLU", 'top: "y"'), "writes 2 blobs; it must write 1"),
    "two bottoms": (layer("ReLU", 'bottom: "data"'), "reads 2 blobs; it must read one"),
    "no channels": (conv("num_output: 0 kernel_size: 3"), "num_output is 0; it must be 1 to"),
    "too many channels": (
        conv("num_output: 4000000000 kernel_size: 3"),
        "num_output is 4000000000",
    ),
    "no kernel": (conv("num_output: 2"), "kernel_size is missing"),
    "zero kernel": (conv("num_output: 2 kernel_size: 0"), "kernel_size is 0; it must be 1 to 4096"),
    "zero stride": (conv("num_output: 2 kernel_size: 3 stride: 0"), "stride is 0"),
    "huge pad": (conv("num_output: 2 kernel_size: 3 pad: 4000000000"), "pad is 4000000000"),
    "three axes": (conv("num_output: 2 " + "kernel_size: 3 " * 3), "kernel_size has 3 values"),
    "other axis": (conv("num_output: 2 kernel_size: 3 axis: 2"), "axis is 2; only 1 is supported"),
    "wrong groups": (conv("num_output: 2 kernel_size: 3 group: 2"), "2 groups do not divide 3"),
    "kernel beyond image": (
        conv("num_output: 2 kernel_size: 3 dilation: 4"),
        "8 pixels long.*larger image",
    ),
    "stochastic pooling": (layer("Pooling", "pooling_param { pool: STOCHASTIC }"), "STOCHASTIC"),
    "pad beyond kernel": (
        layer("Pooling", "pooling_param { kernel_size: 2 pad: 2 }"),
        "padding of 2; it must be less than its kernel of 2",
    ),
    "stride beyond kernel": (
        layer("Pooling", "pooling_param { kernel_size: 1 stride: 2 }"),
        "stride of 2; it must not be greater than its kernel of 1",
    ),
    "even window": (layer("LRN", "lrn_param { local_size: 4 }"), "local_size 4; it must be odd"),
    "not a number": (layer("LRN", "lrn_param { alpha: nan }"), "alpha is nan, not a finite number"),
    "infinite": (layer("Power", "power_param { shift: inf }"), "shift is inf, not a finite"),
    "coefficients": (
        layer("Eltwise", 'bottom: "data" eltwise_param { coeff: 2 }'),
        "reads 2 blobs with 1 coefficients",
    ),
    "coefficients of a product": (
        layer("Eltwise", 'bottom: "data" eltwise_param { operation: PROD coeff: 2 }'),
        "coeff is given for PROD",
    ),
    "training statistics": (
        layer("BatchNorm", "batch_norm_param { use_global_stats: false }"),
        "use_global_stats is False",
    ),
    "axis": (layer("Concat", 'bottom: "data" concat_param { axis: 7 }'), "axis 7 of a blob with 4"),
    "reshape": (layer("Reshape", "reshape_param { shape { dim: 5 dim: 7 } }"), "cannot give"),
    "slice": (layer("Slice", 'top: "y" slice_param { slice_point: 3 }'), r"cannot cut 3 at \(3,\)"),
}


@pytest.mark.parametrize(("text", "message"), BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_prototxt_that_cannot_be_used(convert, text, message):
    weights = {"c": weights_of_convolution(), "x": [np.ones(3)]}
    with pytest.raises(NetworkError, match=r"net\.prototxt") as caught:
        convert(text, weights)
    assert re.search(message, str(caught.value)), caught.value
    assert len(str(caught.value)) < 1000


def test_shapes_that_do_not_fit_together(convert):
    pool = 'layer { name: "p" type: "Pooling" bottom: "data" top: "p" pooling_param { %s } }'
    join = 'layer { name: "x" type: "Eltwise" bottom: "data" bottom: "p" top: "x" }'
    with pytest.raises(NetworkError, match=r"\(1, 3, 8, 6\) and \(1, 3, 4, 3\), which do not fit"):
        convert(HEADER + pool % "kernel_size: 2 stride: 2" + join)


BAD_WEIGHTS = {
    "none": ({}, "weights for none of the layers c, …; the file has none at all"),
    "of other layers": ({"d": [np.ones(3)]}, "none of the layers c, …; the file has d"),
    "of another shape": (
        {"c": [np.ones((2, 4, 3, 3)), np.ones(2)]},
        r"'c' has weights of shape \(2, 4, 3, 3\), but its description asks for \(2, 3, 3, 3\)",
    ),
    "without bias": ({"c": [np.ones((2, 3, 3, 3))]}, "'c' has 1 weight blobs, .* asks for 2"),
    "not finite": ({"c": [np.full((2, 3, 3, 3), np.nan), np.ones(2)]}, "not finite numbers"),
}


@pytest.mark.parametrize(("weights", "message"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_weights_of_another_network(convert, weights, message):
    with pytest.raises(NetworkError, match=message):
        convert(HEADER + CONVOLUTION, weights)


def test_weights_missing_in_the_middle(convert):
    second = CONVOLUTION.replace('"c"', '"d"').replace('"data"', '"c"')
    with pytest.raises(NetworkError, match="'d' has weights, but not every layer before it has"):
        convert(HEADER + CONVOLUTION + second, {"d": weights_of_convolution(inputs=2)})


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 8), "is not \\(batch, channels, height, width\\)"),
        ((1, 3, 0, 6), "sizes from 1 to 65536"),
        ((1, 3, 8, 1 << 20), "sizes from 1 to 65536"),
        ((1, "channels", 8, 6), "the number of channels"),
    ],
)
def test_input_shape_that_cannot_be(convert, shape, message):
    with pytest.raises(NetworkError, match=message):
        convert(HEADER + CONVOLUTION, {"c": weights_of_convolution()}, shape)


def test_shape_of_the_input_is_not_known(convert):
    text = CONVOLUTION + 'layer { name: "i" type: "Input" top: "data" }'
    with pytest.raises(NetworkError, match="does not give its input a shape; pass input_shape"):
        convert(text, {"c": weights_of_convolution()})


def test_damaged_caffemodels(tmp_path):
    whole = write_caffemodel(tmp_path / "a.caffemodel", {"a": [np.ones(99)]}).read_bytes()
    path = tmp_path / "b.caffemodel"
    for content, message in {
        whole[:-50]: "not a caffemodel, or only a part of one; get it again",
        b"<html>404</html>": "not a caffemodel",
        b"": "has 0 bytes",
        b"\x0a\x01a": "holds no layers",
    }.items():
        path.write_bytes(content)
        with pytest.raises(NetworkError, match=message):
            caffe.read_caffemodel(path)
    with pytest.raises(NetworkError, match=r"cannot read .*missing: No such file"):
        caffe.read_caffemodel(tmp_path / "missing")
    with pytest.raises(NetworkError, match="it is not a file"):
        caffe.read_caffemodel(tmp_path)


@pytest.mark.parametrize("shape", [(2, 50), (1 << 40, 1 << 40), (-3, -33), (0, 99), (99, 0)])
def test_blob_whose_shape_is_not_that_of_its_data(tmp_path, shape):
    message = blob(np.ones(99, np.float32))
    message.shape.dim[:] = shape
    path = write_caffemodel(tmp_path / "a.caffemodel", {"a": []})
    net = caffe.NetParameter.FromString(path.read_bytes())
    net.layer[0].blobs.append(message)
    path.write_bytes(net.SerializeToString())
    with pytest.raises(NetworkError, match=r"'a' has a blob of shape .* 396 bytes .* damaged"):
        caffe.read_caffemodel(path)


def test_any_damage_to_a_file_is_a_clear_error(tmp_path):
    rng = np.random.default_rng(3)
    (tmp_path / "vgg.prototxt").write_text(VGG_V1)
    write_caffemodel(tmp_path / "vgg.caffemodel", vgg_weights())
    np.save(tmp_path / "mean.npy", np.ones((3, 4, 4)))
    (tmp_path / "mean.binaryproto").write_bytes(blob(np.ones((3, 4, 4))).SerializeToString())
    refused = 0
    for name, use in {
        "vgg.prototxt": lambda path: caffe.convert(path, tmp_path / "vgg.caffemodel"),
        "vgg.caffemodel": lambda path: caffe.convert(tmp_path / "vgg.prototxt", path),
        "mean.npy": caffe.read_mean,
        "mean.binaryproto": caffe.read_mean,
    }.items():
        content = (tmp_path / name).read_bytes()
        damaged = tmp_path / f"damaged-{name}"
        for _ in range(60):
            position = rng.integers(min(len(content), 400))
            changed = bytearray(content)
            changed[position] ^= 1 << rng.integers(8)
            damaged.write_bytes(changed)
            try:
                use(damaged)
            except NetworkError:
                refused += 1
    assert refused > 60  # the other changes leave valid files


def test_prototxt_is_bounded(tmp_path):
    path = tmp_path / "a.prototxt"
    path.write_text("# " + "x" * (5 << 20))
    with pytest.raises(NetworkError, match=r"has 524\d+ bytes; it must have 1 to 4194304"):
        caffe.convert(path, path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NetworkError, match="is not text"):
        caffe.convert(path, path)


# --- means and folders ---------------------------------------------------------------------------


@needs_shared
def test_mean_of_ilsvrc():
    mean = caffe.read_mean(SHARED / "models" / "googlenet" / "ilsvrc_2012_mean.npy")
    np.testing.assert_allclose(mean, [104.00698793, 116.66876762, 122.67891434], atol=1e-8)


@pytest.mark.parametrize("legacy", [False, True])
def test_mean_in_both_formats(tmp_path, legacy):
    image = np.random.default_rng(0).uniform(90, 130, (3, 5, 7)).astype(np.float32)
    expected = image.astype(np.float64).mean(axis=(1, 2))
    (tmp_path / "m.binaryproto").write_bytes(blob(image, legacy).SerializeToString())
    np.save(tmp_path / "m.npy", image)
    np.testing.assert_allclose(caffe.read_mean(tmp_path / "m.binaryproto"), expected)
    np.testing.assert_allclose(caffe.read_mean(tmp_path / "m.npy"), expected)
    np.save(tmp_path / "m.npy", expected)
    np.testing.assert_allclose(caffe.read_mean(tmp_path / "m.npy"), expected)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((4, 2, 2)), r"shape \(4, 2, 2\)"),
        (np.ones((3, 2)), r"shape \(3, 2\)"),
        (np.array([1, np.nan, 3]), "not finite"),
        (np.array(["a", "b", "c"]), "type <U1"),
        (np.array([None] * 3), "not a NumPy array"),
    ],
)
def test_mean_that_cannot_be_used(tmp_path, array, message):
    np.save(tmp_path / "m.npy", array, allow_pickle=True)
    with pytest.raises(NetworkError, match=message):
        caffe.read_mean(tmp_path / "m.npy")


def test_mean_that_claims_to_be_huge(tmp_path):
    np.save(tmp_path / "m.npy", np.ones((3, 256)))
    content = (tmp_path / "m.npy").read_bytes()
    (tmp_path / "m.npy").write_bytes(content.replace(b"(3, 256)", b"(3,1e9)".ljust(8)))
    with pytest.raises(NetworkError, match="not a NumPy array"):
        caffe.read_mean(tmp_path / "m.npy")
    (tmp_path / "m.npy").write_bytes(content.replace(b"(3, 256), }    ", b"(3, 9999999), }"))
    with pytest.raises(NetworkError, match="not a NumPy array"):
        caffe.read_mean(tmp_path / "m.npy")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deploy.prototxt").write_text(HEADER + CONVOLUTION)
    write_caffemodel(tmp_path / "net.caffemodel", {"c": weights_of_convolution()})
    return tmp_path


def test_folder_holds_a_network(folder):
    model, mean, input_size = caffe.load_folder(folder)
    np.testing.assert_array_equal(mean, caffe.MEAN)
    assert input_size == 6
    image = np.ones((1, 3, 11, 13), np.float32)
    assert run(model, image)["c"].shape == (1, 2, 11, 13)
    np.save(folder / "mean.npy", np.array([1.0, 2.0, 3.0]))
    assert caffe.load_folder(folder)[1].tolist() == [1, 2, 3]


def test_folder_lacks_a_file_or_has_several(folder):
    (folder / "train.prototxt").write_text("")
    message = r"must hold one \.prototxt file; it has deploy\.prototxt, train\.prototxt"
    with pytest.raises(NetworkError, match=message):
        caffe.load_folder(folder)
    (folder / "train.prototxt").unlink()
    (folder / "net.caffemodel").unlink()
    with pytest.raises(NetworkError, match=r"must hold one \.caffemodel file; it has none"):
        caffe.load_folder(folder)
    with pytest.raises(NetworkError, match="is not a folder"):
        caffe.load_folder(folder / "nowhere")


def test_folder_whose_network_takes_no_colour_images(folder):
    text = (HEADER + CONVOLUTION).replace("dim: 3", "dim: 1")
    (folder / "deploy.prototxt").write_text(text)
    with pytest.raises(NetworkError, match=r"the shape \(1, 1, 8, 6\); style transfer needs"):
        caffe.load_folder(folder)
