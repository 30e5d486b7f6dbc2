"""Legacy torch.save files, put together by hand: good ones, damaged ones, hostile ones."""

import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from styletransfer.errors import WeightsError
from styletransfer.weights import torchfile

FLOATS = np.arange(12, dtype=np.float32)
BYTES = np.arange(100, 106, dtype=np.uint8)
PROTOCOL = b"\x80\x02"


def plain(value) -> bytes:
    """Return the opcodes that put a plain value on the stack."""
    return pickle.dumps(value, 2)[2:-1]


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def tensor(kind, key, count, shape, strides, offset=0) -> bytes:
    """Return the opcodes of a tensor, as torch writes them."""
    place = b"(" + plain("storage") + name("torch", kind) + plain(key) + plain("cpu")
    place += plain(count) + b"NtQ"
    arguments = b"(" + place + plain(offset) + plain(shape) + plain(strides) + plain(False)
    arguments += name("collections", "OrderedDict") + b")Rt"
    return name("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"


def dictionary(**values: bytes) -> bytes:
    return b"}(" + b"".join(plain(key) + value for key, value in values.items()) + b"u"


def legacy_file(
    content: bytes,
    storages: dict[str, np.ndarray],
    magic: int = 0x1950A86A20F9469CFC6C,
    little_endian: bool = True,
) -> bytes:
    facts = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"int": 4}}
    data = pickle.dumps(magic, 2) + pickle.dumps(1001, 2) + pickle.dumps(facts, 2)
    data += PROTOCOL + content + b"." + pickle.dumps(list(storages), 2)
    for storage in storages.values():
        data += struct.pack("<q", storage.size) + storage.tobytes()
    return data


GOOD = dictionary(
    a=tensor("FloatStorage", "1", 12, (2, 3), (3, 1), offset=6),
    b=tensor("ByteStorage", "2", 6, (6,), (1,)),
    c=tensor("FloatStorage", "1", 12, (12,), (1,)),
)
STORAGES = {"2": BYTES, "1": FLOATS}


def reason(tmp_path, data: bytes) -> str:
    path = tmp_path / "weights.bin"
    path.write_bytes(data)
    with pytest.raises(WeightsError) as error:
        torchfile.read(path)
    return str(error.value)


def test_tensors_are_read_from_their_storages(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(legacy_file(GOOD, STORAGES))
    tensors = torchfile.read(path)
    assert list(tensors) == ["a", "b", "c"]
    np.testing.assert_array_equal(tensors["a"], [[6, 7, 8], [9, 10, 11]])
    np.testing.assert_array_equal(tensors["b"], BYTES)
    np.testing.assert_array_equal(tensors["c"], FLOATS)
    assert [tensor.dtype for tensor in tensors.values()] == [np.float32, np.uint8, np.float32]


@pytest.mark.parametrize("place", ["magic", "content", "keys"])
def test_no_other_name_is_ever_called(tmp_path, place):
    bait = tmp_path / "executed"
    call = name("os", "mkdir") + plain((str(bait),)) + b"R"
    if place == "magic":
        data = PROTOCOL + call + b"."
    elif place == "content":
        data = legacy_file(dictionary(a=call), {})
    else:
        data = legacy_file(GOOD, STORAGES).replace(pickle.dumps(["2", "1"], 2), PROTOCOL + call)
    assert "os.mkdir" in reason(tmp_path, data)
    assert not bait.exists()


@pytest.mark.parametrize("cut", [0, 10, 100, 400, -1, -40])
def test_truncated_file_is_refused(tmp_path, cut):
    assert "file" in reason(tmp_path, legacy_file(GOOD, STORAGES)[:cut])


@pytest.mark.parametrize(
    ("content", "storages", "expected"),
    [
        (
            dictionary(a=tensor("FloatStorage", "1", 1 << 40, (1,), (1,))),
            STORAGES,
            "longer than the file",
        ),
        (dictionary(a=tensor("FloatStorage", "1", -1, (1,), (1,))), STORAGES, "longer than"),
        (GOOD, {"1": FLOATS}, "list of storages"),
        (GOOD, {"1": FLOATS[:5], "2": BYTES}, "another length than stated"),
        (
            dictionary(a=tensor("FloatStorage", "1", 12, (2, 3), (1, 2))),
            {"1": FLOATS},
            "not contiguous",
        ),
        (
            dictionary(a=tensor("FloatStorage", "1", 12, (13,), (1,))),
            {"1": FLOATS},
            "beyond its storage",
        ),
        (
            dictionary(a=tensor("FloatStorage", "1", 12, (2,), (1,), offset=-1)),
            {"1": FLOATS},
            "beyond its storage",
        ),
        (dictionary(a=tensor("DoubleStorage", "1", 12, (2,), (1,))), {"1": FLOATS}, "DoubleStor"),
        (dictionary(a=plain(3)), {}, "flat dict of tensors"),
    ],
)
def test_what_is_not_a_plain_tensor_is_refused(tmp_path, content, storages, expected):
    assert expected in reason(tmp_path, legacy_file(content, storages))


def test_other_formats_are_refused(tmp_path):
    assert "does not begin like" in reason(tmp_path, legacy_file(GOOD, STORAGES, magic=7))
    assert "big-endian" in reason(tmp_path, legacy_file(GOOD, STORAGES, little_endian=False))
    assert "not a whole legacy torch.save file" in reason(tmp_path, b"PK\x03\x04 a zip file")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        # Python's own unpickler takes 4 GB for a place in its memory of that number.
        (b"K\x01r\xff\xff\xff\x1f", "flat dict of tensors"),
        (b"\x8e" + b"\xff" * 7 + b"\x7f", "not a whole legacy torch.save file"),
        (b"(" * 100_001, "too long"),
        (b"0", "the opcode POP, which"),
        (b"\x96" + b"\xff" * 4 + bytes(4), "not a whole"),
        # A tuple of two of the tuple before, and so on: hashing it takes for ever.
        (b"})q\x00" + b"h\x00h\x00\x86q\x00" * 200 + b"K\x01s", "keys are no names"),
        (b"}K\x01" + b"s", "not a whole legacy torch.save file"),
        (b"l.", "the opcode LIST"),
        (name("collections", "OrderedDict") + plain((((1, 2),),)) + b"R", "that no file of"),
        (plain("text") + plain(()) + b"R", "a call that no file of"),
        (dictionary(a=tensor("FloatStorage", "1", 12, (1,) * 9, (1,) * 9)), "has no shape"),
        (dictionary(a=tensor("FloatStorage", "1", 12, (1 << 40, "a"), (1, 1))), "has no shape"),
        (dictionary(a=tensor("FloatStorage", ("1",), 12, (1,), (1,))), "no name or no length"),
    ],
)
def test_what_only_an_attack_has_is_refused(tmp_path, content, expected):
    tracemalloc.start()
    try:
        message = reason(tmp_path, legacy_file(content, {}))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert expected in message
    assert peak < 50_000_000


def test_attributes_of_a_dict_are_passed_over(tmp_path):
    """As those that PyTorch's own networks have."""
    content = name("collections", "OrderedDict") + b")R(" + plain("a")
    content += tensor("FloatStorage", "1", 12, (12,), (1,)) + b"u" + plain({"_metadata": {}}) + b"b"
    path = tmp_path / "weights.bin"
    path.write_bytes(legacy_file(content, {"1": FLOATS}))
    np.testing.assert_array_equal(torchfile.read(path)["a"], FLOATS)
