"""Pictures painted in one pass, for programs: any painting as the style, or a network's own."""

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer import weights
from styletransfer.errors import UsageError
from styletransfer.feedforward import arbitrary
from styletransfer.feedforward.choice import Choice, style_weights
from styletransfer.feedforward.memory import STYLE, Memory
from styletransfer.feedforward.network import Range, read
from styletransfer.feedforward.painter import Painter
from styletransfer.images import sizes
from styletransfer.images.arrays import as_rgb
from styletransfer.progress import Download
from styletransfer.runtime.devices import choose_device
from styletransfer.settings import Painting, make
from styletransfer.settings.choices import NETWORK_NAMES, SAMPLES
from styletransfer.text import clause

ARBITRARY = "arbitrary"
"""The model that takes any painting as its style."""

SMALLEST = 16
"""Pixels of the shortest side of a picture that can be painted."""

_log = logging.getLogger(__name__)


class Stylizer:
    """Paints pictures in one pass of a network.

    Parameters
    ----------
    model : str, path or bytes
        ``"arbitrary"`` takes any painting as the style; ``"multistyle26"`` has 26 styles of its
        own. Both are fetched on first use. ``"samples"`` has those 26 and the styles of the sample
        pictures, 26 and following, and is part of this project. Otherwise the path of an ONNX
        file, or what is in one, of a network from images to images.
    gpu_id : int or None
        Number of a CUDA device, or -1 for the CPU.
    threads : int
        Threads on the CPU, at most one a core; 0 means one a core.
    provider : str, optional
        An execution provider of the installed ONNX Runtime in place of CUDA or the CPU.
    models : path, optional
        The folder for networks that are fetched.
    order : {"RGB", "BGR"}, optional
        Of a file's colours, where it does not say it rightly.
    takes, gives : (float, float), optional
        The numbers that black and white are for a file's network, in and out, where it does not
        say it rightly.
    report : callable, optional
        Gets a line where something takes long or fails.
    progress : callable, optional
        Gets a `Download` whenever bytes have come.

    Attributes
    ----------
    styles : int
        How many styles of its own the network has to choose among; 0 where paintings are the
        styles, 1 where it has one.
    device : str
        Where it runs.
    weights_digest : str
        The sha256 of the network's file.

    Raises
    ------
    StyleTransferError
        `WeightsError` if a network cannot be fetched, `NetworkError` if a file is none that paints.

    Examples
    --------
    >>> stylizer = Stylizer("arbitrary")
    >>> picture = stylizer.stylize(photo, style=painting, strength=0.8)
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes = ARBITRARY,
        gpu_id: int | None = -1,
        *,
        threads: int = 0,
        provider: str | None = None,
        models: str | os.PathLike[str] | None = None,
        order: str | None = None,
        takes: Range | None = None,
        gives: Range | None = None,
        report: Callable[[str], None] = _log.info,
        progress: Callable[[Download], None] | None = None,
    ) -> None:
        order = Painting(order=order).order
        takes, gives = _range("takes", takes), _range("gives", gives)
        device, reason = choose_device(gpu_id, threads, provider)
        if reason:
            report(f"CUDA device {gpu_id} is not used: {reason}")
        self.device = str(device)
        folders = weights.model_directories(models)
        self._predictor: arbitrary.Predictor | None = None
        source: str | os.PathLike[str] | bytes = model
        if not isinstance(model, str | os.PathLike | bytes):
            raise UsageError(
                f"model is {clause(repr(model))}; give a name, a path, or what is in a file"
            )
        if model == ARBITRARY:
            predict = weights.load_ready(arbitrary.PREDICT, folders, report, progress)
            self._predictor = arbitrary.Predictor(predict, device)
            source = weights.load_ready(arbitrary.TRANSFORM, folders, report, progress)
        elif isinstance(model, str) and model in weights.READY:
            source = weights.load_ready(model, folders, report, progress)
        elif model == SAMPLES and (shipped := weights.shipped_path(SAMPLES)) is not None:
            source = shipped
        elif model in NETWORK_NAMES or (not isinstance(model, bytes) and Path(model).is_dir()):
            raise UsageError(
                f"{clause(model, 200)!r} is a network to optimise with, and does not paint by"
                f" itself; use styletransfer image -m {clause(model, 200)}"
            )
        elif not isinstance(model, bytes) and not Path(model).is_file():
            raise UsageError(
                f"{clause(model, 200)!r} is neither a network nor a file; choose {ARBITRARY},"
                f" multistyle26, {SAMPLES}, or an ONNX file"
            )
        self._painter = Painter(read(source, order, takes, gives), device)
        own = self._painter.network.styles
        self.styles = 0 if self._predictor else max(own, 1)
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        self.weights_digest = hashlib.sha256(data).hexdigest()

    def stylize(
        self,
        image: Any,
        style: Any = None,
        *,
        style_weights: Sequence[float] | None = None,
        strength: float = 1.0,
        style_scale: float = 1.0,
        tell: Callable[[float], None] = lambda _: None,
    ) -> np.ndarray:
        """Return an image painted.

        Parameters
        ----------
        image : array_like
            (height, width, 3), or gray, or with alpha, which is laid over white; uint8, uint16 or
            float in [0, 1]. Of any size: a large one is painted in tiles, with the result of the
            whole.
        style : array_like or sequence of them, int, str, mapping or sequence of float
            For ``"arbitrary"`` the painting, an array as `image`, or a list of paintings. For a
            network with styles of its own their number, {number: weight}, or a text such as
            ``"3:0.5,12:0.5"``; 0 by default. A network of one style takes none.
        style_weights : sequence of float, optional
            A weight for each of several paintings; equal by default.
        strength : float
            From 0 to 1. For ``"arbitrary"`` between the photo's own style and the painting's;
            otherwise how much of the painting there is in a mix with the photo.
        style_scale : float
            How large strokes are: the network sees the photo so many times smaller.
        tell : callable, optional
            Gets the part that is done, from 0 to 1, of a large picture.

        Returns
        -------
        ndarray
            (height, width, 3), float32 in [0, 1]; enlarged if the network enlarges.

        Raises
        ------
        UsageError
            If an argument has a value that cannot work.
        """
        return self._stylized(image, style, style_weights, strength, style_scale, None, tell)[0]

    def stylize_next(
        self,
        image: Any,
        style: Any = None,
        *,
        before: Memory,
        style_weights: Sequence[float] | None = None,
        strength: float = 1.0,
        style_scale: float = 1.0,
        tell: Callable[[float], None] = lambda _: None,
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return an image painted with running means of the statistics of those before it.

        Parameters
        ----------
        image, style, style_weights, strength, style_scale, tell
            As for `stylize`.
        before : Memory
            The statistics of the images before; without any the painting is that of `stylize`.

        Returns
        -------
        painting : ndarray
            As of `stylize`.
        values : dict of str to ndarray
            The `Memory.values` for the next image.
        """
        return self._stylized(image, style, style_weights, strength, style_scale, before, tell)

    def _stylized(
        self,
        image: Any,
        style: Any,
        style_weights: Sequence[float] | None,
        strength: float,
        style_scale: float,
        before: Memory | None,
        tell: Callable[[float], None],
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        picture = _checked(image)
        shares = style_weights.tolist() if isinstance(style_weights, np.ndarray) else style_weights
        given = {"strength": strength, "style_scale": style_scale, "style_weights": shares}
        settings = make(Painting, given)
        strength, style_scale = settings.strength, settings.style_scale
        numbers = None if before is None else before.values.get(STYLE)
        if numbers is None:
            numbers = self._numbers(picture, style, settings.style_weights, strength)
        seen = picture
        if style_scale != 1:
            seen = as_rgb(picture)
            size = tuple(max(round(side / style_scale), SMALLEST) for side in seen.shape[:2])
            sizes.check(seen.shape, size)
            seen = sizes.resize_smoothly(seen, size).astype(np.float32)
        after: dict[str, np.ndarray] = {}
        if before is None:
            painting = self._painter.paint(seen, numbers, tell)
        else:
            painting, after = self._painter.paint_next(seen, numbers, before, tell)
            if self._predictor is not None:
                # Below a strength of 1 it is partly of the first image, and all the others are
                # to have that; and a painting takes as long to recognise as a frame to move.
                assert numbers is not None
                after = {**after, STYLE: numbers}
        times = self._painter.network.enlargement
        wanted = tuple(times * side for side in picture.shape[:2])
        if painting.shape[:2] != wanted:
            painting = sizes.resize_smoothly(painting, wanted).astype(np.float32)
        if self._predictor is None and strength < 1:
            photo = as_rgb(picture)
            if times > 1:
                photo = sizes.resize_smoothly(photo, wanted)
            painting += np.float32(1 - strength) * (photo.astype(np.float32) - painting)
        return painting, after

    def _numbers(
        self, picture: np.ndarray, style: Any, shares: Sequence[float] | None, strength: float
    ) -> np.ndarray | None:
        """Return what describes the style to the network, if it takes that."""
        if self._predictor is None:
            if shares is not None:
                raise UsageError(
                    "style_weights (--style-weights) are for several paintings; weigh styles in"
                    " style, such as 3:0.5,12:0.5"
                )
            if self._painter.network.style is None:
                if not (style is None or (isinstance(style, int) and style == 0)):
                    raise UsageError("the network has one style; give none")
                return None
            choice: Choice = 0 if style is None else style
            return style_weights(choice, self.styles)
        several = isinstance(style, list | tuple) and (not style or np.ndim(style[0]) >= 2)
        if style is None or isinstance(style, int | str | dict) or (several and not style):
            raise UsageError("the style is a painting, an array; the network has none of its own")
        paintings = [as_rgb(one) for one in (style if several else [style])]
        vectors = [self._predictor.numbers(painting) for painting in paintings]
        vector = arbitrary.blend(vectors, shares)
        if strength < 1:
            own = self._predictor.numbers(as_rgb(picture))
            vector = strength * vector + (1 - strength) * own
        return vector


def _range(name: str, value: Any) -> Range | None:
    """Return the numbers of black and white, checked."""
    if value is None:
        return None
    try:
        black, white = map(float, value)
    except (TypeError, ValueError, OverflowError):
        black = white = 0.0
    if not np.isfinite([black, white]).all() or black == white:
        raise UsageError(
            f"{name} is {clause(repr(value))}; give two numbers, of black and white, such as (0, 1)"
        )
    return black, white


def _checked(image: Any) -> np.ndarray:
    """Return an image as an array that `images.as_rgb` takes, part by part."""
    array = np.asarray(image)
    if array.dtype.kind == "f" or array.ndim < 2 or 0 in array.shape:
        array = as_rgb(image)
    else:
        as_rgb(array[:1, :1])
    check_size(array.shape)
    sizes.check(array.shape, array.shape)
    return array


def check_size(shape: Sequence[int]) -> None:
    """Refuse a picture, given its shape, that is too small for any network.

    Raises
    ------
    UsageError
        If a side is shorter than `SMALLEST`.
    """
    height, width = shape[:2]
    if min(height, width) < SMALLEST:
        raise UsageError(
            f"a picture of {width} x {height} pixels cannot be painted: {SMALLEST} on each side are"
            " the least"
        )
