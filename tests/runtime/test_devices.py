"""The device that is asked for, or why it is not used, on machines of all kinds."""

import ctypes
import sys
from pathlib import Path

import onnxruntime
import pytest

from styletransfer.errors import UsageError
from styletransfer.runtime import devices
from styletransfer.runtime.devices import CPU, CUDA, Device, choose_device


def test_the_cpu_is_asked_for() -> None:
    assert choose_device(-1, threads=1) == (Device(CPU, threads=1), None)


@pytest.mark.parametrize("threads", [-1, 3, 1000])
def test_more_threads_than_cores_are_refused(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setattr(devices.os, "cpu_count", lambda: 2)
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


def machine(monkeypatch: pytest.MonkeyPatch, driver: Driver | None, missing: str = "") -> list[str]:
    """Pretend to be a machine with this driver that lacks one library; what is loaded is listed."""
    loaded = []
    stdout = sys.stdout

    def load(name: str):
        assert sys.stdout is stdout  # other threads print, too
        if name in ("libcuda.so.1", "nvcuda.dll"):
            if driver is None:
                raise OSError
            return driver
        if missing and missing in name:
            raise OSError
        loaded.append(name)
        return object()

    def preload() -> None:
        assert sys.stdout is stdout
        assert not missing, "it would print what is missing"
        loaded.append("the rest")

    monkeypatch.setattr(devices.ctypes, "CDLL", load)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", preload)
    monkeypatch.setattr(onnxruntime, "cuda_version", "13.0")
    return loaded


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
    assert "styletransfer-onnx[cuda]" in reason
    assert capsys.readouterr() == ("", "")


def test_build_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "cuda_version", "")
    device, reason = choose_device(0)
    assert device == Device(CPU)
    assert "install onnxruntime-gpu" in reason


def test_a_provider_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, Driver(1))
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    reason = "the CUDA provider of ONNX Runtime cannot be loaded"
    assert choose_device(0) == (Device(CPU), reason)


def test_usable_device(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = machine(monkeypatch, Driver(2))
    assert choose_device(1) == (Device(CUDA, 1), None)
    assert loaded[-1] == "the rest"
    assert str(Device(CUDA, 1)) == "CUDA device 1"


@pytest.mark.parametrize("folder", ["cu13/lib", "cudnn/bin", "cu13/bin/x86_64"])
def test_libraries_in_packages_come_before_the_system_s(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str
) -> None:
    library = "cudart64_13.dll" if sys.platform == "win32" else "libcudart.so.13"
    packed = tmp_path / "nvidia" / folder / library
    packed.parent.mkdir(parents=True)
    packed.touch()
    monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "onnxruntime" / "__init__.py"))
    loaded = machine(monkeypatch, Driver(1))
    assert choose_device(0) == (Device(CUDA), None)
    assert str(packed) in loaded
    assert library not in loaded


@pytest.mark.parametrize("name", ["CPU", "cpu", "CPUExecutionProvider", CPU.lower()])
def test_a_provider_by_its_name(name: str) -> None:
    assert choose_device(None, 1, name) == (Device(CPU, threads=1), None)
    assert choose_device(-1, 1, name) == (Device(CPU, threads=1), None)


def test_a_provider_that_this_runtime_has_besides(monkeypatch: pytest.MonkeyPatch) -> None:
    there = ["CoreMLExecutionProvider", CPU]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    device, _ = choose_device(None, provider="coreml")
    assert (device, str(device)) == (Device("CoreMLExecutionProvider"), "CoreML")
    with pytest.raises(UsageError, match=r"gpu_id \(-g\) is 2, the number of a CUDA device, and"):
        choose_device(2, provider="coreml")


@pytest.mark.parametrize("name", ["DML", "CUDA", "", "x\n", 3])
def test_a_provider_that_is_not_there(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["XyExecutionProvider", CPU]
    )
    with pytest.raises(UsageError, match="this build of ONNX Runtime has Xy, CPU"):
        choose_device(None, provider=name)


def test_a_cuda_device_by_its_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who names it wants no other: what keeps it from being used is an error."""
    machine(monkeypatch, Driver(2))
    assert choose_device(1, provider="cuda") == (Device(CUDA, 1), None)
    assert choose_device(None, provider="cuda") == (Device(CUDA), None)
    machine(monkeypatch, None)
    with pytest.raises(UsageError, match="provider is cuda: no NVIDIA driver was found"):
        choose_device(None, provider="cuda")
