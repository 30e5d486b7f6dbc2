"""Pictures of several tasks, one after the other."""

from dataclasses import replace

import numpy as np

from styletransfer import images
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
