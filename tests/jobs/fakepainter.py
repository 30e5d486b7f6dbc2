"""A painter for tests of what is around painting: quick, and each frame depends on the last."""

import os
import signal
from dataclasses import dataclass

import numpy as np

from styletransfer.errors import StyleTransferError
from styletransfer.video.painter import Painted, rounded


@dataclass(frozen=True)
class Last:
    """The last frame, and how many there were."""

    picture: np.ndarray | None = None
    count: int = 0

    def to_arrays(self):
        return {"picture": self.picture, "count": np.int64(self.count)}


class FakePainter:
    """Mixes each frame with the last painted one.

    `fails` maps the count of calls to an error; `killed` is the count at which the process dies.
    """

    weights_digest = "0" * 64
    device = "CPU"

    def __init__(self, fails=(), killed=None):
        self.fails, self.killed = set(fails), killed
        self.calls = 0
        self.links = []

    def begin(self):
        return Last()

    def restore(self, arrays):
        return Last(arrays["picture"], int(arrays["count"]))

    def paint(self, frame, state, link):
        self.calls += 1
        if self.calls == self.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.calls in self.fails:
            raise StyleTransferError(f"call {self.calls} was to fail")
        self.links.append(link)
        picture = frame
        if state.picture is not None:
            picture = 0.5 * frame + 0.5 * state.picture / np.float32(65535)
        picture = rounded(picture * np.float32(1 - 0.001 * state.count))
        return Painted(picture, Last(picture, state.count + 1), iterations=3, loss=1.5)
