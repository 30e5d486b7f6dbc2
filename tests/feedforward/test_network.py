"""Files that paint are understood; files that do not are refused with what they take and give."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from styletransfer.errors import NetworkError
from styletransfer.feedforward import network
from tests.feedforward.networks import Maker, candy, channels_last


def painted(
    last: str, *, more: tuple = (), names: tuple = ("input1", "output1")
) -> onnx.ModelProto:
    """A network of one convolution and an operator after it."""
    maker = Maker()
    weight = maker.constant(maker.random.standard_normal((3, 3, 1, 1)))
    maker.op(last, maker.op("Conv", names[0], weight), output=names[1])
    return maker.model(18, [1, 3, "h", "w"], names, more)


def test_candy():
    found = network.read(candy(64).SerializeToString())
    assert (found.image, found.layout, found.style, found.styles) == ("input1", "NCHW", None, 0)
    assert (found.multiple, found.enlargement) == (4, 1)
    assert (found.order, found.takes, found.gives) == ("RGB", (0, 255), (0, 255))


@pytest.mark.parametrize(("last", "expected"), [("Sigmoid", (0, 1)), ("Tanh", (-1, 1))])
def test_ranges_are_seen(last, expected):
    found = network.read(painted(last).SerializeToString())
    assert (found.takes, found.gives, found.multiple) == (expected, expected, 1)


def test_what_metadata_say_goes_before_what_is_seen_and_arguments_before_both():
    model = painted("Sigmoid")
    said = {"Image.NominalPixelRange": "NominalRange_0_255", "Image.BitmapPixelFormat": "Bgr8"}
    helper.set_model_props(model, said)
    found = network.read(model.SerializeToString())
    assert (found.order, found.takes, found.gives) == ("BGR", (0, 255), (0, 255))
    found = network.read(model.SerializeToString(), "RGB", (0, 1), (-1, 1))
    assert (found.order, found.takes, found.gives) == ("RGB", (0, 1), (-1, 1))


def test_channels_last(tmp_path):
    (tmp_path / "net.onnx").write_bytes(channels_last().SerializeToString())
    found = network.read(tmp_path / "net.onnx")
    assert (found.layout, found.multiple, found.gives) == ("NHWC", 1, (0, 1))


def test_networks_that_enlarge():
    maker = Maker()
    scales = maker.constant([1.0, 1.0, 2.0, 2.0])
    x = maker.op("Resize", "input1", "", scales, mode="nearest")
    maker.op("Sigmoid", x, output="output1")
    found = network.read(maker.model(18, [1, 3, "h", "w"]).SerializeToString())
    assert (found.enlargement, found.multiple) == (2, 1)


def test_published_networks(published):
    found = network.read(published("multistyle26"))
    assert (found.style, found.styles, found.multiple) == ("style_weights", 26, 4)
    assert (found.takes, found.gives) == ((0, 1), (0, 1))
    found = network.read(published("arbitrary_transform"))
    assert (found.layout, found.styles, found.multiple) == ("NHWC", 100, 4)


def other_input(kind: int, shape: list) -> tuple:
    return (helper.make_tensor_value_info("more", kind, shape),)


def classifier() -> onnx.ModelProto:
    maker = Maker()
    maker.op("Flatten", maker.op("GlobalAveragePool", "input1"), output="output1")
    return maker.model(18, [1, 3, 224, 224])


def shrinking() -> onnx.ModelProto:
    maker = Maker()
    maker.op("MaxPool", "input1", kernel_shape=[2, 2], strides=[2, 2], output="output1")
    return maker.model(18, [1, 3, "h", "w"])


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (classifier(), "it gives no image of three channels"),
        (shrinking(), "the image that it gives is not of the size of the one that it takes"),
        (painted("Relu", more=other_input(TensorProto.FLOAT, [1, 3, 8, 8])), "from one image"),
        (painted("Relu", more=other_input(TensorProto.INT64, [2])), "no list of numbers"),
        (painted("Relu", more=other_input(TensorProto.FLOAT, ["n"])), "no list of numbers"),
        (painted("Relu", more=other_input(TensorProto.FLOAT, [3, 3])), "is no style"),
        (painted("Relu", more=other_input(TensorProto.FLOAT, [10**9])), "is no style"),
    ],
)
def test_what_does_not_paint_is_listed(model, reason):
    with pytest.raises(NetworkError) as error:
        network.read(model.SerializeToString())
    assert f"The network cannot paint: {error.value.text[26:]}" == error.value.text
    assert reason in error.value.text
    assert "  input  input1 float (1, 3, " in str(error.value)
    assert "  output output1 float (1, 3, " in str(error.value)


def test_files_that_are_none(tmp_path, monkeypatch):
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(NetworkError, match=r"text\.onnx is no ONNX file"):
        network.read(tmp_path / "text.onnx")
    with pytest.raises(NetworkError, match=r"absent\.onnx cannot be read: No such file"):
        network.read(tmp_path / "absent.onnx")
    with pytest.raises(NetworkError, match="is no ONNX file, or has no operators"):
        network.read(b"")
    monkeypatch.setattr(network, "MOST_BYTES", 1000)
    with pytest.raises(NetworkError, match="has more than 0 MB"):
        network.read(bytes(2000))


def test_nothing_outside_the_file_is_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(np.ones(9, np.float32).tobytes())
    model = painted("Sigmoid")
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, str(secret))
    tensor.ClearField("raw_data")
    with pytest.raises(NetworkError, match="keeps its weights in another file"):
        network.read(model.SerializeToString())
    model = painted("Sigmoid")
    value = numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32))
    onnx.external_data_helper.set_external_data(value, str(secret))
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=value))
    with pytest.raises(NetworkError, match="keeps its weights in another file"):
        network.read(model.SerializeToString())


def test_what_files_say_is_not_printed_raw():
    model = painted("Relu", more=other_input(TensorProto.INT64, [2]))
    model.graph.input[1].name = "\x1b[31mred\n" * 100
    with pytest.raises(NetworkError) as error:
        network.read(model.SerializeToString())
    assert "\x1b" not in str(error.value)
    assert max(map(len, str(error.value).splitlines())) < 300


def test_unknown_operators_of_the_future():
    model = painted("Sigmoid")
    model.opset_import[0].version = 99
    with pytest.raises(NetworkError, match="cannot convert its operators of version 99"):
        network.read(model.SerializeToString())


def test_damage_of_any_kind_is_told():
    model = painted("Sigmoid")
    del model.graph.node[0].input[:]
    with pytest.raises(NetworkError, match="The network cannot paint: "):
        network.read(model.SerializeToString())
    model = painted("Sigmoid")
    model.graph.initializer[0].raw_data = b""
    with pytest.raises(NetworkError, match="The network cannot paint: "):
        network.read(model.SerializeToString())


def test_types_that_there_are_not_are_told_by_number():
    model = candy()
    model.graph.input[0].type.tensor_type.elem_type = 100
    with pytest.raises(NetworkError, match="cannot paint: ") as error:
        network.read(model.SerializeToString())
    assert "  input  input1 type 100 (1, 3, " in str(error.value)


def test_metadata_that_are_no_text_are_passed_over():
    model = painted("Sigmoid")
    model.metadata_props.add(key="ab", value="ab")
    data = model.SerializeToString().replace(b"\x02ab", b"\x02\xff\xff")
    assert network.read(data).order == "RGB"


def test_fields_are_counted():
    with pytest.raises(NetworkError, match="is no ONNX file"):
        network.read(b"\x3a\x00" * 300_000)


@pytest.mark.parametrize("how", ["Expand", "Pad", "Resize", "MatMul", "Concat"])
def test_small_files_take_no_more_memory_than_pictures_need(how):
    """Its mean is added to the picture, so that it paints."""
    maker = Maker()
    match how:
        case "Expand":
            mean = maker.op("ReduceMean", "input1", keepdims=1)
            large = maker.op("Expand", mean, maker.constant(np.array([1, 1, 40_000, 40_000])))
        case "Pad":
            sides = np.array([0, 0, 20_000, 20_000] * 2)
            large = maker.op("Pad", "input1", maker.constant(sides))
        case "Resize":
            scales = maker.constant(np.array([1, 1, 400, 400], np.float32))
            large = maker.op("Resize", "input1", "", scales)
        case "MatMul":
            column = maker.op("Reshape", "input1", maker.constant(np.array([-1, 1])))
            row = maker.op("Reshape", "input1", maker.constant(np.array([1, -1])))
            large = maker.op("MatMul", column, row)
        case "Concat":
            large = "input1"
            for _ in range(20):
                large = maker.op("Concat", large, large, axis=1)
    mean = maker.op("ReduceMean", large, keepdims=0)
    maker.op("Add", "input1", mean, output="output1")
    model = maker.model(18, [1, 3, "h", "w"])
    with pytest.raises(NetworkError, match="which is too much for a picture"):
        network.read(model.SerializeToString())
