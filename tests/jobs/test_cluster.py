"""Pictures made by other processes: equal to those made here, whatever becomes of the processes."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from styletransfer import cli, images
from styletransfer.errors import ClusterError, ImageError, UsageError
from styletransfer.jobs import local, painting
from styletransfer.jobs.cluster import client, pictures, worker
from styletransfer.jobs.cluster.parcel import Terms, pack, raised, receive
from styletransfer.jobs.cluster.place import Place, place
from styletransfer.jobs.local import Watch
from styletransfer.jobs.task import Extras, Machine, Task
from styletransfer.progress import BatchProgress
from styletransfer.settings import Painting, Settings
from tests.cli.test_signals import heed_signals
from tests.conftest import ROOT

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def machine(quick_network):
    """What all pictures here are made on."""
    return Machine(gpu_id=-1, threads=1, models=quick_network[1])


@pytest.fixture(scope="module")
def shared(machine):
    """A cluster of two workers of this machine, without certificates: commands connect to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "_certified", lambda: False)
        with client.connected(Place("", 2, True), machine) as cluster:
            yield cluster


@pytest.fixture
def cluster(shared, machine):
    """The same cluster, as if its workers did not see the files of this machine."""
    return client.Cluster(shared._client, Place("tcp://127.0.0.1:1"), machine)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Small pictures, all different."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(5)
    paths = [folder / f"photo {i}.png" for i in range(4)]
    for path in paths:
        images.save(path, rng.random((40, 44, 3), np.float32))
    images.save(folder / "mask.png", np.linspace(0, 1, 40 * 44 * 3).reshape(40, 44, 3))
    return paths


def tasks_of(photos, folder, **changes):
    """Return a task a photo, the last photo being the style."""
    *contents, style = photos
    values = {"n_iter": 2, "length": 44, "any_size": True, "optimizer": "lbfgs"} | changes
    settings = Settings(model="googlenet", **values)
    return [Task(p, (style,), folder / f"{p.stem}.png", settings) for p in contents]


def files(folder):
    """Return the files of a folder by their names, without what a killed worker was writing."""
    whole = [path for path in sorted(folder.iterdir()) if path.suffix != ".part"]
    return {path.name: path.read_bytes() for path in whole}


def made_here(tasks, folder, machine, make=local.make_all):
    """Return the files that the tasks make on this machine."""
    moved = [replace(task, output=folder / task.output.name) for task in tasks]
    assert all(o.error is None for o in make(moved, machine, Watch()))
    return files(folder)


@pytest.mark.parametrize("way", ["shared", "cluster"])
def test_files_are_those_of_a_run_here(way, request, photos, machine, tmp_path, monkeypatch):
    monkeypatch.chdir(photos[0].parent)  # the recipe has paths as they were given
    names = [path.relative_to(photos[0].parent) for path in photos]
    extras = Extras(save_every=1, grid=True, plot=True, edges=True)
    tasks = tasks_of(names[1:], tmp_path / "there", init=f"./{names[1]}")
    mask = photos[0].parent / "mask.png"
    tasks = [replace(t, extras=extras, content_mask=mask, style_masks=(mask,)) for t in tasks]
    told = []
    outcomes = list(pictures.make_all(tasks, request.getfixturevalue(way), Watch(tell=told.append)))
    assert all(o.error is None and o.output == o.task.output for o in outcomes)
    assert {o.summary.iterations for o in outcomes} == {2}
    assert all(o.variations is not None for o in outcomes)
    here = made_here(tasks, tmp_path / "here", machine)
    assert len(here) == 6 * len(tasks)
    assert files(tmp_path / "there") == here
    steps = [step for step in told if isinstance(step, BatchProgress)]
    assert [step.done for step in steps] == [0, 1, 2]
    assert {(step.total, step.workers) for step in steps} == {(2, 2)}


def test_pictures_of_one_pass_are_those_of_a_run_here(cluster, photos, machine, tmp_path):
    settings = Painting(model="samples", style="3")
    tasks = [
        Task(p, (), tmp_path / "there" / p.name, settings, extras=Extras(grid=True)) for p in photos
    ]
    outcomes = list(pictures.make_all(tasks, cluster, Watch()))
    assert {o.painted.size for o in outcomes} == {(44, 40)}
    here = made_here(tasks, tmp_path / "here", machine, painting.make_all)
    assert files(tmp_path / "there") == here


def test_a_picture_that_cannot_be_read_fails_alone(cluster, photos, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    gone = tmp_path / "gone.png"
    tasks = tasks_of([broken, gone, photos[0], photos[3]], tmp_path / "there")
    outcomes = {o.task.content: o for o in pictures.make_all(tasks, cluster, Watch())}
    assert isinstance(outcomes[broken].error, ImageError)
    assert str(broken) in str(outcomes[broken].error)  # not where it lay on the worker
    assert str(gone) in str(outcomes[gone].error)
    assert outcomes[photos[0]].error is None
    assert [*files(tmp_path / "there")] == ["photo 0.png"]


@pytest.mark.parametrize("what", ["numpy", "weights of googlenet"])
def test_a_worker_that_differs_is_refused(cluster, photos, tmp_path, monkeypatch, what):
    if what == "numpy":
        other = worker.versions() | {"numpy": "1.0"}
        monkeypatch.setattr(pictures.worker, "versions", lambda: other)
    else:
        monkeypatch.setattr(pictures, "_digest", lambda *rest: "0" * 64)
    with pytest.raises(ClusterError, match=f"2 workers are not fit.*{what} .* there and .* here"):
        list(pictures.make_all(tasks_of(photos, tmp_path / "there"), cluster, Watch()))
    assert not (tmp_path / "there").exists()


def test_a_worker_that_comes_late_is_refused_by_itself():
    versions = worker.versions()
    worker.check(Terms(versions), versions)
    with pytest.raises(ClusterError, match=r"numpy 1\.0 there and .* here"):
        worker.check(Terms(versions), versions | {"numpy": "1.0"})
    with pytest.raises(ClusterError, match="other weights of vgg16"):
        worker.check_weights(Terms(versions, {"vgg16": "a"}), "vgg16", "b")


def test_stopping_keeps_what_is_done(cluster, photos, tmp_path):
    seen = []
    watch = Watch(stopped=lambda: bool(seen))
    for outcome in pictures.make_all(tasks_of(photos, tmp_path, n_iter=3), cluster, watch):
        seen.append(outcome.output)
    assert len(seen) == 1
    assert [path.name for path in tmp_path.iterdir()] == [seen[0].name]


def pids(cluster):
    """Return the processes of the workers."""
    return [*cluster._client.run(os.getpid, on_error="ignore").values()]


def kill_one(cluster, delay, rng):
    """Kill a worker in a while; return what waits for that."""

    def kill():
        time.sleep(delay)
        found = pids(cluster)
        if found:
            os.kill(rng.choice(found), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def survives(cluster, photos, folder, machine, moments, seed):
    """Make pictures while workers are killed, and compare them with those made here."""
    rng = random.Random(seed)
    here = None
    for moment in range(moments):
        there = folder / f"there {moment}"
        tasks = tasks_of([*photos[:3], *photos], there, n_iter=4)
        tasks = [replace(t, output=there / f"{i}.png") for i, t in enumerate(tasks)]
        thread = kill_one(cluster, rng.uniform(0, 2), rng)
        outcomes = list(pictures.make_all(tasks, cluster, Watch()))
        thread.join()
        assert [o.error for o in outcomes] == [None] * len(tasks)
        here = here or made_here(tasks, folder / "here", machine)
        assert files(there) == here


def test_pictures_of_a_killed_worker_are_made_elsewhere(cluster, photos, tmp_path, machine):
    survives(cluster, photos, tmp_path, machine, 1, 1)


@pytest.mark.slow
def test_every_picture_is_there_whenever_a_worker_is_killed(cluster, photos, tmp_path, machine):
    survives(cluster, photos, tmp_path, machine, 20, 2)


def test_a_run_goes_on_from_the_checkpoint_of_a_killed_worker(
    shared, photos, tmp_path, machine, caplog
):
    extras = Extras(checkpoint=True, checkpoint_every=1)
    (task,) = tasks_of([photos[0], photos[3]], tmp_path / "there", n_iter=12)
    task = replace(task, extras=extras)
    task.output.parent.mkdir()
    task.checkpoint.write_bytes(b"of another run, which is not gone on with")
    before = task.checkpoint.stat().st_mtime_ns

    def kill() -> None:
        while task.checkpoint.exists() and task.checkpoint.stat().st_mtime_ns == before:
            time.sleep(0.01)  # until it is deleted
        while not task.checkpoint.exists():
            time.sleep(0.01)
        processes = shared._client.run(os.getpid)
        for address, keys in shared._client.processing().items():
            if keys:
                os.kill(processes[address], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with caplog.at_level("DEBUG", logger="styletransfer"):
        (outcome,) = pictures.make_all([task], shared, Watch())
    thread.join()
    assert outcome.error is None
    assert outcome.checkpoint is None
    assert not task.checkpoint.exists()
    assert "going on" in caplog.text
    plain = [replace(task, extras=Extras())]
    assert files(tmp_path / "there") == made_here(plain, tmp_path / "here", machine)


def die(parcel):
    """Stand in for `worker.make`: one task kills whoever makes it."""
    if parcel.task.output.name == "photo 1.png":
        os.kill(os.getpid(), signal.SIGKILL)
    return worker.make(parcel)


def test_a_poisoned_task_fails_alone(cluster, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures.worker, "make", die)
    tasks = tasks_of([*photos[:2], photos[3]], tmp_path)
    outcomes = {o.task.output.name: o for o in pictures.make_all(tasks, cluster, Watch())}
    assert "3 workers died" in str(outcomes.pop("photo 1.png").error)
    assert {o.error for o in outcomes.values()} == {None}
    assert len(outcomes) == 1


def test_the_command_makes_pictures_on_a_cluster(shared, photos, machine, tmp_path, capsys):
    address = shared._client.scheduler.address
    words = ["image", "-s", photos[3], "-c", *photos[:2], "-n", 1, "-l", 44, "--any-size", "-m"]
    words += ["googlenet", "-g", -1, "--models", machine.models, "--format", "png"]
    words += ["-o", f"{tmp_path}/there/", "--cluster", address, "--shared", "--threads", 1]
    assert cli.main([*map(str, words)]) == 0
    assert "2 of 2 pictures made" in capsys.readouterr().out
    assert len(files(tmp_path / "there")) == 2


def test_ctrl_c_keeps_what_is_done(photos, machine, tmp_path):
    words = ["image", "-s", photos[3], "-c", *photos, "-n", 3, "-l", 44, "--any-size", "-m"]
    words += ["googlenet", "-g", -1, "--models", machine.models, "--format", "png"]
    words += ["-o", f"{tmp_path}/there/", "--cluster", "local:1"]
    command = [sys.executable, "-m", "styletransfer", *map(str, words)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=heed_signals,
        start_new_session=True,
    ) as process:
        for line in process.stdout:
            if line.startswith("saved"):
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does
                break
        out, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "of 4 pictures made, " in out
    assert "not begun" in out
    assert 1 <= len(files(tmp_path / "there")) < 4


def test_no_scheduler_is_one_sentence(monkeypatch, machine):
    monkeypatch.setattr(client, "_PATIENCE", 0.5)
    with (
        pytest.raises(ClusterError, match=r"tcp://127\.0\.0\.1:9 does not answer"),
        client.connected(Place("tcp://127.0.0.1:9"), machine),
    ):
        pass


def test_a_scheduler_that_is_gone_is_one_sentence(cluster):
    lost = SimpleNamespace(status="cancelled")
    with pytest.raises(ClusterError, match=r"the scheduler tcp:.* is gone"):
        cluster._result((), lost, lambda: False)


def test_what_does_not_travel_is_refused(cluster, photos, tmp_path):
    (task,) = tasks_of([photos[0], photos[3]], tmp_path)
    for changed, what in (
        (replace(task, extras=Extras(checkpoint=True)), "--shared"),
        (replace(task, extras=Extras(preview=tmp_path / "x.png")), "--preview"),
        (replace(task, settings=replace(task.settings, model=str(tmp_path))), "--shared"),
    ):
        with pytest.raises(UsageError, match=what):
            list(pictures.make_all([changed], cluster, Watch()))


def test_places():
    assert place("local:3", False) == Place("", 3, True)
    assert place("tcp://10.0.0.5:8786", False) == Place("tcp://10.0.0.5:8786")
    for text in ("local:0", "local:", "10.0.0.5:8786", "http://x", "local:99999"):
        with pytest.raises(UsageError, match="is no cluster"):
            place(text, False)


def test_an_answer_writes_no_other_file(photos, tmp_path, machine):
    (task,) = tasks_of([photos[0], photos[3]], tmp_path / "there")
    parcel = pack(task, False, machine, Terms({}))
    assert all(len(name) < 20 for name in parcel.files)
    answer = worker.refusal(ClusterError("no")) | {
        "files": {"../x.png": b"x", "y.png": b"y", "photo 0-00001.png": b"z"}
    }
    outcome = receive(task, answer, set())
    assert str(outcome.error) == "no"
    assert [*files(tmp_path / "there")] == ["photo 0-00001.png"]
    assert not (tmp_path / "x.png").exists()


def test_errors_of_no_kind_that_is_known_are_the_cluster_s():
    told = {"kind": "SystemExit", "text": "x", "details": []}
    assert type(raised(told)) is ClusterError


def test_where_no_worker_is_left_one_job_waits(machine):
    class Nobody:
        def scheduler_info(self, n_workers):
            return {"workers": {}}

    assert client.Cluster(Nobody(), Place("tcp://127.0.0.1:1"), machine).slots() == 1
