"""The pictures that a network learns from: found, cropped by chance, and read ahead.

What picture is where, and how it is cropped, follows from the seed and the number of the step
alone: a training that goes on sees what it would have seen.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from PIL import Image

from styletransfer.errors import ImageError, StyleTransferError, UsageError
from styletransfer.feedforward.configuration import Configuration
from styletransfer.feedforward.steadiness import PIXELS
from styletransfer.images import reading

_logger = logging.getLogger(__name__)

_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".heic"),
}
_AHEAD = 3  # batches
_ORDER, _CROP = 0, 1  # which random numbers

# Grey levels of standard deviation. Where nothing changes, each instance normalisation multiplies
# the gradient by 1 / sqrt(epsilon): one white square ends a training by numbers that are none.
_FLAT = 2.0
_TRIES = 4  # squares by chance of one picture


def find(folder: Path) -> list[Path]:
    """Return the pictures in a folder and those in it, by their names.

    Raises
    ------
    UsageError
        If there is none.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder} with pictures; check --dataset")
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(place, name)
            for name in sorted(names)
            if Path(name).suffix.lower() in _SUFFIXES and not name.startswith(".")
        ]
    if not found:
        raise UsageError(
            f"there are no pictures in {folder}, nor in the folders there; give a --dataset of"
            " photographs (.jpg, .png, .webp, ...)"
        )
    return found


def square(path: Path, size: int, chance: np.random.Generator | None, zoom: float) -> np.ndarray:
    """Return a square of a picture, (size, size, 3) uint8.

    Parameters
    ----------
    path : Path
        The picture.
    size : int
        Its shorter side is brought to this length, and then it is cropped.
    chance : Generator, optional
        What places the crop; without it that is in the centre.
    zoom : float
        By up to how much more it is enlarged, with `chance`.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    image = opened(path, round(size * zoom))
    width, height = image.size
    share, left, top = 1.0, 0.5, 0.5
    if chance is not None:
        share = 1 / chance.uniform(1, zoom)
        left, top = chance.random(2)
    side = min(width, height) * share
    x, y = (width - side) * left, (height - side) * top
    resized = image.resize((size, size), Image.Resampling.BILINEAR, (x, y, x + side, y + side))
    return np.asarray(resized)


def opened(path: Path, least: int) -> Image.Image:
    """Return a picture as RGB of 8 bits; a JPEG perhaps smaller, as long as sides are that long."""
    with reading.opened(path) as image:
        image.draft(None, (least, least))
        rgb, alpha = reading.decode(image)
    if alpha is not None:
        rgb = reading.over_white(rgb, alpha)
    return Image.fromarray(np.rint(rgb * 255).astype(np.uint8))


class Dataset:
    """Pictures in the order in which a training sees them.

    Parameters
    ----------
    paths : sequence of Path
        The pictures.
    settings : Configuration
        How they are cropped.
    """

    def __init__(self, paths: Sequence[Path], settings: Configuration) -> None:
        self._paths = list(paths)
        self._settings = settings
        self._broken: set[Path] = set()
        self._lock = threading.Lock()
        self._order: tuple[int, np.ndarray] | None = None

    def batch(self, step: int) -> np.ndarray:
        """Return the batch of a step, counted from 0: (N, size, size, 3) uint8.

        Raises
        ------
        StyleTransferError
            If no picture can be read.
        """
        count = self._settings.batch_size
        return np.stack([self._item(step * count + i) for i in range(count)])

    def _item(self, number: int) -> np.ndarray:
        """Return what is seen as the so-and-so-many-th, from 0; what cannot be used gives way."""
        settings = self._settings
        epoch, place = divmod(number, len(self._paths))
        order = self._ordered(epoch)
        chance = np.random.default_rng((settings.seed, _CROP, number))
        mirrored = settings.flip and chance.random() < 0.5
        # What is seen in any case, also where `shift` cuts off rows and columns.
        inner = slice(PIXELS, -PIXELS) if settings.shift else slice(None)
        crops = chance if settings.crop == "random" else None
        for i in range(len(order)):
            path = self._paths[order[(place + i) % len(order)]]
            if path in self._broken:
                continue
            try:
                for _ in range(1 if crops is None else _TRIES):
                    picture = square(path, settings.image_size, crops, settings.zoom)
                    if picture[inner, inner].std(axis=(0, 1)).max() >= _FLAT:
                        return picture[:, ::-1] if mirrored else picture
                if crops is None:
                    raise ImageError(f"{path} is of one colour, from which nothing is learnt.")
            except ImageError as error:
                self._skip(path, error)
        raise StyleTransferError(
            "none of the pictures of the dataset can be used: they cannot be read, or are of one"
            " colour"
        )

    def _skip(self, path: Path, error: ImageError) -> None:
        """Name a broken picture once, however many threads have come upon it."""
        with self._lock:
            if path not in self._broken:
                self._broken.add(path)
                _logger.warning("%s It is skipped.", error)

    def _ordered(self, epoch: int) -> np.ndarray:
        """Return the order of an epoch."""
        known = self._order
        if known is None or known[0] != epoch:
            random = np.random.default_rng((self._settings.seed, _ORDER, epoch))
            self._order = known = (epoch, random.permutation(len(self._paths)))
        return known[1]


class Ahead:
    """Reads batches before they are asked for, in threads: decoders let others run meanwhile."""

    def __init__(self, dataset: Dataset, workers: int) -> None:
        self._dataset = dataset
        self._pool = ThreadPoolExecutor(workers, "pictures")
        self._waiting: deque[tuple[int, Future[np.ndarray]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def first(self) -> np.ndarray:
        """Return the batch of the first step."""
        return self._pool.submit(self._dataset.batch, 0).result()

    def batch(self, step: int) -> np.ndarray:
        """Return the batch of a step; those of the next ones are on their way then."""
        if not self._waiting or self._waiting[0][0] != step:
            self._waiting.clear()
        while len(self._waiting) <= _AHEAD:
            following = step + len(self._waiting)
            self._waiting.append((following, self._pool.submit(self._dataset.batch, following)))
        return self._waiting.popleft()[1].result()
