"""A training from its configuration to its network: begun, kept safe, gone on with, ended."""

import hashlib
import logging
import math
import os
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from styletransfer import images, locks
from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.feedforward import checkpoints, configuration, dataset, trained
from styletransfer.feedforward.checkpoints import Checkpoint
from styletransfer.feedforward.configuration import Configuration
from styletransfer.feedforward.dataset import Ahead, Dataset
from styletransfer.feedforward.records import Records
from styletransfer.feedforward.trained import Trained
from styletransfer.feedforward.trainer import Trainer
from styletransfer.progress import TrainingProgress

_logger = logging.getLogger(__name__)

AUTO, REQUIRED, ANEW = "auto", "required", "anew"
"""Whether a training goes on from the newest checkpoint: if there is one, in any case, never."""

_KEPT_EVERY = 25  # steps after which a state is kept in memory to go back to
_MOST_FAILURES = 3
_MOST_SHOWN = 4  # pictures of a preview


@dataclass(frozen=True)
class Training:
    """All that a training is told.

    Attributes
    ----------
    settings : Configuration
        How.
    folder : Path
        The pictures to learn from, there and in folders in it.
    models : Path or None
        The folder with the loss network's weights, see `weights.model_directories`.
    gpu_id, threads : int
        As in `Trainer`.
    workers : int
        Threads that read pictures; 0 is up to four.
    resume : {"auto", "required", "anew"}
        Whether it goes on from the newest checkpoint.
    tensorboard : bool
        Whether event files are written.
    provider : str or None
        As in `Trainer`.
    """

    settings: Configuration
    folder: Path
    models: Path | None = None
    gpu_id: int | None = -1
    threads: int = 0
    workers: int = 0
    resume: str = AUTO
    tensorboard: bool = False
    provider: str | None = None

    @property
    def place(self) -> Path:
        """Where all that is written goes."""
        return Path(self.settings.model_path) / self.settings.naming

    @property
    def network(self) -> Path:
        """The file of the network."""
        return self.place / f"{self.settings.naming}.onnx"


@dataclass(frozen=True)
class Result:
    """How a training ended.

    Attributes
    ----------
    network : Path
        The network as it stands.
    steps, wanted : int
        How many steps there were, and how many there were to be.
    style : int or None
        The number of the style that was learnt, beside those of a base.
    """

    network: Path
    steps: int
    wanted: int
    style: int | None = None


def train(
    training: Training,
    report: Callable[[TrainingProgress], None] = lambda step: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Result:
    """Train a network.

    Parameters
    ----------
    training : Training
        What it is told.
    report : callable
        Gets a `TrainingProgress` after each step.
    stopped : callable
        Asked before each step whether the training is to be left as it stands, to be gone on with.

    Raises
    ------
    UsageError
        If there are no pictures, or the newest checkpoint is one of another training.
    ImageError
        If a style is no picture.
    StyleTransferError
        If the training fails again and again, or something cannot be written.
    """
    settings, place = training.settings, training.place
    styles = _styles(settings)
    paths = dataset.find(training.folder)
    names = "\0".join(str(path.relative_to(training.folder)) for path in paths)
    digests = {
        "style": trained.digest(styles),
        "dataset": hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest(),
    }
    wanted = settings.steps or max(1, int(settings.epoch * len(paths) / settings.batch_size))
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{place} cannot be made: {error.strerror}; give a model_path") from None

    def taken() -> None:
        raise UsageError(f"another training writes to {place}; give another naming")

    with ExitStack() as stack:
        stack.enter_context(locks.locked(place / ".lock", taken))
        trainer = Trainer(
            trained.plain(settings),
            styles,
            None,
            training.models,
            training.gpu_id,
            training.threads,
            training.provider,
        )
        # With what follows from its base.
        training = replace(training, settings=trainer.settings)
        digests["base"] = trainer.base
        digests["loss_network"] = trained.digest(trainer.loss_network.arrays)
        start = _start(training, digests)
        if start is not None:
            _go_on(trainer, start)
        settings = trainer.settings
        for name, style in zip(settings.style_image or (), styles, strict=False):
            number = "" if len(styles) == 1 else f"-{Path(name).stem}"
            shown = style.astype(np.float32) / np.float32(255)
            images.save(place / f"target_style_{settings.naming}{number}.jpg", shown)
        workers = training.workers or min(4, os.cpu_count() or 1)
        ahead = stack.enter_context(Ahead(Dataset(paths, settings), workers))
        terms = ["content", "style", *trainer.terms]
        records = Records(place, terms, trainer.steps, training.tensorboard)
        stack.enter_context(records)
        run = _Run(training, trainer, ahead, records, digests, wanted)
        return run.run(report, stopped)


def _styles(settings: Configuration) -> list[np.ndarray]:
    """Return the styles, their shorter sides as wanted, cropped to squares."""
    if not settings.style_layers:
        return []
    if not settings.style_image:
        raise UsageError("there is no style_image; give the path of a picture")
    size = settings.style_size or settings.image_size
    return [dataset.square(Path(name), size, None, 1) for name in settings.style_image]


def _start(training: Training, digests: dict[str, str]) -> Checkpoint | None:
    """Return the checkpoint that a training goes on from."""
    place = training.place
    if training.resume == ANEW:
        checkpoints.clear(place)
        return None
    found = checkpoints.newest(place)
    if found is None:
        if training.resume == REQUIRED:
            raise UsageError(f"there is no checkpoint in {place} to go on from; leave out --resume")
        return None
    path, checkpoint = found
    # Keys that there were not yet have their defaults.
    settings = configuration.read(checkpoint.configuration, str(path))
    checkpoint = Checkpoint(checkpoint.state, trained.plain(settings), checkpoint.digests)
    now = Checkpoint({}, trained.plain(training.settings), digests)
    checkpoints.check_fits(path, checkpoint, now)
    _logger.info("going on from %s, step %d", path, checkpoint.steps)
    if checkpoint.digests.get("dataset") != digests["dataset"]:
        _logger.warning("the pictures in %s are others than before", training.folder)
    return checkpoint


def _go_on(trainer: Trainer, start: Checkpoint) -> None:
    """Take up a training again; a learning rate that was changed since holds from now on."""
    trainer.restore(start.state)
    if start.configuration.get("learning_rate") != trainer.settings.learning_rate:
        trainer.learning_rate = trainer.settings.learning_rate


class _Run:
    """The loop of a training, and the state that it can go back to."""

    def __init__(
        self,
        training: Training,
        trainer: Trainer,
        ahead: Ahead,
        records: Records,
        digests: dict[str, str],
        wanted: int,
    ) -> None:
        self._training, self._settings = training, training.settings
        self._trainer, self._ahead, self._records = trainer, ahead, records
        self._digests, self._wanted = digests, wanted
        self._good = trainer.state()
        self._candidate: dict[str, np.ndarray] | None = None
        self._failures = 0
        self._sample: np.ndarray | None = None
        self._has_painted = False
        self._losses: dict[str, float] = {}

    def run(
        self, report: Callable[[TrainingProgress], None], stopped: Callable[[], bool]
    ) -> Result:
        """Take all steps, or those until it is stopped; nothing is lost whatever ends it."""
        begun = self._trainer.steps
        try:
            self._take_steps(report, stopped)
        except BaseException:
            if self._trainer.steps > begun:
                with suppress(StyleTransferError):  # what ended it is to be told
                    self._leave()
            raise
        self._leave()
        settings = self._settings
        style = None if settings.learns_all or not settings.styles else settings.styles - 1
        return Result(self._training.network, self._trainer.steps, self._wanted, style)

    def _take_steps(
        self, report: Callable[[TrainingProgress], None], stopped: Callable[[], bool]
    ) -> None:
        trainer, started, begun = self._trainer, time.monotonic(), self._trainer.steps
        while trainer.steps < self._wanted and not stopped():
            before, rate = time.monotonic(), trainer.learning_rate
            values = trainer.step(self._ahead.batch(trainer.steps))
            loss = values.pop("loss")
            if not math.isfinite(loss):
                self._go_back("the loss is no number")
                continue
            if self._candidate is not None:
                self._good, self._candidate = self._candidate, None
            self._losses = values
            now = time.monotonic()
            progress = TrainingProgress(
                trainer.steps, self._wanted, begun, loss, values, rate, now - started, now - before
            )
            self._records.tell(progress, trainer.weights_of_terms)
            report(progress)
            self._look_after()

    def _leave(self) -> None:
        """Write what there is, if it is good."""
        done = self._trainer.steps >= self._wanted
        if not done and self._problem(False):
            self._trainer.restore(self._good)
        self._write(done)

    def _look_after(self) -> None:
        """Do what is due after a step."""
        steps, settings = self._trainer.steps, self._settings
        preview = steps % settings.preview_every == 0
        checkpoint = steps % settings.checkpoint_every == 0
        last = steps >= self._wanted
        if not (preview or checkpoint or last or steps % _KEPT_EVERY == 0):
            return
        problem = self._problem(preview)
        if problem:
            self._go_back(problem)
            return
        self._candidate = self._trainer.state()
        if checkpoint and not last:
            self._write(False)

    def _problem(self, preview: bool) -> str:
        """Say what is wrong with the network as it stands, and write a preview if asked."""
        state = self._trainer.state()
        if not all(np.isfinite(array).all() for array in state.values()):
            return "the weights are no numbers"
        if self._sample is None:
            self._sample = self._ahead.first()
        painted = np.rint(np.clip(self._trainer.paint(self._sample), 0, 255)).astype(np.uint8)
        if preview:
            shown = slice(_MOST_SHOWN)
            self._records.preview(self._trainer.steps, self._sample[shown], painted[shown])
        flat = not np.ptp(painted, axis=(1, 2)).any()
        # It may begin with what is too dark to be seen.
        self._has_painted = self._has_painted or not flat
        return "what it paints is of one colour" if flat and self._has_painted else ""

    def _go_back(self, problem: str) -> None:
        """Go back to the last good state with half the learning rate; give up after three times."""
        trainer = self._trainer
        at, rate = trainer.steps, trainer.learning_rate
        trainer.restore(self._good)
        self._candidate = None
        self._failures += 1
        # A run that is killed now goes on from here, not from what led to this.
        checkpoints.drop_after(self._training.place, trainer.steps)
        trainer.learning_rate = rate if self._failures > _MOST_FAILURES else rate / 2
        self._write(False)
        if self._failures > _MOST_FAILURES:
            raise StyleTransferError(
                f"step {at}: {problem}, for the {self._failures}th time; the network of step"
                f" {trainer.steps} is in {self._training.network}: give other weights of the"
                " losses, or a lower learning_rate, and start again"
            )
        self._records.rewind(trainer.steps)
        _logger.warning(
            "step %d: %s; back to step %d, learning rate %g", at, problem, trainer.steps, rate / 2
        )

    def _write(self, done: bool) -> None:
        """Write a checkpoint and the network."""
        trainer, settings, place = self._trainer, self._settings, self._training.place
        checkpoint = Checkpoint(trainer.state(), trained.plain(settings), self._digests)
        checkpoints.write(place, checkpoint)
        if done:
            checkpoints.write(place, checkpoint, done=True)
        checkpoints.prune(place, settings.checkpoints_kept)
        network = Trained(settings, trainer.weights, trainer.steps, self._losses, trainer.base)
        trained.save(self._training.network, network)
