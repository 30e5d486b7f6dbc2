"""Trained networks as graphs that paint: for a trainer's previews, and as files for everyone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np
import onnx
from onnx import helper, numpy_helper, version_converter

from styletransfer.feedforward import architecture, oldopsets, superresolution
from styletransfer.feedforward.architecture import Architecture
from styletransfer.feedforward.step import BATCH, MIXTURE, OUTPUT, PARAMETERS
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.onnxgrad.builder import IR_VERSION, OPSET

IMAGE, STYLES, STYLIZED = "image", "style_weights", "stylized"
HALF = "/half"
"""What follows the name of weights that are kept in 16 bits."""

NEWEST_OPSET = 23
"""The last opset that a network can be written in; see `oldopsets` for the first."""

_PROBE = 64  # any size whose sides are multiples of what a network needs


def painting(of: Architecture, shape: Sequence[int]) -> onnx.ModelProto:
    """Return the model from `BATCH` of `shape` and the vector `PARAMETERS` to `OUTPUT`.

    As in training, a network that enlarges paints the batch made smaller.
    """
    graph = GraphBuilder()
    batch = graph.input(BATCH, shape)
    entries = architecture.parameters(of)
    sizes = [prod(entry.shape) for entry in entries]
    vector = graph.input(PARAMETERS, (sum(sizes),))
    lengths = graph.integers(sizes, "sizes")
    pieces = graph.ops("Split", vector, lengths, outputs=len(sizes), axis=0)
    names = [
        graph.reshape(piece, entry.shape) for piece, entry in zip(pieces, entries, strict=True)
    ]
    mixture = graph.input(MIXTURE, (shape[0], of.styles)) if of.styles > 1 else None
    picture = superresolution.reduced(graph, batch, of.times)
    painted = architecture.append(graph, of, picture, names, mixture)
    return graph.model([graph.op("Identity", painted, output=OUTPUT)])


def network(
    of: Architecture,
    weights: Sequence[np.ndarray],
    metadata: Mapping[str, str],
    *,
    half: bool = False,
    size: tuple[int, int] | None = None,
    opset: int = OPSET,
) -> onnx.ModelProto:
    """Return a network that anyone can run.

    Parameters
    ----------
    of : Architecture
        The network.
    weights : sequence of ndarray
        What it has learnt, in forward order.
    metadata : mapping of str to str
        Goes into the file.
    half : bool
        Whether the weights are kept in 16 bits; it computes in 32 all the same.
    size : (int, int), optional
        Height and width of pictures; by default any.
    opset : int
        From 11 to 23, with a size from 7.

    Returns
    -------
    onnx.ModelProto
        From `IMAGE`, (N, 3, H, W) RGB in [0, 1], to `STYLIZED` of the same range and shape, or as
        many times larger as the network enlarges. With
        several styles `STYLES` says how much there is of each, (styles,). Sides that are no
        multiples of what the network needs are padded by reflection, and cropped after.

    Raises
    ------
    UsageError
        If it is none of these opsets.
    """
    oldopsets.check(opset, NEWEST_OPSET, size is None)
    # The margin and what is missing to a multiple are padded around the network.
    graph = GraphBuilder()
    padded = graph.input("padded", (1, 3, _PROBE, _PROBE))
    # Inputs of the graph until they get their values: constants that are equal would be shared.
    names = [graph.input(entry.name, entry.shape) for entry in architecture.parameters(of)]
    mixture = None
    if of.styles > 1:
        shares = graph.input(STYLES, (of.styles,))
        mixture = graph.reshape(shares, (1, of.styles))
    painted = architecture.append(graph, replace(of, margin=0), padded, names, mixture)
    inner = graph.model([graph.op("Identity", painted, output="painted")])
    _give_values(inner, dict(zip(names, weights, strict=True)), half)
    model = _wrapped(inner, of, size)
    model.metadata_props.extend(
        onnx.StringStringEntryProto(key=key, value=value) for key, value in metadata.items()
    )
    return _in_opset(model, opset)


def _give_values(model: onnx.ModelProto, weights: Mapping[str, np.ndarray], half: bool) -> None:
    """Put initializers in the place of inputs, of 16 bits if asked for."""
    kept = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    casts = []
    for name, array in weights.items():
        stored = array.astype(np.float16 if half else np.float32)
        key = f"{name}{HALF}" if half else name
        model.graph.initializer.append(numpy_helper.from_array(stored, key))
        if half:
            casts.append(helper.make_node("Cast", [key], [name], name, to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _wrapped(
    inner: onnx.ModelProto, of: Architecture, size: tuple[int, int] | None
) -> onnx.ModelProto:
    """Return a network with pictures of any size in [0, 1] around one of the padded ones."""
    before: list[onnx.NodeProto] = []
    aligned = "aligned" if of.margin else "padded"
    constants: dict[str, np.ndarray] = {
        "range": np.array(255, np.float32),
        "zero": np.array(0, np.float32),
        "one": np.array(1, np.float32),
        "margin": np.array([of.margin, of.margin], np.int64),
        "start": np.array([of.margin * of.times] * 2, np.int64),
        "times": np.array(of.times, np.int64),
        "axes": np.array([2, 3], np.int64),
    }
    if size is None:
        constants["multiple"] = np.array([of.multiple] * 2, np.int64)
        constants["front"] = np.zeros(6, np.int64)
        before += [
            helper.make_node("Shape", [IMAGE], ["size"], "size", start=2, end=4),
            helper.make_node("Neg", ["size"], ["size/negative"], "size/negative"),
            # As in Python: never negative.
            helper.make_node("Mod", ["size/negative", "multiple"], ["missing"], "missing"),
            helper.make_node("Concat", ["front", "missing"], ["pads"], "pads", axis=0),
            helper.make_node("Add", ["size", "margin"], ["last"], "last"),
            helper.make_node("Mul", ["last", "times"], ["end"], "end"),
        ]
    else:
        missing = [-n % of.multiple for n in size]
        constants["pads"] = np.array([0] * 6 + missing, np.int64)
        # From the end, so that who lifts the size finds a crop that is right for others, too.
        whole = np.iinfo(np.int32).max
        ends = [of.margin + n for n in missing]
        constants["end"] = np.array([-n if n else whole for n in ends], np.int64)
    before += [
        helper.make_node("Mul", [IMAGE, "range"], ["scaled"], "scaled"),
        # A multiple first, then the margin: so tiles, which need the multiple, have this margin.
        helper.make_node("Pad", ["scaled", "pads"], [aligned], aligned, mode="reflect"),
    ]
    if of.margin:
        constants["around"] = np.array([0, 0, of.margin, of.margin] * 2, np.int64)
        node = helper.make_node("Pad", [aligned, "around"], ["padded"], "padded", mode="reflect")
        before.append(node)
    after = [
        helper.make_node("Slice", ["painted", "start", "end", "axes"], ["cropped"], "cropped"),
        helper.make_node("Div", ["cropped", "range"], ["divided"], "divided"),
        helper.make_node("Clip", ["divided", "zero", "one"], [STYLIZED], STYLIZED),
    ]
    nodes = [*before, *inner.graph.node, *after]
    read = {name for node in nodes for name in node.input}
    pictures: list[int | str | None] = ["N", 3, *(size or ("H", "W"))]
    paintings = pictures
    if of.times > 1:
        larger = (of.times * n for n in size) if size else (f"{of.times}*{n}" for n in "HW")
        paintings = ["N", 3, *larger]
    inputs = [helper.make_tensor_value_info(IMAGE, onnx.TensorProto.FLOAT, pictures)]
    inputs += [value for value in inner.graph.input if value.name == STYLES]
    graph = helper.make_graph(
        nodes,
        "stylized",
        inputs,
        [helper.make_tensor_value_info(STYLIZED, onnx.TensorProto.FLOAT, paintings)],
        [numpy_helper.from_array(a, name) for name, a in constants.items() if name in read],
    )
    graph.initializer.extend(inner.graph.initializer)
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="styletransfer",
    )


def _in_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    if opset < oldopsets.UNCHANGED:
        return oldopsets.lower(model, opset)
    if opset <= OPSET:
        model.opset_import[0].version = opset
        return model
    converted = version_converter.convert_version(model, opset)
    converted.ir_version = min(converted.ir_version, IR_VERSION)
    return converted
