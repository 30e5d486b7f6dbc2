"""Devices, the one cast to float32, and what the runtime is not allowed to do quietly."""

import ctypes
import sys

import numpy as np
import onnx
import onnxruntime
import pytest

from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.onnxgrad import GraphBuilder
from styletransfer.runtime import session
from styletransfer.runtime.session import CPU, CUDA, Device, Session, choose_device


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

    class Failing:
        def __init__(self, text: str) -> None:
            self.text = text

        def run_with_iobinding(self, binding) -> None:
            raise RuntimeError(self.text)

    runner._session = Failing("Failed to allocate memory for requested buffer of size 9")
    with pytest.raises(MemoryError, match="size 9"):
        runner.run()
    runner._session = Failing("something else")
    with pytest.raises(StyleTransferError, match="could not run the model: something else"):
        runner.run()


def test_the_cpu_is_asked_for() -> None:
    assert choose_device(-1, threads=1) == (Device(CPU, threads=1), None)


@pytest.mark.parametrize("threads", [-1, 3, 1000])
def test_more_threads_than_cores_are_refused(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setattr(session.os, "cpu_count", lambda: 2)
    with pytest.raises(UsageError, match=f"threads is {threads}; give a number from 1 to 2, the"):
        choose_device(-1, threads)
    assert choose_device(-1, 2) == (Device(CPU, threads=2), None)


class Driver:
    """Stands for libcuda on a machine with two devices."""

    def __init__(self, devices: int, broken: bool = False) -> None:
        self.devices = devices
        self.broken = broken

    def cuInit(self, flags: int) -> int:
        return 999 if self.broken else 0

    def cuDeviceGetCount(self, count) -> int:
        ctypes.cast(count, ctypes.POINTER(ctypes.c_int))[0] = self.devices
        return 0


def machine(monkeypatch: pytest.MonkeyPatch, driver: Driver | None, missing: str = "") -> None:
    """Pretend to be a machine with this driver that lacks one library."""

    def load(name: str):
        if name in ("libcuda.so.1", "nvcuda.dll"):
            if driver is None:
                raise OSError
            return driver
        if missing and missing in name:
            raise OSError
        return object()

    monkeypatch.setattr(session.ctypes, "CDLL", load)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("noise of the runtime's own"))
    monkeypatch.setattr(onnxruntime, "cuda_version", "13.0", raising=False)


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, None)
    assert choose_device(0) == (Device(CPU), "no NVIDIA driver was found")


def test_broken_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, Driver(1, broken=True))
    assert choose_device(0) == (Device(CPU), "the NVIDIA driver does not start")


def test_no_such_device(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, Driver(2))
    device, reason = choose_device(2)
    assert device == Device(CPU)
    assert reason == "the machine has 2 CUDA device(s), numbered from 0"


@pytest.mark.parametrize("library", ["cudnn", "cublasLt", "curand", "cudart"])
def test_missing_library(monkeypatch: pytest.MonkeyPatch, capsys, library: str) -> None:
    machine(monkeypatch, Driver(1), missing=library)
    device, reason = choose_device(0)
    assert device == Device(CPU)
    assert library in reason
    assert "styletransfer[cuda]" in reason
    assert capsys.readouterr() == ("", "")


def test_build_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    device, reason = choose_device(0)
    assert device == Device(CPU)
    assert "install onnxruntime-gpu" in reason


def test_usable_device(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, Driver(2))
    assert choose_device(1) == (Device(CUDA, 1), None)
    assert str(Device(CUDA, 1)) == "CUDA device 1"
