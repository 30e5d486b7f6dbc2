"""The built-in networks whole, as they were trained to classify: ImageNet's 1000 classes.

They pool by maxima, where those for style transfer take averages, and GoogLeNet has its local
response normalisation. Dropout does nothing after training.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib import resources

from styletransfer.caffe.layers import Layer
from styletransfer.networks.tables import NETWORKS, Network

SUFFIX = "-classifier"
PROBABILITIES = "prob"

CLASSES = 1000


@cache
def class_names() -> tuple[tuple[str, str], ...]:
    """Return WordNet's number and the name of each class, in the order of the networks' outputs."""
    text = resources.files(__package__).joinpath("imagenet.txt").read_text("ascii")
    return tuple((line[:9], line[10:]) for line in text.splitlines())


def _trained(layer: Layer) -> Iterator[Layer]:
    """Yield a layer as it was in training, and what stood behind it."""
    if layer.type == "Pooling" and layer.name != "pool5/7x7_s1":
        layer = replace(layer, settings={**layer.settings, "method": "MAX"})
    if layer.name in _BEFORE:  # what reads the blob reads its normalised values
        layer = replace(layer, bottoms=tuple(_BEFORE[layer.name]))
    yield layer
    if layer.name in _NORMS:
        blob, name = _NORMS[layer.name]
        norm = {"size": 5, "alpha": 1e-4, "beta": 0.75}
        yield Layer(name, "LRN", (blob,), (name,), norm)


_NORMS = {
    "pool1/3x3_s2": ("pool1/3x3_s2", "pool1/norm1"),
    "conv2/relu_3x3": ("conv2/3x3", "conv2/norm2"),
}
"""Of GoogLeNet: the layer behind which a norm stands, the blob that it reads, and its name."""

_BEFORE = {"conv2/3x3_reduce": ["pool1/norm1"], "pool2/3x3_s2": ["conv2/norm2"]}


def _top(blob: str, *connected: tuple[str, int]) -> Iterator[Layer]:
    """Yield fully connected layers, a ReLU between two, and the probabilities."""
    for place, (name, count) in enumerate(connected, 1):
        yield Layer(name, "InnerProduct", (blob,), (name,), {"num_output": count})
        if place < len(connected):
            yield Layer(f"relu{name[2:]}", "ReLU", (name,), (name,))
        blob = name
    yield Layer(PROBABILITIES, "Softmax", (blob,), (PROBABILITIES,))


def _whole(name: str, side: int, *connected: tuple[str, int]) -> Network:
    network = NETWORKS[name]
    table = [part for layer in network.layers for part in _trained(layer)]
    table += _top(table[-1].tops[0], *connected)
    return replace(
        network,
        name=f"{name}{SUFFIX}",
        layers=tuple(table),
        style_layers={},
        content_layers={PROBABILITIES: 1.0},  # weights that end before are refused
        folder=name,
        flattened=side,
    )


_FC = (("fc6", 4096), ("fc7", 4096), ("fc8", CLASSES))

CLASSIFIERS: Mapping[str, Network] = {
    network.name: network
    for network in (
        _whole("vgg16", 7, *_FC),
        _whole("vgg19", 7, *_FC),
        _whole("googlenet", 1, ("loss3/classifier", CLASSES)),
        _whole("caffenet", 6, *_FC),
    )
}
