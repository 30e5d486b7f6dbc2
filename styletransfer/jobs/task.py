"""One picture to be made, as a value: all that goes in, what is made of it, and where it goes."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from styletransfer.settings import Painting, Settings, is_picture


@dataclass(frozen=True)
class Machine:
    """What pictures are made on.

    Attributes
    ----------
    gpu_id : int or None
        The CUDA device, -1 for the CPU; None is a CUDA device if there is one.
    threads : int
        Threads on the CPU; 0 is one a core.
    models : Path or None
        The folder with the networks.
    provider : str or None
        An execution provider in place of CUDA or the CPU.
    tile : {"auto", "off"} or int
        Whether pictures are computed in tiles, and how large these are.
    memory_limit : int or None
        The most bytes that the process takes with ``auto``.
    """

    gpu_id: int | None = None
    threads: int = 0
    models: Path | None = None
    provider: str | None = None
    tile: str | int = "auto"
    memory_limit: int | None = None


@dataclass(frozen=True)
class Extras:
    """How a picture is written, and what is written beside it.

    Attributes
    ----------
    depth : int
        Bits a channel of the result.
    save_every : int or None
        After how many iterations a snapshot is written, each time.
    grid, plot, edges : bool
        Whether to write the pictures side by side, the course of the loss, and the edges of content
        and result.
    preview : Path or None
        A file that is rewritten every few seconds with the image so far.
    checkpoint : bool
        Whether checkpoints are written.
    checkpoint_file : Path or None
        Where; None is beside the result.
    checkpoint_every : int or None
        After how many iterations, each time; None is every minute.
    resume : bool
        Whether to go on from the checkpoint, where there is one.
    """

    depth: int = 8
    save_every: int | None = None
    grid: bool = False
    plot: bool = False
    preview: Path | None = None
    edges: bool = False
    checkpoint: bool = False
    checkpoint_file: Path | None = None
    checkpoint_every: int | None = None
    resume: bool = False


@dataclass(frozen=True)
class Task:
    """One picture to be made; run twice it gives the same picture.

    Attributes
    ----------
    content : Path
        The content image.
    styles : tuple of Path
        The style images, together in one picture.
    output : Path
        The file to write.
    settings : Settings or Painting
        All parameters, of an optimisation or of one pass; a noise has its seed.
    style_masks : tuple of Path
        Gray images, none or one a style.
    content_mask : Path or None
        A gray image.
    extras : Extras
        What else comes out.
    streamed_in : bool
        Whether the content came from standard input; its file does not last.
    names : mapping of str to str
        What paths are called where they lie elsewhere than where they were given, as on a cluster.
    """

    content: Path
    styles: tuple[Path, ...]
    output: Path
    settings: Settings | Painting
    style_masks: tuple[Path, ...] = ()
    content_mask: Path | None = None
    extras: Extras = field(default_factory=Extras)
    streamed_in: bool = False
    names: Mapping[str, str] = field(default_factory=dict)

    def name_of(self, path: Path | str) -> str:
        """Return what a path is called in what is stored and told."""
        return self.names.get(str(path), str(path))

    @property
    def title(self) -> str:
        """What the content is called in messages."""
        return "standard input" if self.streamed_in else self.name_of(self.content)

    @property
    def files(self) -> dict[str, Sequence[Path]]:
        """The pictures that go in, by what they are."""
        settings = self.settings
        first = settings.init if isinstance(settings, Settings) else ""
        return {
            "content": [self.content],
            "styles": self.styles,
            "style_masks": self.style_masks,
            "content_mask": [self.content_mask] if self.content_mask else [],
            "init": [Path(first)] if is_picture(first) else [],
        }

    @property
    def grid(self) -> Path:
        """Where content, styles and result go side by side."""
        return self._beside("grid")

    @property
    def curves(self) -> Path:
        """Where the course of the loss goes."""
        return self._beside("loss", ".png")

    @property
    def edges(self) -> Path:
        """Where the edges of content and result go."""
        return self._beside("edges")

    @property
    def checkpoint(self) -> Path | None:
        """Where checkpoints go, if there are any."""
        if not self.extras.checkpoint:
            return None
        return self.extras.checkpoint_file or self._beside("checkpoint", ".npz")

    def snapshot(self, iteration: int) -> Path:
        """Return where the image after an iteration goes."""
        return self._beside(f"{iteration:05}")

    def written(self) -> list[Path]:
        """Return what is written besides the picture; of the snapshots the last."""
        extras = self.extras
        found = [self.grid] if extras.grid else []
        found += [self.curves] if extras.plot else []
        found += [self.edges] if extras.edges else []
        if extras.save_every and isinstance(self.settings, Settings):
            found.append(self.snapshot(self.settings.n_iter))
        return found

    def overwritten(self) -> list[Path]:
        """Return the files that are there and may be written over, any snapshot's included."""
        places = [self.output, *self.written(), *filter(None, [self.checkpoint])]
        found = [path for path in places if os.path.exists(path)]
        folder = self.output.parent
        if not (self.extras.save_every and folder.is_dir()):
            return found
        stem, suffix = map(re.escape, (self.output.stem, self.output.suffix))
        name = re.compile(rf"{stem}-\d{{5,}}{suffix}")
        return found + [path for path in folder.iterdir() if name.fullmatch(path.name)]

    def _beside(self, what: str, suffix: str | None = None) -> Path:
        return self.output.with_name(f"{self.output.stem}-{what}{suffix or self.output.suffix}")
