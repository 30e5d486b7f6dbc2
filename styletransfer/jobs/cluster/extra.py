"""The package of the extra `cluster`, imported where it is needed and not before."""

import importlib
from typing import Any

from styletransfer.errors import UsageError


def distributed() -> Any:
    """Return Dask's distributed scheduler."""
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise UsageError("a cluster takes another package: pip install distributed") from None
