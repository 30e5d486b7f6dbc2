"""The packages of the extra `web`."""

import importlib.util

from styletransfer.errors import UsageError

_PACKAGES = {
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "python_multipart": "python-multipart",
    "gradio": "gradio",
}


def check() -> None:
    """Raise UsageError, which says what to install, if one is missing."""
    missing = [name for module, name in _PACKAGES.items() if not importlib.util.find_spec(module)]
    if missing:
        raise UsageError(f"the service takes more packages: pip install {' '.join(missing)}")
