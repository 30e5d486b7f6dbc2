"""The parameters of a picture: how each is read and checked, and named sets of them."""

from styletransfer.settings.picture import (
    METHODS,
    NETWORK_NAMES,
    OPTIMIZER_OPTIONS,
    OPTIONS_OF,
    Option,
    Part,
    Settings,
    check_names,
    compact,
    describe,
    flags,
    is_number,
    is_picture,
    make,
    not_taken,
)

__all__ = [
    "METHODS",
    "NETWORK_NAMES",
    "OPTIMIZER_OPTIONS",
    "OPTIONS_OF",
    "Option",
    "Part",
    "Settings",
    "check_names",
    "compact",
    "describe",
    "flags",
    "is_number",
    "is_picture",
    "make",
    "not_taken",
]
