"""Where a cluster is."""

import re
from dataclasses import dataclass

from styletransfer.errors import UsageError


@dataclass(frozen=True)
class Place:
    """Where a cluster is.

    Attributes
    ----------
    address : str
        That of its scheduler; empty for a cluster that is made on this machine.
    workers : int
        How many are made here.
    shared : bool
        Whether all its machines see the same files under the same paths.
    """

    address: str
    workers: int = 0
    shared: bool = False


def place(text: str, shared: bool) -> Place:
    """Return the place that ``local:N`` or an address names.

    Raises
    ------
    UsageError
        If it is neither.
    """
    found = re.fullmatch(r"local:(\d{1,4})", text, re.ASCII)
    if found and int(found[1]):
        return Place("", int(found[1]), True)
    if not re.fullmatch(r"(tcp|tls|ucx|ws|wss)://[^\s/]+(/.*)?", text):
        raise UsageError(
            f"{text} is no cluster; give local:2 for two workers on this machine, or the address of"
            " a scheduler, such as tcp://10.0.0.5:8786"
        )
    return Place(text, shared=shared)
