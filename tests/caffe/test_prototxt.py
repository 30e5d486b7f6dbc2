import re

import numpy as np
import onnx
import pytest

from styletransfer import caffe
from styletransfer.errors import NetworkError
from tests.caffe.caffe_files import CONVOLUTION, HEADER, convert_text, run, weights_of_convolution


def test_what_only_training_uses_is_left_out(tmp_path):
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
    model = convert_text(tmp_path, text, {"c": weights_of_convolution()})
    assert [node.op_type for node in model.graph.node] == ["Conv"]
    shape = model.graph.input[0].type.tensor_type.shape
    assert [dim.dim_value for dim in shape.dim] == [1, 3, 9, 9]


def test_input_of_another_name_is_called_data(tmp_path):
    text = """
    layer { name: "i" type: "Input" top: "image"
            input_param { shape { dim: 1 dim: 3 dim: 8 dim: 6 } } }
    layer { name: "r" type: "ReLU" bottom: "image" top: "r" }
    """
    image = np.random.default_rng(0).normal(size=(1, 3, 8, 6)).astype(np.float32)
    outputs = run(convert_text(tmp_path, text), image)
    np.testing.assert_array_equal(outputs["r"], np.maximum(image, 0))


@pytest.mark.parametrize(
    ("param", "kernel", "strides"),
    [
        ("kernel_size: 3", [3, 3], [1, 1]),
        ("kernel_size: 3 kernel_size: 5 stride: 2", [3, 5], [2, 2]),
        ("kernel_h: 3 kernel_w: 5 stride_h: 1 stride_w: 2", [3, 5], [1, 2]),
    ],
)
def test_windows_are_given_once_or_per_axis(tmp_path, param, kernel, strides):
    text = HEADER + CONVOLUTION.replace("kernel_size: 3 pad: 1", param)
    weight = np.ones((2, 3, *kernel), np.float32)
    (node,) = convert_text(tmp_path, text, {"c": [weight, np.zeros(2, np.float32)]}).graph.node
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert attributes["kernel_shape"] == kernel
    assert attributes["strides"] == strides


def test_prototxt_is_bounded(tmp_path):
    path = tmp_path / "a.prototxt"
    path.write_text("# " + "x" * (5 << 20))
    with pytest.raises(NetworkError, match=r"has 524\d+ bytes; it must have 1 to 1048576"):
        caffe.convert(path, path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NetworkError, match="is not text"):
        caffe.convert(path, path)


def conv(settings):
    return HEADER + CONVOLUTION.replace("num_output: 2 kernel_size: 3 pad: 1", settings)


def layer(kind, rest=""):
    return HEADER + f'layer {{ name: "x" type: "{kind}" bottom: "data" top: "x" {rest} }}'


BAD_TEXTS = {
    "not a prototxt": ("layer { name: ", r"net\.prototxt: it is not a prototxt of Caffe: at 1:"),
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
    "unsupported type with settings": (
        layer("Python", 'python_param { module: "os" layer: "System" }'),
        "'x' has the type 'Python', which is not supported; supported are BatchNorm",
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
    "nameless": (
        layer("ReLU").replace('name: "x"', ""),
        "has a name, bottom or top of 0 characters",
    ),
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
def test_prototxt_that_cannot_be_used(tmp_path, text, message):
    weights = {"c": weights_of_convolution(), "x": [np.ones(3)]}
    with pytest.raises(NetworkError, match=r"net\.prototxt") as caught:
        convert_text(tmp_path, text, weights)
    assert re.search(message, str(caught.value)), caught.value
    assert len(str(caught.value)) < 1000


# 36,000 characters: strings that follow each other are one.
LONG = "\n".join(["x" * 900 + '"'] + ['"' + "x" * 900 + '"'] * 38 + ['"' + "x" * 900])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("".join(f'input: "{LONG}{i}" ' for i in range(9)) + CONVOLUTION, "it has 9 inputs"),
        (HEADER.replace("dim: 1", "dim: 1\n" * 50_000) + CONVOLUTION, "the input 'data' has the"),
        (f'layer {{ name: "{LONG}" type: "{LONG}" }}', "which is not supported"),
        (
            'layer { name: "e" type: "Eltwise" top: "e" eltwise_param { %s } }'
            % ("coeff: inf\n" * 50_000),
            r"layer 'e' \(Eltwise\): coefficients is \(inf",
        ),
        (f'{HEADER} "{LONG}"', "it is not a prototxt of Caffe"),
    ],
)
def test_what_is_quoted_of_a_file_is_bounded(tmp_path, text, message):
    text = text if "input" in text else HEADER + text
    (tmp_path / "net.prototxt").write_text(text)
    with pytest.raises(NetworkError, match=message) as caught:
        caffe.convert(tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    assert len(str(caught.value)) < 1100 + len(str(tmp_path))


def test_a_name_that_no_file_can_have_is_an_error():
    with pytest.raises(NetworkError, match=r"cannot read a.b: embedded null byte"):
        caffe.convert("a\0b", "c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name: "' + "\\n" * 1100 + '"', "it has a line of 2208 characters; 2000 is the most"),
        ("\x0c".join(["input_dim: 1"] * 300), "it has a line of 3899 characters; 2000 is the most"),
        (("#" + "\\" * 101 + "\n") * 10, "it has more than 1000 backslashes"),
        ("layer { include {\n" * 3000, "is no prototxt of Caffe: it is nested too deep"),
        ("x {\n" * 3000, "is no prototxt of Caffe: it is nested too deep"),
    ],
    ids=["line", "other ends of lines", "backslashes", "nested", "nested in what is not known"],
)
def test_what_takes_protobuf_long_is_refused(tmp_path, text, message):
    (tmp_path / "net.prototxt").write_bytes(text.encode())
    with pytest.raises(NetworkError, match=message):
        caffe.convert(tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
