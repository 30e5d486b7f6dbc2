"""The parameters of a picture: how each is read and checked, and named sets of them."""

from styletransfer.settings.options import (
    Option,
    Options,
    by_flags,
    check_names,
    compact,
    describe,
    flags,
    make,
    option,
)
from styletransfer.settings.painting import Painting
from styletransfer.settings.picture import (
    OPTIONS_OF,
    Part,
    Settings,
    is_number,
    is_picture,
    not_taken,
)

__all__ = [
    "OPTIONS_OF",
    "Option",
    "Options",
    "Painting",
    "Part",
    "Settings",
    "by_flags",
    "check_names",
    "compact",
    "describe",
    "flags",
    "is_number",
    "is_picture",
    "make",
    "not_taken",
    "option",
]
