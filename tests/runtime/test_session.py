"""The one cast, what stays on the device, and what the runtime is not allowed to do quietly."""

import sys
import threading

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from styletransfer.errors import StyleTransferError
from styletransfer.onnxgrad import GraphBuilder, apart
from styletransfer.runtime import session
from styletransfer.runtime.devices import CPU, CUDA, Device
from styletransfer.runtime.session import Session


def double() -> onnx.ModelProto:
    """Return a model that doubles an input of shape (2, 3) and adds another."""
    graph = GraphBuilder()
    x, y = graph.input("x", (2, 3)), graph.input("y", (2, 3))
    graph.op("Add", graph.op("Add", x, x), y, output="z")
    return graph.model(["z"])


def test_float64_is_cast() -> None:
    runner = Session(double().SerializeToString(), Device())
    x = np.arange(6, dtype=np.float64).reshape(2, 3)
    runner.bind({"y": np.ones((2, 3))})
    np.testing.assert_array_equal(runner.run({"x": x})["z"], 2 * x + 1)
    assert runner.provider == CPU


def test_results_are_the_callers_own() -> None:
    runner = Session(double().SerializeToString(), Device())
    runner.bind({"y": np.zeros((2, 3))})
    first = runner.run({"x": np.ones((2, 3))})["z"]
    runner.run({"x": np.full((2, 3), 5.0)})
    np.testing.assert_array_equal(first, np.full((2, 3), 2.0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bound_values_do_not_follow_the_array(dtype: type) -> None:
    runner = Session(double().SerializeToString(), Device())
    y = np.zeros((2, 3), dtype)
    runner.bind({"y": y})
    y += 7
    np.testing.assert_array_equal(runner.run({"x": np.zeros((2, 3))})["z"], np.zeros((2, 3)))


def test_the_serialised_model_is_not_kept() -> None:
    """If this fails, the runtime keeps it elsewhere now: see `_let_go_of_the_model`."""
    model = double().SerializeToString()
    before = sys.getrefcount(model)
    runner = Session(model, Device())
    assert sys.getrefcount(model) == before
    runner.bind({"y": np.zeros((2, 3))})
    assert runner.run({"x": np.ones((2, 3))})["z"].sum() == 12


def test_a_wrapper_without_the_attribute_gets_none() -> None:
    class Wrapper:
        pass

    wrapper = Wrapper()
    session._let_go_of_the_model(wrapper)
    assert vars(wrapper) == {}


def test_wrong_shape_is_told() -> None:
    with pytest.raises(ValueError, match=r"input x has shape \(3, 2\), not \(2, 3\)"):
        Session(double().SerializeToString(), Device()).bind({"x": np.zeros((3, 2))})


def test_a_refused_model_is_told() -> None:
    model = double()
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(StyleTransferError, match="ONNX Runtime refuses the model"):
        Session(model.SerializeToString(), Device())


def test_a_quiet_change_of_provider_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime only warns where it cannot start a provider, and takes another one."""
    original = onnxruntime.InferenceSession

    def without_cuda(model, options, providers, **settings):
        return original(model, options, providers=providers[1:], **settings)

    monkeypatch.setattr(onnxruntime, "InferenceSession", without_cuda)
    with pytest.raises(StyleTransferError, match=f"could not start {CUDA} and chose {CPU}"):
        Session(double().SerializeToString(), Device(CUDA))


def test_lack_of_memory_has_its_own_type(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Session(double().SerializeToString(), Device())
    runner.bind({"x": np.zeros((2, 3)), "y": np.zeros((2, 3))})
    message = "Failed to allocate memory for requested buffer of size 9"

    def fail(binding: object) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr(runner._session, "run_with_iobinding", fail)
    with pytest.raises(MemoryError, match="size 9"):
        runner.run()
    message = "something\n else" + 1000 * "!"
    with pytest.raises(
        StyleTransferError, match="could not run the model: something else!"
    ) as told:
        runner.run()
    assert len(str(told.value)) < 400


def model_of(operator: str, kind: int, *shapes: list[object]) -> bytes:
    """Return a model of one operator on inputs a and b, with an output c, all of one type."""
    names = ["a", "b"][: len(shapes)]
    values = [helper.make_tensor_value_info(n, kind, s) for n, s in zip(names, shapes, strict=True)]
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["c"])],
        "test",
        values,
        [helper.make_tensor_value_info("c", kind, None)],
    )
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint8", "bool"])
def test_every_type_is_cast_and_comes_back(dtype: str) -> None:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    runner = Session(model_of("Identity", kind, [2]), Device())
    for value in ([0, 1], np.array([0.0, 1.0]), np.array([0, 9, 1])[::2]):
        result = runner.run({"a": value})["c"]
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, np.array(value).astype(dtype))


def test_a_scalar_stays_a_scalar() -> None:
    runner = Session(model_of("Add", TensorProto.FLOAT, [], [2]), Device())
    np.testing.assert_array_equal(runner.run({"a": 2, "b": [1, 2]})["c"], [3, 4])


def test_a_type_that_numpy_lacks_is_refused() -> None:
    with pytest.raises(StyleTransferError, match=r"a is of the type tensor\(string\), which NumPy"):
        Session(model_of("Identity", TensorProto.STRING, [1]), Device())


def test_symbolic_sizes_are_free_and_the_others_are_checked() -> None:
    runner = Session(model_of("Add", TensorProto.FLOAT, ["n", 3], [1, 3]), Device())
    runner.bind({"b": np.ones((1, 3))})
    for height in (4, 2, 7):
        assert runner.run({"a": np.zeros((height, 3))})["c"].shape == (height, 3)
    with pytest.raises(ValueError, match=r"input a has shape \(2, 4\), not \('n', 3\)"):
        runner.run({"a": np.zeros((2, 4))})


def test_what_is_given_to_a_run_is_for_that_run() -> None:
    runner = Session(double().SerializeToString(), Device())
    runner.bind({"y": np.zeros((2, 3))})
    assert runner.run({"x": np.ones((2, 3)), "y": np.ones((2, 3))})["z"].sum() == 18
    assert runner.run({"x": np.ones((2, 3))})["z"].sum() == 12
    with pytest.raises(ValueError, match="input x has no value"):
        runner.run()


def recurrence() -> Session:
    """Return a model whose w_new is x plus the reverse of w, which needs all of w to the end."""
    graph = GraphBuilder()
    x, w = graph.input("x", (2000,)), graph.input("w", (2000,))
    backwards = graph.constant(np.arange(1999, -1, -1))
    reverse = graph.op("Gather", w, backwards, axis=0)
    graph.op("Add", x, reverse, output="w_new")
    graph.op("ReduceSum", w, keepdims=0, output="sum")
    return Session(graph.model(["w_new", "sum"]).SerializeToString(), Device())


def test_outputs_are_fed_back_without_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = recurrence()
    rng = np.random.default_rng(0)
    w = rng.standard_normal(2000, np.float32)
    mine = w.copy()
    steps = rng.standard_normal((5, 2000), np.float32)
    runner.bind({"w": w})
    made = []
    original = onnxruntime.OrtValue.ortvalue_from_numpy

    def record(array, *where):
        made.append(array)
        return original(array, *where)

    monkeypatch.setattr(onnxruntime.OrtValue, "ortvalue_from_numpy", record)
    for x in steps:
        results = runner.run({"x": x}, feed_back={"w_new": "w"})
        assert list(results) == ["sum"]
        assert results["sum"] == pytest.approx(mine.sum(), abs=1e-2)
        mine = x + mine[::-1]
    np.testing.assert_array_equal(runner.bound("w"), mine)
    np.testing.assert_array_equal(w, np.random.default_rng(0).standard_normal(2000, np.float32))
    # Into the runtime go the steps and nothing else, and none of them as a copy.
    assert len(made) == len(steps)
    assert all(np.shares_memory(array, steps) for array in made)
    runner.bind({"w": w})
    np.testing.assert_array_equal(runner.bound("w"), w)


def test_outputs_are_bound_where_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On CUDA what is fed back stays there; the rest comes to the CPU."""
    runner = recurrence()
    runner.bind({"w": np.zeros(2000)})
    bound = {}
    io_binding = runner._session.io_binding

    def recording():
        binding = io_binding()
        bind_output = binding.bind_output

        def record(name, *where):
            bound[name] = where
            bind_output(name, "cpu", 0)

        binding.bind_output = record
        return binding

    monkeypatch.setattr(runner._session, "io_binding", recording)
    given = runner._value("x", np.zeros(2000))
    monkeypatch.setattr(runner, "_value", lambda *_: given)
    monkeypatch.setattr(runner, "_where", ("cuda", 3))
    runner.run({"x": None}, feed_back={"w_new": "w"})
    assert bound == {"w_new": ("cuda", 3), "sum": ("cpu", 0)}


def test_what_does_not_fit_is_not_fed_back() -> None:
    def fed_back(kind: int, shape: list[object]) -> None:
        values = {"a": (TensorProto.FLOAT, [1, 2]), "b": (TensorProto.FLOAT, [2])}
        graph = helper.make_graph(
            [
                helper.make_node("Cast", ["b"], ["d"], to=kind),
                helper.make_node("Identity", ["a"], ["c"]),
            ],
            "test",
            [helper.make_tensor_value_info(n, *v) for n, v in values.items()],
            [
                helper.make_tensor_value_info("d", kind, shape),
                helper.make_tensor_value_info("c", TensorProto.FLOAT, [1, 2]),
            ],
        )
        opsets = [helper.make_opsetid("", 18)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        runner = Session(model.SerializeToString(), Device())
        runner.run({"a": [[1, 2]], "b": [1, 2]}, feed_back={"d": "a"})

    with pytest.raises(ValueError, match="output d has another type than input a"):
        fed_back(TensorProto.INT64, [2])
    with pytest.raises(ValueError, match=r"input a has shape \(2,\), not \(1, 2\)"):
        fed_back(TensorProto.FLOAT, [2])


def test_threads_do_not_get_each_other_s_results() -> None:
    runner = Session(double().SerializeToString(), Device())
    runner.bind({"y": np.zeros((2, 3))})
    wrong = []

    def work(number: int) -> None:
        x = np.full((2, 3), number, np.float32)
        for _ in range(2000):
            if (runner.run({"x": x})["z"] != 2 * number).any():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_threads_do_not_lose_each_other_s_steps() -> None:
    graph = GraphBuilder()
    x, w = graph.input("x", (1,)), graph.input("w", (1,))
    graph.op("Add", x, w, output="w_new")
    runner = Session(graph.model(["w_new"]).SerializeToString(), Device())
    runner.bind({"w": [0]})

    def work() -> None:
        for _ in range(2000):
            runner.run({"x": [1]}, feed_back={"w_new": "w"})

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runner.bound("w") == 4000


def test_constants_apart_are_the_runtimes_own() -> None:
    """If this fails, the runtime reads the arrays themselves: then a session must keep them."""
    random = np.random.default_rng(2)
    graph = GraphBuilder()
    x = graph.input("x", (1, 8, 9, 7))
    w = graph.constant(random.normal(size=(16, 8, 3, 3)).astype(np.float32), "w")
    a = graph.constant(random.normal(size=(40, 7)).astype(np.float32), "a")  # read as it is
    y = graph.op("Conv", x, w, kernel_shape=[3, 3], pads=[1] * 4)
    graph.op("MatMul", a, graph.op("Transpose", y, perm=[0, 1, 3, 2]), output="y")
    image = random.normal(size=(1, 8, 9, 7)).astype(np.float32)
    expected = Session(graph.model(["y"]).SerializeToString(), Device()).run({"x": image})["y"]
    model, constants = apart(graph, ["y"])
    runner = Session(model.SerializeToString(), Device(), constants)
    for array in constants.values():
        array[:] = np.nan
    np.testing.assert_array_equal(runner.run({"x": image})["y"], expected)


def test_a_constant_that_is_missing() -> None:
    graph = GraphBuilder()
    graph.op("Add", graph.input("x", (900,)), graph.constant(np.ones(900, np.float32)), output="y")
    model, _ = apart(graph, ["y"])
    with pytest.raises(StyleTransferError, match="ONNX Runtime refuses the model"):
        Session(model.SerializeToString(), Device())
