"""The networks whole: their tables, and the names of what they tell apart."""

from math import prod

import pytest

from styletransfer import networks
from styletransfer.networks import CLASSIFIERS, NETWORKS, class_names


def test_names_are_in_the_order_of_imagenet():
    """Its classes are numbered as WordNet's numbers ascend; some are known by heart."""
    names = class_names()
    synsets = [synset for synset, _ in names]
    assert len(names) == 1000
    assert synsets == sorted(set(synsets))
    assert all(synset[0] == "n" and synset[1:].isdecimal() for synset in synsets)
    known = {
        0: ("n01440764", "tench"),
        1: ("n01443537", "goldfish"),
        207: ("n02099601", "golden retriever"),
        208: ("n02099712", "Labrador retriever"),
        281: ("n02123045", "tabby"),
        340: ("n02391049", "zebra"),
        504: ("n03063599", "coffee mug"),
        812: ("n04266014", "space shuttle"),
        999: ("n15075141", "toilet tissue"),
    }
    assert {number: names[number] for number in known} == known


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("vgg16", 138_357_544),
        ("vgg19", 143_667_240),
        ("googlenet", 6_998_552),
        ("caffenet", 60_965_224),
    ],
)
def test_weights_are_as_many_as_published(name, published):
    shapes = networks.weight_shapes(CLASSIFIERS[f"{name}-classifier"])
    assert sum(prod(shape) for pair in shapes.values() for shape in pair) == published
    below = networks.weight_shapes(NETWORKS[name])
    assert list(shapes.items())[: len(below)] == list(below.items())


def test_they_pool_by_maxima_and_googlenet_has_its_norms():
    whole = CLASSIFIERS["googlenet-classifier"]
    means = [layer.name for layer in whole.layers if layer.settings.get("method") == "AVE"]
    assert means == ["pool5/7x7_s1"]
    reads = {layer.name: layer.bottoms for layer in whole.layers}
    assert reads["conv2/3x3_reduce"] == ("pool1/norm1",)
    assert reads["pool2/3x3_s2"] == ("conv2/norm2",)
    assert reads["inception_3a/1x1"] == ("pool2/3x3_s2",)
    vgg = CLASSIFIERS["vgg19-classifier"]
    assert {layer.settings.get("method") for layer in vgg.layers if "pool" in layer.name} == {"MAX"}
