"""Small Caffe networks and their files, written for tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from styletransfer import caffe
from styletransfer.caffe.schema import BlobProto, NetParameter

CONVOLUTION = """
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
        convolution_param { num_output: 2 kernel_size: 3 pad: 1 } }
"""
HEADER = 'input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 6 }\n'


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


def blob(array: np.ndarray, legacy: bool = False) -> BlobProto:
    """Return an array as a blob; `legacy` states its shape by four numbers, as V1 does."""
    array = np.asarray(array)
    message = BlobProto()
    if array.dtype == np.float64:
        message.double_data.append(array.astype("<f8").tobytes())
    else:
        message.data.append(array.astype("<f4").tobytes())
    if legacy:
        shape = (1,) * (4 - array.ndim) + array.shape
        message.num, message.channels, message.height, message.width = shape
    else:
        message.shape.dim.extend(array.shape)
    return message


def write_caffemodel(
    path: Path, weights: Mapping[str, Sequence[np.ndarray]], v1: bool = False
) -> Path:
    """Write layers of the given names with the given blobs, in either format."""
    net = NetParameter(name="test")
    for name, arrays in weights.items():
        layer = (net.layers if v1 else net.layer).add(name=name)
        layer.blobs.extend(blob(array, legacy=v1) for array in arrays)
    path.write_bytes(net.SerializeToString())
    return path


def weights_of_convolution(seed=0, inputs=3, outputs=2):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(outputs, inputs, 3, 3)).astype(np.float32)
    return [weight, rng.normal(size=outputs).astype(np.float32)]


def vgg_weights():
    rng = np.random.default_rng(1)
    full = [rng.normal(size=shape).astype(np.float32) for shape in ((5, 2 * 4 * 3), (5,))]
    return {"conv1_1": weights_of_convolution(), "fc6": full}


def run(model, image):
    """Return every output of a model by name."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"data": image}), strict=True))


def convert_text(folder: Path, text: str, weights=None, input_shape=None) -> onnx.ModelProto:
    """Convert a prototxt given as text, with weights given as arrays, through files in a folder."""
    prototxt = folder / "net.prototxt"
    prototxt.write_text(text)
    caffemodel = write_caffemodel(folder / "net.caffemodel", {"none": []} | (weights or {}))
    return caffe.convert(prototxt, caffemodel, input_shape)
