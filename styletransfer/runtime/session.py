"""Runs ONNX models: threads, memory and the way data goes in and out."""

import ctypes
import sys
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from styletransfer.errors import StyleTransferError
from styletransfer.runtime.devices import CPU, CUDA, Device
from styletransfer.text import clause


class Session:
    """A model made ready to run on one device.

    Several threads may use a session: a lock lets one of them run at a time, and what is given to
    a run is that run's alone. What is bound is shared by all of them.

    Parameters
    ----------
    model : bytes
        A serialised ONNX model; every input and output is a tensor of a type that NumPy knows.
        Not the model itself, so that the caller can drop that before the runtime makes its own.
    device : Device
        Where to run it.
    constants : mapping of str to ndarray, optional
        The values of constants that the model says to lie in another file, see `onnxgrad.apart`.
        The runtime makes its own of them: they may be changed, or go, once the session is there.

    Attributes
    ----------
    provider : str
        The execution provider that runs it.
    inputs, outputs : list of str
        The names of the model's inputs and outputs.

    Raises
    ------
    StyleTransferError
        If the runtime refuses the model, or quietly chose another provider than the one asked for.
    """

    def __init__(
        self, model: bytes, device: Device, constants: Mapping[str, np.ndarray] | None = None
    ) -> None:
        _give_back_memory()
        self._session = _started(model, device, constants or {})
        self.provider = device.provider
        self._where = ("cuda", device.index) if device.provider == CUDA else ("cpu", 0)
        self._inputs = {i.name: _Kind(i) for i in self._session.get_inputs()}
        self._outputs = {o.name: _Kind(o) for o in self._session.get_outputs()}
        self.inputs, self.outputs = list(self._inputs), list(self._outputs)
        self._bound: dict[str, Any] = {}  # the runtime's values, on the device
        self._lock = threading.Lock()
        _give_back_memory()

    def bind(self, inputs: Mapping[str, ArrayLike]) -> None:
        """Give inputs their values, which stay until they are bound anew.

        Parameters
        ----------
        inputs : mapping of str to array_like
            Copied to the device, as the types that the model declares.
        """
        values = {name: self._value(name, array, copy=True) for name, array in inputs.items()}
        with self._lock:
            self._bound |= values

    def bound(self, name: str) -> np.ndarray:
        """Return a copy of what an input is bound to."""
        with self._lock:
            return np.array(self._bound[name].numpy())

    def run(
        self,
        inputs: Mapping[str, ArrayLike] | None = None,
        feed_back: Mapping[str, str] | None = None,
    ) -> dict[str, np.ndarray]:
        """Run the model once.

        Parameters
        ----------
        inputs : mapping of str to array_like, optional
            Values for this run alone; the other inputs are as bound.
        feed_back : mapping of str to str, optional
            Outputs that stay on the device, each with the input that is bound to it afterwards.

        Returns
        -------
        dict of str to ndarray
            Every other output by name, as the type that the model declares; the caller owns them.

        Raises
        ------
        ValueError
            If an input has no value or one that does not fit, or an output does not fit the input
            that it is fed back to.
        MemoryError
            If the device has not enough memory.
        StyleTransferError
            If the runtime fails otherwise.
        """
        feed_back = feed_back or {}
        for output, name in feed_back.items():
            if self._outputs[output].dtype != self._inputs[name].dtype:
                raise ValueError(f"output {output} has another type than input {name}")
        given = {name: self._value(name, array) for name, array in (inputs or {}).items()}
        with self._lock:
            binding = self._session.io_binding()
            feeds = self._bound | given
            for name in self._inputs:
                if name not in feeds:
                    raise ValueError(f"input {name} has no value")
                binding.bind_ortvalue_input(name, feeds[name])
            for name in self.outputs:
                # Every run has memory of its own for them: an output never overwrites the input
                # that an earlier one has become.
                binding.bind_output(name, *(self._where if name in feed_back else ("cpu", 0)))
            try:
                self._session.run_with_iobinding(binding)
            except Exception as error:
                raise _explained("ONNX Runtime could not run the model", error) from error
            values = dict(zip(self.outputs, binding.get_outputs(), strict=True))
            kept = {name: values.pop(output) for output, name in feed_back.items()}
            for name, value in kept.items():
                self._inputs[name].check(name, value.shape())
            self._bound |= kept
            # On the CPU the runtime's values are views of its memory, all of which they would keep.
            return {name: np.array(value.numpy()) for name, value in values.items()}

    def _value(self, name: str, array: ArrayLike, copy: bool = False) -> Any:
        """Return an array as the runtime's value for an input; on the CPU it is a view."""
        from onnxruntime import OrtValue

        kind = self._inputs[name]
        # SciPy hands out float64, of which the runtime would take the raw bytes.
        cast = np.array(array, kind.dtype, order="C", copy=copy or None)
        kind.check(name, cast.shape)
        return OrtValue.ortvalue_from_numpy(cast, *self._where)


class _Kind:
    """The type and the shape that a model declares for an input or an output."""

    _NAMES: Mapping[str, str] = {"float": "float32", "double": "float64"}

    def __init__(self, declared: Any) -> None:
        name = str(declared.type).removeprefix("tensor(").removesuffix(")")
        try:
            self.dtype = np.dtype(self._NAMES.get(name, name))
        except TypeError:
            raise StyleTransferError(
                f"{declared.name} is of the type {declared.type}, which NumPy does not know"
            ) from None
        self._shape = tuple(declared.shape)  # a symbolic size is a name or None

    def check(self, name: str, shape: tuple[int, ...] | list[int]) -> None:
        """Raise ValueError unless a shape is the declared one, where that is fixed."""
        shape = tuple(shape)
        if len(shape) != len(self._shape) or any(
            isinstance(wanted, int) and wanted != size
            for wanted, size in zip(self._shape, shape, strict=True)
        ):
            raise ValueError(f"input {name} has shape {shape}, not {self._shape}")


def _started(model: bytes, device: Device, constants: Mapping[str, np.ndarray]) -> Any:
    """Return the runtime's own session for a model on a device."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors are raised, too
    options.intra_op_num_threads = device.threads
    if not device.busy:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if constants:
        values = [
            onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
            for array in constants.values()
        ]
        options.add_external_initializers(list(constants), values)
    providers: list[str | tuple[str, dict[str, object]]] = [CPU]
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
        settings: dict[str, object] = {
            "device_id": device.index,
            # One shape runs hundreds of times: the search for the best kernel pays.
            "cudnn_conv_algo_search": "EXHAUSTIVE",
            "use_tf32": int(device.tf32),
        }
        providers.insert(0, (CUDA, settings))
    if device.provider not in (CPU, CUDA):
        options.enable_mem_pattern = False  # DirectML cannot do with it
        providers.insert(0, device.provider)
    try:
        session = onnxruntime.InferenceSession(
            model, options, providers=providers, disabled_optimizers=disabled
        )
    except Exception as error:  # the runtime's exceptions share no other base
        raise _explained("ONNX Runtime refuses the model", error) from error
    _let_go_of_the_model(session)
    used = session.get_providers()[0]
    if used != device.provider:
        instead = "use -g -1" if device.provider == CUDA else "leave --provider out"
        raise StyleTransferError(
            f"ONNX Runtime could not start {device.provider} and chose {used}; {instead}"
        )
    return session


def _give_back_memory() -> None:
    """Return to the system what was freed, which glibc would keep: hundreds of MB of weights."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)


def _let_go_of_the_model(session: Any) -> None:
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
        return MemoryError(clause(error, 300))
    return StyleTransferError(f"{what}: {clause(error, 300)}")
