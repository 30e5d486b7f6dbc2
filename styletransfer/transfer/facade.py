"""The class of the original: pictures and parameters in, a picture out."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from PIL import Image

from styletransfer import images
from styletransfer.display import Display
from styletransfer.errors import UsageError
from styletransfer.images import colour
from styletransfer.images.arrays import Picture
from styletransfer.networks.pooling import with_pooling
from styletransfer.progress import Download, Progress
from styletransfer.runtime.devices import choose_device
from styletransfer.settings import Settings, make, presets
from styletransfer.transfer import checkpoint as checkpoints
from styletransfer.transfer import goals, inputs, stages
from styletransfer.transfer.checkpoint import Checkpoints, Keeper, Point
from styletransfer.transfer.firstimage import coloured
from styletransfer.transfer.forecast import Forecast, forecast
from styletransfer.transfer.inputs import Inputs
from styletransfer.transfer.options import Options
from styletransfer.transfer.problem import ProblemMaker
from styletransfer.transfer.run import Result, Summary, run
from styletransfer.transfer.temporal import Expected
from styletransfer.transfer.tiling import Tiling
from styletransfer.weights.loading import LoadedNetwork, load_network

if TYPE_CHECKING:
    from styletransfer.feedforward import Stylizer

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
    gpu_id : int, optional
        The CUDA device to run on; -1 is the CPU, which is also taken, with a warning in the log,
        where the device is not usable. By default the first CUDA device, if the machine has one.
    models : path, optional
        The folder with the networks' weights; by default the usual ones, see `weights`.
    threads : int
        Threads on the CPU, at most one a core; 0 means one a core.
    provider : str, optional
        An execution provider of the installed ONNX Runtime in place of CUDA or the CPU, such as
        ``"CoreML"``.
    progress : callable, optional
        Gets a `Download` while a network is fetched.
    tile : {"auto", "off"} or int
        ``auto``: where the memory does not allow to compute a picture as a whole, it is computed in
        tiles as large as it allows; the result is the same, to rounding. A number: tiles of so many
        pixels a side.
    memory_limit : int, optional
        The most bytes that the process takes with ``auto``, as far as its size can be told.

    Attributes
    ----------
    summary : Summary or None
        How the last run ended.

    Raises
    ------
    UsageError
        If there is no such network, the machine has not so many cores, or there can be no such
        tiles.
    WeightsError
        If the network's weights are neither there nor to be had.
    NetworkError
        If the folder holds no network that can be used.

    Notes
    -----
    The first two parameters, the methods and their defaults are those of the original class.

    Several threads may call `transfer_style`; one runs at a time. `get_generated` and `summary` are
    those of the run that ended last, so that threads which want their own each make an object.

    References
    ----------
    Gatys, Ecker, Bethge: A Neural Algorithm of Artistic Style (2015).
    """

    def __init__(
        self,
        model_name: str = "vgg16",
        use_pbar: bool = True,
        *,
        gpu_id: int | None = None,
        models: str | Path | None = None,
        threads: int = 0,
        provider: str | None = None,
        progress: Callable[[Download], None] | None = None,
        tile: str | int = "auto",
        memory_limit: int | None = None,
    ) -> None:
        tiling = Tiling(tile, memory_limit)
        self.use_pbar = use_pbar
        self.device, reason = choose_device(gpu_id, threads, provider)
        with Display(use_pbar) as display:
            self.network = load_network(model_name, models, logger.info, progress or display.show)
        if reason:
            logger.warning("CUDA device %d is not used, but the CPU: %s", gpu_id or 0, reason)
        self._problems = ProblemMaker(self.device, tiling)
        self._models, self._fetching = models, progress
        self._painter: Stylizer | None = None
        self._turn = threading.RLock()  # what is prepared serves one run at a time
        self._made: tuple[Result, Callable[[np.ndarray], np.ndarray], np.ndarray] | None = None

    def transfer_style(
        self,
        img_style: Picture | Sequence[Picture],
        img_content: Picture,
        length: float = 512,
        ratio: float = 1e5,
        n_iter: int = 512,
        init: Picture | float = "-1",
        verbose: bool = False,
        callback: Callable[[np.ndarray], None] | None = None,
        *,
        preset: str | None = None,
        style_masks: Sequence[Picture] | None = None,
        content_mask: Picture | None = None,
        expected: Expected | None = None,
        progress: Callable[[Progress], None] | None = None,
        stopped: Callable[[], bool] | None = None,
        checkpoint: Checkpoints | None = None,
        **options: Unpack[Options],
    ) -> int:
        """Make the picture; `get_generated` returns it.

        The defaults of `ratio` and `init` are those of the original's method, and not those of its
        command, which are 1e4 and ``"content"``: give these for the picture that the command makes.

        Parameters
        ----------
        img_style, img_content : ndarray, PIL image or path
            An array is uint8, uint16 or float in [0, 1], gray (H, W), RGB or RGBA (H, W, 3 or 4).
            There may be a list of style images.
        length : float
            The longest side of the result in pixels; larger where the short side would be below
            the network's input size.
        ratio : float
            The weight of the style over that of the content. The default is for the losses of the
            original; with others, left at that, it is the usual one of those.
        n_iter : int
            The most iterations of the optimiser.
        init : str, float, path or ndarray
            The first image: ``"content"``, ``"mixed"`` (95 % content, 5 % style), ``"colours"``
            (the content in the style's colours), ``"stylized"`` (the content as a network paints it
            in one pass, in the style; it is fetched on first use), an image, its path, or the
            exponent of a noise whose amplitude goes with that power of the frequency.
        verbose : bool
            Whether to log a line for each iteration.
        callback : callable, optional
            Called after each iteration with the image, float RGB in [0, 1], (H, W, 3).
        preset : str, optional
            Parameters under a name, or the path of a TOML file of them. They stand for what is
            left at its default here, `length`, `ratio`, `n_iter` and `init` included.
        style_masks : sequence of ndarray, shape (H, W), PIL images or paths, optional
            Where in the result each style applies, from 0 to 1, in the content's proportions.
        content_mask : ndarray, PIL image or path, optional
            Where in the result the content counts.
        expected : Expected, optional
            What the result should be near to, of a frame of a film.
        progress : callable, optional
            Called after each iteration with a `Progress`.
        stopped : callable, optional
            Asked between evaluations; where it returns true, the run ends with the best image so
            far, if there is one.
        checkpoint : Checkpoints, optional
            Where to write checkpoints, and whether to go on from one. The file stays: delete it
            when the picture is saved. With `lbfgs` and `adam` the picture is, bit for bit, that of
            a run which was not interrupted; SciPy's `lbfgsb` begins anew from the image.
        **options
            Any other parameter of `Settings` but the model, see `Options`.

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
        listening = {"callback": callback, "progress": progress, "stopped": stopped}
        for name, listener in listening.items():
            if listener is not None and not callable(listener):
                raise UsageError(f"{name} is a function, not {type(listener).__name__}")
        picture = init if isinstance(init, np.ndarray | Image.Image) else None
        given_options: dict[str, object] = {"length": length, "ratio": ratio, "n_iter": n_iter}
        given_options |= {"init": init} if picture is None else {}
        settings = _settings(preset, given_options, options)
        given = inputs.check(
            settings, img_content, img_style, style_masks, content_mask, picture, expected
        )
        network = _changed(self.network, settings)
        to_picture = _finish(settings, given.content, network.mean)
        # With verbose there is a line for each iteration, which a bar would only tear apart.
        with Display(self.use_pbar and not verbose) as display:
            listeners: list[Callable[[Progress], None]] = [progress] if progress else []
            if callback:
                listeners.append(lambda step: callback(step.image()))
            listeners.append(_log if verbose else display.show)

            def tell(step: Progress) -> None:
                for listener in listeners:
                    listener(step)

            with self._turn:
                self._made = None
                keeper, begun = self._checkpoints(checkpoint, settings, network, given)
                if isinstance(given.init, str) and given.init in _MADE and begun is None:
                    given = self._begun(given, settings, display)
                result, error = run(
                    self._problems,
                    settings,
                    network,
                    given,
                    tell,
                    to_picture,
                    stopped or (lambda: False),
                    keeper,
                    begun,
                )
                self._made = result, to_picture, network.mean
        if error is not None:
            raise error
        return result.summary.iterations

    def _checkpoints(
        self, asked: Checkpoints | None, settings: Settings, network: LoadedNetwork, given: Inputs
    ) -> tuple[Keeper | None, Point | None]:
        """Return what writes checkpoints, and where the run begins, having told that."""
        if asked is None:
            return None, None
        about = checkpoints.describe(settings, network, given, self.device)
        begun = None
        if asked.resume:
            shape = given.content.shape
            planned = stages.plan(settings, shape, network.input_size)
            begun = checkpoints.read(asked.path, about, settings, network.mean, shape, planned)
            checkpoints.tell(asked.path, begun, settings)
        elif asked.path.exists():
            logger.warning(
                "%s is there: this run begins anew, and its first checkpoint replaces that; resume"
                " (--resume) would go on from it",
                asked.path,
            )
        return Keeper(asked, about), begun

    def forecast(
        self,
        img_style: Picture | Sequence[Picture],
        img_content: Picture,
        settings: Settings,
        *,
        style_masks: Sequence[Picture] | None = None,
        content_mask: Picture | None = None,
    ) -> Forecast:
        """Return what `transfer_style` would take, from one evaluation.

        Parameters
        ----------
        img_style, img_content, style_masks, content_mask
            As of `transfer_style`.
        settings : Settings
            All other parameters, but for a first picture: that changes nothing here.

        Raises
        ------
        UsageError, NetworkError
            As `transfer_style`.
        """
        settings = replace(settings, init="content")
        given = inputs.check(settings, img_content, img_style, style_masks, content_mask, None)
        with self._turn:
            return forecast(self._problems, settings, _changed(self.network, settings), given)

    def _begun(self, given: Inputs, settings: Settings, display: Display) -> Inputs:
        """Return what a run begins with, its first image made of content and styles."""
        first = stages.plan(settings, given.content.shape, self.network.input_size)[0]
        weights = goals.style_weights(settings, len(given.styles))
        size = first.size(given.content.shape)
        if isinstance(given.init, str) and given.init == "colours":
            return replace(given, init=coloured(given, weights, size))
        from styletransfer.transfer import stylized  # here: few runs need it, and it takes a while

        if self._painter is None:
            fetching = self._fetching or display.show
            self._painter = stylized.painter(self.device, self._models, fetching)
        return replace(given, init=stylized.paint(self._painter, given, weights, size))

    @property
    def summary(self) -> Summary | None:
        """How the last run ended; None if there was none."""
        return None if self._made is None else self._made[0].summary

    @property
    def has_image(self) -> bool:
        """Whether `get_generated` has an image to return."""
        return self._made is not None and self._made[0].image is not None

    def get_generated(self, *, restored: bool = True) -> np.ndarray:
        """Return the result, or the best image so far of a run that was interrupted.

        Where no step was better than the first image, that is the result; the log warns of it.

        Parameters
        ----------
        restored : bool
            Whether the content's colours are restored, if that was asked for.

        Returns
        -------
        ndarray, shape (H, W, 3)
            Float RGB in [0, 1].

        Raises
        ------
        UsageError
            If there is no image yet.
        """
        if self._made is None:
            raise UsageError("there is no image yet: call transfer_style first")
        result, to_picture, mean = self._made
        if result.image is None:
            raise UsageError("there is no image: the run was broken off before its first step")
        return to_picture(result.image) if restored else images.deprocess(result.image, mean)


_MADE = ("colours", "stylized")
"""First images that are made of content and styles."""

_USUAL = {"length": 512, "ratio": 1e5, "n_iter": 512, "init": "-1"}
"""The defaults of `StyleTransfer.transfer_style`."""


def _settings(
    preset: str | None, named: Mapping[str, object], options: Mapping[str, object]
) -> Settings:
    """Return settings of a preset, and of what is given beside it."""
    if "model" in options:
        raise UsageError("the network is chosen when a StyleTransfer is made: model_name")
    if preset is None:
        settings = make(Settings, {**named, **options})
        # 1e5 is a ratio for the original's losses; with others it would be arbitrary.
        others = settings.usual_ratio != Settings().usual_ratio
        left = named["ratio"] == _USUAL["ratio"]
        return replace(settings, ratio=settings.usual_ratio) if others and left else settings
    values = {key: value for key, value in presets.read(preset).values.items() if key != "model"}
    typed = {key: value for key, value in named.items() if value != _USUAL[key]}
    return presets.override(values, {**typed, **options})


def _finish(
    settings: Settings, content: np.ndarray, mean: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what makes RGB in [0, 1] of an image as the network sees it."""
    method, when = settings.preserve_colors or ("", "")

    def to_picture(image: np.ndarray) -> np.ndarray:
        picture = images.deprocess(image, mean)
        return colour.restore(picture, content, method) if when == "after" else picture

    return to_picture


def _changed(network: LoadedNetwork, settings: Settings) -> LoadedNetwork:
    """Return a network with its pooling and its mean as settings have them."""
    mean = network.mean if settings.mean is None else np.array(settings.mean)
    return replace(network, model=with_pooling(network.model, settings.pooling), mean=mean)


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
