"""What made a picture is read as it was written."""

from pathlib import Path

import numpy as np
import pytest

from styletransfer import images
from styletransfer.errors import UsageError
from styletransfer.images import provenance
from styletransfer.jobs import command, recipe
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


def hostile(folder: Path, **stored: object) -> Path:
    """Save a picture that says something of itself that no run does."""
    known = {"settings": Settings().plain(), "files": {}, "threads": 0}
    images.save(folder / "hostile.png", GRAY, parameters={**known, **stored})
    return folder / "hostile.png"


@pytest.mark.parametrize("reason", [{"a": 1}, ["interrupted"], None, 7])
def test_any_end_of_a_run_can_be_read(tmp_path, reason):
    result = hostile(tmp_path, reason=reason)
    assert recipe.read(result, {"content", "styles"}).content is None
    task = Task(tmp_path / "content.png", (), result, Settings())
    assert recipe.compare(result, task) is not None


def test_a_name_that_no_file_can_have_is_not_here(tmp_path):
    files = {"content": [["n" * 4000 + ".png", "0"]], "styles": [["x", "0"]]}
    with pytest.raises(UsageError, match="which is not here"):
        recipe.read(hostile(tmp_path, files=files))


def test_a_ratio_that_is_not_the_usual_one_of_its_losses_is_in_the_command(tmp_path):
    usual = Settings(style_loss="wasserstein")
    for settings in (usual, Settings(style_loss="wasserstein", ratio=Settings().ratio)):
        words = command.command(hostile(tmp_path, settings=settings.plain()))
        assert ("-r" in words) == (settings.ratio != usual.ratio)


def test_names_in_the_command_are_no_flags(tmp_path):
    files = {"content": [["-cat.jpg", "0"]], "styles": [["--overwrite", "0"]]}
    words = command.command(hostile(tmp_path, files=files))
    assert words[2:] == ["-s", "./--overwrite", "-c", "./-cat.jpg"]
