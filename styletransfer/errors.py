"""The errors of this package, each a sentence that says what is wrong and what to do.

::

    StyleTransferError
    ├── UsageError      an argument has a value that cannot work
    ├── ImageError      a picture cannot be read or written
    ├── FilmError       a film cannot be read or written
    │   └── DamagedFilmError    it could be read in part
    ├── NetworkError    a network's description is wrong, or lacks a layer that was asked for
    │   └── UnknownNameError    there is no such network or layer; a UsageError, too
    ├── GradientError   a network's graph cannot be built at a size, or differentiated
    ├── WeightsError    a network's weights cannot be found, fetched or trusted
    └── ClusterError    other machines cannot be reached, or failed
"""

import sys

TYPE_CHECKING = False  # type checkers take it for true; this module loads at once
if TYPE_CHECKING:
    from collections.abc import Sequence


class StyleTransferError(Exception):
    """Anything that the user can put right; its text is fit to be shown as it stands.

    Attributes
    ----------
    text : str
        The sentence.
    details : tuple of str
        More lines, where one sentence does not say it all.
    """

    def __init__(self, text: str = "", details: "Sequence[str]" = ()) -> None:
        super().__init__(text, details)
        self.text = text
        self.details = tuple(details)

    def __str__(self) -> str:
        return "\n".join([self.text, *self.details])


class UsageError(StyleTransferError):
    """An argument has a value that cannot work; the command line exits with 2."""


class ImageError(StyleTransferError):
    """A picture cannot be read or written."""


class FilmError(StyleTransferError):
    """A film cannot be read or written."""


class DamagedFilmError(FilmError):
    """A film is damaged or cut short; the frames that could be read were handed out before."""


class NetworkError(StyleTransferError):
    """A network's description is wrong, or lacks a layer that was asked for."""


class GradientError(StyleTransferError):
    """A graph that cannot be built or differentiated; the message names the node and the reason."""


class UnknownNameError(NetworkError, UsageError):
    """There is no network or layer of the name that was given."""


class WeightsError(StyleTransferError):
    """A network's weights cannot be found, fetched or trusted."""


class ClusterError(StyleTransferError):
    """Other machines cannot be reached, are not fit for the work, or failed."""


def explain(error: Exception) -> str:
    """Return one sentence that tells a user of the command of an error, of this package or not."""
    if isinstance(error, StyleTransferError):
        return error.text
    if isinstance(error, ModuleNotFoundError):
        return (
            f"the package {error.name} is not installed for {sys.executable}; use the environment"
            " that has this program (`. .venv/bin/activate` in a checkout), or install"
            " it there (`pip install .`)"
        )
    if isinstance(error, MemoryError):
        return f"the memory is not enough ({str(error) or 'none is left'}); try a smaller --length"
    return f"{type(error).__name__}: {error} (--debug shows where)"
