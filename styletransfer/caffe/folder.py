"""Any Caffe network from a folder that holds its files."""

from os import PathLike
from pathlib import Path

import numpy as np
import onnx

from styletransfer.caffe.caffemodel import read_mean
from styletransfer.caffe.conversion import convert
from styletransfer.caffe.prototxt import read_prototxt
from styletransfer.errors import NetworkError
from styletransfer.text import printable


def load_folder(
    folder: str | PathLike[str], whole: bool = False
) -> tuple[onnx.ModelProto, np.ndarray | None, int]:
    """Load any Caffe network from a folder that holds its files.

    Parameters
    ----------
    folder : path
        Holds one ``.prototxt``, one ``.caffemodel`` and at most one mean file (``.npy`` or
        ``.binaryproto``).
    whole : bool
        Whether it keeps what works for one size of image only, such as fully connected layers.

    Returns
    -------
    model : onnx.ModelProto
        As `convert` gives it, for one image: of any height and width, or, whole, of a square of
        `input_size`.
    mean : ndarray of shape (3,), or None
        Per channel, in the order BGR and the range 0 to 255; None without a mean file.
    input_size : int
        The shorter side of the network's input, in pixels.

    Raises
    ------
    NetworkError
        A file is missing, or there are several of a kind, or as in `convert`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NetworkError(f"{folder} is not a folder with a Caffe network")
    prototxt = _only(folder, ".prototxt")
    caffemodel = _only(folder, ".caffemodel")
    mean_file = _one_at_most(folder, ".npy", ".binaryproto")
    description = read_prototxt(prototxt)
    shape = description.input_shape
    if shape is None or shape[1] != 3:
        raise NetworkError(
            f"{prototxt} gives its input the shape {shape}; "
            "style transfer needs (1, 3, height, width)"
        )
    size = min(shape[2:])
    model = convert(prototxt, caffemodel, (1, 3, *((size,) * 2 if whole else ("height", "width"))))
    return model, None if mean_file is None else read_mean(mean_file), size


def _only(folder: Path, suffix: str) -> Path:
    found = _one_at_most(folder, suffix)
    if found is None:
        raise NetworkError(f"{folder} must hold one {suffix} file; it has none")
    return found


def _one_at_most(folder: Path, *suffixes: str) -> Path | None:
    found = sorted(path for path in folder.iterdir() if path.suffix in suffixes)
    if len(found) > 1:
        names = printable(", ".join(path.name for path in found), 300)
        raise NetworkError(f"{folder} must hold one {' or '.join(suffixes)} file; it has {names}")
    return found[0] if found else None
