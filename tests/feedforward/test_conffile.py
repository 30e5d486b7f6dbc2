"""Configurations: the published trainer's YAML, TOML, and flags."""

import pytest

from styletransfer.errors import UsageError
from styletransfer.feedforward import conffile, configuration
from tests.conftest import ROOT

# Written as the published files are.
CANDY = """
## Basic configuration
style_image: img/candy.jpg # targeted style image
naming: "candy" # the name of this model. Determine the path to save checkpoint and events file.
model_path: models # root path to save checkpoints and events file.

## Weight of the loss
content_weight: 1.0
style_weight: 50.0
tv_weight: 0.0

## The size, the iter number to run
image_size: 256
batch_size: 4
epoch: 2

## Loss Network
loss_model: "vgg_16"
content_layers: # use these layers for content loss
  - "vgg_16/conv3/conv3_3"
style_layers: # use these layers for style loss
  - "vgg_16/conv1/conv1_2"
  - "vgg_16/conv2/conv2_2"
  - "vgg_16/conv3/conv3_3"
  - "vgg_16/conv4/conv4_3"
checkpoint_exclude_scopes: "vgg_16/fc" # we only use the convolution layers
loss_model_file: "pretrained/vgg_16.ckpt" # the path to the checkpoint
"""

PUBLISHED = {
    **{"candy": 50, "mosaic": 100, "cubist": 180, "udnie": 200},
    **{"feathers": 220, "wave": 220, "scream": 250, "starry": 250},
}


def test_the_published_yaml_is_read_as_it_is(tmp_path):
    path = tmp_path / "candy.yml"
    path.write_text(CANDY)
    values = conffile.read(path)
    assert len(values) == 14 + 1  # and the network that these files are for
    settings = configuration.read(values)
    assert settings.style_image == ("img/candy.jpg",)
    assert (settings.naming, settings.model_path) == ("candy", "models")
    assert (settings.content_weight, settings.style_weight, settings.tv_weight) == (1, 50, 0)
    assert (settings.image_size, settings.batch_size, settings.epoch) == (256, 4, 2)
    assert settings.loss_model == "vgg16"
    assert settings.content_layers == {"conv3_3": 1}
    assert list(settings.style_layers) == ["conv1_2", "conv2_2", "conv3_3", "conv4_3"]
    assert (settings.arch, settings.family) == ("tf", "tf")


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_configurations_are_among_the_documents(name):
    settings = configuration.read(conffile.read(ROOT / "docs" / "conf" / f"{name}.yml"))
    assert settings.naming == name
    assert settings.style_weight == PUBLISHED[name]
    assert (settings.content_weight, settings.tv_weight, settings.arch) == (1, 0, "tf")


def test_toml_has_the_same_keys(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text('style_image = ["a.jpg", "b.jpg"]\nlearning_rate = 1e-3\nflip = true\n')
    path.write_text(path.read_text() + "[style_layers]\nconv1_2 = 0.5\nconv4_3 = 2\n")
    settings = configuration.read(conffile.read(path))
    assert settings.style_image == ("a.jpg", "b.jpg")
    assert settings.style_layers == {"conv1_2": 0.5, "conv4_3": 2}
    assert (settings.learning_rate, settings.flip) == (1e-3, True)


def test_numbers_that_yaml_takes_for_texts_are_numbers(tmp_path):
    path = tmp_path / "x.yml"
    path.write_text("tv_weight: 1e-6\nstyle_weight: auto\n")
    settings = configuration.read(conffile.read(path))
    assert (settings.tv_weight, settings.style_weight) == (1e-6, "auto")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("x.yml", "style_weigth: 5", "style_weight"),
        ("x.yml", "- a\n- b", "lines such as"),
        ("x.yml", "a: [1", "no YAML file"),
        ("x.yml", "a: !!python/object/apply:os.system ['exit 1']", "no YAML file"),
        ("x.yml", "a: &a [1]\nb: [*a, *a]", "aliases"),
        ("x.yml", "a: 1\n" * 20000, "bytes"),
        ("x.yml", "naming: ../../etc", "naming"),
        ("x.toml", "a = ", "no TOML file"),
        ("x.json", "{}", ".toml"),
    ],
)
def test_what_is_no_configuration_is_told(tmp_path, name, text, told):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UsageError, match=told):
        configuration.read(conffile.read(path), str(path))


def test_every_key_can_be_set(tmp_path):
    texts = ["style_layers=conv1_2,conv3_3=10", "steps=7", "style_image=a.jpg", "flip=no"]
    settings = configuration.read(conffile.assigned(texts))
    assert settings.style_layers == {"conv1_2": 1, "conv3_3": 10}
    assert (settings.steps, settings.style_image, settings.flip) == (7, ("a.jpg",), False)
    with pytest.raises(UsageError, match="'steps'"):
        conffile.assigned(["steps"])


def test_the_small_network_of_the_docs_is_one():
    settings = configuration.read(conffile.read(ROOT / "docs" / "conf" / "small.yml"))
    assert (settings.arch, settings.steps, settings.style_weight) == ("small", 4000, "auto")
    assert (ROOT / settings.style_image[0]).is_file()
