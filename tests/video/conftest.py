"""One process of FFmpeg for the films of many tests: to start one for each takes longest."""

import pytest


class _OneForAll(dict):
    """Lends what is idle for any film."""

    def pop(self, key, default=None):
        return self.popitem()[1] if self else default


@pytest.fixture(autouse=True)
def shared_process(request, monkeypatch):
    if request.module.__name__ != "tests.video.test_apart":
        apart = pytest.importorskip("styletransfer.video.apart")
        monkeypatch.setattr(apart, "_idle", _KEPT)


_KEPT = _OneForAll()
