"""Runs ONNX models: execution providers, threads and the way data goes in and out.

The only module that runs anything by onnxruntime.
"""

import contextlib
import ctypes
import io
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from styletransfer.errors import StyleTransferError, UsageError

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"


@dataclass(frozen=True)
class Device:
    """Where a model runs.

    Attributes
    ----------
    provider : str
        The execution provider's name in ONNX Runtime.
    index : int
        The number of the CUDA device; 0 on the CPU.
    threads : int
        Threads of one operator on the CPU; 0 lets the runtime take one a core.
    tf32 : bool
        Whether a CUDA device may round the inputs of products to 10 bits of mantissa. Off, since
        pictures should be those of Caffe, which knew only float32.
    """

    provider: str = CPU
    index: int = 0
    threads: int = 0
    tf32: bool = False

    def __str__(self) -> str:
        return "CPU" if self.provider == CPU else f"CUDA device {self.index}"


def choose_device(gpu_id: int, threads: int = 0) -> tuple[Device, str | None]:
    """Return the device for a number as the command's ``-g`` takes it.

    Parameters
    ----------
    gpu_id : int
        The number of a CUDA device, or -1 for the CPU.
    threads : int
        Threads of one operator on the CPU, at most one a core; 0 means one a core.

    Returns
    -------
    device : Device
        The CUDA device if it is usable, else the CPU.
    reason : str or None
        Why the CUDA device that was asked for is not used.

    Raises
    ------
    UsageError
        If there are not so many cores.

    Notes
    -----
    ONNX Runtime prints red errors of its own when a CUDA session is tried on a machine that lacks
    the driver or a library, so each of them is looked for first.
    """
    cores = os.cpu_count() or 1
    if not 0 <= threads <= cores:
        raise UsageError(
            f"threads is {threads}; give a number from 1 to {cores}, the cores of this machine, or"
            " none for one a core"
        )
    if gpu_id < 0:
        return Device(threads=threads), None
    reason = _cuda_obstacle(gpu_id)
    if reason:
        return Device(threads=threads), reason
    return Device(CUDA, gpu_id, threads), None


def _cuda_obstacle(index: int) -> str | None:
    """Say in a clause why a CUDA device cannot be used; None if it can."""
    import onnxruntime

    if CUDA not in onnxruntime.get_available_providers():
        return "this build of ONNX Runtime has no CUDA provider (install onnxruntime-gpu for one)"
    windows = sys.platform == "win32"
    try:
        driver = ctypes.CDLL("nvcuda.dll" if windows else "libcuda.so.1")
    except OSError:
        return "no NVIDIA driver was found"
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return "the NVIDIA driver does not start"
    if index >= count.value:
        return f"the machine has {count.value} CUDA device(s), numbered from 0"
    # The libraries of the extra `cuda` lie in site-packages, where no loader looks by itself. The
    # call prints what it misses, which is looked for again, and told in one clause, below.
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()
    major = onnxruntime.cuda_version.split(".")[0]
    pattern = "{}64_{}.dll" if windows else "lib{}.so.{}"
    needed = (("cublasLt", major), ("cublas", major), ("cudart", major), ("curand", 10))
    for library in (pattern.format(*item) for item in (*needed, ("cudnn", 9))):
        try:
            ctypes.CDLL(library)
        except OSError:
            return f"{library} cannot be loaded (install styletransfer[cuda])"
    return None


def _give_back_memory() -> None:
    """Return to the system what was freed, which glibc would keep: hundreds of MB of weights."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)


def _let_go_of_the_model(session: object) -> None:
    """Free the serialised model, which the runtime's wrapper keeps for a second start.

    Nothing here starts a session twice, and it is 50 to 100 MB. The attribute is not public; the
    only public way is a model in a file, which would cost each session a file of that size in the
    temporary folder, and a tenth of a second. A wrapper that has no such attribute is left alone:
    then a test says so, and a run takes that much more memory.
    """
    if hasattr(session, "_model_bytes"):
        session._model_bytes = None


def _explained(what: str, error: Exception) -> Exception:
    """Return what to raise for an error of the runtime, which has no type for lack of memory."""
    if "allocate" in str(error) or "bad_alloc" in str(error):
        return MemoryError(str(error))
    return StyleTransferError(f"{what}: {error}")


class Session:
    """A model made ready to run on one device.

    Parameters
    ----------
    model : bytes
        A serialised ONNX model; every input and output is a float32 tensor of a static shape. Not
        the model itself, so that the caller can drop that before the runtime makes its own.
    device : Device
        Where to run it.

    Raises
    ------
    StyleTransferError
        If the runtime refuses the model, or quietly chose another provider than the one asked for.
    """

    def __init__(self, model: bytes, device: Device) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # its errors are raised, too
        options.intra_op_num_threads = device.threads
        providers: list = [CPU]
        disabled = []
        if device.provider == CPU:
            # For memory; none of it costs time. Buffers planned for reuse are held between their
            # uses; a pattern is allocated besides what the first run took; nodes are run early,
            # and their results kept for long, unless the graph's own order has priority; and
            # transposes of weights would be folded into copies, where products read either order.
            options.enable_mem_reuse = False
            options.enable_mem_pattern = False
            options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
            disabled.append("ConstantFolding")
        if device.provider == CUDA:
            settings = {
                "device_id": device.index,
                # One shape runs hundreds of times: the search for the best kernel pays.
                "cudnn_conv_algo_search": "EXHAUSTIVE",
                "use_tf32": int(device.tf32),
            }
            providers.insert(0, (CUDA, settings))
        _give_back_memory()
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=providers, disabled_optimizers=disabled
            )
        except Exception as error:  # the runtime's exceptions share no other base
            raise _explained("ONNX Runtime refuses the model", error) from error
        _let_go_of_the_model(self._session)
        used = self._session.get_providers()[0]
        if used != device.provider:
            raise StyleTransferError(
                f"ONNX Runtime could not start {device.provider} and chose {used}; use -g -1"
            )
        self.provider: str = used
        self._binding = self._session.io_binding()
        self._values = onnxruntime.OrtValue
        self._where = ("cuda", device.index) if used == CUDA else ("cpu", 0)
        self._inputs: dict[str, object] = {}
        self._shapes = {i.name: tuple(i.shape) for i in self._session.get_inputs()}
        self.outputs: list[str] = [o.name for o in self._session.get_outputs()]
        for name in self.outputs:
            self._binding.bind_output(name, "cpu")
        _give_back_memory()

    def bind(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Give inputs their values, which stay until they are bound anew.

        Parameters
        ----------
        inputs : mapping of str to ndarray
            Copied as float32 to the device.
        """
        for name, array in inputs.items():
            self._bind(name, np.array(array, np.float32, order="C"))

    def run(self, inputs: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """Run the model once.

        Parameters
        ----------
        inputs : mapping of str to ndarray, optional
            Values for this run; the other inputs are as bound.

        Returns
        -------
        dict of str to ndarray
            Every output by name, float32; the caller owns the arrays.

        Raises
        ------
        MemoryError
            If the device has not enough memory.
        StyleTransferError
            If the runtime fails otherwise.
        """
        for name, array in (inputs or {}).items():
            # SciPy hands out float64, of which the runtime would take the raw bytes.
            self._bind(name, np.ascontiguousarray(array, np.float32))
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:
            raise _explained("ONNX Runtime could not run the model", error) from error
        values: Sequence[np.ndarray] = self._binding.copy_outputs_to_cpu()
        return {name: np.array(value) for name, value in zip(self.outputs, values, strict=True)}

    def _bind(self, name: str, array: np.ndarray) -> None:
        if array.shape != self._shapes[name]:
            raise ValueError(f"input {name} has shape {array.shape}, not {self._shapes[name]}")
        value = self._values.ortvalue_from_numpy(array, *self._where)
        # Kept together: on the CPU the runtime's value is a view of the array.
        self._inputs[name] = (array, value)
        self._binding.bind_ortvalue_input(name, value)
