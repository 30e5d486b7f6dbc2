"""Pictures, and models run once."""

import numpy as np
import onnx
import pytest

from styletransfer import images
from styletransfer.runtime.devices import Device
from styletransfer.runtime.session import Session
from tests.conftest import ROOT


@pytest.fixture(scope="session")
def cat() -> np.ndarray:
    return np.asarray(images.load(ROOT / "images" / "content" / "cat.jpg"), np.float32)


@pytest.fixture(scope="session")
def night() -> np.ndarray:
    return np.asarray(images.load(ROOT / "images" / "style" / "night.jpg"), np.float32)


def run(model: onnx.ModelProto | bytes, **inputs: np.ndarray) -> np.ndarray:
    """Return the only output of a model."""
    data = model if isinstance(model, bytes) else model.SerializeToString()
    session = Session(data, Device())
    (value,) = session.run({name: np.asarray(v) for name, v in inputs.items()}).values()
    return value


def planes(picture: np.ndarray) -> np.ndarray:
    """Return a picture as networks take it, (1, 3, height, width)."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[np.newaxis], np.float32)
