"""What makes the process that reads films fail, in the middle of its work."""

import contextlib

from styletransfer.video import apart

CRASH = "ctypes.string_at(0)"
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
HANG = "time.sleep(3600)"

_CODE = """
import ctypes, os, signal, sys, time
sys.path[:0] = sys.argv[1:]
from styletransfer.video import child, containers, filmfile, tracks
{prelude}
child.main()
"""
_AT_FRAME = """
whole = {function}
def broken(*arguments):
    for frame in whole(*arguments):
        if frame.number == {number}:
            {deed}
        yield frame
{function} = broken
"""


def at_frame(number: int, deed: str, function: str = "containers._timed") -> str:
    """Return a prelude that does something before a frame is handed out."""
    return _AT_FRAME.format(number=number, deed=deed, function=function)


@contextlib.contextmanager
def children(prelude: str):
    """Have the processes that are started begin so."""
    before = apart._CODE
    apart._end_idle()
    apart._CODE = _CODE.format(prelude=prelude)
    try:
        yield
    finally:
        apart._CODE = before
        apart._end_idle()
