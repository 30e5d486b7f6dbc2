"""What films are written as: by extension, the container, the encoder and its settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from styletransfer.errors import FilmError
from styletransfer.images import encoders
from styletransfer.text import printable
from styletransfer.video import extra, folders


@dataclass(frozen=True)
class Format:
    """One kind of film.

    `muxer` and `codec` are FFmpeg's names, or empty for a folder of pictures; `even` whether sides
    must be even; `alpha` whether it may be transparent; `tick` the unit of its times in seconds,
    None for any.
    """

    name: str
    muxer: str = ""
    codec: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    container_options: Mapping[str, str] = field(default_factory=dict)
    even: bool = False
    alpha: bool = False
    tick: Fraction | None = None


# The same frames give the same bytes. Two threads whatever the machine has, as their number changes
# them; and without the macroblock tree, whose code for AVX-512 does not repeat its results.
THREADS = 2
_X264 = {"crf": "16", "preset": "medium", "x264-params": "mbtree=0"}
_VP9 = {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "3", "row-mt": "0"}
_FRONT = {"movflags": "+faststart"}
# B-frames are decoded before the film begins; the other tracks must not wait for them.
_EXACT = {"avoid_negative_ts": "disabled"}
_MS = Fraction(1, 1000)
_MP4 = Format("MP4", "mp4", "libx264", _X264, _FRONT, even=True)
FORMATS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Format("QuickTime", "mov", "libx264", _X264, _FRONT, even=True),
    ".mkv": Format("Matroska", "matroska", "libx264", _X264, _EXACT, even=True, tick=_MS),
    ".webm": Format("WebM", "webm", "libvpx-vp9", _VP9, _EXACT, tick=_MS),
    ".gif": Format("GIF", "gif", "gif", alpha=True, tick=Fraction(1, 100)),
    ".apng": Format("APNG", "apng", "apng", {"pred": "mixed"}, alpha=True),
}
FOLDER = Format("folder", alpha=True)


def find(path: Path) -> Format:
    """Return how a film of that name is written; raises FilmError if it cannot be."""
    suffix = path.suffix.lower()
    if folders.is_pattern(path):
        return _pictures(path)
    if path.is_dir() or not suffix:
        return FOLDER
    if suffix in encoders.FORMATS:
        raise FilmError(
            f"{path} is the name of one picture; a film's frames need a number in it:"
            f" {path.with_name('%05d' + path.suffix)}."
        )
    found = FORMATS.get(suffix)
    if found is None:
        raise FilmError(
            f"{path}: no film is written as {printable(suffix, 20)}; use one of"
            f" {', '.join(FORMATS)}, or a folder."
        )
    av = extra.av()
    if found.codec not in av.codecs_available:
        raise FilmError(
            f"{path}: this build of PyAV has no encoder {found.codec}, which {found.name} takes;"
            f" it can write {', '.join(_there())}, and folders."
        )
    return found


def _there() -> list[str]:
    codecs = extra.av().codecs_available
    return [suffix for suffix, kind in FORMATS.items() if kind.codec in codecs]


def _pictures(path: Path) -> Format:
    """Return the format of a pattern of pictures, checked."""
    if not folders.COUNTER.search(path.name):
        raise FilmError(f"{path}: frames are written under numbers; give a pattern like %05d.png.")
    folders.matcher(path.name)
    if path.suffix.lower() not in encoders.FORMATS:
        raise FilmError(
            f"{path}: frames are not written as {printable(path.suffix or 'no extension', 20)};"
            f" use one of {', '.join(encoders.FORMATS)}."
        )
    return FOLDER
