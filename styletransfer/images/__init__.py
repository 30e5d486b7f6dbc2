"""Pictures: read, written, resized, and as a network sees them.

Pixels are sRGB in [0, 1], float32, shape (H, W, 3); only `preprocess` and `deprocess` know of a
network's BGR in 0..255 less its mean.
"""

from styletransfer.images.edges import edge_sheet, high_pass, sobel, total_variation
from styletransfer.images.grid import contact_sheet, side_by_side
from styletransfer.images.network_input import bounds, deprocess, preprocess
from styletransfer.images.reading import load, load_with_alpha, read_parameters
from styletransfer.images.sizes import MAX_PIXELS, rescale, resize, scale_for
from styletransfer.images.writing import check_writable, save, save_somewhere

__all__ = [
    "MAX_PIXELS",
    "bounds",
    "check_writable",
    "contact_sheet",
    "deprocess",
    "edge_sheet",
    "high_pass",
    "load",
    "load_with_alpha",
    "preprocess",
    "read_parameters",
    "rescale",
    "resize",
    "save",
    "save_somewhere",
    "scale_for",
    "side_by_side",
    "sobel",
    "total_variation",
]
