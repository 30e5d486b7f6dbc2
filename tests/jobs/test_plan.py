"""Which pictures are made of which."""

import pickle
import shutil
from pathlib import Path

import pytest

from styletransfer import UsageError
from styletransfer.jobs.plan import Order, check_sources, plan
from styletransfer.jobs.task import Extras, Task
from styletransfer.settings import Settings


@pytest.fixture
def folder(tmp_path):
    for name in ("b.PNG", "a.jpg", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "c.jpg").mkdir()
    return tmp_path


ALL = Extras(save_every=1, grid=True, plot=True)


def made(contents, styles, all_pairs=False, output=None):
    output = None if output is None else str(output)
    order = Order(tuple(contents), tuple(styles), Settings(), Path("outputs"), all_pairs, output)
    return [(t.content.name, [p.name for p in t.styles], str(t.output)) for t in plan(order)]


def usual(*parts):
    """Return the original's name for a result."""
    return "-".join(parts) + "-vgg16-content-1e4-512.jpg"


def test_one_picture():
    x, s = Path("x.jpg"), Path("s.jpg")
    assert made([x], [s]) == [("x.jpg", ["s.jpg"], f"outputs/{usual('x', 's')}")]
    assert made([x], [s], output=Path("y.png")) == [("x.jpg", ["s.jpg"], "y.png")]
    assert made([x], [s, Path("t.jpg")]) == [
        ("x.jpg", ["s.jpg", "t.jpg"], f"outputs/{usual('x', 's+t')}")
    ]


def test_a_folder_of_contents(folder):
    jobs = made([folder], [Path("s.jpg")], output=folder / "out")
    assert [job[0] for job in jobs] == ["a.jpg", "b.PNG"]
    assert jobs[0][2] == str(folder / "out" / usual("a", "s"))


def test_all_pairs(folder):
    jobs = made([folder], [Path("s.jpg"), Path("t.jpg")], all_pairs=True)
    assert [Path(job[2]).name for job in jobs] == [usual(a, b) for a in "ab" for b in "st"]


def test_an_existing_folder_gets_the_usual_name(folder):
    jobs = made([Path("x.jpg")], [Path("s.jpg")], output=folder)
    assert jobs[0][2] == str(folder / usual("x", "s"))


def test_a_name_that_ends_in_a_slash_is_a_folder(tmp_path):
    for name in ("new", "new.png"):
        jobs = made([Path("x.jpg")], [Path("s.jpg")], output=f"{tmp_path / name}/")
        assert jobs[0][2] == str(tmp_path / name / usual("x", "s"))
    with pytest.raises(
        UsageError, match=r"new has no extension and is no folder; .* a / at its end"
    ):
        made([Path("x.jpg")], [Path("s.jpg")], output="new")


def test_results_do_not_go_where_pictures_are_taken_from(folder, monkeypatch):
    style = [Path("s.jpg")]
    for output in (folder, f"{folder}/", folder / "c.jpg" / "..", folder / "y.jpg"):
        with pytest.raises(UsageError, match=f"the results would lie in {folder}, and go in them"):
            made([Path("x.jpg")], [folder], output=output)
    with pytest.raises(UsageError, match="go in themselves the next time"):
        made([folder], style, output=folder)
    # Without -o neither; and a folder inside the folder is not looked through.
    (folder / "outputs").mkdir()
    shutil.copy(folder / "a.jpg", folder / "outputs")
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match="the results would lie in outputs, and go in themselves"):
        made([Path("outputs")], style)
    assert len(made([folder], style)) == 2


@pytest.mark.parametrize("name", ["x.png", "x-grid.png", "x-loss.png", "x-00050.png"])
@pytest.mark.parametrize("role", ["content", "style", "init", "mask"])
def test_no_picture_that_goes_in_is_overwritten(tmp_path, name, role):
    source = tmp_path / name
    source.touch()
    link = tmp_path / "link.png"
    link.symlink_to(source)
    for path in (source, link):
        away = Path("elsewhere.jpg")
        (tmp_path / "sub").mkdir(exist_ok=True)
        task = Task(
            path if role == "content" else away,
            (path if role == "style" else away,),
            tmp_path / "sub" / ".." / "x.png",
            Settings(init=path if role == "init" else "content"),
            content_mask=path if role == "mask" else None,
            extras=ALL,
        )
        with pytest.raises(UsageError, match=f"{path} goes in and would be overwritten; give an"):
            check_sources([task])


@pytest.mark.parametrize("name", ["x.jpg", "x-50.png", "x-00050.jpg", "y-00050.png", "x-other.png"])
def test_other_pictures_beside_a_result_may_go_in(tmp_path, name):
    (tmp_path / name).touch()
    task = Task(tmp_path / name, (Path("s.jpg"),), tmp_path / "x.png", Settings(), extras=ALL)
    assert check_sources([task]) is None


def test_what_cannot_be(folder, tmp_path):
    empty = tmp_path / "c.jpg"
    with pytest.raises(UsageError, match="has no pictures"):
        made([empty], [Path("s.jpg")])
    with pytest.raises(UsageError, match=r"several pictures need a folder; .*y.png"):
        made([folder], [Path("s.jpg")], output=Path("y.png"))
    with pytest.raises(UsageError, match=r"would both become outputs/a-s-.*; rename one"):
        made([folder, Path("a.jpg")], [Path("s.jpg")])
    with pytest.raises(UsageError, match=r"x.jpg in the style of s.jpg and x.jpg in .* of t/s.jpg"):
        made([Path("x.jpg")], [Path("s.jpg"), Path("t/s.jpg")], all_pairs=True)


def test_a_task_travels_to_another_process():
    order = Order(
        (Path("x.jpg"),),
        (Path("s.jpg"),),
        Settings(init="-1", style_layers={"conv1_1": 1}, stages=[{"length": 0.5}]),
        Path("outputs"),
        content_mask=Path("m.png"),
        extras=ALL,
    )
    (task,) = plan(order)
    assert pickle.loads(pickle.dumps(task)) == task
    assert isinstance(task.settings.seed, int)  # so that it is the same picture there
