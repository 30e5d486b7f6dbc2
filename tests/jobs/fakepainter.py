"""A painter for tests of what is around painting: quick, and each frame depends on the last."""

import os
import signal
from dataclasses import dataclass

import numpy as np

from styletransfer.errors import StyleTransferError
from styletransfer.video.painter import Facts, floats, rounded


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

    offsets = (1, 2, 4)
    anchored = True

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
        if link is not None:
            assert len(link.earlier) == sum(offset <= state.count for offset in self.offsets)
            trusts = [motion.trust.mean() for motion in (*link.earlier, link.anchor)]
            picture = 0.5 * frame + 0.5 * floats(state.picture)
            # What flow has found shows in the picture, so that a resumed film has to find it, too.
            picture *= np.float32(1 - 0.001 * state.count - 0.01 * np.mean(trusts))
        kept = rounded(picture)
        return picture, Last(kept, state.count + 1), Facts(iterations=3, loss=1.5)

    def again(self, frame, painting, loss):
        assert loss == 1.5
        return Last(painting, 1)

    def repaint(self, frame, painting, state, link):
        picture, after, facts = self.paint(frame, state, link)
        picture = 0.5 * picture + 0.5 * floats(painting)
        return picture, Last(rounded(picture), after.count), facts
