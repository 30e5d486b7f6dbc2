"""Which pictures are to be made of which, and where they go."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from styletransfer.errors import UsageError

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
"""The files of a folder that are taken."""


@dataclass(frozen=True)
class Job:
    """One picture to be made.

    Attributes
    ----------
    content : Path
        The content image.
    styles : tuple of Path
        The style images, together in one picture.
    output : Path
        The file to write.
    """

    content: Path
    styles: tuple[Path, ...]
    output: Path

    def beside(self, what: str, suffix: str | None = None) -> Path:
        """Return where something that belongs to the picture goes.

        Parameters
        ----------
        what : str
            Put behind the name.
        suffix : str, optional
            Of the file; by default that of the picture.
        """
        return self.output.with_name(f"{self.output.stem}-{what}{suffix or self.output.suffix}")

    def grid(self) -> Path:
        """Return where content, styles and result go side by side."""
        return self.beside("grid")

    def curves(self) -> Path:
        """Return where the course of the loss goes."""
        return self.beside("loss", ".png")

    def snapshot(self, iteration: int) -> Path:
        """Return where the image after an iteration goes."""
        return self.beside(f"{iteration:05}")

    def snapshots(self) -> list[Path]:
        """Return the files that are there already under names of snapshots."""
        name = re.compile(rf"{re.escape(self.output.stem)}-\d{{5,}}{re.escape(self.output.suffix)}")
        folder = self.output.parent
        return [p for p in folder.iterdir() if name.fullmatch(p.name)] if folder.is_dir() else []


def is_batch(contents: Sequence[Path], styles: Sequence[Path], all_pairs: bool) -> bool:
    """Whether more than one picture is asked for, a folder's counting as many.

    Parameters
    ----------
    contents, styles : sequence of Path
        Files and folders.
    all_pairs : bool
        Whether each style makes a picture of its own.
    """
    several = [*contents, *styles] if all_pairs else contents
    return (
        any(path.is_dir() for path in several)
        or len(contents) > 1
        or (all_pairs and len(styles) > 1)
    )


def plan(
    contents: Sequence[Path],
    styles: Sequence[Path],
    all_pairs: bool,
    output: str | None,
    outputs: Path,
    name: Callable[[Path, Sequence[Path]], str],
) -> list[Job]:
    """Return the pictures to be made.

    Parameters
    ----------
    contents, styles : sequence of Path
        Files, and folders that stand for the pictures in them.
    all_pairs : bool
        Whether each style makes a picture of its own; else all go into one together.
    output : str or None
        A file, or a folder: one that is there, or a name that ends in a slash. Several pictures
        need a folder, whose name needs no slash.
    outputs : Path
        The folder where no output is given.
    name : callable
        Returns a file name for a content and its styles.

    Raises
    ------
    UsageError
        If a folder has no pictures, the output is neither a picture's name nor a folder's, several
        pictures would go into one file, two would have the same name, or they would go into a
        folder that is looked through for pictures.
    """
    batch = is_batch(contents, styles, all_pairs)
    looked_through = [path for path in (*contents, *styles) if path.is_dir()]
    contents, styles = _files(contents), _files(styles)
    groups = [(style,) for style in styles] if all_pairs else [tuple(styles)]
    pairs = [(content, group) for content in contents for group in groups]
    if output is None or _is_folder(output, batch):
        folder = outputs if output is None else Path(output)
        jobs = [Job(content, group, folder / name(content, group)) for content, group in pairs]
    else:
        jobs = [Job(*pairs[0], Path(output))]
    _check_place(jobs[0].output.parent, looked_through)
    seen: dict[Path, Job] = {}
    for job in jobs:
        other = seen.setdefault(job.output, job)
        if other is not job:
            raise UsageError(
                f"{_named(other)} and {_named(job)} would both become {job.output}; rename one"
            )
    return jobs


def check_sources(
    jobs: Sequence[Job], others: Sequence[Path], written: Callable[[Job], Iterable[Path]]
) -> None:
    """Refuse jobs that would overwrite a picture that goes in.

    Parameters
    ----------
    jobs : sequence of Job
        All, those included that may be skipped: a picture that goes in is no result.
    others : sequence of Path
        What goes in besides contents and styles.
    written : callable
        Returns the files that a job would write.

    Raises
    ------
    UsageError
        If there is one; it names the picture.
    """
    going_in = {path for job in jobs for path in (job.content, *job.styles)} | set(others)
    sources = {_identity(path): path for path in going_in if path.exists()}
    for job in jobs:
        for path in written(job):
            source = sources.get(_identity(path)) if path.exists() else None
            if source is not None:
                raise UsageError(f"{source} goes in and would be overwritten; give another -o")


def _identity(path: Path) -> tuple[int, int]:
    """Return what two paths of one file have in common."""
    facts = path.stat()
    return facts.st_dev, facts.st_ino


def _is_folder(output: str, batch: bool) -> bool:
    """Whether an output names a folder and not a file, having checked that it names one."""
    path = Path(output)
    try:
        is_there = path.is_dir()
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}; choose another") from error
    if is_there or output.endswith(("/", os.sep)):
        return True
    if batch and path.suffix.lower() in PICTURES:
        raise UsageError(f"several pictures need a folder; {output} is the name of a picture")
    if not batch and not path.suffix:
        raise UsageError(
            f"{output} has no extension and is no folder; give it one of .jpg, .png, .tif, .webp,"
            " or a / at its end to have the folder made"
        )
    return batch


def _check_place(folder: Path, looked_through: Iterable[Path]) -> None:
    """Refuse results in a folder whose pictures go in."""
    for source in looked_through:
        if folder.exists() and folder.samefile(source):
            raise UsageError(
                f"the results would lie in {source}, and go in themselves the next time, as all"
                " pictures there do; give -o another folder"
            )


def _named(job: Job) -> str:
    return f"{job.content} in the style of {' and '.join(map(str, job.styles))}"


def _files(paths: Sequence[Path]) -> list[Path]:
    """Return files, those of folders in order of their names."""
    found = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES and p.is_file())
        if not inside:
            raise UsageError(f"the folder {path} has no pictures ({', '.join(PICTURES)})")
        found += inside
    return found
