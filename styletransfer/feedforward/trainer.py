"""Trains networks that paint in one pass."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from styletransfer.errors import UsageError
from styletransfer.feedforward import (
    architecture,
    configuration,
    inference,
    losses,
    steadiness,
    step,
)
from styletransfer.feedforward import base as bases
from styletransfer.feedforward.lossnetwork import LossNetwork
from styletransfer.runtime.devices import choose_device
from styletransfer.runtime.session import Session
from styletransfer.weights.loading import load_network

_logger = logging.getLogger(__name__)

_STATE = (step.PARAMETERS, step.FIRST, step.SECOND)


class Trainer:
    """A network in training: what it has learnt, Adam's means, and the session of its steps.

    Parameters
    ----------
    config : mapping of str to object
        The keys of a configuration, see `configuration.Configuration`; what is not given has its
        default.
    style : ndarray, shape (H, W, 3), or a sequence of such
        The picture whose style is learnt, RGB, uint8 or float in [0, 1]; with ``arch: multi``
        several. An empty sequence where no style is compared, as in super-resolution.
    weights : sequence of ndarray, optional
        What the network has learnt already, in forward order: of each convolution the weight
        (out, in, height, width), and as far as there are any the bias, the norm's scale and its
        shift. Without it a network begins anew, from the seed of the configuration.
    models : path, optional
        The folder with the loss network's weights, see `weights.model_directories`.
    gpu_id : int or None
        The number of a CUDA device, or -1 for the CPU; None is the first CUDA device, if any.
    threads : int
        Threads of one operator on the CPU; 0 means one a core.
    provider : str, optional
        An execution provider of the installed ONNX Runtime in place of CUDA or the CPU.

    Attributes
    ----------
    settings : Configuration
        The configuration, with what follows from its base.
    learning_rate : float
        Of the steps from now on.
    steps : int
        How many there were.
    base : str
        The sha256 of the file that the network began from, or nothing.

    Raises
    ------
    UsageError
        For a key that there is not, a value that cannot work, or arrays of other shapes.
    NetworkError
        If the loss network lacks a layer.
    WeightsError
        If its weights cannot be had.

    Notes
    -----
    The size of a batch is fixed by the first one. What is learnt stays on the device between steps.
    """

    def __init__(
        self,
        config: Mapping[str, object],
        style: np.ndarray | Sequence[np.ndarray],
        weights: Sequence[np.ndarray] | None = None,
        models: str | Path | None = None,
        gpu_id: int | None = -1,
        threads: int = 0,
        provider: str | None = None,
    ) -> None:
        settings = configuration.read(config)
        pictures = [style] if isinstance(style, np.ndarray) else list(style)
        self.base = ""
        if settings.base is not None:
            base = bases.load(settings.base, models)
            self.base, settings = base.digest, bases.settled(settings, base)
            weights = bases.first_weights(settings, base) if weights is None else weights
        self.settings = settings
        one = len(pictures) == 1 or (not pictures and not settings.style_layers)
        if not one and (settings.base or settings.arch != "multi"):
            wanted = "with a base one at a time" if settings.base else "one, or the arch multi"
            raise UsageError(f"there are {len(pictures)} styles; give {wanted}")
        self._device = choose_device(gpu_id, threads, provider)[0]
        network = architecture.architecture(
            settings.arch, settings.width, settings.styles or len(pictures) or 1
        )
        compared = _loss_network(settings, models)
        self._plan = step.Plan(settings, network, compared)
        compared.check(self._plan.layers)
        if weights is None:
            weights = architecture.initial_parameters(network, settings.seed)
        self._vector = step.joined(_checked(weights, network))
        self._moments = (np.zeros_like(self._vector), np.zeros_like(self._vector))
        self._start: Mapping[str, float] | None = None
        self._targets = self._targets_of(pictures)
        self._terms: Mapping[str, float] | None = None
        if settings.style_weight != configuration.AUTO:
            self._terms = losses.terms(settings)
        self._sessions: dict[str, Session] = {}
        self._shape: tuple[int, ...] | None = None
        self.learning_rate = settings.learning_rate
        self.steps = 0

    @property
    def weights(self) -> list[np.ndarray]:
        """What the network has learnt, float32 arrays in forward order."""
        if "step" in self._sessions:
            self._vector = self._sessions["step"].bound(step.PARAMETERS)
        return step.parted(self._vector, self._plan.network)

    def step(self, batch: np.ndarray) -> dict[str, float]:
        """Learn from a batch of pictures.

        Parameters
        ----------
        batch : ndarray, shape (N, H, W, 3)
            RGB, uint8 or float in [0, 1]; of the same shape in every step.

        Returns
        -------
        dict of str to float
            Before the step: ``loss``, and not weighted ``content``, ``style`` and ``tv``, and each
            layer's term, ``style/conv3_3`` say; ``stability`` and ``shift`` where they have a
            weight. With several styles the pictures of a batch take
            turns in them.

        Raises
        ------
        UsageError
            If the batch has another shape or type.
        """
        inputs = self._all_inputs(batch)
        session = self._session("step", batch)
        inputs[step.RATE] = np.array([self.learning_rate])
        inputs[step.COUNT] = np.array([self.steps + 1.0])
        values = session.run(inputs, step.FEED_BACK)
        self.steps += 1
        return self._report(values[step.TERMS])

    def evaluate(self, batch: np.ndarray) -> tuple[dict[str, float], list[np.ndarray]]:
        """Return what `step` does, and the gradients for `weights`, without learning."""
        values = self._evaluated(batch)
        gradients = step.parted(values[step.GRADIENT], self._plan.network)
        return self._report(values[step.TERMS]), gradients

    def paint(self, batch: np.ndarray) -> np.ndarray:
        """Return what the network makes of a batch, float32 (N, H, W, 3), 0..255, not clipped.

        A network of super-resolution paints the batch made smaller, as it does in training.
        """
        inputs = {**self._inputs(batch), step.PARAMETERS: step.joined(self.weights)}
        if "painting" not in self._sessions:
            model = inference.painting(self.network, inputs[step.BATCH].shape)
            self._sessions["painting"] = Session(model.SerializeToString(), self._device)
        painted = self._sessions["painting"].run(inputs)[step.OUTPUT]
        return np.ascontiguousarray(painted.transpose(0, 2, 3, 1))

    @property
    def network(self) -> architecture.Architecture:
        """The architecture of what learns."""
        return self._plan.network

    @property
    def loss_network(self) -> LossNetwork:
        """What compares."""
        return self._plan.compared

    @property
    def terms(self) -> list[str]:
        """The names of the terms of the loss."""
        return list(losses.terms(self.settings))

    @property
    def weights_of_terms(self) -> Mapping[str, float]:
        """The weight of each term in the loss; with `auto` there are none before the first step."""
        return self._terms or {}

    def state(self) -> dict[str, np.ndarray]:
        """Return all that the next step depends on besides the configuration and the styles.

        Returns
        -------
        dict of str to ndarray
            ``parameters``, ``first`` and ``second``: float32 vectors of what is learnt, and of
            Adam's means of the gradient and of its square; ``steps``; ``learning_rate``; and for
            the style weight `auto` the value of each term at the start, ``start/style/conv3_3``.
        """
        session = self._sessions.get("step")
        if session is not None:
            self._vector = session.bound(step.PARAMETERS)
            self._moments = (session.bound(step.FIRST), session.bound(step.SECOND))
        vectors = dict(zip(_STATE, (self._vector, *self._moments), strict=True))
        scalars = {"steps": np.array(self.steps), "learning_rate": np.array(self.learning_rate)}
        start = {f"start/{name}": np.array(x) for name, x in (self._start or {}).items()}
        return {**vectors, **scalars, **start}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state` returned, bit for bit.

        Raises
        ------
        UsageError
            If an array is missing, or has another shape or type.
        """
        for name in (*_STATE, "steps", "learning_rate"):
            shape = self._vector.shape if name in _STATE else ()
            kind = {"steps": "i"}.get(name, "f")
            array = state.get(name)
            if array is None or array.shape != shape or array.dtype.kind != kind:
                raise UsageError(f"the state of a training has no {name} that fits this one")
        self._vector, *moments = (np.array(state[name], np.float32) for name in _STATE)
        self._moments = (moments[0], moments[1])
        self.steps, self.learning_rate = int(state["steps"]), float(state["learning_rate"])
        compared = filter(losses.is_compared, losses.terms(self.settings))
        start = {name: state.get(f"start/{name}") for name in compared}
        found = {name: float(x) for name, x in start.items() if x is not None}
        if self.settings.style_weight == configuration.AUTO and len(found) == len(start):
            self._begin_at(found)
        for kind in ("step", "evaluation"):
            if kind in self._sessions and self._terms:
                self._sessions[kind].bind({step.WEIGHTS: list(self._terms.values())})
        if "step" in self._sessions:
            vectors = (self._vector, *self._moments)
            self._sessions["step"].bind(dict(zip(_STATE, vectors, strict=True)))

    def _evaluated(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        inputs = self._all_inputs(batch)
        session = self._session("evaluation", batch)
        return session.run(inputs | {step.PARAMETERS: step.joined(self.weights)})

    def _session(self, kind: str, batch: np.ndarray) -> Session:
        """Return the session that steps or evaluates, made when it is first needed."""
        if kind not in self._sessions:
            make = {"step": step.step, "evaluation": step.evaluation}[kind]
            model = make(self._plan, _planes(batch).shape).SerializeToString()
            self._sessions[kind] = session = Session(model, self._device)
            del model
            session.bind(self._targets)
            if kind == "step":
                session.bind(dict(zip(_STATE, (self._vector, *self._moments), strict=True)))
            session.bind({step.WEIGHTS: list(self._weights_of_terms(batch).values())})
        return self._sessions[kind]

    def _weights_of_terms(self, batch: np.ndarray) -> Mapping[str, float]:
        """Return the weight of each term, for `auto` made of their values at a first batch."""
        if self._terms is None:
            model = step.values(self._plan, _planes(batch).shape).SerializeToString()
            session = Session(model, self._device)
            inputs = self._all_inputs(batch) | {step.PARAMETERS: self._vector}
            terms = session.run(inputs | self._targets)[step.TERMS]
            self._begin_at(step.named(terms, self.settings))
        assert self._terms is not None
        return self._terms

    def _begin_at(self, start: Mapping[str, float]) -> None:
        """Take the weights of terms from their values at a first batch."""
        self._start = {name: start[name] for name in filter(losses.is_compared, start)}
        self._terms = losses.normalised(losses.terms(self.settings), start)

    def _all_inputs(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Return a batch as the inputs of a session, and what is drawn for this step."""
        inputs, network = self._inputs(batch), self._plan.network
        images, channels, *size = inputs[step.BATCH].shape
        shape = (images, channels, *(n // network.times for n in size))
        return inputs | steadiness.inputs(self.settings, network, shape, self.steps)

    def _inputs(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Return a batch as the inputs of a session, its shape checked."""
        planes = _planes(batch)
        if self._shape is None:
            multiple = self._plan.network.multiple * self._plan.network.times
            if any(n % multiple for n in planes.shape[2:]):
                raise UsageError(
                    f"the batch's pictures are {planes.shape[2]}×{planes.shape[3]}; the network"
                    f" needs sides that are multiples of {multiple}"
                )
            self._shape = planes.shape
        if planes.shape != self._shape:
            raise UsageError(
                f"the batch has the shape {np.shape(batch)}, the first one had another; keep to one"
            )
        inputs = {step.BATCH: planes}
        styles = self._plan.network.styles
        if styles > 1:
            turns = (self.steps * len(planes) + np.arange(len(planes))) % self._plan.styles
            turns += styles - self._plan.styles  # those that are learnt are the last ones
            inputs[step.MIXTURE] = np.eye(styles, dtype=np.float32)[turns]
        return inputs

    def _report(self, terms: np.ndarray) -> dict[str, float]:
        """Return the terms by name, their sums, and the loss."""
        assert self._terms is not None
        values = dict(step.named(terms.astype(np.float64), self.settings))
        sums = {
            kind: sum(value for name, value in values.items() if name.startswith(f"{kind}/"))
            for kind in ("content", "style")
        }
        loss = sum(weight * values[name] for name, weight in self._terms.items())
        return {"loss": loss, **sums, **values}

    def _targets_of(self, pictures: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return the Gram matrices of styles, (styles, C, C) for each layer."""
        if not self.settings.style_layers:
            return {}
        found: list[dict[str, np.ndarray]] = []
        for picture in pictures:
            planes = _planes(np.asarray(picture)[np.newaxis], "a style")
            model = step.style_targets(self._plan, planes.shape).SerializeToString()
            found.append(Session(model, self._device).run({step.BATCH: planes}))
        return {name: np.concatenate([targets[name] for targets in found]) for name in found[0]}


def _loss_network(settings: configuration.Configuration, models: str | Path | None) -> LossNetwork:
    """Return the loss network; of VGG's the trainers subtract the mean in round numbers."""
    network = load_network(settings.loss_model, models, _logger.info, None)
    vgg = settings.loss_model in ("vgg16", "vgg19")
    return LossNetwork.of(network, np.array(architecture.VGG_MEAN[::-1]) if vgg else None)


def _planes(batch: np.ndarray, what: str = "the batch") -> np.ndarray:
    """Return pictures as float32 (N, 3, H, W) in 0..255."""
    batch = np.asarray(batch)
    if batch.ndim != 4 or batch.shape[-1] != 3 or not batch.size:
        raise UsageError(f"{what} has the shape {batch.shape}; give pictures (height, width, 3)")
    if batch.dtype != np.uint8 and batch.dtype.kind != "f":
        raise UsageError(f"{what} holds {batch.dtype}; give uint8, or floats in [0, 1]")
    scaled = batch.astype(np.float32) * np.float32(1 if batch.dtype == np.uint8 else 255)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def _checked(
    weights: Sequence[np.ndarray], network: architecture.Architecture
) -> Sequence[np.ndarray]:
    """Return arrays that a network can have learnt."""
    entries = architecture.parameters(network)
    if len(weights) != len(entries):
        raise UsageError(
            f"there are {len(weights)} arrays of weights; the network has {len(entries)}"
        )
    for number, (array, entry) in enumerate(zip(weights, entries, strict=True)):
        if np.shape(array) != entry.shape:
            raise UsageError(
                f"array {number} of the weights has the shape {np.shape(array)}; the network's"
                f" {entry.name} has {entry.shape}"
            )
    return weights
