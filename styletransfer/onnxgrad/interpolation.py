"""What a Resize does along one axis, as a matrix."""

from collections.abc import Sequence

import numpy as np
import onnx

from styletransfer.onnxgrad.reading import attributes

_EDGE = 1e-6  # of two equally near elements rounding must not choose


def interpolations(
    node: onnx.NodeProto, shape: Sequence[int], outputs: Sequence[int], scales: Sequence[float]
) -> list[np.ndarray] | None:
    """Return for each axis of a Resize the matrix (new length, old length) that it applies.

    None for what is no interpolation of neighbours: cubic, antialiased or cropping ones.
    """
    given = attributes(node)
    mode = given.get("mode", "nearest")
    way = given.get("coordinate_transformation_mode", "half_pixel")
    if mode not in ("nearest", "linear") or given.get("antialias", 0) or way not in _COORDINATES:
        return None
    rounding = given.get("nearest_mode", "round_prefer_floor")
    matrices = []
    for length, count, scale in zip(shape, outputs, scales, strict=True):
        positions = _COORDINATES[way](np.arange(count, dtype=np.float64), length, count, scale)
        if (length, scale) == (count, 1):
            positions = np.arange(count, dtype=np.float64)
        if mode == "nearest":
            positions = _ROUNDINGS[rounding](positions)
        # Past an end there is the last element.
        positions = np.clip(positions, 0, length - 1)
        lower = np.floor(positions).astype(int)
        upper = np.minimum(lower + 1, length - 1)
        share = (positions - lower)[:, None]
        unit = np.eye(length)
        matrices.append((1 - share) * unit[lower] + share * unit[upper])
    return matrices


def _align_corners(i: np.ndarray, length: int, count: int, scale: float) -> np.ndarray:
    return i * (length - 1) / (count - 1) if count > 1 else 0 * i


def _half_pixel(i: np.ndarray, length: int, count: int, scale: float) -> np.ndarray:
    return (i + 0.5) / scale - 0.5


def _pytorch_half_pixel(i: np.ndarray, length: int, count: int, scale: float) -> np.ndarray:
    return _half_pixel(i, length, count, scale) if count > 1 else 0 * i


def _asymmetric(i: np.ndarray, length: int, count: int, scale: float) -> np.ndarray:
    return i / scale


_COORDINATES = {
    "align_corners": _align_corners,
    "asymmetric": _asymmetric,
    "half_pixel": _half_pixel,
    "pytorch_half_pixel": _pytorch_half_pixel,
}
_ROUNDINGS = {
    "ceil": lambda x: np.ceil(x - _EDGE),
    "floor": lambda x: np.floor(x + _EDGE),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5 + _EDGE),
    "round_prefer_floor": lambda x: np.ceil(x - 0.5 - _EDGE),
}
