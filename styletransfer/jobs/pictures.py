"""The pictures that a task is made of, read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from styletransfer import images
from styletransfer.errors import ImageError
from styletransfer.jobs.task import Task
from styletransfer.storage import digest


@dataclass(frozen=True)
class Pictures:
    """The files of a task, read.

    Attributes
    ----------
    content : ndarray, shape (H, W, 3)
        RGB, float in [0, 1].
    alpha : ndarray, shape (H, W), or None
        The content's opacity in [0, 1]; None if it is opaque.
    styles : tuple of ndarray
        As the content, each of its own size.
    style_masks : tuple of ndarray, shape (H, W)
        In [0, 1]; none, or one a style.
    content_mask, init : ndarray or None
        A mask, a picture.
    digests : dict of str to list of str
        sha256 of the files, by kind, taken when they were read.
    """

    content: np.ndarray
    alpha: np.ndarray | None
    styles: tuple[np.ndarray, ...]
    style_masks: tuple[np.ndarray, ...]
    content_mask: np.ndarray | None
    init: np.ndarray | None
    digests: dict[str, list[str]]


def read(task: Task, known: dict[Path, tuple[str, np.ndarray]]) -> Pictures:
    """Read the files of a task, and take their digests as they are now.

    What a batch has in common, all but the contents, is read once: `known` keeps it.
    """
    files = task.files
    seen = {kind: [_known(path, known) for path in files[kind]] for kind in files if kind in _KEPT}
    # Before it is decoded: a picture that is changed while a run lasts went in as it was.
    content_digest = _digest(task.content)
    try:
        content, alpha = images.load_with_alpha(task.content)
    except ImageError as error:
        raise ImageError(error.text.replace(str(task.content), task.title)) from None
    masks = [_gray(picture) for _, picture in seen["content_mask"]]
    first = [picture for _, picture in seen["init"]]
    return Pictures(
        content,
        alpha,
        tuple(picture for _, picture in seen["styles"]),
        tuple(_gray(picture) for _, picture in seen["style_masks"]),
        masks[0] if masks else None,
        first[0] if first else None,
        {"content": [content_digest]}
        | {kind: [read for read, _ in pairs] for kind, pairs in seen.items()},
    )


_KEPT = ("styles", "style_masks", "content_mask", "init")


def _known(path: Path, known: dict[Path, tuple[str, np.ndarray]]) -> tuple[str, np.ndarray]:
    """Return a file's digest and picture, read once."""
    if path not in known:
        known[path] = _digest(path), images.load(path)
    return known[path]


def _digest(path: Path) -> str:
    """Return a file's digest; of one that cannot be read none: decoding it says why."""
    try:
        return digest(path) if path.is_file() else ""
    except (OSError, ValueError):
        return ""


def _gray(picture: np.ndarray) -> np.ndarray:
    """Return a picture as a mask, (H, W): the mean of the colours, what is transparent white."""
    return picture.mean(axis=2)
