"""What several test files share: where the reference data lies, and when to skip."""

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

needs_shared = pytest.mark.skipif(
    not (SHARED / "caffe").is_dir(), reason=f"the reference data of the real Caffe is not in {SHARED}"
)


def golden(name: str) -> dict[str, np.ndarray]:
    """Return the arrays of one full run of the original program on the real Caffe."""
    with np.load(SHARED / "caffe" / "golden" / f"{name}.npz", allow_pickle=False) as data:
        return dict(data)
