"""Pictures in and out."""

from styletransfer.images.decoders import MAX_PIXELS
from styletransfer.images.pictures import (
    bounds,
    check_writable,
    deprocess,
    load,
    load_with_alpha,
    preprocess,
    read_parameters,
    rescale,
    resize,
    save,
    scale_for,
    side_by_side,
)

__all__ = [
    "MAX_PIXELS",
    "bounds",
    "check_writable",
    "deprocess",
    "load",
    "load_with_alpha",
    "preprocess",
    "read_parameters",
    "rescale",
    "resize",
    "save",
    "scale_for",
    "side_by_side",
]


def save_somewhere(path, *a, **k):
    save(path, *a, **k)
    return path
