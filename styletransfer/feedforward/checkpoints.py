"""Checkpoints: all that the next step of a training depends on, in one file of arrays."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer import __version__, arrayfile
from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.text import clause

_logger = logging.getLogger(__name__)

_NAME = "fast-style-model.ckpt-"  # that of hzy46's trainer
_FILE = re.compile(re.escape(_NAME) + r"(\d{1,12}|done)\.npz")
_FORMAT = 1
_MOST_BYTES = 2 << 30

CHANGEABLE = frozenset(
    {
        *("content_weight", "style_weight", "tv_weight", "content_layers", "style_layers"),
        *("stability", "shift"),
        *("epoch", "steps", "learning_rate"),
        *("checkpoint_every", "checkpoints_kept", "preview_every", "licence"),
        *("naming", "model_path", "style_image"),  # the style's pixels are compared
        "base",  # so are its bytes
        *("checkpoint_exclude_scopes", "loss_model_file"),
    }
)
"""Keys that may differ from those of the checkpoint that a training goes on from."""


@dataclass(frozen=True)
class Checkpoint:
    """A training as it stood.

    Attributes
    ----------
    state : mapping of str to ndarray
        As `Trainer.state` returns it.
    configuration : mapping of str to object
        All keys.
    digests : mapping of str to str
        sha256 of the styles' pixels, of the dataset's names, of the base and of the loss network's
        weights.
    """

    state: Mapping[str, np.ndarray]
    configuration: Mapping[str, Any]
    digests: Mapping[str, str]

    @property
    def steps(self) -> int:
        """How many steps there were."""
        return int(self.state["steps"])


def write(folder: Path, checkpoint: Checkpoint, done: bool = False) -> Path:
    """Write a checkpoint, which appears whole or not at all, and return its path.

    Raises
    ------
    StyleTransferError
        If it cannot be written.
    """
    facts = {
        "format": _FORMAT,
        "version": __version__,
        "configuration": checkpoint.configuration,
        "digests": checkpoint.digests,
    }
    path = folder / f"{_NAME}{'done' if done else checkpoint.steps}.npz"
    try:
        arrayfile.write(path, checkpoint.state, facts)
    except OSError as error:
        raise StyleTransferError(f"{path} cannot be written: {error}") from error
    return path


def prune(folder: Path, kept: int) -> None:
    """Delete all numbered checkpoints but the last few."""
    for _, path in _numbered(folder)[:-kept]:
        path.unlink(missing_ok=True)


def drop_after(folder: Path, steps: int) -> None:
    """Delete the numbered checkpoints of more steps."""
    for number, path in _numbered(folder):
        if number > steps:
            path.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Delete all checkpoints."""
    for path in _files(folder):
        path.unlink(missing_ok=True)


def newest(folder: Path) -> tuple[Path, Checkpoint] | None:
    """Return the checkpoint of the most steps; one that is damaged is named and passed over."""
    found: list[tuple[int, Path, Checkpoint]] = []
    for path in _files(folder):
        try:
            checkpoint = read(path)
        except StyleTransferError as error:
            _logger.warning("%s It is passed over.", error)
            continue
        found.append((checkpoint.steps, path, checkpoint))
    if not found:
        return None
    _, path, checkpoint = max(found, key=lambda entry: entry[:2])
    return path, checkpoint


def read(path: Path) -> Checkpoint:
    """Return the checkpoint in a file, which anyone may have made.

    Raises
    ------
    StyleTransferError
        If it is none.
    """
    try:
        facts, state = arrayfile.read(path, _MOST_BYTES)
        steps = state["steps"]
        if facts["format"] != _FORMAT:
            raise ValueError("it is of another version of this program")
        if steps.dtype.kind != "i" or steps.ndim or steps < 0:
            raise ValueError("it has no number of steps")
        checked = [dict(facts[name]) for name in ("configuration", "digests")]
    except FileNotFoundError:
        raise StyleTransferError(f"there is no checkpoint {path}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = clause(error, 200)
        raise StyleTransferError(f"{path} is no checkpoint, or damaged: {reason}.") from error
    return Checkpoint(state, checked[0], checked[1])


def check_fits(path: Path, checkpoint: Checkpoint, now: Checkpoint) -> None:
    """Raise UsageError, which names what differs, unless a training can go on from a checkpoint."""
    for name, wanted in now.configuration.items():
        was = checkpoint.configuration.get(name)
        if name not in CHANGEABLE and was != wanted:
            raise _refusal(path, f"{name} was {clause(was)} and is {clause(wanted)}")
    if checkpoint.digests.get("style") != now.digests.get("style"):
        raise _refusal(path, "the style was another picture, or of another size")
    if checkpoint.digests.get("base", "") != now.digests.get("base", ""):
        raise _refusal(path, "the base was another network")
    # Checkpoints did not always have it.
    weights = checkpoint.digests.get("loss_network", now.digests.get("loss_network"))
    if weights != now.digests.get("loss_network"):
        model, other = clause(now.configuration["loss_model"]), now.digests.get("loss_network")
        raise _refusal(path, f"the weights of {model} had sha256 {clause(weights)}, now {other}")


def _refusal(path: Path, what: str) -> UsageError:
    return UsageError(
        f"the training cannot go on from {path}: {what}; put that back, give another naming, or"
        " begin anew with --restart, which deletes what is there"
    )


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """Return the checkpoints that have a number, by it."""
    return sorted(
        (int(match[1]), path)
        for path in _files(folder)
        if (match := _FILE.fullmatch(path.name)) and match[1] != "done"
    )


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _FILE.fullmatch(path.name))
