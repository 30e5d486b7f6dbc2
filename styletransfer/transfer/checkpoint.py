"""Checkpoints: all that the next step of a run depends on, in one file of arrays.

A run that goes on from one makes, with `lbfgs` and `adam`, the picture of a run that was never
interrupted, bit for bit.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer import __version__, arrayfile, images, optim, runtime, storage
from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.progress import Stop
from styletransfer.runtime.devices import Device
from styletransfer.settings import Settings, is_picture
from styletransfer.text import clause
from styletransfer.transfer import temporal
from styletransfer.transfer.inputs import Inputs
from styletransfer.transfer.stages import Stage
from styletransfer.weights.loading import LoadedNetwork

logger = logging.getLogger(__name__)

SECONDS = 60.0
"""Time between two checkpoints where their distance is not given in iterations."""

CHANGEABLE = frozenset({"n_iter", "time"})
"""Parameters that may differ from those of the run that is gone on with."""

_FORMAT = 2
_IMAGE = "image"
_STATE = "state/"


@dataclass(frozen=True)
class Point:
    """A run as it stood after an iteration.

    Attributes
    ----------
    stage, done : int
        Which stage it was in, from 0, and how many of its iterations were done.
    ended : Stop or None
        Why the stage ended by itself, if it did.
    early : Stop or None
        Why a stage before ended before it had to, if one did.
    iteration, evaluations, judged : int
        How many there were in all; iterations of the first stage.
    first_loss, loss : float
        That of the stage's first image, and of the image accepted last.
    first_style, last_style : float
        The style's part at the first image, and at the end of the first stage.
    image : ndarray, shape (1, 3, H, W)
        The image accepted last, as the network sees it, float32.
    state : State or None
        The minimiser's; SciPy hands out none.
    """

    stage: int
    done: int
    ended: Stop | None
    early: Stop | None
    iteration: int
    evaluations: int
    judged: int
    first_loss: float
    loss: float
    first_style: float
    last_style: float
    image: np.ndarray
    state: Any


@dataclass(frozen=True)
class Checkpoints:
    """Whether and where a run writes checkpoints.

    Parameters
    ----------
    path : path
        The file, .npz, which each replaces.
    every : int, optional
        After how many iterations; by default every 60 seconds.
    resume : bool
        Whether to go on from the file, where it is there.

    Raises
    ------
    UsageError
        If no checkpoint can have that name, or the number is none.

    Notes
    -----
    What ends a run before it is complete, `stopped`, an error or a lack of time, writes one, too;
    except that after a `KeyboardInterrupt` in the middle of a step the last one stands.
    """

    path: Path
    every: int | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        try:
            path = storage.target(Path(self.path))
        except (TypeError, ValueError, OSError) as error:
            raise UsageError(
                f"{clause(self.path)} cannot be a checkpoint: {clause(error)}; give another file"
            ) from None
        if path.suffix.lower() != ".npz":
            raise UsageError(f"{clause(path)} cannot be a checkpoint, whose name ends in .npz")
        if self.every is not None and (type(self.every) is not int or self.every < 1):
            raise UsageError(f"every is {clause(self.every)}; give a whole number of at least 1")
        object.__setattr__(self, "path", Path(self.path))


class Keeper:
    """Writes the checkpoints of one run.

    Parameters
    ----------
    asked : Checkpoints
        Where, and how often.
    about : mapping of str to object
        What `describe` returned of the run.
    """

    def __init__(self, asked: Checkpoints, about: Mapping[str, object]) -> None:
        self._asked, self._about = asked, about
        self._last = time.monotonic()
        self._written = -1
        self._failed = False

    def take(self, point: Point) -> None:
        """Write a checkpoint if one is due."""
        every = self._asked.every
        if every is None:
            due = time.monotonic() - self._last >= SECONDS
        else:
            due = point.iteration % every == 0
        if due:
            self.write(point)

    def write(self, point: Point) -> None:
        """Write a checkpoint; where that fails, the log says so once, and the run goes on."""
        facts = {name: value for name, value in vars(point).items() if name not in _ARRAYS}
        for name in ("ended", "early"):
            facts[name] = None if facts[name] is None else facts[name].value
        arrays = {_IMAGE: point.image}
        if point.state is not None:
            arrays |= {_STATE + name: a for name, a in optim.to_arrays(point.state).items()}
        try:
            arrayfile.write(self._asked.path, arrays, {**self._about, "point": facts})
        except OSError as error:
            if not self._failed:
                path, reason = self._asked.path, error.strerror or error
                logger.warning("the checkpoint %s cannot be written: %s", path, clause(reason))
            self._failed = True
        self._last = time.monotonic()


_ARRAYS = ("image", "state")


def describe(
    settings: Settings, network: LoadedNetwork, given: Inputs, device: Device
) -> dict[str, object]:
    """Return what a run is of: its parameters, and digests of all that goes in.

    `given` is as it was before anything was painted.
    """
    init = given.init
    pictures: dict[str, Sequence[np.ndarray]] = {
        "content": [given.content],
        "style": given.styles,
        "style mask": given.style_masks,
        "content mask": [] if given.content_mask is None else [given.content_mask],
        "first image": [init] if isinstance(init, np.ndarray) else [],
        "expected image": [],
    }
    if given.expected is not None:
        pictures["expected image"] = [given.expected.picture, given.expected.trust]
    return {
        "format": _FORMAT,
        "settings": settings.plain(),
        "pictures": {kind: [_digest(p) for p in listed] for kind, listed in pictures.items()},
        "expected weight": None if given.expected is None else given.expected.weight,
        "weights": network.weights_digest,
        "around": {
            "styletransfer": __version__,
            "onnxruntime": runtime.version(),
            "numpy": np.__version__,
            "device": str(device),
            "threads": device.threads or os.cpu_count(),
        },
    }


def _digest(array: np.ndarray) -> str:
    head = f"{array.dtype} {array.shape} ".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


def seed_of(path: Path) -> int | None:
    """Return the seed of the run that a checkpoint is of; None where there is none."""
    try:
        seed = arrayfile.read_facts(path)["settings"]["seed"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # who reads all of it says why
    return seed if isinstance(seed, int) and seed >= 0 else None


def read(
    path: Path,
    about: Mapping[str, Any],
    settings: Settings,
    mean: np.ndarray,
    shape: Sequence[int],
    stages: Sequence[Stage],
) -> Point | None:
    """Return where a run stood, having checked that it is this one; None if there is no such file.

    Parameters
    ----------
    path : Path
        A file that anyone may have made.
    about : mapping of str to object
        What `describe` returns of the run of now.
    settings : Settings
        Those of now.
    mean : ndarray, shape (3,)
        The network's.
    shape : sequence of int
        (H, W, ...) of the content picture as it is.
    stages : sequence of Stage
        Those of now.

    Raises
    ------
    StyleTransferError
        If it is no checkpoint, or damaged.
    UsageError
        If it belongs to another run; it names the difference.
    """
    try:
        facts = arrayfile.read_facts(path)
        if facts.get("format") != _FORMAT:
            raise ValueError("it is none of a picture, or of another version of this program")
        _check_fits(path, facts, about)
        values = _checked(facts["point"], len(stages))
        size = stages[values["stage"]].size(shape)
        blank = np.zeros((1, 3, *size), np.float32)
        bounds = images.bounds(mean)
        state = optim.blank(settings.optimizer, blank, bounds, **settings.optimizer_options)
        wanted = {} if state is None else optim.to_arrays(state)
        most = blank.nbytes + sum(array.nbytes for array in wanted.values())
        arrays = arrayfile.read(path, most)[1]
        image = arrays.pop(_IMAGE)
        if (image.dtype, image.shape) != (blank.dtype, blank.shape):
            raise ValueError(f"its image is {image.dtype} {image.shape}")
        if not np.isfinite(image).all():
            raise ValueError("its image is not finite")
        if state is not None:
            stored = {name.removeprefix(_STATE): array for name, array in arrays.items()}
            state = optim.restored(state, stored)
        _tell_circumstances(path, facts.get("around"), about["around"])
        return Point(image=image, state=state, **values)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = clause(error, 200)
        raise StyleTransferError(
            f"{path} is no checkpoint, or damaged: {reason}. Delete it to begin anew."
        ) from error


_COUNTS = ("stage", "done", "iteration", "evaluations", "judged")
_NUMBERS = ("first_loss", "loss", "first_style", "last_style")


def _checked(said: Mapping[str, object], stages: int) -> dict[str, Any]:
    """Return the plain values of a `Point`; raise ValueError or KeyError for what is none."""
    found: dict[str, Any] = {}
    for name in _COUNTS:
        value = said[name]
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
            raise ValueError(f"{name} is {clause(value)}")
        found[name] = value
    for name in _NUMBERS:
        value = said[name]
        if not isinstance(value, float):
            raise ValueError(f"{name} is {clause(value)}")
        found[name] = value
    for name in ("ended", "early"):
        found[name] = None if said[name] is None else Stop(said[name])
    if found["stage"] >= stages or not 1 <= found["done"] <= found["iteration"]:
        raise ValueError(f"it stands at iteration {found['done']} of stage {found['stage']}")
    return found


def _check_fits(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise UsageError, which names what differs, unless a checkpoint is of the run of now."""
    # What is stored went through JSON, where a tuple is a list.
    own, usual = json.loads(json.dumps([now, Settings().plain()]))
    for name, value in own["settings"].items():
        was = then["settings"].get(name, usual[name])
        if name in CHANGEABLE or name == "model" or was == value:  # weights are compared
            continue
        if name == "init" and isinstance(was, str) and is_picture(was) and is_picture(value):
            continue  # the picture itself is compared
        raise _refusal(path, f"{name} was {clause(was)} and is {clause(value)}")
    for kind, digests in own["pictures"].items():
        seen = then["pictures"].get(kind)
        if seen != digests:
            many = isinstance(seen, list) and len(seen) != len(digests)
            what = f"there were {len(seen)} and are {len(digests)}" if many else "was another"
            raise _refusal(path, f"{kind}: {what}")
    if then.get("expected weight") != own["expected weight"]:
        raise _refusal(path, f"the weight of {temporal.TERM.name} was another")
    if then["weights"] != own["weights"]:
        raise _refusal(path, "the network had other weights")


def tell(path: Path, begun: Point | None, settings: Settings) -> None:
    """Log where a run begins that was to go on from a checkpoint."""
    if begun is None:
        logger.info("there is no checkpoint %s: the run begins at its first iteration", path)
        return
    anew = begins_anew(begun, settings)
    logger.info(
        "going on after iteration %d of %d, from %s%s",
        begun.iteration,
        settings.n_iter,
        path,
        "; lbfgsb (SciPy's) begins anew there, from the image alone, so that the picture is not"
        " that of an uninterrupted run: with lbfgs or adam it is"
        if anew
        else "",
    )


def begins_anew(begun: Point, settings: Settings) -> bool:
    """Whether the minimiser, SciPy's, goes on from the image alone: its state is not known."""
    return begun.state is None and begun.ended is None and begun.done < settings.n_iter


def _refusal(path: Path, what: str) -> UsageError:
    return UsageError(
        f"the run cannot go on from {path}: {what}; put that back, or leave resume (--resume) out"
        " to begin anew"
    )


def _tell_circumstances(path: Path, then: object, now: Mapping[str, object]) -> None:
    """Log what may keep a picture from being that of an uninterrupted run to the bit."""
    before = then if isinstance(then, dict) else {}
    told = [
        f"{name} {clause(before.get(name))} -> {clause(value)}"
        for name, value in now.items()
        if before.get(name) != value
    ]
    if told:
        logger.warning(
            "%s was written with other circumstances, so that the picture may differ a little: %s",
            path,
            ", ".join(told),
        )
