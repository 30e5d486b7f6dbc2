"""What a training is told."""

import pytest

from styletransfer.errors import UsageError
from styletransfer.feedforward import configuration, losses

# One of the published files of hzy46's trainer, as a YAML reader gives it.
PUBLISHED = {
    "style_image": "img/candy.jpg",
    "naming": "candy",
    "model_path": "models",
    "content_weight": 1.0,
    "style_weight": 50.0,
    "tv_weight": 0.0,
    "image_size": 256,
    "batch_size": 4,
    "epoch": 2,
    "loss_model": "vgg_16",
    "content_layers": ["vgg_16/conv3/conv3_3"],
    "style_layers": [
        "vgg_16/conv1/conv1_2",
        "vgg_16/conv2/conv2_2",
        "vgg_16/conv3/conv3_3",
        "vgg_16/conv4/conv4_3",
    ],
    "checkpoint_exclude_scopes": "vgg_16/fc",
    "loss_model_file": "pretrained/vgg_16.ckpt",
}


def test_a_published_file_is_read_as_it_is():
    settings = configuration.read(PUBLISHED | {"arch": "tf"})
    assert settings.loss_model == "vgg16"
    assert settings.content_layers == {"conv3_3": 1}
    assert list(settings.style_layers) == ["conv1_2", "conv2_2", "conv3_3", "conv4_3"]
    assert settings.family == "tf"
    assert settings.total_variation == "mean-squares"


def test_layers_have_several_names_and_weights():
    settings = configuration.read(
        {"style_layers": ["relu1_2=0.5", "conv_2_2", "inception_3a/output"]}
    )
    assert settings.style_layers == {"conv1_2": 0.5, "conv2_2": 1, "inception_3a/output": 1}
    settings = configuration.read({"style_layers": {"relu5_4": 10}, "style_weight": "auto"})
    assert settings.style_layers == {"conv5_4": 10}
    assert settings.style_weight == "auto"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"style_wieght": 1}, "'style_wieght' in the configuration; did you mean style_weight?"),
        ({"xyz": 1}, "there are style_image, naming"),
        ({"style_weight": "much"}, "style_weight is 'much'; give a number"),
        ({"tv_weight": -1}, "tv_weight is -1"),
        ({"style_layers": ["conv1_1", "relu1_1"]}, "each once"),
        ({"content_layers": []}, "give layers such as"),
        ({"losses": "keras"}, "one of tf, pytorch"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"arch": {"aming": "x"}}, "arch is {'aming': 'x'}"),
        ({"arch": ["tf"]}, "arch is ['tf']"),
    ],
)
def test_what_is_wrong_is_said(values, reason):
    with pytest.raises(UsageError) as caught:
        configuration.read(values)
    assert reason in str(caught.value)


def test_weights_of_terms():
    settings = configuration.read(
        {"content_weight": 2, "style_weight": 5, "style_layers": {"conv1_2": 3}, "tv_weight": 4}
    )
    weights = losses.terms(settings)
    assert weights == {"content/conv3_3": 2, "style/conv1_2": 15, "tv": 4}
    values = {"content/conv3_3": 8.0, "style/conv1_2": 5.0, "tv": 100.0}
    assert losses.normalised(weights, values) == {
        "content/conv3_3": 0.25,
        "style/conv1_2": 3,
        "tv": 4,
    }
