"""The whole: the command, a real server on 127.0.0.1, a real worker process, real networks."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from styletransfer import cli, images
from styletransfer.jobs.task import Machine
from styletransfer.web import extra, server
from styletransfer.web.limits import Limits
from styletransfer.web.process import Here, Process
from styletransfer.web.queue import Queue
from styletransfer.web.records import Job
from styletransfer.web.workplace import Order
from styletransfer.web.workshop import Workshop
from tests.conftest import ROOT
from tests.web.conftest import clip, ended

CAT = ROOT / "images" / "content" / "cat.jpg"
WAVE = ROOT / "images" / "style" / "wave.jpg"
# Longer than a test waits: it is stopped, or its process killed.
LONG = {"model": "googlenet", "length": 64, "n_iter": 100_000, "tolerance": 0, "any_size": True}


@pytest.fixture
def here(quick_network) -> Iterator[Here]:
    machine = Machine(gpu_id=-1, threads=1, models=quick_network[1])
    with contextlib.closing(Here(lambda: Process(machine, Limits()))) as opened:
        yield opened


@pytest.fixture
def queue(tmp_path, here) -> Iterator[Queue]:
    with server.opened(tmp_path / "state", Limits(), here) as opened:
        yield opened


def bring(queue: Queue, kind: str, values: dict[str, Any], content: bytes = b"") -> str:
    """Queue a job as the service does, of the cat or of other bytes."""
    from styletransfer.web.service import submit_files

    files = {"content": content or CAT.read_bytes()}
    files |= {"style": WAVE.read_bytes()} if kind == "optimise" else {}
    with queue.room() as name:
        places = {what: [queue.folder(name) / f"{what}-0"] for what in files}
        for what, data in files.items():
            places[what][0].write_bytes(data)
        submit_files(queue, Limits(), name, kind, values, places)
    return name


def eventually(condition: Callable[[], Any], seconds: float = 120) -> Any:
    """Wait for something that another process does; return what it is."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return found


def iterations(queue: Queue, name: str) -> int:
    return int(queue.course(name).facts.get("iteration", 0))


def test_a_worker_survives_its_death_and_keeps_networks(queue, here):
    # What is painted is what the command paints, and says nothing of the server's folders.
    first = bring(queue, "stylize", {"model": "samples", "style": "26", "length": 64})
    job = ended(queue, first)
    assert (job.state, job.error) == ("done", "")
    stored = images.read_parameters(queue.path(job, job.result))
    assert stored["files"]["content"][0][0] == "content-0.jpg"
    assert str(queue.folder(first)) not in json.dumps(stored)
    assert images.load(queue.preview(job)).shape == (43, 64, 3)
    worker = here.pid
    # It dies in the middle of a job, which is begun again.
    second = bring(queue, "optimise", LONG)
    eventually(lambda: iterations(queue, second))
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: queue.get(second).tries == 2 and iterations(queue, second))
    assert here.pid != worker
    assert queue.preview(queue.get(second)) is not None
    queue.cancel(second)
    job = ended(queue, second)
    assert (job.state, job.facts["size"]) == ("cancelled", [64, 43])
    assert images.load(queue.path(job, job.result)).shape == (43, 64, 3)
    # A damaged picture fails alone, in a sentence.
    with queue.room() as name:
        for what in ("content", "style"):
            (queue.folder(name) / f"{what}.jpg").write_bytes(CAT.read_bytes()[:3000])
        files = {"content": ["content.jpg"], "style": ["style.jpg"]}
        queue.submit(name, "optimise", {"model": "googlenet"}, files)
    job = ended(queue, name)
    assert job.state == "failed"
    assert job.error.startswith("style.jpg is damaged or cut short")


@contextlib.contextmanager
def serving(
    state: Path, models: Path, *more: str
) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """Run the command, and yield its process and what asks it."""
    command = [sys.executable, "-m", "styletransfer", "serve", "--port", "0", *more]
    command += ["--state", str(state), "--models", str(models), "-g", "-1", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("serving http://127.0.0.1:"), line
            with httpx.Client(base_url=line.split()[1], trust_env=False) as client:
                yield process, client
        finally:
            process.kill()


def test_the_command_serves_and_another_one_goes_on(tmp_path, quick_network):
    values = {**LONG, "optimizer": "lbfgs"}
    with serving(tmp_path, quick_network[1], "--no-page") as (process, client):
        files = {"content": CAT.read_bytes(), "style": WAVE.read_bytes()}
        answer = client.post("/api/optimise", files=files, data=values).json()
        job = answer["job"]
        eventually(lambda: client.get(job).json().get("iteration", 0) > 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
    folder = tmp_path / "jobs" / answer["id"]
    assert json.loads((folder / "job.json").read_bytes())["state"] == "queued"
    assert (folder / "checkpoint.npz").exists()
    with serving(tmp_path, quick_network[1], "--no-page") as (_, client):
        found = eventually(lambda: "iteration" in (seen := client.get(job).json()) and seen)
        assert found["iteration"] > 2  # not from the beginning
        assert client.get(found["preview"]).headers["content-type"] == "image/jpeg"
        assert client.delete(job).json()["state"] in ("running", "cancelled")
        eventually(lambda: client.get(job).json()["state"] == "cancelled")
        (tmp_path / "x.png").write_bytes(client.get(f"{job}/result").content)
        assert images.load(tmp_path / "x.png").shape == (43, 64, 3)


def test_a_film_is_painted(queue):
    pytest.importorskip("av", reason="the extra video is not installed")
    from PIL import Image

    def film(content: bytes, values: dict[str, Any]) -> Job:
        with queue.room() as name:
            (queue.folder(name) / "content-0").write_bytes(content)
            (queue.folder(name) / "style-0.jpg").write_bytes(WAVE.read_bytes())
            files = {"content": ["content-0"]} | (
                {} if values["model"] == "samples" else {"style": ["style-0.jpg"]}
            )
            queue.submit(name, "film", values, files)
        return ended(queue, name)

    optimised = {"model": "googlenet", "n_iter": 2, "length": 48}
    for values, size in ({"model": "samples"}, [64, 48]), (optimised, [48, 36]):
        job = film(clip(3), values | {"format": "gif"})
        assert (job.state, job.error) == ("done", "")
        assert (job.facts["frames"], job.facts["size"]) == (3, size)
        with Image.open(queue.path(job, job.result)) as made:
            assert made.n_frames == 3
    job = film(b"#EXTM3U\nfile:///etc/passwd\n", {"model": "samples"})
    assert job.state == "failed"
    assert "content-0" in job.error
    assert "passwd" not in job.error


def test_a_film_is_made_no_larger_than_a_picture_and_seen_as_it_comes(tmp_path, quick_network):
    pytest.importorskip("av", reason="the extra video is not installed")
    (tmp_path / "content-0").write_bytes(clip(2))
    workshop = Workshop(Machine(-1, 1, quick_network[1]), Limits(length=32))
    order = Order("film", {"model": "samples", "format": "gif"}, {"content": ["content-0"]})
    seen = []

    def tell(said: Mapping[str, Any]) -> None:
        if said.get("preview"):
            seen.append(images.load(tmp_path / "preview.jpg").shape)

    made = workshop.make(order, tmp_path, tell, lambda: False)
    assert (made.error, made.facts["size"]) == ("", [32, 24])
    assert seen[0] == (24, 32, 3)  # the first frame, before there is a film


def test_what_the_command_refuses(capsys, tmp_path, monkeypatch):
    def refused(*words: object) -> str:
        assert cli.main(["serve", "--state", str(tmp_path / "state"), *map(str, words)]) == 2
        return capsys.readouterr().err

    assert "the --token is too short" in refused("--token", "short")
    with server_socket() as port:
        assert f"127.0.0.1 port {port} cannot be listened on: " in refused("--port", port)
    (tmp_path / "state").write_text("no folder")
    assert "cannot be written: " in refused("--port", 0)
    monkeypatch.setitem(extra._PACKAGES, "no_such_package", "some-package")
    assert refused() == "error: the service takes more packages: pip install some-package\n"


@contextlib.contextmanager
def server_socket() -> Iterator[int]:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]
