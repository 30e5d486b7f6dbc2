"""Which pictures are made of which."""

from pathlib import Path

import pytest

from styletransfer import UsageError
from styletransfer.commands.jobs import plan


@pytest.fixture
def folder(tmp_path):
    for name in ("b.PNG", "a.jpg", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "c.jpg").mkdir()
    return tmp_path


def made(contents, styles, all_pairs=False, output=None):
    def name(content, styles):
        return "-".join(path.stem for path in (content, *styles)) + ".jpg"

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


def test_what_cannot_be(folder, tmp_path):
    empty = tmp_path / "c.jpg"
    with pytest.raises(UsageError, match="has no pictures"):
        made([empty], [Path("s.jpg")])
    with pytest.raises(UsageError, match=r"2 pictures need a folder; .*y.png"):
        made([folder], [Path("s.jpg")], output=Path("y.png"))
    with pytest.raises(UsageError, match=r"would both become outputs/a-s.jpg; rename one"):
        made([folder, Path("a.jpg")], [Path("s.jpg")])
    with pytest.raises(UsageError, match=r"x.jpg in the style of s.jpg and x.jpg in .* of t/s.jpg"):
        made([Path("x.jpg")], [Path("s.jpg"), Path("t/s.jpg")], all_pairs=True)
