"""Files that a picture names are opened only if they can be pictures."""

import os
from pathlib import Path

import pytest

from styletransfer.errors import ImageError, UsageError
from styletransfer.jobs import namedfiles
from styletransfer.storage import digest

PICTURE = Path("result.png")


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """The files whose content is read."""
    paths: list[str] = []

    def told(path: Path) -> str:
        paths.append(str(path))
        return digest(path)

    monkeypatch.setattr(namedfiles, "digest", told)
    return paths


def test_a_file_is_found_where_it_was_or_beside_the_picture(tmp_path, opened):
    file = tmp_path / "a.PNG"
    file.write_bytes(b"picture")
    entries = [[str(file), digest(file)], ["gone/a.PNG", digest(file)]]
    assert namedfiles.find(entries, "styles", tmp_path / "result.png") == (file, file)
    with pytest.raises(UsageError, match="is not the file that"):
        namedfiles.find([[str(file), "0"]], "styles", tmp_path / "result.png")


@pytest.mark.parametrize(
    "name",
    [
        "/proc/kmsg",
        "/proc/self/fd/0.png",
        "//proc/self/cwd/a.png",
        "../" * 30 + "proc/self/cwd/a.png",
        "/sys/a.png",
        "/dev/stdin.jpg",
        "//server/share/a.png",
        r"\\server\share\a.png",
        r"\\?\UNC\server\share\a.png",
        "/etc/passwd",
        "notes.txt",
    ],
)
def test_what_is_no_picture_s_name_is_not_looked_at(monkeypatch, opened, name):
    looked: list[Path] = []
    monkeypatch.setattr(namedfiles, "_can_be_a_picture", looked.append)
    with pytest.raises(UsageError, match="which is no name of a picture on this machine"):
        namedfiles.find([[name, "0"]], "content", PICTURE)
    assert not looked
    assert not opened


def test_what_is_no_picture_s_file_is_not_opened(tmp_path, opened):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("/proc/self/mem")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate((1 << 30) + 1)
    for name in ("folder", "pipe", "link", "zero", "huge"):
        with pytest.raises(UsageError, match="which is not here"):
            namedfiles.find([[str(tmp_path / f"{name}.png"), "0"]], "content", PICTURE)
    assert not opened


@pytest.mark.parametrize("entries", [7, {}, [7], [["a.png"]], [["a.png", 0]], [["a\0.png", "0"]]])
def test_entries_that_no_run_writes_are_damaged(entries):
    with pytest.raises(ImageError, match="what it says of its content is damaged"):
        namedfiles.find(entries, "content", PICTURE)
