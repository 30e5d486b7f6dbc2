"""Painted frames that wait for their film, and what the next frame needs, in a folder.

Frames are PNG of 16 bits a channel; what a painter remembers is an archive of plain arrays.
"""

import contextlib
import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from styletransfer import arrayfile, storage
from styletransfer.errors import FilmError
from styletransfer.images import png16, profiles
from styletransfer.text import clause
from styletransfer.video.folders import read_picture

_LEVEL = 1  # of compression: a frame is written in the time of a few painted rows
_OWN = re.compile(r"\d{6,}(-\d+)?\.(png|npz)|\.[0-9a-f]{16}\.part")
_LARGEST_STATE = 4 << 30


class Kept:
    """The folder of a film under way.

    Parameters
    ----------
    folder : Path
        Made when something is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def frame(self, number: int, turn: int = 1) -> Path:
        """Return the file of a frame."""
        return self.folder / f"{number:06}{'' if turn == 1 else f'-{turn}'}.png"

    def has(self, number: int, turn: int = 1) -> bool:
        """Whether a frame is there."""
        return self.frame(number, turn).is_file()

    def save(self, number: int, picture: np.ndarray, turn: int = 1) -> str:
        """Keep a frame, (H, W, 3) uint16; return the digest of its file."""
        stream = io.BytesIO()
        png16.write(stream, picture, profiles.srgb(), level=_LEVEL)
        data = stream.getvalue()
        with _writing(self.frame(number, turn)) as path, storage.replacing(path) as file:
            file.write(data)
        return hashlib.sha256(data).hexdigest()

    def load(self, number: int, digest: str | None, turn: int = 1) -> np.ndarray:
        """Return a frame, (H, W, 3) uint16.

        Raises
        ------
        FilmError
            If it is not what was kept.
        """
        path = self.frame(number, turn)
        try:
            sound = storage.digest(path) == digest
        except OSError as error:
            raise FilmError(f"{path} cannot be read: {error.strerror}.") from None
        if not sound:
            raise FilmError(f"{path} is not as it was painted; delete it, and run this again.")
        pixels, _ = read_picture(path)
        return pixels

    def state(self, number: int, turn: int = 1) -> Path:
        """Return the file of what is remembered after a frame."""
        return self.frame(number, turn).with_suffix(".npz")

    def save_state(self, number: int, arrays: Mapping[str, np.ndarray], turn: int = 1) -> None:
        """Keep what is remembered after a frame."""
        with _writing(self.state(number, turn)) as path:
            arrayfile.write(path, arrays, {})

    def load_state(self, number: int, turn: int = 1) -> dict[str, np.ndarray] | None:
        """Return what is remembered after a frame; None where that is not kept.

        Raises
        ------
        FilmError
            If it is damaged.
        """
        path = self.state(number, turn)
        try:
            return arrayfile.read(path, _LARGEST_STATE)[1]
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise FilmError(f"{path} is damaged ({clause(error, 200)}); delete it.") from None

    def clear(self) -> None:
        """Delete the folder and what this program has kept in it."""
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if _OWN.fullmatch(path.name):
                path.unlink()
        with contextlib.suppress(OSError):  # somebody else has put something there
            self.folder.rmdir()

    def forget_state(self, number: int, turn: int = 1) -> None:
        """Delete what was remembered after a frame."""
        self.state(number, turn).unlink(missing_ok=True)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[Path]:
    """Say what to do where a file cannot be written."""
    try:
        yield path
    except OSError as error:
        raise FilmError(
            f"{path} cannot be written: {error.strerror or error}. What is painted so far is kept;"
            " make room, and run this again."
        ) from None
