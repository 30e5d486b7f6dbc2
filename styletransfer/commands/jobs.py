"""Which pictures are to be made of which, and where they go."""

from collections.abc import Callable, Sequence
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


def is_batch(contents: Sequence[Path], styles: Sequence[Path], all_pairs: bool) -> bool:
    """Whether more than one picture is asked for, a folder's counting as many."""
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
    output: Path | None,
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
    output : Path or None
        A file, or a folder; several pictures need a folder.
    outputs : Path
        The folder where no output is given.
    name : callable
        Returns a file name for a content and its styles.

    Raises
    ------
    UsageError
        If a folder has no pictures, several pictures would go into one file, or two would have
        the same name.
    """
    batch = is_batch(contents, styles, all_pairs)
    contents, styles = _files(contents), _files(styles)
    groups = [(style,) for style in styles] if all_pairs else [tuple(styles)]
    pairs = [(content, group) for content in contents for group in groups]
    if output is not None and not output.is_dir() and not batch:
        return [Job(*pairs[0], output)]
    if output is not None and output.suffix.lower() in PICTURES:
        raise UsageError(f"{len(pairs)} pictures need a folder; {output} is the name of a picture")
    folder = outputs if output is None else output
    jobs = [Job(content, group, folder / name(content, group)) for content, group in pairs]
    seen: dict[Path, Job] = {}
    for job in jobs:
        other = seen.setdefault(job.output, job)
        if other is not job:
            raise UsageError(
                f"{_named(other)} and {_named(job)} would both become {job.output}; rename one"
            )
    return jobs


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
