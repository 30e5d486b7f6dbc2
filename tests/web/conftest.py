"""A queue with a worker that does as the test says, and pictures to send."""

import io
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image

from styletransfer.errors import UsageError
from styletransfer.web import extra
from styletransfer.web.limits import Limits
from styletransfer.web.process import Here
from styletransfer.web.queue import Queue
from styletransfer.web.records import Job
from tests.web.fakeworker import FakeProcess


class _Absent(pytest.Module):
    """A module that is not imported, since it needs packages that are not here."""

    def collect(self) -> list[pytest.Item]:
        try:
            extra.check()
        except UsageError as error:
            pytest.skip(str(error), allow_module_level=True)
        return []


def pytest_pycollect_makemodule(module_path, parent):
    """Skip all tests of the service where its extra is not installed."""
    try:
        extra.check()
    except UsageError:
        return _Absent.from_parent(parent, path=module_path)
    return None


LIMITS = Limits(upload=1 << 20, pixels=100_000, length=512, waiting=3, kept=5, rate=1000)


def picture(width: int = 40, height: int = 30, kind: str = "PNG") -> bytes:
    """Return a file with a picture."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def clip(frames: int = 3) -> bytes:
    """Return a film, gray."""
    noise = np.random.default_rng(0).integers(0, 256, (frames, 48, 64), np.uint8)
    first, *others = [Image.fromarray(pixels) for pixels in noise]
    stream = io.BytesIO()
    first.save(stream, "GIF", save_all=True, append_images=others, duration=100)
    return stream.getvalue()


@pytest.fixture
def worker() -> FakeProcess:
    return FakeProcess()


@pytest.fixture
def queue(tmp_path, worker) -> Iterator[Queue]:
    with Queue(tmp_path / "state", LIMITS, Here(lambda: worker)) as opened:
        yield opened


@pytest.fixture
def submit(queue) -> Callable[..., str]:
    """Submit a job that asks for nothing in particular."""

    def submit(queue: Queue = queue) -> str:
        with queue.room() as name:
            queue.submit(name, "stylize", {}, {"content": ["content.png"]})
        return name

    return submit


def ended(queue: Queue, name: str) -> Job:
    """Wait for the end of a job, and return it."""
    return reached(queue, name, "done", "failed", "cancelled")


def reached(queue: Queue, name: str, *states: str, seconds: float = 120) -> Job:
    """Wait until a job is in one of some states."""
    with queue._changed:
        assert queue._changed.wait_for(lambda: queue._jobs[name].state in states, seconds)
        return queue._jobs[name]
