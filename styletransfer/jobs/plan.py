"""Which pictures are to be made of which, and where they go."""

import logging
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from styletransfer.errors import UsageError
from styletransfer.jobs import naming
from styletransfer.jobs.task import Extras, Task
from styletransfer.settings import Painting, Settings, is_number
from styletransfer.text import counted
from styletransfer.transfer import checkpoint

logger = logging.getLogger(__name__)

PICTURES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"),
    *(".avif", ".heic", ".heif"),
)
"""The files of a folder that are taken."""


@dataclass(frozen=True)
class Order:
    """What is asked for: one picture, or several.

    Attributes
    ----------
    contents, styles : tuple of Path
        Files, and folders that stand for the pictures in them.
    settings : Settings or Painting
        All parameters.
    folder : Path
        Where results go if no output is given.
    all_pairs : bool
        Whether each style makes a picture of its own; else all go into one together.
    output : str or None
        A file, or a folder: one that is there, or a name that ends in a slash. Several pictures
        need a folder, whose name needs no slash.
    overwrite : bool
        Whether what is there already of several is made again.
    ratio : str or None
        The ratio as it was typed, for names.
    suffix : str
        The format of results whose name is made.
    style_masks : tuple of Path
        None, or one a style.
    content_mask : Path or None
        The content's mask.
    extras : Extras
        What else is written.
    stdin : Path or None
        Which of the contents came from standard input.
    """

    contents: tuple[Path, ...]
    styles: tuple[Path, ...]
    settings: Settings | Painting
    folder: Path
    all_pairs: bool = False
    output: str | None = None
    overwrite: bool = False
    ratio: str | None = None
    suffix: str = ".jpg"
    style_masks: tuple[Path, ...] = ()
    content_mask: Path | None = None
    extras: Extras = field(default_factory=Extras)
    stdin: Path | None = None

    @property
    def is_batch(self) -> bool:
        """Whether more than one picture is asked for, a folder's counting as many."""
        several = [*self.contents, *self.styles] if self.all_pairs else [*self.contents]
        return (
            any(os.path.isdir(path) for path in several)
            or len(self.contents) > 1
            or (self.all_pairs and len(self.styles) > 1)
        )


def plan(order: Order) -> list[Task]:
    """Return the pictures to be made; see `divide`."""
    return divide(order)[0]


def divide(order: Order) -> tuple[list[Task], list[Path]]:
    """Return the pictures to be made and, of several, those that are there already.

    Names that are made, and not given, never stand for what was made from other parameters or
    pictures: the new picture gets a name of its own, and the log says so.

    Raises
    ------
    UsageError
        If a folder has no pictures, the output is neither a picture's name nor a folder's, several
        pictures would go into one file, two would have the same name, they would go into a folder
        that is looked through for pictures, or one would overwrite a picture that goes in.
    """
    looked_through = [path for path in (*order.contents, *order.styles) if os.path.isdir(path)]
    contents, styles = _files(order.contents), _files(order.styles)
    groups = [(style,) for style in styles] if order.all_pairs else [tuple(styles)]
    pairs = [(content, group) for content in contents for group in groups]
    named = order.output is not None and not _is_folder(order.output, order.is_batch)
    folder = order.folder if order.output is None else Path(order.output)
    stems = _stems(contents)
    tasks = []
    for content, group in pairs:
        name = naming.default(stems[content], group, order.settings, order.ratio) + order.suffix
        output = folder if named else folder / name
        tasks.append(
            Task(
                content,
                group,
                output,
                order.settings,
                order.style_masks,
                order.content_mask,
                order.extras,
                content == order.stdin,
            )
        )
    _check_place(tasks[0].output.parent, looked_through)
    _check_apart(tasks)
    check_sources(tasks)
    there: list[Path] = []
    if not named:
        tasks, there = _with_free_names(tasks, order)
        check_sources(tasks)
    return [_seeded(task) for task in tasks], there


def check_sources(tasks: Sequence[Task]) -> None:
    """Raise UsageError if a picture that goes in would be overwritten.

    Those of tasks that may be skipped count too: a picture that goes in is no result.
    """
    going_in = {path for task in tasks for paths in task.files.values() for path in paths}
    sources = {_identity(path): path for path in going_in if os.path.exists(path)}
    for task in tasks:
        for path in task.overwritten():
            source = sources.get(_identity(path))
            if source is not None:
                raise UsageError(f"{source} goes in and would be overwritten; give another -o")


def _with_free_names(tasks: Sequence[Task], order: Order) -> tuple[list[Task], list[Path]]:
    """Return the tasks that are to be run, none over what was made otherwise, and what is there."""
    left, done = [], []
    taken = {task.output for task in tasks}
    for task in tasks:
        chosen, there = naming.free(task, taken)
        taken.add(chosen)
        if there is not None and there.finished and order.is_batch and not order.overwrite:
            logger.info("%s is there already", chosen)
            done.append(chosen)
            continue
        left.append(replace(task, output=chosen))
    return left, done


def _seeded(task: Task) -> Task:
    """Return a task whose noise, if it begins with one, is chosen: the picture can say which."""
    settings = task.settings
    if isinstance(settings, Painting) or settings.seed is not None:
        return task
    if not is_number(settings.init):
        return task
    seed = None
    if task.checkpoint is not None and task.extras.resume:
        seed = checkpoint.seed_of(task.checkpoint)  # that of the run which is gone on with
    if seed is None:
        seed = secrets.randbelow(1 << 32)
    return replace(task, settings=replace(settings, seed=seed))


def _stems(contents: Sequence[Path]) -> dict[Path, str]:
    """Return what each content is called in names: of x.jpg and x.png, x and x-png."""
    taken: set[Path] = set()
    stems = {}
    for content in contents:
        whole = content.with_suffix("")
        stems[content] = (
            content.stem if whole not in taken else f"{content.stem}-{content.suffix[1:]}"
        )
        taken.add(whole)
    return stems


def _identity(path: Path) -> tuple[int, int]:
    """Return what two paths of one file have in common."""
    facts = path.stat()
    return facts.st_dev, facts.st_ino


def _is_folder(output: str, batch: bool) -> bool:
    """Whether an output names a folder and not a file, having checked that it names one."""
    path = Path(output)
    try:
        is_there = path.is_dir()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{output} cannot be written: {reason}; choose another") from error
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


def _check_apart(tasks: Sequence[Task]) -> None:
    """Refuse two pictures of one name."""
    seen: dict[Path, Task] = {}
    for task in tasks:
        other = seen.setdefault(task.output, task)
        if other is not task:
            raise UsageError(
                f"{_named(other)} and {_named(task)} would both become {task.output}; rename one"
            )


def _named(task: Task) -> str:
    styles = " and ".join(map(str, task.styles))
    return f"{task.content} in the style of {styles}" if styles else str(task.content)


def _files(paths: Sequence[Path]) -> list[Path]:
    """Return files, those of folders in order of their names."""
    found = []
    for path in paths:
        if not os.path.isdir(path):
            found.append(path)
            continue
        files = [p for p in path.iterdir() if p.is_file()]
        inside = sorted(p for p in files if p.suffix.lower() in PICTURES)
        if not inside:
            raise UsageError(f"the folder {path} has no pictures ({', '.join(PICTURES)})")
        if len(inside) < len(files):
            others = len(files) - len(inside)
            are = "is no picture, and is" if others == 1 else "are no pictures, and are"
            logger.info("%s: %s there %s left out", path, counted(others, "file"), are)
        found += inside
    return found
