"""The packages of the extra `video`, imported where they are needed and not before."""

import importlib
from typing import Any

from styletransfer.errors import UsageError


def av() -> Any:
    """Return PyAV, which reads and writes containers; it logs nothing."""
    module = _package("av")
    module.logging.set_level(None)
    return module


def cv2() -> Any:
    """Return OpenCV, on as many threads as it likes."""
    return _package("cv2")


def scenedetect() -> Any:
    """Return PySceneDetect."""
    return _package("scenedetect")


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError(
            "films take more packages: pip install av opencv-python-headless scenedetect-headless"
        ) from None
