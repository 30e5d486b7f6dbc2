"""Pictures of several tasks, one after the other."""

from dataclasses import replace

import numpy as np
import pytest

from styletransfer import images
from styletransfer.errors import UsageError
from styletransfer.jobs import local
from styletransfer.jobs.local import Watch, make_all
from styletransfer.jobs.task import Machine, Task
from styletransfer.settings import Settings


def test_each_picture_is_made_by_its_own_network(tmp_path, monkeypatch):
    made = []

    class Network:
        """Stands in for `StyleTransfer`: it takes note of what it is asked for, and makes none."""

        has_image = False
        summary = None

        def __init__(self, model: str, *rest: object, **options: object) -> None:
            self.model = model
            made.append(("loaded", model))

        def transfer_style(self, *pictures: object, **options: object) -> None:
            made.append(("run", self.model))

    monkeypatch.setattr(local, "StyleTransfer", Network)
    images.save(tmp_path / "x.png", np.full((8, 9, 3), 0.5, np.float32))
    task = Task(tmp_path / "x.png", (tmp_path / "x.png",), tmp_path / "y.png", Settings())
    other = replace(task, settings=Settings(model="vgg19"))
    assert len(list(make_all([task, task, other], Machine(), Watch()))) == 3
    assert made == [
        ("loaded", "vgg16"),
        ("run", "vgg16"),
        ("run", "vgg16"),
        ("loaded", "vgg19"),
        ("run", "vgg19"),
    ]
    # One that is open is used, and what is checked before one is loaded is not checked again.
    own = Network("own")
    del made[:]
    monkeypatch.delattr(local, "check_beforehand")
    (outcome,) = make_all([task], Machine(), Watch(), transfer=own)
    assert (outcome.error, made) == (None, [("run", "own")])


def test_what_is_too_small_is_refused_before_the_network_is_there(tmp_path, monkeypatch):
    def unwanted(*_: object, **__: object) -> None:
        raise AssertionError("the network was loaded")

    monkeypatch.setattr(local, "StyleTransfer", unwanted)
    images.save(tmp_path / "x.png", np.full((90, 120, 3), 0.5, np.float32))
    small = Settings(model="googlenet", any_size=True, length=20, style_scale=(3.0,))
    task = Task(tmp_path / "x.png", (tmp_path / "x.png",), tmp_path / "y.png", small)
    (outcome,) = make_all([task], Machine(), Watch())
    assert isinstance(outcome.error, UsageError)
    assert outcome.error.text.startswith(
        "the result would be 20 x 15 pixels, and needs 31 on its short side"
    )
    with pytest.raises(UsageError, match="the result would be 20 x 15"):
        list(local.look([task], Machine(), Watch()))
    settings = replace(small, length=50, style_scale=(0.5,))
    task = replace(task, settings=settings)
    (outcome,) = make_all([task], Machine(), Watch())
    assert "a style image would be 25 x 19 pixels, and needs 32" in str(outcome.error)
