"""The fields of protobuf's messages are counted before they are parsed."""

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper

from styletransfer import wire

MODEL = onnx.ModelProto.DESCRIPTOR


def block(number: int, content: bytes) -> bytes:
    length = len(content)
    return bytes([number << 3 | 2, length & 127 | 128, length >> 7]) + content


def test_all_fields_are_counted():
    # Of the graph 4 with itself, of each node 3, of the attribute 3.
    nodes = [
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Elu", ["b"], ["c"], alpha=1.0),
    ]
    graph = onnx.GraphProto(name="g", node=nodes)
    assert wire.check(graph.SerializeToString(), onnx.GraphProto.DESCRIPTOR) == 1 + 2 + 3 + 4 + 3
    model = wire.parse(onnx.ModelProto(graph=graph).SerializeToString(), onnx.ModelProto)
    assert model.graph.node[1].op_type == "Elu"


def test_numbers_in_a_block_are_no_fields():
    tensor = numpy_helper.from_array(np.zeros(10_000, np.float32), "t")
    assert wire.check(tensor.SerializeToString(), onnx.TensorProto.DESCRIPTOR, 4) == 4


@pytest.mark.parametrize(
    "message",
    [
        b"\x08\x01" * 1001,
        block(7, b"\x0a\x00" * 1000),  # nodes in the graph
        block(7, block(5, b"\x0a\x00" * 990 + block(1, bytes(100)))),
    ],
    ids=["at the top", "in a message", "deeper"],
)
def test_too_many_fields_are_refused(message):
    if b"\x08" in message:
        with pytest.raises(DecodeError, match="too many fields"):
            wire.check(message, MODEL, 1000)
    else:
        with pytest.raises(DecodeError, match="too many fields"):
            wire.check(message, MODEL, 990)


def test_integers_in_a_block_are_counted(monkeypatch):
    monkeypatch.setattr(wire, "_MOST_NUMBERS", 100)
    tensor = block(1, bytes(100))
    assert wire.check(tensor, onnx.TensorProto.DESCRIPTOR) == 1
    with pytest.raises(DecodeError, match="too many fields"):
        wire.check(tensor * 2, onnx.TensorProto.DESCRIPTOR)
    assert wire.check(block(4, bytes(400)), onnx.TensorProto.DESCRIPTOR) == 1  # of float


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\x0a", "ends in a number"),
        (b"\x0a\x05abc", "ends in a field"),
        (b"\x09abc", "ends in a field"),
        (b"\xff" * 20, "ends in a number"),
        (b"\x0b\x0c", "unknown kind"),
    ],
)
def test_damage_is_told(message, reason):
    with pytest.raises(DecodeError, match=reason):
        wire.check(message, MODEL)


def test_nesting_is_bounded():
    graph = b""
    for _ in range(30):
        graph = block(1, block(5, block(6, graph)))  # a node, its attribute, the graph in it
    with pytest.raises(DecodeError, match="nested too deep"):
        wire.check(graph, onnx.GraphProto.DESCRIPTOR)
