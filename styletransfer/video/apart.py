"""FFmpeg in a process of its own: a film at which it crashes or hangs costs no more than that.

Films come from anyone, and FFmpeg is much C. All that it does with a film's bytes, it does in
`child`. That process is asked with pickles; it answers with lines of JSON, bounded and checked, and
behind them the bytes of arrays whose shapes are known here: if a film has taken it over, it can
make this process do nothing but paint other frames. It is a net and no cage: what its user may do,
it may, too.
"""

import atexit
import contextlib
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

import styletransfer
from styletransfer.errors import DamagedFilmError, FilmError, StyleTransferError, UsageError
from styletransfer.text import clause, printable
from styletransfer.video import answers, extra
from styletransfer.video.answers import NonsenseError, Shown
from styletransfer.video.facts import Source
from styletransfer.video.formats import Format
from styletransfer.video.frame import Frame
from styletransfer.video.order import Order
from styletransfer.video.ranges import Range

T = TypeVar("T")

_CODE = (
    "import sys; sys.path[:0] = [p for p in sys.argv[1:] if p not in sys.path];"
    " from styletransfer.video import child; child.main()"
)
_ROOT = str(Path(styletransfer.__file__).resolve().parents[1])
# Seconds without a packet that was read; an encoder gives what it holds back all at once.
_PATIENCE, _PATIENCE_TO_WRITE = 300.0, 3600.0
_LONGEST = 1 << 20  # bytes of a line
_END_SECONDS = 10.0
_ERRORS: dict[str, type[StyleTransferError]] = {
    "FilmError": FilmError,
    "DamagedFilmError": DamagedFilmError,
    "UsageError": UsageError,
}


class _EndedError(Exception):
    """The other process has ended, or must be; the text, a clause, says why."""


def probe(path: Path) -> Source:
    """Return what a film says of itself and its first frame shows, see `containers.probe`."""
    return _told_once(path, lambda told: answers.source(path, told), "probe", path)


def left_out(source: Source, form: Format) -> tuple[str, ...]:
    """Return a phrase for every track that a format cannot hold, see `tracks.left_out`."""
    return _told_once(source.path, answers.phrases, "left_out", source, form)


def read(source: Source, part: Range) -> Iterator[Frame]:
    """Yield the frames of a part of a film; the next one is decoded meanwhile."""
    shape, dtype = (source.height, source.width), np.uint16 if source.depth == 16 else np.uint8

    def pixels(child: "_Child", told: dict[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
        rgb = child.array((*shape, 3), dtype)
        return rgb, child.array(shape, dtype) if source.alpha else None

    for shown, (rgb, alpha) in _frames(source.path, pixels, "read", source, part):
        yield Frame(*shown, rgb, alpha)


def small(
    source: Source, part: Range, side: int | None
) -> Iterator[tuple[int, Fraction, Fraction, np.ndarray | None]]:
    """Yield the number, time and duration of frames, and in BGR pictures of them, if wanted.

    Their sides are at most so long.
    """

    def pixels(child: "_Child", told: dict[str, Any]) -> np.ndarray | None:
        return None if side is None else child.array(answers.shape(told, side), np.uint8)

    for shown, picture in _frames(source.path, pixels, "small", source, part, side):
        yield (*shown, picture)


class FilmWriter:
    """A film that another process encodes, with the tracks of its source; see `FilmFile`."""

    def __init__(self, path: Path, form: Format, order: Order) -> None:
        self._child = _Child(_PATIENCE_TO_WRITE)
        self._ask("write", path.absolute(), form, order)

    def write(
        self, pixels: np.ndarray, alpha: np.ndarray | None, time: Fraction, duration: Fraction
    ) -> None:
        """Encode a frame."""
        self._ask("frame", pixels, alpha, time, duration)

    def finish(self) -> None:
        """Write the rest."""
        self._ask("finish")
        self._child.kill()

    def drop(self) -> None:
        """Leave it unfinished."""
        self._child.kill()

    def _ask(self, what: str, *arguments: object) -> None:
        try:
            self._child.ask(what, *arguments)
            self._child.answer()
        except _EndedError as error:
            raise OSError(str(error)) from None
        except BaseException:
            self._child.kill()
            raise


def _told_once(path: Path, checked: Callable[[Any], T], what: str, *arguments: object) -> T:
    """Ask for one answer, and return it."""
    try:
        with _lent(path) as child:
            child.ask(what, *arguments)
            with child.sense():
                return checked(child.answer().get("end"))
    except _EndedError as error:
        raise FilmError(f"{path} cannot be read: {error}; convert it to .mp4 or .mkv.") from None


def _frames(
    path: Path,
    rest: Callable[["_Child", dict[str, Any]], T],
    what: str,
    *arguments: object,
) -> Iterator[tuple[Shown, T]]:
    """Ask for frames, and yield each as it comes, with the rest of its answer.

    Raises DamagedFilmError if they break off.
    """
    last: Shown | None = None
    try:
        with _lent(path) as child:
            child.ask(what, *arguments)
            while "end" not in (told := child.answer()):
                with child.sense():
                    shown, received = answers.shown(told, last), rest(child, told)
                child.idle = True
                yield shown, received
                last = shown
    except _EndedError as error:
        if last is None:
            raise DamagedFilmError(f"{path} cannot be read: {error}.") from None
        raise DamagedFilmError(
            f"{path} can be read up to {float(last.time + last.duration):.2f} seconds: behind frame"
            f" {last.number} {error}."
        ) from None


class _Child:
    """The other process; it ends with this one, too.

    Attributes
    ----------
    idle : bool
        Whether no answer is under way, so that it can be asked for something else.
    """

    def __init__(self, patience: float) -> None:
        extra.av()  # says what is missing
        try:
            self._process = subprocess.Popen(
                # -P: nothing is imported from the current folder.
                [sys.executable, "-P", "-c", _CODE, _ROOT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Ctrl-C is for this process alone.
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:
            raise FilmError(f"Python could not be started again: {error.strerror}.") from None
        self._input = cast(io.BufferedWriter, self._process.stdin)
        self._output = cast(io.BufferedReader, self._process.stdout)
        self.idle = False
        self._patience = patience
        self._waiting: object | None = None  # another one each time
        self._late = False
        self._killed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def ask(self, what: str, *arguments: object) -> None:
        """Ask for something, see `child`; if it has ended, `answer` will say why."""
        self.idle = False
        with self._limited(), contextlib.suppress(OSError):
            pickle.dump((what, arguments), self._input, pickle.HIGHEST_PROTOCOL)
            self._input.flush()

    def answer(self) -> dict[str, Any]:
        """Return the next answer; raise the error that it is, or _EndedError."""
        self.ask("more")
        while True:
            with self._limited():
                line = self._output.readline(_LONGEST)
            if not line.endswith(b"\n") and len(line) < _LONGEST:
                raise self._ended()
            with self.sense():
                told = answers.line(line)
            if "alive" in told:
                continue
            if "error" not in told:
                self.idle = "end" in told
                return told
            text = str(told.get("text"))
            kind = _ERRORS.get(str(told["error"]))
            if kind is None:
                self.kill()
                raise _EndedError(clause(text))
            self.idle = True
            raise kind(printable(text))

    def array(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return an array that stands behind an answer."""
        array = np.empty(shape, dtype)
        with self._limited():
            count = self._output.readinto(array.data.cast("B"))
        if count != array.nbytes:
            raise self._ended()
        return array

    @contextlib.contextmanager
    def sense(self) -> Iterator[None]:
        """End it if what it says makes no sense."""
        try:
            yield
        except NonsenseError as error:
            self.kill()
            raise _EndedError(f"FFmpeg's process gave {error}") from None

    def lives(self) -> bool:
        """Whether it can be asked again."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once."""
        self.idle = False
        self._killed.set()
        self._process.kill()
        with contextlib.suppress(OSError):
            self._input.close()
        self._output.close()
        self._process.wait()

    def _ended(self) -> _EndedError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        self.kill()
        if self._late:
            return _EndedError(f"FFmpeg did nothing for {self._patience:.0f} seconds")
        return _EndedError(f"FFmpeg was ended by {_cause(self._process.returncode)}")

    @contextlib.contextmanager
    def _limited(self) -> Iterator[None]:
        self._waiting = object()
        try:
            yield
        finally:
            self._waiting = None

    def _watch(self) -> None:
        """End it when it is waited for too long."""
        before, seconds = None, 0
        while not self._killed.wait(1.0):
            # Counted: a clock goes on while this program is stopped, by Ctrl-Z, say.
            now = self._waiting
            before, seconds = now, seconds + 1 if now is before else 0
            if now is not None and seconds >= self._patience:
                self._late = True
                self._process.kill()
                return


def _cause(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}" if code < 0 else f"exit code {code}"


# The process that is lent next, by the film that it has read: never is another one read in it.
_idle: dict[Path, _Child] = {}
_handing = threading.Lock()


@contextlib.contextmanager
def _lent(path: Path) -> Iterator[_Child]:
    """Lend a process to read a film, that which has read it last, if it is there."""
    path = path.absolute()
    with _handing:
        child = _idle.pop(path, None)
    if child is None or not child.lives():
        child = _Child(_PATIENCE)
    try:
        yield child
    finally:
        if child.idle:
            child.ask("rest")
            with _handing:
                _end_idle()
                _idle[path] = child
        else:
            child.kill()


@atexit.register
def _end_idle() -> None:
    while _idle:
        _idle.popitem()[1].kill()


if hasattr(os, "register_at_fork"):  # a copy of this process has no part in what it has started
    os.register_at_fork(after_in_child=_idle.clear)
