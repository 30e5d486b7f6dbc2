"""Style transfer itself: scaling, targets, optimisation."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from styletransfer import images
from styletransfer.errors import UsageError
from styletransfer.firstimage import first_image
from styletransfer.loading import load_network
from styletransfer.losses import Content, Gram
from styletransfer.objective import Objective, statistics
from styletransfer.optimizers import OPTIMIZERS
from styletransfer.progress import Progress, ProgressDisplay
from styletransfer.run import Run, Summary
from styletransfer.session import choose_device
from styletransfer.settings import Settings, check_names

logger = logging.getLogger(__name__)

STYLE_SCALE = 1.2
"""How much larger than the content image the style image is made; the original's constant."""


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

    Attributes
    ----------
    summary : Summary or None
        How the last run ended.

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
        self.network = load_network(model_name, models, use_pbar)
        self.device, reason = choose_device(gpu_id, threads)
        if reason:
            logger.warning("CUDA device %d is not used, but the CPU: %s", gpu_id, reason)
        self.summary: Summary | None = None
        self._run: Run | None = None

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
        progress: Callable[[Progress], None] | None = None,
        **options: object,
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
        progress : callable, optional
            Called after each iteration with a `Progress`.
        **options
            Any other parameter of `Settings` but the model.

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
        self.summary = self._run = None
        picture = init if isinstance(init, np.ndarray) else None
        if picture is None:
            options["init"] = init
        check_names(options)
        settings = Settings(length=length, ratio=ratio, n_iter=n_iter, **options)
        content = self._prepare(img_content, settings.length, 1.0)
        style = self._prepare(img_style, settings.length, STYLE_SCALE)
        start = settings.init if picture is None else _as_rgb(picture)
        first = first_image(start, content, style, self.network.mean, settings.seed)
        objective = self._objective(settings, content, style)

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
            self._run = Run(settings.n_iter, self._to_picture, listeners)
            self.summary = self._minimise(settings, objective, first)
        return self.summary.iterations

    @property
    def has_image(self) -> bool:
        """Whether `get_generated` has an image to return."""
        return self._run is not None and self._run.latest is not None

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
        if not self.has_image:
            raise UsageError("there is no image yet: call transfer_style first")
        return self._to_picture(self._run.latest)

    def _minimise(self, settings: Settings, objective: Objective, first: np.ndarray) -> Summary:
        """Run the optimiser; an interrupted run has a summary too."""
        run = self._run
        run.begin(objective)
        mean = self.network.mean.reshape(1, 3, 1, 1)
        reason = "interrupted"
        try:
            minimise = OPTIMIZERS[settings.optimizer]
            reason = minimise(run.evaluate, first, -mean, 255 - mean, settings.n_iter, run.accept)
        finally:
            self.summary = run.summary(reason)
        return self.summary

    def _objective(self, settings: Settings, content: np.ndarray, style: np.ndarray) -> Objective:
        """Return the function to minimise, bound to what these pictures ask for."""
        network = self.network
        style_layers = settings.style_layers or network.style_layers
        content_layers = settings.content_layers or network.content_layers
        for kind, layers in (("style", style_layers), ("content", content_layers)):
            if not layers:
                raise UsageError(
                    f"a network of one's own needs --{kind}-layers ({kind}_layers); it has "
                    + ", ".join(output.name for output in network.model.graph.output)
                )
        contents = [Content(layer) for layer in content_layers]
        styles = [Gram(layer) for layer in style_layers]
        targets = statistics(network.model, content, contents, self.device)
        targets |= statistics(network.model, style, styles, self.device)
        objective = Objective(network.model, content.shape, [*contents, *styles], self.device)
        factors = [*content_layers.values()]
        factors += [settings.ratio * weight for weight in style_layers.values()]
        objective.bind(targets, factors)
        height, width = content.shape[2:]
        logger.info("%d x %d pixels on %s", width, height, objective.provider)
        return objective

    def _prepare(self, rgb: np.ndarray, length: float, factor: float) -> np.ndarray:
        """Scale an image to the length times a factor, and preprocess it."""
        rgb = _as_rgb(rgb)
        scale = factor * images.scale_for(rgb.shape, length, self.network.input_size)
        return images.preprocess(images.rescale(rgb, scale), self.network.mean)

    def _to_picture(self, image: np.ndarray) -> np.ndarray:
        """Return an image as the network sees it as RGB in [0, 1]."""
        return images.deprocess(image, self.network.mean)


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
