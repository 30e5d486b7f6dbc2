"""What is known of a film under way."""

import json

import pytest

from styletransfer.errors import FilmError, UsageError
from styletransfer.video import manifest
from styletransfer.video.manifest import Manifest, Record

HEADER = {"source": "abc", "settings": {"model": "googlenet", "length": 320.0}}


def test_what_was_written_is_taken_up_again(tmp_path):
    path = tmp_path / "more" / "film.mp4.jsonl"
    with Manifest(path, HEADER) as first:
        first.add(Record(0, "0", 0, digest="d0", seconds=1.5, iterations=9, loss=3.5))
        first.add(Record(1, "1/25", 0, error="no memory"))
        first.add(Record(1, "1/25", 0, digest="d1", before=0, anchor=0))
    with Manifest(path, HEADER) as second:
        assert second.records == {
            0: Record(0, "0", 0, digest="d0", seconds=1.5, iterations=9, loss=3.5),
            1: Record(1, "1/25", 0, digest="d1", before=0, anchor=0),
        }
    header, records = manifest.read(path)
    assert header["source"] == "abc"
    assert [*records] == [0, 1]


def test_what_differs_is_told_without_control_characters(tmp_path):
    path = tmp_path / "film.jsonl"
    with Manifest(path, HEADER | {"a\x1b[31m\n": 1}) as first:
        first.add(Record(0, "0", 0, digest="d"))
    with pytest.raises(UsageError, match=r"differs in a\\x1b\[31m; give another -o"):
        Manifest(path, HEADER)


def test_a_line_that_is_torn_does_not_count(tmp_path):
    path = tmp_path / "film.jsonl"
    with Manifest(path, HEADER) as first:
        first.add(Record(0, "0", 0, digest="d"))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"frame": 1, "ti')
    with Manifest(path, HEADER) as second:
        assert [*second.records] == [0]
        second.add(Record(1, "1", 0, digest="e"))
    assert path.read_bytes().startswith(whole)
    with Manifest(path, HEADER) as third:
        assert [*third.records] == [0, 1]


def test_the_manifest_of_another_film_is_refused_with_what_differs(tmp_path):
    path = tmp_path / "film.jsonl"
    with Manifest(path, HEADER) as first:
        first.add(Record(0, "0", 0, digest="d"))
    other = {"source": "abc", "settings": {"model": "vgg16", "length": 320.0}}
    with pytest.raises(UsageError, match=r"differs in model; give another -o, or --overwrite"):
        Manifest(path, other)
    # The program's version may change.
    Manifest(path, HEADER | {"versions": {"styletransfer": "9"}}).__exit__()


@pytest.mark.parametrize("before", [manifest.METHOD - 1, None])
def test_a_film_that_another_method_began_is_refused(tmp_path, before):
    path = tmp_path / "film.jsonl"
    with Manifest(path, HEADER) as first:
        first.add(Record(0, "0", 0, digest="d"))
    lines = path.read_text().splitlines()
    header = json.loads(lines[0])
    assert header.pop("method") == manifest.METHOD
    if before is not None:
        header["method"] = before
    path.write_text("\n".join([json.dumps(header), *lines[1:], ""]))
    with pytest.raises(UsageError, match="another version of this program"):
        Manifest(path, HEADER)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json\n",
        b"[1]\n",
        b'{"format": 99}\n',
        b"[" * 60_000 + b"\n",
        b"x" * 70_000,
    ],
    ids=["empty", "text", "list", "version", "nested", "long"],
)
def test_what_is_no_manifest_is_told(tmp_path, content):
    path = tmp_path / "film.jsonl"
    path.write_bytes(content)
    if content:
        with pytest.raises(FilmError, match="is no manifest"):
            Manifest(path, HEADER)
        assert path.read_bytes() == content
    else:
        with Manifest(path, HEADER) as made:
            assert not made.records


@pytest.mark.parametrize(
    "change",
    [
        {"frame": "0"},
        {"frame": -1},
        {"seconds": float("nan")},
        {"loss": 10**400},
        {"frame": True},
        {"more": 1},
        {"digest": 3},
    ],
)
def test_a_damaged_line_in_between_is_told(tmp_path, change):
    path = tmp_path / "film.jsonl"
    with Manifest(path, HEADER) as first:
        first.add(Record(0, "0", 0, digest="d"))
    lines = path.read_bytes().splitlines()
    damaged = json.dumps(json.loads(lines[1]) | change).encode()
    path.write_bytes(b"\n".join([lines[0], damaged, lines[1], b""]))
    with pytest.raises(FilmError, match="line 2 is damaged; delete the file"):
        Manifest(path, HEADER)


def test_a_folder_in_its_place_is_told(tmp_path):
    with pytest.raises(FilmError, match="is no file"):
        Manifest(tmp_path, HEADER)
