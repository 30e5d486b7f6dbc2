"""What made a picture is read as it was written."""

from pathlib import Path

import numpy as np
import pytest

from styletransfer import images
from styletransfer.errors import UsageError
from styletransfer.images import provenance
from styletransfer.jobs import recipe
from styletransfer.jobs.task import Task
from styletransfer.progress import Stop
from styletransfer.settings import Settings
from styletransfer.storage import digest
from styletransfer.transfer import Summary

GRAY = np.full((8, 9, 3), 0.5, np.float32)


def picture(folder: Path, names: list[str]) -> Path:
    """Save a picture made of a content and of styles with these names."""
    paths = [folder / name for name in ("content.png", *names)]
    images.save(paths[0], GRAY)
    for path in paths[1:]:
        path.write_bytes(paths[0].read_bytes())
    task = Task(paths[0], tuple(paths[1:]), folder / "result.png", Settings())
    digests = {kind: [digest(path) for path in files] for kind, files in task.files.items()}
    around = recipe.circumstances("the CPU", 0, "0" * 64)
    end = Summary(5, 6, 2.0, 1.0, Stop.ITERATIONS, 3.0)
    stored = recipe.describe_run(task, digests, around, end)
    images.save(folder / "result.png", GRAY, parameters=stored)
    return folder / "result.png"


def test_as_many_styles_are_read_as_are_stored(tmp_path):
    names = [f"{i}.png" for i in range(provenance.MOST_FILES)]
    found = recipe.read(picture(tmp_path, names))
    assert [path.name for path in found.styles] == names


def test_files_that_could_not_be_stored_are_to_be_given_anew(tmp_path):
    result = picture(tmp_path, [f"{'n' * 230}{i}.png" for i in range(200)])
    with pytest.raises(
        UsageError, match=r"result\.png was made with more .* \(styles\); give these"
    ):
        recipe.read(result)
    assert recipe.read(result, {"styles"}).content == tmp_path / "content.png"
