"""The errors of this package, each a sentence that says what is wrong and what to do.

::

    StyleTransferError
    ├── UsageError      an argument has a value that cannot work
    ├── ImageError      a picture cannot be read or written
    ├── NetworkError    a network's description is wrong, or lacks a layer that was asked for
    └── WeightsError    a network's weights cannot be found, fetched or trusted
"""


class StyleTransferError(Exception):
    """Anything that the user can put right; its text is fit to be shown as it stands."""


class UsageError(StyleTransferError):
    """An argument has a value that cannot work; the command line exits with 2."""


class ImageError(StyleTransferError):
    """A picture cannot be read or written."""


class NetworkError(StyleTransferError):
    """A network's description is wrong, or lacks a layer that was asked for."""


class WeightsError(StyleTransferError):
    """A network's weights cannot be found, fetched or trusted."""
