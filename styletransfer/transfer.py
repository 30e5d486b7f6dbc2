"""Style transfer itself: scaling, the first image, targets, optimisation."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from styletransfer import caffe, images, weights
from styletransfer.errors import UsageError
from styletransfer.losses import Content, Gram
from styletransfer.networks import NETWORKS
from styletransfer.objective import Objective, statistics
from styletransfer.optimizers import OPTIMIZERS, Iterate
from styletransfer.progress import DownloadDisplay, Progress, ProgressDisplay
from styletransfer.session import choose_device

logger = logging.getLogger(__name__)

STYLE_SCALE = 1.2
"""How much larger than the content image the style image is made; the original's constant."""

CONTENT_SHARE = 0.95
"""How much of the first image is the content with ``init="mixed"``; the rest is the style."""


@dataclass(frozen=True)
class Summary:
    """How a run ended.

    Attributes
    ----------
    iterations, evaluations : int
        What was done.
    first_loss, last_loss : float
        The loss of the first image and of the result.
    reason : str
        Why the optimiser stopped, in words.
    seconds : float
        Time from the images to the result.
    """

    iterations: int
    evaluations: int
    first_loss: float
    last_loss: float
    reason: str
    seconds: float


class StyleTransfer:
    """Renders the content of one image in the style of another.

    Parameters
    ----------
    model_name : str
        ``vgg16``, ``vgg19``, ``googlenet``, ``caffenet``, or the path of a folder that holds a
        Caffe network: a prototxt, a caffemodel and optionally a mean file.
    use_pbar : bool
        Whether to show progress on the terminal.
    gpu_id : int
        The CUDA device to run on; -1 is the CPU, which is also taken, with a warning in the log,
        where the device is not usable.
    models : path, optional
        The folder with the networks' weights; by default the usual ones, see `weights`.
    threads : int
        Threads on the CPU; 0 means one a core.

    Raises
    ------
    WeightsError
        If the network's weights are neither there nor to be had.
    NetworkError
        If the folder holds no network that can be used.

    Notes
    -----
    The first two parameters, the methods and their defaults are those of the original class.

    References
    ----------
    Gatys, Ecker, Bethge: A Neural Algorithm of Artistic Style (2015).
    """

    def __init__(
        self,
        model_name: str = "vgg16",
        use_pbar: bool = True,
        *,
        gpu_id: int = 0,
        models: str | Path | None = None,
        threads: int = 0,
    ) -> None:
        self.use_pbar = use_pbar
        self.device, reason = choose_device(gpu_id, threads)
        if reason:
            logger.warning("CUDA device %d is not used, but the CPU: %s", gpu_id, reason)
        self.network = _load(model_name, models, use_pbar)
        self.summary: Summary | None = None
        self._latest: np.ndarray | None = None

    def transfer_style(
        self,
        img_style: np.ndarray,
        img_content: np.ndarray,
        length: float = 512,
        ratio: float = 1e5,
        n_iter: int = 512,
        init: str | float | np.ndarray = "-1",
        verbose: bool = False,
        callback: Callable[[np.ndarray], None] | None = None,
        *,
        style_layers: Mapping[str, float] | None = None,
        content_layers: Mapping[str, float] | None = None,
        optimizer: str = "lbfgsb",
        seed: int | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> int:
        """Make the picture; `get_generated` returns it.

        Parameters
        ----------
        img_style, img_content : ndarray, shape (H, W, 3)
            RGB, float in [0, 1] or uint8.
        length : float
            The longest side of the result in pixels; larger where the short side would be below
            the network's input size.
        ratio : float
            The weight of the style over that of the content.
        n_iter : int
            The most iterations of the optimiser.
        init : str, float or ndarray
            The first image: ``"content"``, ``"mixed"`` (95 % content, 5 % style), an image, or the
            exponent of a noise whose amplitude goes with that power of the frequency.
        verbose : bool
            Whether to log a line for each iteration.
        callback : callable, optional
            Called after each iteration with the image, float RGB in [0, 1], (H, W, 3).
        style_layers, content_layers : mapping of str to float, optional
            The layers to match and the weight of each; by default the network's own.
        optimizer : str
            A name in `optimizers.OPTIMIZERS`.
        seed : int, optional
            Makes the noise the same each time.
        progress : callable, optional
            Called after each iteration with a `Progress`.

        Returns
        -------
        int
            How many iterations were done; `summary` says more.

        Raises
        ------
        UsageError
            If an argument has a value that cannot work.
        NetworkError
            If the network lacks a layer that was asked for.
        """
        _check(length=length, ratio=ratio, n_iter=n_iter)
        if optimizer not in OPTIMIZERS:
            raise UsageError(
                f"there is no optimizer {optimizer!r}; choose one of {', '.join(OPTIMIZERS)}"
            )
        _check(length=length, ratio=ratio, n_iter=n_iter)
        if optimizer not in OPTIMIZERS:
            raise UsageError(
                f"there is no optimizer {optimizer!r}; choose one of {', '.join(OPTIMIZERS)}"
            )
        started = time.monotonic()
        self.summary = self._latest = None
        network = self.network
        content = self._prepare(img_content, length, 1.0)
        style = self._prepare(img_style, length, STYLE_SCALE)
        first = first_image(init, content, style, network.mean, seed)
        contents = [Content(layer) for layer in content_layers or network.content_layers]
        styles = [Gram(layer) for layer in style_layers or network.style_layers]
        factors = list((content_layers or network.content_layers).values())
        factors += [ratio * w for w in (style_layers or network.style_layers).values()]
        targets = statistics(network.model, content, contents, self.device)
        targets |= statistics(network.model, style, styles, self.device)
        objective = Objective(network.model, content.shape, [*contents, *styles], self.device)
        objective.bind(targets, factors)
        height, width = content.shape[2:]
        logger.info("%d x %d pixels on %s", width, height, objective.provider)

        listeners = [progress] if progress else []
        if callback:
            listeners.append(lambda step: callback(step.image()))
        if verbose:
            listeners.append(_log)
        # With verbose there is a line for each iteration, which a bar would only tear apart.
        shown = self.use_pbar and not verbose
        with ProgressDisplay() if shown else nullcontext() as display:
            if display:
                listeners.append(display.show)
            tracker = _Tracker(objective, n_iter, self._accept, listeners)
            mean = network.mean.reshape(1, 3, 1, 1)
            reason = "interrupted"
            try:
                reason = OPTIMIZERS[optimizer](
                    tracker.evaluate, first, -mean, 255 - mean, n_iter, tracker.accept
                )
            finally:
                self.summary = tracker.summary(reason, time.monotonic() - started)
        return self.summary.iterations

    @property
    def has_image(self) -> bool:
        """Whether `get_generated` has an image to return."""
        return self._latest is not None

    def get_generated(self) -> np.ndarray:
        """Return the result, or the best image so far of a run that was interrupted.

        Returns
        -------
        ndarray, shape (H, W, 3)
            Float RGB in [0, 1].

        Raises
        ------
        UsageError
            If there is no image yet.
        """
        if self._latest is None:
            raise UsageError("there is no image yet: call transfer_style first")
        return images.deprocess(self._latest, self.network.mean)

    def _accept(self, image: np.ndarray) -> Callable[[], np.ndarray]:
        """Remember the best image so far; return what makes a picture of it."""
        latest = self._latest = image.copy()
        return lambda: images.deprocess(latest, self.network.mean)

    def _prepare(self, rgb: np.ndarray, length: float, factor: float) -> np.ndarray:
        """Scale an image to the length times a factor, and preprocess it."""
        rgb = _as_rgb(rgb)
        scale = factor * images.scale_for(rgb.shape, length, self.network.input_size)
        return images.preprocess(images.rescale(rgb, scale), self.network.mean)


class _Tracker:
    """Stands between an objective and a minimiser: counts, and tells listeners how far it is."""

    def __init__(
        self,
        objective: Objective,
        iterations: int,
        keep: Callable[[np.ndarray], Callable[[], np.ndarray]],
        listeners: Sequence[Callable[[Progress], None]],
    ) -> None:
        self._objective = objective
        self._iterations = iterations
        self._keep = keep
        self._listeners = listeners
        self._first_loss = float("nan")
        self._terms: dict[str, float] = {}
        self._latest: Iterate | None = None
        self._evaluations = 0
        self._started = time.monotonic()

    def evaluate(self, image: np.ndarray) -> tuple[float, np.ndarray]:
        """Compute the objective."""
        evaluation = self._objective.evaluate(image)
        if not self._evaluations:
            self._first_loss = evaluation.loss
        self._evaluations += 1
        self._terms = evaluation.terms
        return evaluation.loss, evaluation.gradient

    def accept(self, iterate: Iterate) -> None:
        """Take note of an image that the minimiser has accepted."""
        self._latest = iterate
        step = Progress(
            iterate.iteration,
            self._iterations,
            self._evaluations,
            iterate.loss,
            self._terms,
            time.monotonic() - self._started,
            self._keep(iterate.image),
        )
        for listener in self._listeners:
            listener(step)

    def summary(self, reason: str, seconds: float) -> Summary:
        """Return how the run ended."""
        iteration = self._latest.iteration if self._latest else 0
        loss = self._latest.loss if self._latest else self._first_loss
        return Summary(iteration, self._evaluations, self._first_loss, loss, reason, seconds)


@dataclass(frozen=True)
class _Network:
    """A network ready for use: its forward graph and what else its description fixes."""

    model: onnx.ModelProto
    mean: np.ndarray
    input_size: int
    style_layers: Mapping[str, float]
    content_layers: Mapping[str, float]


def _load(name: str, models: str | Path | None, use_pbar: bool) -> _Network:
    """Return a built-in network by its name, or the Caffe network in a folder."""
    table = NETWORKS.get(name)
    if table is not None:
        with DownloadDisplay() if use_pbar else nullcontext() as display:
            model = weights.load(
                name,
                weights.model_directories(models),
                report=logger.info,
                progress=display.show if display else None,
            )
        return _Network(
            model, table.mean, table.input_size, table.style_layers, table.content_layers
        )
    if not Path(name).is_dir():
        raise UsageError(
            f"{name!r} is neither a network nor a folder; choose one of {', '.join(NETWORKS)},"
            " or give the folder of a Caffe network"
        )
    return _Network(*caffe.load_folder(name), {}, {})


def first_image(
    init: str | float | np.ndarray,
    content: np.ndarray,
    style: np.ndarray,
    mean: np.ndarray,
    seed: int | None = None,
) -> np.ndarray:
    """Return the image that the optimisation starts from.

    Parameters
    ----------
    init : str, float or ndarray
        See `StyleTransfer.transfer_style`.
    content, style : ndarray, shape (1, 3, H, W)
        Preprocessed; each of its own size.
    mean : ndarray, shape (3,)
        The network's mean, BGR.
    seed : int, optional
        Seed of the noise.

    Returns
    -------
    ndarray
        Preprocessed, of the content's shape, inside the bounds.

    Raises
    ------
    UsageError
        If `init` is a word that names nothing.
    """
    size = content.shape[2:]
    if isinstance(init, np.ndarray):
        return images.preprocess(images.resize(_as_rgb(init), size), mean)
    if init == "content":
        return content
    if init == "mixed":
        stretched = images.preprocess(images.resize(images.deprocess(style, mean), size), mean)
        return CONTENT_SHARE * content + (1 - CONTENT_SHARE) * stretched
    try:
        exponent = float(init)
    except ValueError:
        exponent = float("nan")
    if not np.isfinite(exponent):
        raise UsageError(
            f"init is {init!r}; give content, mixed, or the exponent of a noise such as -1 or 0"
        )
    return images.preprocess(_noise(size, exponent, np.random.default_rng(seed)), mean)


def _noise(size: tuple[int, int], exponent: float, random: np.random.Generator) -> np.ndarray:
    """Return noise whose amplitude goes with a power of the frequency, (H, W, 3) in [0, 1].

    The distance is from the grid's centre, though the transform has its zero frequency in a
    corner, and the phases' sine and cosine are drawn apart: the original's noise is so.
    """
    from scipy.fft import ifftn

    rows, columns = np.ogrid[: size[0], : size[1]]
    distance = np.hypot(rows - (size[0] - 1) / 2, columns - (size[1] - 1) / 2)
    distance[distance == 0] = 1
    a, b = random.standard_normal((2, *size, 3))
    spectrum = np.cos(2 * np.pi * a) + 1j * np.sin(2 * np.pi * b)
    noise = np.abs(ifftn(distance[..., np.newaxis] ** exponent * spectrum))
    noise -= noise.min()
    return noise / noise.max()


def _as_rgb(image: np.ndarray) -> np.ndarray:
    """Return an image as float RGB, having checked it."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise UsageError(f"an image has the shape (height, width, 3), not {image.shape}")
    if image.dtype == np.uint8:
        return image / np.float32(255)
    if image.dtype.kind != "f" or not (image.min() >= 0 and image.max() <= 1):
        raise UsageError(
            f"an image is float in [0, 1] or uint8; this one is {image.dtype}"
            f" from {image.min()} to {image.max()}"
        )
    return image


def _check(length: float, ratio: float, n_iter: int) -> None:
    """Refuse numbers that cannot work."""
    if not (np.isfinite(length) and length > 0):
        raise UsageError(f"length is {length}; give a number of pixels above 0, such as 512")
    if not (np.isfinite(ratio) and ratio >= 0):
        raise UsageError(f"ratio is {ratio}; give a number that is not negative, such as 1e4")
    if n_iter < 1:
        raise UsageError(f"the number of iterations is {n_iter}; give at least 1")


def _log(step: Progress) -> None:
    """Log one iteration: SciPy prints nothing of its own any more."""
    terms = ", ".join(f"{name} {value:.4g}" for name, value in step.terms.items())
    logger.info(
        "iteration %d, evaluation %d, loss %.6g: %s",
        step.iteration,
        step.evaluations,
        step.loss,
        terms,
    )
