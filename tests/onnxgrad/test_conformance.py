"""Forward and backward of small networks against the real Caffe's."""

import numpy as np
import pytest

from styletransfer.caffe import convert
from styletransfer.onnxgrad import vjp
from tests.conftest import CONFORMANCE
from tests.onnxgrad.graphs import run

FOLDER = CONFORMANCE
NETS = sorted(path.stem for path in FOLDER.glob("*.prototxt"))
LOOSE = ("lrn", "power")  # Caffe's powers are less exact


def test_no_net_is_missing():
    assert len(NETS) == 54


@pytest.mark.parametrize("name", NETS)
def test_forward_and_backward(name):
    tolerance = 1e-4 if any(word in name.lower() for word in LOOSE) else 1e-5
    with np.load(FOLDER / f"{name.removesuffix('_v1')}.npz") as data:
        expected = dict(data)
    model = convert(FOLDER / f"{name}.prototxt", FOLDER / f"{name}.caffemodel")
    result = run(
        vjp(model, ["out"], ["data"]), {"data": expected["x"], "cotangent/out": expected["dy"]}
    )
    pairs = {"out": "y", "gradient/data": "dx"}
    pairs |= {key.removeprefix("blob/"): key for key in expected if key.startswith("blob/")}
    del pairs["data"]
    for output, key in pairs.items():
        error = np.abs(result[output] - expected[key]).max()
        assert error <= tolerance * np.abs(expected[key]).max(), output
