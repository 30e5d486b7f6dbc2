import hashlib
import tracemalloc

import numpy as np
import pytest

from styletransfer import caffe
from styletransfer.caffe.schema import NetParameter
from styletransfer.errors import NetworkError
from tests.caffe.caffe_files import blob, write_caffemodel
from tests.conftest import SHARED


@pytest.mark.golden
def test_weights_are_read_bit_by_bit():
    weights = caffe.read_caffemodel(SHARED / "models" / "googlenet" / "bvlc_googlenet.caffemodel")
    digests = {
        ("conv1/7x7_s2", 0): "61255966f14cf81b",
        ("conv1/7x7_s2", 1): "f418a01f9cd24edf",
        ("inception_5b/pool_proj", 0): "a0dfa4526e78799a",
        ("inception_5b/pool_proj", 1): "1470dc59d13ee74a",
    }
    for (layer, index), digest in digests.items():
        found = hashlib.sha256(weights[layer][index].astype("<f4").tobytes()).hexdigest()
        assert found.startswith(digest)


def test_double_precision_and_split_data_are_read(tmp_path):
    array = np.arange(6.0).reshape(2, 3)
    path = write_caffemodel(tmp_path / "a.caffemodel", {"a": [array]})
    (read,) = caffe.read_caffemodel(path)["a"]
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, array)


def test_shapes_of_the_first_generation_have_four_axes(tmp_path):
    path = write_caffemodel(tmp_path / "a.caffemodel", {"a": [np.ones(3, np.float32)]}, v1=True)
    (read,) = caffe.read_caffemodel(path)["a"]
    assert read.shape == (1, 1, 1, 3)


def test_damaged_caffemodels(tmp_path):
    whole = write_caffemodel(tmp_path / "a.caffemodel", {"a": [np.ones(99)]}).read_bytes()
    path = tmp_path / "b.caffemodel"
    for content, message in {
        whole[:-50]: "not a caffemodel, or only a part of one; get it again",
        b"<html>404</html>": "not a caffemodel",
        b"": "has 0 bytes",
        b"\x0a\x01a": "holds no layers",
        b"\xa2\x06\x03\x0a\x01\xff": r"the name b'\\xff' is not text",
    }.items():
        path.write_bytes(content)
        with pytest.raises(NetworkError, match=message):
            caffe.read_caffemodel(path)
    with pytest.raises(NetworkError, match=r"cannot read .*missing: No such file"):
        caffe.read_caffemodel(tmp_path / "missing")
    with pytest.raises(NetworkError, match="it is not a file"):
        caffe.read_caffemodel(tmp_path)


@pytest.mark.parametrize("shape", [(2, 50), (1 << 40, 1 << 40), (-3, -33), (0, 99), (99, 0)])
def test_blob_whose_shape_is_not_that_of_its_data(tmp_path, shape):
    message = blob(np.ones(99, np.float32))
    message.shape.dim[:] = shape
    path = write_caffemodel(tmp_path / "a.caffemodel", {"a": []})
    net = NetParameter.FromString(path.read_bytes())
    net.layer[0].blobs.append(message)
    path.write_bytes(net.SerializeToString())
    with pytest.raises(NetworkError, match=r"'a' has a blob of shape .* 396 bytes .* damaged"):
        caffe.read_caffemodel(path)


def test_blob_of_too_many_axes(tmp_path):
    message = blob(np.ones(1, np.float32))
    message.shape.dim[:] = [1] * 9
    path = write_caffemodel(tmp_path / "a.caffemodel", {"a": []})
    net = NetParameter.FromString(path.read_bytes())
    net.layer[0].blobs.append(message)
    path.write_bytes(net.SerializeToString())
    with pytest.raises(NetworkError, match="'a' has a blob with 9 axes; 8 is the most"):
        caffe.read_caffemodel(path)
    (tmp_path / "mean.binaryproto").write_bytes(message.SerializeToString())
    with pytest.raises(NetworkError, match="has a blob with 9 axes; 8 is the most"):
        caffe.read_mean(tmp_path / "mean.binaryproto")


@pytest.mark.parametrize("copies", [1, 2])
def test_names_that_are_quoted_are_bounded(tmp_path, copies):
    message = blob(np.ones(1, np.float32))
    message.shape.dim[:] = [2]
    net = NetParameter()
    for _ in range(copies):
        net.layer.add(name="\x1b" * 100_000).blobs.append(blob(np.ones(1, np.float32)))
    net.layer[0].blobs.append(message)
    (tmp_path / "a.caffemodel").write_bytes(net.SerializeToString())
    with pytest.raises(NetworkError) as caught:
        caffe.read_caffemodel(tmp_path / "a.caffemodel")
    assert len(str(caught.value)) < 1100 + len(str(tmp_path))


# --- means ----------------------------------------------------------------------------------------


@pytest.mark.golden
def test_mean_of_ilsvrc():
    mean = caffe.read_mean(SHARED / "models" / "googlenet" / "ilsvrc_2012_mean.npy")
    np.testing.assert_allclose(mean, [104.00698793, 116.66876762, 122.67891434], atol=1e-8)


@pytest.mark.parametrize("legacy", [False, True])
def test_mean_in_both_formats(tmp_path, legacy):
    image = np.random.default_rng(0).uniform(90, 130, (3, 5, 7)).astype(np.float32)
    expected = image.astype(np.float64).mean(axis=(1, 2))
    (tmp_path / "m.binaryproto").write_bytes(blob(image, legacy).SerializeToString())
    np.save(tmp_path / "m.npy", image)
    np.testing.assert_allclose(caffe.read_mean(tmp_path / "m.binaryproto"), expected)
    np.testing.assert_allclose(caffe.read_mean(tmp_path / "m.npy"), expected)
    np.save(tmp_path / "m.npy", expected)
    np.testing.assert_allclose(caffe.read_mean(tmp_path / "m.npy"), expected)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((4, 2, 2)), r"shape \(4, 2, 2\)"),
        (np.ones((3, 2)), r"shape \(3, 2\)"),
        (np.ones((3, 0, 2)), r"shape \(3, 0, 2\)"),
        (np.array([1, np.nan, 3]), "not finite"),
        (np.array(["a", "b", "c"]), "type <U1"),
        (np.array([None] * 3), "not a NumPy array"),
        (np.zeros(3, [("n" * 900, "f4")]), r"type \[\('n.{46}; a mean"),
    ],
)
def test_mean_that_cannot_be_used(tmp_path, array, message):
    np.save(tmp_path / "m.npy", array, allow_pickle=True)
    with pytest.raises(NetworkError, match=message):
        caffe.read_mean(tmp_path / "m.npy")


def test_mean_that_claims_to_be_huge(tmp_path):
    np.save(tmp_path / "m.npy", np.ones((3, 256)))
    content = (tmp_path / "m.npy").read_bytes()
    (tmp_path / "m.npy").write_bytes(content.replace(b"(3, 256)", b"(3,1e9)".ljust(8)))
    with pytest.raises(NetworkError, match="not a NumPy array"):
        caffe.read_mean(tmp_path / "m.npy")
    (tmp_path / "m.npy").write_bytes(content.replace(b"(3, 256), }    ", b"(3, 9999999), }"))
    with pytest.raises(NetworkError, match="not a NumPy array"):
        caffe.read_mean(tmp_path / "m.npy")


def test_mean_whose_header_claims_to_be_huge(tmp_path):
    """NumPy's version 2 has 4 bytes for the header's length; it would ask for as much memory."""
    np.save(tmp_path / "m.npy", np.ones(3))
    content = (tmp_path / "m.npy").read_bytes()
    huge = content[:6] + b"\x02\x00" + (2 << 30).to_bytes(4, "little") + content[10:]
    (tmp_path / "m.npy").write_bytes(huge)
    tracemalloc.start()
    with pytest.raises(NetworkError, match="version 2"):
        caffe.read_mean(tmp_path / "m.npy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_file_of_very_many_empty_layers_is_refused_before_it_fills_the_memory(tmp_path):
    path = tmp_path / "a.caffemodel"
    path.write_bytes(b"\xa2\x06\x00" * 100_000)
    with pytest.raises(NetworkError, match="is not a caffemodel"):
        caffe.read_caffemodel(path)
    layer = b"\x3a\x00" * 64
    path.write_bytes(b"\xa2\x06\x80\x01" + layer)
    with pytest.raises(NetworkError, match="0 bytes of numbers"):
        caffe.read_caffemodel(path)
    layer *= 100
    path.write_bytes(b"\xa2\x06\x80\x64" + layer)
    with pytest.raises(NetworkError, match="is not a caffemodel"):
        caffe.read_caffemodel(path)


@pytest.mark.parametrize(
    "fields",
    [b"\x2a\x00" * 1001, b"\x3a\x00" * 1001, b"\x3a\x80\x10" + b"\x08\x01" * 1024],
    ids=["empty data", "empty shapes", "axes"],
)
def test_fields_are_counted_however_deep_they_lie(tmp_path, fields):
    """Each takes two bytes in the file and a hundred or more in memory."""
    (tmp_path / "mean.binaryproto").write_bytes(fields)
    with pytest.raises(NetworkError, match="is not a mean file"):
        caffe.read_mean(tmp_path / "mean.binaryproto")
    length = bytes([len(fields) & 127 | 128, len(fields) >> 7])
    layer = b"\x3a" + length + fields
    layer = b"\xa2\x06" + bytes([len(layer) & 127 | 128, len(layer) >> 7]) + layer
    (tmp_path / "a.caffemodel").write_bytes(layer)
    with pytest.raises(NetworkError, match="is not a caffemodel"):
        caffe.read_caffemodel(tmp_path / "a.caffemodel")
