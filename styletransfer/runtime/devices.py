"""Where models run: the CPU, a CUDA device that has been found usable, or what is asked for."""

import ctypes
import os
import re
import sys
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

from styletransfer.errors import UsageError
from styletransfer.text import clause

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

_FOLDERS = ("*/lib", "*/bin", "*/bin/*")  # where libraries lie in NVIDIA's packages


@dataclass(frozen=True)
class Device:
    """Where a model runs.

    Attributes
    ----------
    provider : str
        The execution provider's name in ONNX Runtime.
    index : int
        The number of the CUDA device; 0 elsewhere.
    threads : int
        Threads of one operator on the CPU; 0 lets the runtime take one a core.
    busy : bool
        Whether these wait for work busily, which is faster where nothing else needs the cores.
    tf32 : bool
        Whether a CUDA device may round the inputs of products to 10 bits of mantissa. Off, since
        pictures should be those of Caffe, which knew only float32.
    """

    provider: str = CPU
    index: int = 0
    threads: int = 0
    busy: bool = True
    tf32: bool = False

    def __str__(self) -> str:
        return f"CUDA device {self.index}" if self.provider == CUDA else _short(self.provider)


def choose_device(
    gpu_id: int | None, threads: int = 0, provider: str | None = None
) -> tuple[Device, str | None]:
    """Return the device for a number as the command's ``-g`` takes it, or for a provider's name.

    Parameters
    ----------
    gpu_id : int or None
        The number of a CUDA device, or -1 for the CPU; None is the first CUDA device, if the
        machine has one.
    threads : int
        Threads of one operator on the CPU, at most one a core; 0 means one a core.
    provider : str, optional
        An execution provider of the installed ONNX Runtime, with or without the ending
        ExecutionProvider, in small letters or large. It is taken, or an error says why not.

    Returns
    -------
    device : Device
        The CUDA device if it is usable, else the CPU.
    reason : str or None
        Why the CUDA device that was asked for, or that is there, is not used.

    Raises
    ------
    UsageError
        If there are not so many cores, what is given is no number, or there is no such provider.
    """
    for name, number in (("gpu_id", gpu_id), ("threads", threads)):
        whole = isinstance(number, Integral) and not isinstance(number, bool)
        if not whole and (number is not None or name == "threads"):
            raise UsageError(f"{name} is {clause(repr(number))}; give a whole number")
    cores = os.cpu_count() or 1
    if not 0 <= threads <= cores:
        raise UsageError(
            f"threads is {threads}; give a number from 1 to {cores}, the cores of this machine, or"
            " none for one a core"
        )
    if provider is not None:
        return _by_name(provider, gpu_id, threads), None
    if gpu_id is None and _driver() is None:
        return Device(threads=threads), None
    gpu_id = gpu_id or 0
    if gpu_id < 0:
        return Device(threads=threads), None
    reason = _cuda_obstacle(gpu_id)
    if reason:
        return Device(threads=threads), reason
    return Device(CUDA, gpu_id, threads), None


def _by_name(name: str, gpu_id: int | None, threads: int) -> Device:
    """Return the device that a provider's name stands for; raise UsageError if there is none."""
    import onnxruntime

    there = onnxruntime.get_available_providers()
    chosen = {_short(p).lower(): p for p in there}.get(_short(str(name)).lower())
    if chosen is None:
        raise UsageError(
            f"provider is {clause(repr(name))}; this build of ONNX Runtime has"
            f" {', '.join(map(_short, there))}"
        )
    index = max(gpu_id or 0, 0)  # -1 is the CPU for those who give no provider
    if index and chosen != CUDA:
        raise UsageError(
            f"gpu_id (-g) is {gpu_id}, the number of a CUDA device, and provider (--provider) is"
            f" {_short(chosen)}; leave one of them out"
        )
    obstacle = _cuda_obstacle(index) if chosen == CUDA else None
    if obstacle:
        raise UsageError(f"provider is {name}: {obstacle}")
    return Device(chosen, index, threads)


def _short(provider: str) -> str:
    """Return a provider's name without the ending that all have; the CPU's is CPU."""
    return re.sub("ExecutionProvider$", "", provider, flags=re.IGNORECASE)


def _cuda_obstacle(index: int) -> str | None:
    """Say in a clause why a CUDA device cannot be used; None if it can.

    The runtime prints red errors of its own when a CUDA session is tried on a machine that lacks
    the driver or a library, so each of them is looked for first.
    """
    import onnxruntime

    if not onnxruntime.cuda_version:
        return "this build of ONNX Runtime has no CUDA provider (install onnxruntime-gpu for one)"
    windows = sys.platform == "win32"
    driver = _driver()
    if driver is None:
        return "no NVIDIA driver was found"
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return "the NVIDIA driver does not start"
    if index >= count.value:
        return f"the machine has {count.value} CUDA device(s), numbered from 0"
    major = onnxruntime.cuda_version.split(".")[0]
    pattern = "{}64_{}.dll" if windows else "lib{}.so.{}"
    needed = (("cublasLt", major), ("cublas", major), ("cudart", major), ("curand", 10))
    packages = Path(onnxruntime.__file__).parents[1] / "nvidia"
    for library in (pattern.format(*item) for item in (*needed, ("cudnn", 9))):
        if not _loaded(library, packages):
            return f"{library} cannot be loaded (install styletransfer-onnx[cuda])"
    # Loads what is useful besides. It prints what is missing of the libraries above: nothing, now.
    onnxruntime.preload_dlls()
    if CUDA not in onnxruntime.get_available_providers():
        return "the CUDA provider of ONNX Runtime cannot be loaded"
    return None


def _driver() -> Any:
    """Return NVIDIA's driver, None on a machine without."""
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None


def _loaded(library: str, packages: Path) -> bool:
    """Load a library from NVIDIA's packages, where no loader looks by itself, or the system's."""
    found = [path for folder in _FOLDERS for path in packages.glob(f"{folder}/{library}")]
    for place in (*found, library):
        try:
            ctypes.CDLL(str(place))
        except OSError:
            continue
        return True
    return False
