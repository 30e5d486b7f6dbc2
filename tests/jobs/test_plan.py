"""Which pictures are made of which."""

import shutil
from pathlib import Path

import pytest

from styletransfer import UsageError
from styletransfer.jobs.plan import Job, check_sources, plan


@pytest.fixture
def folder(tmp_path):
    for name in ("b.PNG", "a.jpg", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "c.jpg").mkdir()
    return tmp_path


def made(contents, styles, all_pairs=False, output=None):
    def name(content, styles):
        return "-".join(path.stem for path in (content, *styles)) + ".jpg"

    output = None if output is None else str(output)
    jobs = plan(contents, styles, all_pairs, output, Path("outputs"), name)
    return [(job.content.name, [p.name for p in job.styles], str(job.output)) for job in jobs]


def test_one_picture():
    x, s = Path("x.jpg"), Path("s.jpg")
    assert made([x], [s]) == [("x.jpg", ["s.jpg"], "outputs/x-s.jpg")]
    assert made([x], [s], output=Path("y.png")) == [("x.jpg", ["s.jpg"], "y.png")]
    assert made([x], [s, Path("t.jpg")]) == [("x.jpg", ["s.jpg", "t.jpg"], "outputs/x-s-t.jpg")]


def test_a_folder_of_contents(folder):
    jobs = made([folder], [Path("s.jpg")], output=folder / "out")
    assert [job[0] for job in jobs] == ["a.jpg", "b.PNG"]
    assert jobs[0][2] == str(folder / "out" / "a-s.jpg")


def test_all_pairs(folder):
    jobs = made([folder], [Path("s.jpg"), Path("t.jpg")], all_pairs=True)
    assert [Path(job[2]).name for job in jobs] == ["a-s.jpg", "a-t.jpg", "b-s.jpg", "b-t.jpg"]


def test_an_existing_folder_gets_the_usual_name(folder):
    jobs = made([Path("x.jpg")], [Path("s.jpg")], output=folder)
    assert jobs[0][2] == str(folder / "x-s.jpg")


def test_a_name_that_ends_in_a_slash_is_a_folder(tmp_path):
    for name in ("new", "new.png"):
        jobs = made([Path("x.jpg")], [Path("s.jpg")], output=f"{tmp_path / name}/")
        assert jobs[0][2] == str(tmp_path / name / "x-s.jpg")
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


def written(job):
    return [job.output, job.grid(), job.curves(), *job.snapshots()]


@pytest.mark.parametrize("name", ["x.png", "x-grid.png", "x-loss.png", "x-00050.png"])
@pytest.mark.parametrize("role", ["content", "style", "other"])
def test_no_picture_that_goes_in_is_overwritten(tmp_path, name, role):
    source = tmp_path / name
    source.touch()
    link = tmp_path / "link.png"
    link.symlink_to(source)
    for path in (source, link):
        away = Path("elsewhere.jpg")
        job = Job(
            path if role == "content" else away,
            (path if role == "style" else away,),
            tmp_path / "sub" / ".." / "x.png",
        )
        (tmp_path / "sub").mkdir(exist_ok=True)
        with pytest.raises(UsageError, match=f"{path} goes in and would be overwritten; give an"):
            check_sources([job], [path] if role == "other" else [], written)


@pytest.mark.parametrize("name", ["x.jpg", "x-50.png", "x-00050.jpg", "y-00050.png", "x-other.png"])
def test_other_pictures_beside_a_result_may_go_in(tmp_path, name):
    (tmp_path / name).touch()
    job = Job(tmp_path / name, (Path("s.jpg"),), tmp_path / "x.png")
    assert check_sources([job], [], written) is None


def test_what_cannot_be(folder, tmp_path):
    empty = tmp_path / "c.jpg"
    with pytest.raises(UsageError, match="has no pictures"):
        made([empty], [Path("s.jpg")])
    with pytest.raises(UsageError, match=r"several pictures need a folder; .*y.png"):
        made([folder], [Path("s.jpg")], output=Path("y.png"))
    with pytest.raises(UsageError, match=r"would both become outputs/a-s.jpg; rename one"):
        made([folder, Path("a.jpg")], [Path("s.jpg")])
    with pytest.raises(UsageError, match=r"x.jpg in the style of s.jpg and x.jpg in .* of t/s.jpg"):
        made([Path("x.jpg")], [Path("s.jpg"), Path("t/s.jpg")], all_pairs=True)
