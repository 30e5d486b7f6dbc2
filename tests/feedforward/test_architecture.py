"""Networks made of a short text."""

import numpy as np
import pytest

from styletransfer.errors import UsageError
from styletransfer.feedforward import architecture
from styletransfer.feedforward.architecture import Architecture
from styletransfer.onnxgrad import GraphBuilder
from tests.onnxgrad.graphs import evaluate


def network(of: Architecture, size: tuple[int, int], images: int = 2) -> GraphBuilder:
    graph = GraphBuilder()
    picture = graph.input("picture", (images, 3, *size), np.float64)
    names = [graph.input(name, shape, np.float64) for name, shape in architecture.parameters(of)]
    mixture = None
    if of.styles > 1:
        mixture = graph.input("mixture", (images, of.styles), np.float64)
    painted = architecture.append(graph, of, picture, names, mixture)
    graph.op("Identity", painted, output="painted")
    return graph


def feeds_for(graph: GraphBuilder, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(graph.shape(name)) for name in graph.inputs}


def test_names_stand_for_texts():
    usual = "c9s1-32,d64,d128,R128x5,u64,u32,c9s1-3"
    assert architecture.architecture("pytorch").text == usual
    assert architecture.architecture("tf").text == usual
    assert architecture.architecture("small").text == "c9s1-16,d32,d64,R64x5,u32,u16,c9s1-3"
    assert architecture.architecture("tf", 8).text == "c9s1-8,d16,d32,R32x5,u16,u8,c9s1-3"
    assert len(architecture.convolutions(architecture.architecture(usual.replace("x", "×")))) == 16


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("c9s1-32,x64,c9s1-3", "the part 'x64'"),
        ("c8s1-3", "the part 'c8s1-3'"),
        ("", "the part ''"),
        ("c3s1-8,R16x2,c3s1-3", "another number of channels than what comes before it, 8"),
        ("c9s1-32,d64", "ends in 64 channels"),
        ("torch", "one of tf, pytorch"),
    ],
)
def test_texts_that_are_none(text, reason):
    with pytest.raises(UsageError) as caught:
        architecture.architecture(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize("name", ["tf", "pytorch", "c3s1-4,d8,R8,u4,c3s1-3"])
def test_what_is_painted_has_the_picture_s_size(name):
    of = architecture.architecture(name, 4)
    size = (2 * of.multiple, 3 * of.multiple)
    size = tuple(n + 8 for n in size)
    assert network(of, size).shape("painted") == (2, 3, *size)


@pytest.mark.parametrize("name", ["tf", "pytorch", "multi"])
def test_what_is_idle_makes_no_difference(name):
    """And all else does."""
    of = architecture.architecture(name, 2, 2 if name == "multi" else 1)
    graph = network(of, (16, 16), 1)
    feeds = feeds_for(graph)
    model = graph.model(["painted"])
    painted = evaluate(model, feeds)["painted"]
    idle = architecture.idle(of)
    for parameter, shape in architecture.parameters(of):
        moved = feeds | {parameter: feeds[parameter] + np.random.default_rng(1).random(shape)}
        if parameter not in moved or parameter not in {i.name for i in model.graph.input}:
            assert parameter in idle  # the bias before a norm is not even read
            continue
        change = np.abs(evaluate(model, moved)["painted"] - painted).max()
        assert (change < 1e-9) == (parameter in idle), parameter


def test_a_mixture_of_one_style_is_that_style():
    single = architecture.architecture("pytorch", 2)
    several = architecture.architecture("multi", 2, 3)
    one, many = network(single, (16, 16)), network(several, (16, 16))
    feeds = feeds_for(many)
    feeds["mixture"] = np.eye(3)[[1, 1]]
    expected = evaluate(many.model(["painted"]), feeds)["painted"]
    rows = {"scale", "shift"}
    plain = {
        name: feeds[name][1] if name.rpartition("/")[2] in rows else feeds[name]
        for name in one.inputs
    }
    read = {value.name for value in one.model(["painted"]).graph.input}
    plain = {name: value for name, value in plain.items() if name in read}
    np.testing.assert_allclose(evaluate(one.model(["painted"]), plain)["painted"], expected)


def test_first_values():
    of = architecture.architecture("tf", 8)
    first = architecture.initial_parameters(of, 1)
    assert [value.shape for value in first] == [p.shape for p in architecture.parameters(of)]
    everything = np.concatenate([value.ravel() for value in first])
    assert np.abs(everything).max() <= 0.2
    assert everything.std() == pytest.approx(0.088, abs=0.002)  # of what is left of a normal
    again = architecture.initial_parameters(of, 1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], architecture.initial_parameters(of, 2)[0])

    values = architecture.initial_parameters(architecture.architecture("pytorch", 8), 1)
    weight, bias, scale, shift = values[:4]
    bound = 1 / np.sqrt(3 * 81)
    assert 0.9 * bound < np.abs(weight).max() <= bound
    assert np.abs(bias).max() <= bound
    assert np.all(scale == 1)
    assert np.all(shift == 0)
