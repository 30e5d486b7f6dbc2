"""Models made ready to run: the only part of the program that touches ONNX Runtime."""

import os

# The runtime sends facts about the machine to its makers, and keeps an identifier of the device in
# the user's cache folder, unless this stands in the environment when it is imported; a call
# afterwards comes too late. Whoever wants that sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def version() -> str:
    """Return the version of ONNX Runtime."""
    import onnxruntime

    return str(onnxruntime.__version__)
