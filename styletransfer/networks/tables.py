"""The built-in networks as tables, and what style transfer matches in each.

VGG-16 and VGG-19: Simonyan and Zisserman 2014. GoogLeNet: Szegedy et al. 2014, without its local
response normalisation, as the original program has it. CaffeNet: Krizhevsky et al. 2012 in the
variant of Caffe. All pool by averages, and end before the fully connected layers;
`classifiers` has them as they were trained.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from styletransfer.caffe import layers
from styletransfer.caffe.layers import Dim, Layer, Weights

logger = logging.getLogger(__name__)

# The mean colour of ILSVRC 2012, BGR. The original program subtracts it for every network.
MEAN = np.array([104.00698793, 116.66876762, 122.67891434])
MEAN.flags.writeable = False


@dataclass(frozen=True)
class Network:
    """A network that is known by name.

    Parameters
    ----------
    name : str
    layers : tuple of Layer
    input_size : int
        Side in pixels of the images that it was trained on; no image's short side is smaller.
    mean : ndarray of shape (3,)
        Subtracted from the image, BGR, range 0 to 255.
    style_layers, content_layers : dict of str to float
        Weights of the blobs that style transfer matches.
    folder : str
        Where it is kept among the networks, if not under its name.
    flattened : int
        Side of the square map that its first fully connected layer reads, if it has one.
    """

    name: str
    layers: tuple[Layer, ...]
    input_size: int
    mean: np.ndarray
    style_layers: dict[str, float]
    content_layers: dict[str, float]
    folder: str = ""
    flattened: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder or self.name)

    @property
    def shape(self) -> tuple[Dim, ...]:
        """That of its input; its size is open unless there are fully connected layers."""
        size = (self.input_size,) * 2 if self.flattened else ("height", "width")
        return (1, 3, *size)


def to_onnx(
    network: Network,
    weights: Weights,
    input_shape: Sequence[Dim] | None = None,
) -> onnx.ModelProto:
    """Return the network as an ONNX model; see `layers.to_onnx`."""
    # That weights end early is known here, and that they reach what is matched is checked.
    return layers.to_onnx(
        network.layers,
        weights,
        input_shape or network.shape,
        name=network.name,
        report=logger.debug,
    )


def weight_shapes(network: Network) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the shapes (out, in / group, height, width) and (out,) of each convolution.

    Those of a fully connected layer are (out, in) and (out,).
    """
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    channels = {layers.INPUT: 3}
    positions = network.flattened**2
    for layer in network.layers:
        count = sum(channels[blob] for blob in layer.bottoms)  # only a Concat has several
        if layer.type == "Convolution":
            settings = layer.settings
            inputs = count // settings.get("group", 1)
            count = settings["num_output"]
            shapes[layer.name] = ((count, inputs, *settings["kernel"]), (count,))
        elif layer.type == "InnerProduct":
            inputs, positions = count * positions, 1
            count = layer.settings["num_output"]
            shapes[layer.name] = ((count, inputs), (count,))
        channels[layer.tops[0]] = count
    return shapes


def _convolution(
    name: str, bottom: str, num_output: int, kernel: int, relu: str, **settings: int
) -> Iterator[Layer]:
    """Yield a square convolution that keeps the size, unless settings differ, and its ReLU."""
    sides = {"kernel": kernel, "stride": 1, "pad": kernel // 2} | settings
    group = sides.pop("group", 1)
    pairs = {key: (value, value) for key, value in sides.items()}
    table = {"num_output": num_output, "group": group, **pairs}
    yield Layer(name, "Convolution", (bottom,), (name,), table)
    yield Layer(relu, "ReLU", (name,), (name,))


def _pool(name: str, bottom: str, kernel: int, stride: int, pad: int = 0) -> Layer:
    settings = {"kernel": (kernel,) * 2, "stride": (stride,) * 2, "pad": (pad,) * 2}
    return Layer(name, "Pooling", (bottom,), (name,), {"method": "AVE", **settings})


def _vgg(name: str, depths: Sequence[int]) -> Network:
    table: list[Layer] = []
    blob = layers.INPUT
    for block, (depth, channels) in enumerate(
        zip(depths, (64, 128, 256, 512, 512), strict=True), 1
    ):
        for i in range(1, depth + 1):
            conv = f"conv{block}_{i}"
            table += _convolution(conv, blob, channels, 3, relu=f"relu{block}_{i}")
            blob = conv
        table.append(_pool(f"pool{block}", blob, 2, 2))
        blob = f"pool{block}"
    style = dict.fromkeys((f"conv{block}_1" for block in range(1, 6)), 0.2)
    return Network(name, tuple(table), 224, MEAN, style, {"conv4_2": 1.0})


# Channels of a module's 1×1, 3×3 reduce, 3×3, 5×5 reduce, 5×5 and pool projection.
INCEPTIONS = {
    "inception_3a": (64, 96, 128, 16, 32, 32),
    "inception_3b": (128, 128, 192, 32, 96, 64),
    "inception_4a": (192, 96, 208, 16, 48, 64),
    "inception_4b": (160, 112, 224, 24, 64, 64),
    "inception_4c": (128, 128, 256, 24, 64, 64),
    "inception_4d": (112, 144, 288, 32, 64, 64),
    "inception_4e": (256, 160, 320, 32, 128, 128),
    "inception_5a": (256, 160, 320, 32, 128, 128),
    "inception_5b": (384, 192, 384, 48, 128, 128),
}


def _inception(module: str, bottom: str, channels: Sequence[int]) -> Iterator[Layer]:
    def convolution(name: str, bottom: str, num_output: int, kernel: int) -> Iterator[Layer]:
        relu = f"{module}/relu_{name}"
        return _convolution(f"{module}/{name}", bottom, num_output, kernel, relu)

    one, three_reduce, three, five_reduce, five, projection = channels
    yield from convolution("1x1", bottom, one, 1)
    yield from convolution("3x3_reduce", bottom, three_reduce, 1)
    yield from convolution("3x3", f"{module}/3x3_reduce", three, 3)
    yield from convolution("5x5_reduce", bottom, five_reduce, 1)
    yield from convolution("5x5", f"{module}/5x5_reduce", five, 5)
    yield _pool(f"{module}/pool", bottom, 3, 1, pad=1)
    yield from convolution("pool_proj", f"{module}/pool", projection, 1)
    branches = tuple(f"{module}/{name}" for name in ("1x1", "3x3", "5x5", "pool_proj"))
    yield Layer(f"{module}/output", "Concat", branches, (f"{module}/output",))


def _googlenet() -> Network:
    table = [
        *_convolution("conv1/7x7_s2", layers.INPUT, 64, 7, relu="conv1/relu_7x7", stride=2),
        _pool("pool1/3x3_s2", "conv1/7x7_s2", 3, 2),
        *_convolution("conv2/3x3_reduce", "pool1/3x3_s2", 64, 1, relu="conv2/relu_3x3_reduce"),
        *_convolution("conv2/3x3", "conv2/3x3_reduce", 192, 3, relu="conv2/relu_3x3"),
        _pool("pool2/3x3_s2", "conv2/3x3", 3, 2),
    ]
    blob = "pool2/3x3_s2"
    for module, channels in INCEPTIONS.items():
        table += _inception(module, blob, channels)
        blob = f"{module}/output"
        if module in ("inception_3b", "inception_4e"):
            pool = f"pool{module[10]}/3x3_s2"
            table.append(_pool(pool, blob, 3, 2))
            blob = pool
    table.append(_pool("pool5/7x7_s1", blob, 7, 1))
    style = ("conv1/7x7_s2", "conv2/3x3", *(f"inception_{n}a/output" for n in (3, 4, 5)))
    content = {"conv2/3x3": 2e-4, "inception_3a/output": 1 - 2e-4}
    return Network("googlenet", tuple(table), 224, MEAN, dict.fromkeys(style, 0.2), content)


def _caffenet() -> Network:
    norm = {"size": 5, "alpha": 1e-4, "beta": 0.75}
    table = [
        *_convolution("conv1", layers.INPUT, 96, 11, relu="relu1", stride=4, pad=0),
        _pool("pool1", "conv1", 3, 2),
        Layer("norm1", "LRN", ("pool1",), ("norm1",), norm),
        *_convolution("conv2", "norm1", 256, 5, relu="relu2", group=2),
        _pool("pool2", "conv2", 3, 2),
        Layer("norm2", "LRN", ("pool2",), ("norm2",), norm),
        *_convolution("conv3", "norm2", 384, 3, relu="relu3"),
        *_convolution("conv4", "conv3", 384, 3, relu="relu4", group=2),
        *_convolution("conv5", "conv4", 256, 3, relu="relu5", group=2),
        _pool("pool5", "conv5", 3, 2),
    ]
    style = dict.fromkeys((f"conv{n}" for n in range(1, 6)), 0.2)
    return Network("caffenet", tuple(table), 227, MEAN, style, {"conv4": 1.0})


NETWORKS: Mapping[str, Network] = {
    network.name: network
    for network in (
        _vgg("vgg16", (2, 2, 3, 3, 3)),
        _vgg("vgg19", (2, 2, 4, 4, 4)),
        _googlenet(),
        _caffenet(),
    )
}
