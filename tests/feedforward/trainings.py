"""A training that takes a second: a small loss network, photographs of some 50 pixels.

A plugin of pytest with fixtures.
"""

from pathlib import Path

import pytest

from styletransfer import images
from styletransfer.feedforward import configuration
from styletransfer.feedforward.training import Training
from tests.caffe.caffe_files import weights_of_convolution, write_caffemodel
from tests.feedforward.pictures import picture

_LAYERS = (("conv1_2", 3, 4), ("conv2_2", 4, 6), ("conv3_3", 6, 6), ("conv4_3", 6, 6))


@pytest.fixture(scope="session")
def loss_network(tmp_path_factory) -> Path:
    """The folder of a Caffe network with four of VGG's layers."""
    folder = tmp_path_factory.mktemp("small")
    text = 'input: "data" input_shape { dim: 1 dim: 3 dim: 32 dim: 32 }\n'
    bottom, weights = "data", {}
    for i, (name, inputs, outputs) in enumerate(_LAYERS):
        text += (
            f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"\n'
            f"  convolution_param {{ num_output: {outputs} kernel_size: 3 pad: 1 }} }}\n"
            f'layer {{ name: "relu{i}" type: "ReLU" bottom: "{name}" top: "{name}" }}\n'
            f'layer {{ name: "pool{i}" type: "Pooling" bottom: "{name}" top: "pool{i}"\n'
            "  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }\n"
        )
        bottom = f"pool{i}"
        weights[name] = [0.2 * a for a in weights_of_convolution(i, inputs, outputs)]
    (folder / "net.prototxt").write_text(text)
    write_caffemodel(folder / "net.caffemodel", weights)
    return folder


@pytest.fixture(scope="session")
def photographs(tmp_path_factory) -> Path:
    """A folder with five pictures in two folders, and a broken one."""
    folder = tmp_path_factory.mktemp("photographs")
    for i in range(5):
        place = folder / ("more" if i > 2 else ".")
        images.save(place / f"{i}.png", picture(i, (40 + 3 * i, 64 - 2 * i)))
    (folder / "more" / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def small_keys(tmp_path, loss_network) -> dict[str, object]:
    """The keys of a small training."""
    images.save(tmp_path / "style.png", picture(9, (48, 40)))
    return {
        "style_image": str(tmp_path / "style.png"),
        "naming": "small",
        "model_path": str(tmp_path / "models"),
        "loss_model": str(loss_network),
        "image_size": 32,
        "batch_size": 2,
        "steps": 6,
        "arch": "pytorch",
        "width": 2,
        "style_weight": 1.0,
        "crop": "random",
        "zoom": 1.5,
        "flip": True,
    }


@pytest.fixture
def training(small_keys, photographs):
    """Return a function that makes the small training, with some keys changed."""

    def make(keys: dict[str, object] | None = None, **options) -> Training:
        settings = configuration.read(small_keys | (keys or {}))
        return Training(settings, photographs, gpu_id=-1, threads=1, **options)

    return make
