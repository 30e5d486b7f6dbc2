"""What a training leaves beside its network: its losses as a table, previews, and TensorBoard's."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from styletransfer import images, storage
from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.feedforward import losses
from styletransfer.progress import TrainingProgress

LOSSES, PREVIEWS = "losses.csv", "previews"
_FIRST_COLUMNS = ("step", "seconds", "learning_rate", "loss")
_SUMMARY_EVERY = 25  # steps, as hzy46's trainer
# What hzy46's trainer calls the terms.
_TAGS = {"content": "content_loss", "style": "style_loss", "tv": "regularizer_loss"}
_MORE_TAGS = {name: f"{name}_loss" for name in (losses.STABILITY, losses.SHIFT)}


class Records:
    """Writes what there is to tell of a training into a folder.

    Parameters
    ----------
    folder : Path
        Where to.
    terms : sequence of str
        The columns of the table after the first ones.
    begun : int
        How many steps there were; what is told of later ones is from a run that did not keep them.
    tensorboard : bool
        Whether TensorBoard's event files are written, too.

    Raises
    ------
    UsageError
        If the package for them is missing.
    """

    def __init__(
        self, folder: Path, terms: Sequence[str], begun: int, tensorboard: bool = False
    ) -> None:
        self._folder = folder
        self._terms = list(terms)
        self._path = folder / LOSSES
        self._writer = _event_writer(folder, begun) if tensorboard else None
        self._file: Any = None
        # What the runs took that this one goes on from.
        self._seconds = self.rewind(begun)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
        if self._writer is not None:
            self._writer.close()

    def rewind(self, steps: int) -> float:
        """Forget the rows of what came after so many steps; return the seconds of the last one.

        A table with other columns, of a training whose layers were others, gets another name.
        """
        self._close()
        columns = [*_FIRST_COLUMNS, *self._terms]
        header, rows = _table(self._path)
        rows = [row for row in rows if int(row[0]) <= steps]
        seconds = _seconds(header, rows)
        try:
            if rows and header != columns:
                self._path.replace(self._path.with_stem(f"{self._path.stem}-until-{steps}"))
                rows = []
            with storage.replacing(self._path) as stream:
                lines = (",".join(row) + "\n" for row in [columns, *rows])
                stream.write("".join(lines).encode())
            # Line by line: a process that is killed has told of all its steps.
            self._file = self._path.open("a", 1, encoding="utf-8", newline="")
        except OSError as error:
            raise StyleTransferError(f"{self._path} cannot be written: {error}") from error
        return seconds

    def tell(self, step: TrainingProgress, weights: Mapping[str, float]) -> None:
        """Write what a step's losses were; weights are those of the terms."""
        seconds = f"{self._seconds + step.seconds:.3f}"
        first = (step.iteration, seconds, step.learning_rate, step.loss)
        row = [*first, *(step.terms[name] for name in self._terms)]
        self._file.write(",".join(map(str, row)) + "\n")
        if self._writer is not None and step.iteration % _SUMMARY_EVERY == 0:
            for tag, value in _summary(step, weights).items():
                self._writer.add_scalar(tag, value, step.iteration)

    def preview(self, steps: int, originals: np.ndarray, painted: np.ndarray) -> None:
        """Write pictures beside what has become of them, both (N, H, W, 3) uint8."""
        rows = np.concatenate([originals, painted], axis=2)
        path = self._folder / PREVIEWS / f"step-{steps:06d}.jpg"
        images.save(path, np.concatenate(list(rows)).astype(np.float32) / np.float32(255))
        if self._writer is not None:
            for tag, pictures in (("generated", painted), ("origin", originals)):
                for i, picture in enumerate(pictures):
                    self._writer.add_image(f"{tag}/image/{i}", picture, steps, dataformats="HWC")

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the columns and the rows of a table; a line that was cut short is none."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
    except (OSError, ValueError, csv.Error):
        return [], []
    return header, [row for row in rows if len(row) == len(header) and row[0].isdecimal()]


def _seconds(header: list[str], rows: list[list[str]]) -> float:
    """Return what the last row of a table says of the time; the file may have been edited."""
    try:
        return max(0.0, float(rows[-1][header.index("seconds")]))
    except (IndexError, ValueError):
        return 0.0


def _summary(step: TrainingProgress, weights: Mapping[str, float]) -> dict[str, float]:
    """Return what hzy46's trainer tells TensorBoard, by its tags."""
    tags = {"total_loss": step.loss}
    more = {kind: name for kind, name in _MORE_TAGS.items() if kind in step.terms}
    for kind, name in {**_TAGS, **more}.items():
        tags[f"losses/{name}"] = step.terms[kind]
        parts = (t for t in weights if t.split("/", 1)[0] == kind)
        tags[f"weighted_losses/weighted_{name}"] = sum(weights[t] * step.terms[t] for t in parts)
    styles = {t: x for t, x in step.terms.items() if t.startswith("style/")}
    return tags | {f"style_losses/{t.removeprefix('style/')}": x for t, x in styles.items()}


def _event_writer(folder: Path, begun: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise UsageError(
            "TensorBoard's files take the package tensorboardX: pip install tensorboardX"
        ) from None
    return SummaryWriter(str(folder), purge_step=begun + 1 if begun else None)
