"""Settings become loss terms."""

import numpy as np
import onnx
import pytest

from styletransfer.objective.losses import Content, Gram, Wasserstein
from styletransfer.settings import Settings
from styletransfer.transfer import goals
from styletransfer.weights.loading import LoadedNetwork

NETWORK = LoadedNetwork(onnx.ModelProto(), np.zeros(3), 224, {"a": 1.0}, {"b": 1.0})


def chosen(**options: object) -> goals.Goals:
    return goals.choose(Settings(**options), NETWORK, 1, False, False)


@pytest.mark.parametrize(("given", "meant"), [(None, "caffe"), ("hw", "hw"), ("chw", "chw")])
def test_gram_matrices_are_divided_as_asked(given, meant):
    assert chosen(gram=given).styles == ((Gram("a", normalization=meant),),)


def test_the_reduction_is_that_of_content_and_gram_matrices():
    made = chosen(reduction="mean")
    assert made.content == (Content("b", reduction="mean"),)
    assert made.styles == ((Gram("a", reduction="mean"),),)
    made = chosen(reduction="mean", style_loss="wasserstein")
    assert made.content == (Content("b", reduction="mean"),)
    assert made.styles == ((Wasserstein("a"),),)
