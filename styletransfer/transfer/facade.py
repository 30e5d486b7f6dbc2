"""Style transfer itself: from pictures and settings, through the stages, to a picture."""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

from styletransfer import images
from styletransfer.errors import UsageError
from styletransfer.images import colour
from styletransfer.networks.pooling import with_pooling
from styletransfer.optim.minimisers import OPTIMIZERS
from styletransfer.optim.resampling import stretched
from styletransfer.progress import DownloadDisplay, Progress, ProgressDisplay
from styletransfer.runtime.devices import choose_device
from styletransfer.settings import Settings, check_names
from styletransfer.transfer import inputs
from styletransfer.transfer.firstimage import first_image
from styletransfer.transfer.inputs import Inputs
from styletransfer.transfer.problem import ProblemMaker
from styletransfer.transfer.run import Run, Summary
from styletransfer.transfer.stages import plan
from styletransfer.weights.loading import LoadedNetwork, load_network

logger = logging.getLogger(__name__)


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
        Threads on the CPU, at most one a core; 0 means one a core.

    Attributes
    ----------
    summary : Summary or None
        How the last run ended.

    Raises
    ------
    UsageError
        If there is no such network, or the machine has not so many cores.
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
        with DownloadDisplay() if use_pbar else nullcontext() as display:
            shown = display.show if display else None
            self.network = load_network(model_name, models, logger.info, shown)
        if reason:
            logger.warning("CUDA device %d is not used, but the CPU: %s", gpu_id, reason)
        self.summary: Summary | None = None
        self._run: Run | None = None
        self._problems = ProblemMaker(self.device)

    def transfer_style(
        self,
        img_style: np.ndarray | Sequence[np.ndarray],
        img_content: np.ndarray,
        length: float = 512,
        ratio: float = 1e5,
        n_iter: int = 512,
        init: str | float | np.ndarray = "-1",
        verbose: bool = False,
        callback: Callable[[np.ndarray], None] | None = None,
        *,
        style_masks: Sequence[np.ndarray] | None = None,
        content_mask: np.ndarray | None = None,
        progress: Callable[[Progress], None] | None = None,
        **options: object,
    ) -> int:
        """Make the picture; `get_generated` returns it.

        Parameters
        ----------
        img_style, img_content : ndarray, shape (H, W, 3)
            RGB, float in [0, 1] or uint8. There may be a list of style images.
        length : float
            The longest side of the result in pixels; larger where the short side would be below
            the network's input size.
        ratio : float
            The weight of the style over that of the content.
        n_iter : int
            The most iterations of the optimiser.
        init : str, float or ndarray
            The first image: ``"content"``, ``"mixed"`` (95 % content, 5 % style), an image, its
            path, or the exponent of a noise whose amplitude goes with that power of the frequency.
        verbose : bool
            Whether to log a line for each iteration.
        callback : callable, optional
            Called after each iteration with the image, float RGB in [0, 1], (H, W, 3).
        style_masks : sequence of ndarray, shape (H, W), optional
            Where in the result each style applies, from 0 to 1, in the content's proportions.
        content_mask : ndarray, shape (H, W), optional
            Where in the result the content counts.
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
        if "model" in options:
            raise UsageError("the network is chosen when a StyleTransfer is made: model_name")
        settings = Settings(length=length, ratio=ratio, n_iter=n_iter, **options)
        given = inputs.check(settings, img_content, img_style, style_masks, content_mask, picture)
        listeners = [progress] if progress else []
        if callback:
            listeners.append(lambda step: callback(step.image()))
        if verbose:
            listeners.append(_log)
        network = _changed(self.network, settings)
        to_picture = _Finish(settings, given.content, network.mean)
        # With verbose there is a line for each iteration, which a bar would only tear apart.
        shown = self.use_pbar and not verbose
        with ProgressDisplay() if shown else nullcontext() as display:
            if display:
                listeners.append(display.show)
            self._run = Run(settings.n_iter, to_picture, listeners, settings.time)
            self._stages(settings, network, given)
        return self.summary.iterations

    @property
    def has_image(self) -> bool:
        """Whether `get_generated` has an image to return."""
        return self._run is not None and self._run.latest is not None

    def get_generated(self) -> np.ndarray:
        """Return the result, or the best image so far of a run that was interrupted.

        Where no step was better than the first image, that is the result; the log warns of it.

        Returns
        -------
        ndarray, shape (H, W, 3)
            Float RGB in [0, 1].

        Raises
        ------
        UsageError
            If there is no image yet.
        """
        if self._run is None:
            raise UsageError("there is no image yet: call transfer_style first")
        if self._run.latest is None:
            raise UsageError("there is no image: the run was broken off before its first step")
        return self._run.picture()

    def _stages(self, settings: Settings, network: LoadedNetwork, given: Inputs) -> None:
        """Go through the stages; a run that is broken off has a summary too."""
        run = self._run
        mean = network.mean.reshape(1, 3, 1, 1)
        minimise = OPTIMIZERS[settings.optimizer]
        stages = plan(settings, given.content.shape, network.input_size)
        reason, early = "interrupted", None
        try:
            for stage in stages:
                problem = self._problems.make(settings, network, given, stage)
                if not run.improved:
                    first = first_image(
                        given.init, problem.content, problem.styles[0], network.mean, settings.seed
                    )
                else:
                    first = _enlarged(run.latest, problem.content.shape, network.mean, settings)
                carried = {}
                if settings.optimizer != "lbfgsb":  # SciPy hands out no state, and takes none
                    carried["state"] = run.state
                run.begin(problem.objective, first)
                before = run.iteration
                ended = minimise(
                    run.evaluate,
                    first,
                    -mean,
                    255 - mean,
                    stage.n_iter,
                    run.accept,
                    **settings.optimizer_options,
                    **carried,
                )
                # Its memory is free before the next stage's objective is made.
                del problem
                run.end()
                if run.iteration - before < stage.n_iter:
                    early = ended
                if run.out_of_time:
                    break
            reason = early or ended
            if not run.improved:
                # Not an error: where it is a minimum, as the content is for a ratio of 0, the first
                # image is what was asked for; SciPy's minimisers return it, too.
                logger.warning(
                    "no step was better than the first image, which is the result: %s; another init"
                    " or ratio may do more",
                    reason,
                )
        finally:
            self.summary = run.summary(reason)
            full = stages[-1].scale_for(given.content.shape, network.input_size)
            if run.improved and run.latest.shape[2] < full * given.content.shape[0] - 1:
                logger.warning(
                    "the picture has the size of a coarse scale, %d x %d: the run ended before the"
                    " last; more time or fewer iterations would reach it",
                    *run.latest.shape[:1:-1],
                )


class _Finish:
    """Makes a picture of an image as the network sees it."""

    def __init__(self, settings: Settings, content: np.ndarray, mean: np.ndarray) -> None:
        self._mean = mean
        self._content = content
        method, when = settings.preserve_colors or (None, None)
        self._method = method if when == "after" else None

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return RGB in [0, 1], (H, W, 3), with the content's colours if they are to be kept."""
        picture = images.deprocess(image, self._mean)
        if self._method is None:
            return picture
        return colour.restore(picture, self._content, self._method)


def _changed(network: LoadedNetwork, settings: Settings) -> LoadedNetwork:
    """Return a network with its pooling and its mean as settings have them."""
    mean = network.mean if settings.mean is None else np.array(settings.mean)
    return replace(network, model=with_pooling(network.model, settings.pooling), mean=mean)


def _enlarged(
    image: np.ndarray, shape: Sequence[int], mean: np.ndarray, settings: Settings
) -> np.ndarray:
    """Return an image, as the network sees it, stretched to another shape (1, 3, H, W).

    Between stages that were asked for it is done as in the original's demo. Between scales cubic
    splines keep the edges: where these are sharp the loss begins at half or less of a linear one's.
    """
    if settings.stages:
        picture = images.resize(images.deprocess(image, mean), tuple(shape[2:]))
        return images.preprocess(picture, mean)
    mean = mean.reshape(1, 3, 1, 1)
    return np.clip(stretched(image, shape, order=3), -mean, 255 - mean).astype(np.float32)


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
