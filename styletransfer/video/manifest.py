"""What is known of a film under way: a file with a line of JSON for each frame.

The first line says what film it is. A line is written when its frame is safe on the disk; where a
frame has several, the last one holds. A line that a power cut has torn is the last one, and does
not count.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Self

from styletransfer.errors import FilmError, UsageError
from styletransfer.text import clause

FORMAT = 1

METHOD = 4
"""How frames are painted: raised whenever what goes in is the same and frames look different."""

_LONGEST_LINE = 1 << 16
_LARGEST = 1 << 30


@dataclass(frozen=True)
class Record:
    """What became of a frame.

    Attributes
    ----------
    frame : int
        Its number in the source.
    time : str
        When it is seen, in seconds, as a fraction.
    shot : int
        Which shot it belongs to, from 0.
    turn : int
        In which pass over the shot it was painted, from 1.
    digest : str or None
        sha256 of the file of the painted frame; None if there is none.
    seconds : float
        How long it took.
    iterations : int
        How many there were; 1 in one pass of a network.
    loss : float or None
        The loss at the end of an optimisation.
    before : int or None
        The frame that it goes on from; None if it stands at the beginning of a shot.
    anchor : int
        The frame that the next ones are held to.
    error : str or None
        Why it could not be painted.
    """

    frame: int
    time: str
    shot: int
    turn: int = 1
    digest: str | None = None
    seconds: float = 0.0
    iterations: int = 0
    loss: float | None = None
    before: int | None = None
    anchor: int = 0
    error: str | None = None


class Manifest:
    """The frames of one film that are done, and those that failed.

    Parameters
    ----------
    path : Path
        The file; made if it is not there.
    header : mapping of str to object
        What the film is made of, as JSON has it.

    Attributes
    ----------
    records : dict of int to Record
        The last one of each frame.

    Raises
    ------
    UsageError
        If the file is that of another film: it says in what.
    FilmError
        If the file is no manifest, or cannot be written.
    """

    def __init__(self, path: Path, header: Mapping[str, object]) -> None:
        self.path = path
        self.records: dict[int, Record] = {}
        self._stream: BinaryIO | None = None
        wanted = json.loads(json.dumps({"format": FORMAT, "method": METHOD, **header}))
        length = self._read(wanted) if path.exists() else 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("r+b" if length else "wb")
            self._stream.truncate(length)  # what a power cut has torn
            self._stream.seek(length)
            if not length:
                self._append(wanted)
        except OSError as error:
            raise FilmError(f"{path} cannot be written: {error.strerror}.") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._stream is not None:
            self._stream.close()

    def add(self, record: Record) -> None:
        """Write what became of a frame; it is on the disk when this returns."""
        self.records[record.frame] = record
        self._append(asdict(record))

    def _append(self, line: Mapping[str, object]) -> None:
        assert self._stream is not None
        try:
            self._stream.write(json.dumps(line, ensure_ascii=True).encode() + b"\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise FilmError(f"{self.path} cannot be written: {error.strerror}.") from None

    def _read(self, wanted: Mapping[str, object]) -> int:
        """Take up the frames of the file; return how many bytes of it are whole lines."""
        length = 0
        differs: list[str] = []
        for number, line in _lines(self.path):
            if number == 0:
                differs = sorted(_differences(_header(self.path, line), wanted))
            else:
                record = _record(line)
                if record is None:
                    raise FilmError(
                        f"{self.path}: line {number + 1} is damaged; delete the file to begin anew."
                    )
                self.records[record.frame] = record
            length += len(line)
        if not differs:
            return length
        if any(record.digest for record in self.records.values()):
            if "method" in differs:
                raise UsageError(
                    f"{self.path} is of a film begun by another version of this program, which"
                    " paints frames in another way; give another -o, or --overwrite to begin anew"
                )
            raise UsageError(
                f"{self.path} is of a film that differs in {', '.join(differs)[:300]}; give another"
                " -o, or --overwrite to begin anew"
            )
        self.records.clear()  # nothing was painted: there is nothing to lose
        return 0


def read(path: Path) -> tuple[dict[str, object], dict[int, Record]]:
    """Return what a manifest says of its film, unchecked, and of each frame.

    Raises
    ------
    FilmError
        If it is none.
    """
    header: dict[str, object] = {}
    records: dict[int, Record] = {}
    for number, line in _lines(path):
        if number == 0:
            header = _header(path, line)
        elif (record := _record(line)) is not None:
            records[record.frame] = record
    return header, records


def _lines(path: Path) -> Any:
    """Yield the numbers and bytes of whole lines."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            raise FilmError(f"{path} is no manifest of a film: it is no file, or too large.")
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(_LONGEST_LINE):
                if not line.endswith(b"\n"):
                    if len(line) == _LONGEST_LINE:
                        raise FilmError(f"{path} is no manifest of a film: a line is too long.")
                    return
                yield number, line
                number += 1
    except OSError as error:
        raise FilmError(f"{path} cannot be read: {error.strerror}.") from None


def _header(path: Path, line: bytes) -> dict[str, object]:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise FilmError(
            f"{path} is no manifest of a film, or one of another version; delete it or give"
            " another -o."
        )
    return header


def _differences(found: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    """Return the names of what differs, those in tables by themselves."""
    names: list[str] = []
    for key in {*found, *wanted} - {"versions"}:
        one, other = found.get(key), wanted.get(key)
        if one == other:
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            names += [clause(k, 40) for k in {*one, *other} if one.get(k) != other.get(k)]
        else:
            names.append(clause(key, 40))
    return names


_TYPES: dict[str, tuple[type, ...]] = {
    "frame": (int,),
    "time": (str,),
    "shot": (int,),
    "turn": (int,),
    "digest": (str, type(None)),
    "seconds": (int, float),
    "iterations": (int,),
    "loss": (int, float, type(None)),
    "before": (int, type(None)),
    "anchor": (int,),
    "error": (str, type(None)),
}
assert [f.name for f in fields(Record)] == [*_TYPES]


def _record(line: bytes) -> Record | None:
    """Return what a line says, None of one that says nothing of the kind."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or set(values) != set(_TYPES):
        return None
    for name, kinds in _TYPES.items():
        value = values[name]
        if isinstance(value, bool) or not isinstance(value, kinds):
            return None
        if isinstance(value, int | float) and not abs(value) <= 1e300:  # nor no number
            return None
    return Record(**values) if 0 <= values["frame"] < 1 << 40 else None
