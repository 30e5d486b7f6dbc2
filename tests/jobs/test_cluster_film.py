"""Films painted by other processes: equal to those painted here, byte for byte."""

import os
import random
import signal
import threading
import time
from dataclasses import replace
from fractions import Fraction

import pytest

from styletransfer import cli, images
from styletransfer.errors import UsageError
from styletransfer.jobs import film, filming
from styletransfer.jobs.cluster import client
from styletransfer.jobs.cluster import film as films
from styletransfer.jobs.cluster.place import Place
from styletransfer.jobs.film import FilmExtras, FilmTask
from styletransfer.jobs.local import Watch
from styletransfer.jobs.task import Machine
from styletransfer.settings import Painting, Settings
from styletransfer.settings.film import Film
from styletransfer.video import sink
from styletransfer.video.order import Order
from tests.feedforward.networks import candy
from tests.jobs.test_film import scene

pytest.importorskip("distributed")
pytest.importorskip("av", reason="films need the extra video")
pytest.importorskip("cv2", reason="films need the extra video")
pytest.importorskip("scenedetect", reason="films need the extra video")

RATE = Fraction(10)


@pytest.fixture(scope="module")
def machine(quick_network):
    """What films here are painted on."""
    return Machine(gpu_id=-1, threads=1, models=quick_network[1])


@pytest.fixture(scope="module")
def cluster(machine):
    """A cluster of two workers of this machine, without certificates: commands connect to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "_certified", lambda: False)
        with client.connected(Place("", 2, True), machine) as cluster:
            yield cluster


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two shots, of 20 and of 16 frames."""
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    with sink.Sink(Order(path, rate=RATE)) as target:
        for i, frame in enumerate(scene(1, 20) + scene(2, 16)):
            target.add(frame, i / RATE, 1 / RATE)
    return path


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    path = tmp_path_factory.mktemp("nets") / "sweet.onnx"
    path.write_bytes(candy(64).SerializeToString())
    return path


@pytest.fixture
def by_network(clip, net, tmp_path):
    """A film by a small network."""
    return FilmTask(clip, (), tmp_path / "there" / "out.mkv", Painting(model=str(net)))


@pytest.fixture
def by_optimisation(clip, tmp_path):
    """Frames of both shots, with few iterations."""
    style = tmp_path / "style.png"
    images.save(style, scene(3, 1)[0])
    how = Settings(
        model="googlenet", n_iter=2, length=48, any_size=True, optimizer="lbfgs", ratio=1e4
    )
    return FilmTask(clip, (style,), tmp_path / "there" / "out.mkv", how, Film(begin=18, end=22))


def painted_here(task, machine, folder):
    """Return the film that is painted by this process."""
    task = replace(task, output=folder / task.output.name)
    assert filming.make(film.plan(task), machine, Watch()).output == task.output
    return task.output.read_bytes()


def test_a_film_by_a_network_is_that_painted_here(
    cluster, by_network, machine, tmp_path, monkeypatch
):
    monkeypatch.setattr(films, "_MOST", 7)  # seams within a shot
    steps = []
    outcome = films.make(film.plan(by_network), cluster, Watch(steps.append))
    assert (outcome.painted, outcome.failed) == (36, {})
    assert [step.done for step in steps] == [*range(1, 37)]
    numbers = [int(step.name.split()[1]) for step in steps]
    assert numbers != sorted(numbers)  # both shots at once
    assert by_network.output.read_bytes() == painted_here(by_network, machine, tmp_path / "here")


def test_a_film_by_optimisation_is_that_painted_here(cluster, by_optimisation, machine, tmp_path):
    outcome = films.make(film.plan(by_optimisation), cluster, Watch())
    assert (outcome.painted, outcome.failed) == (4, {})
    here = painted_here(by_optimisation, machine, tmp_path / "here")
    assert by_optimisation.output.read_bytes() == here


def test_frames_without_coherence_are_painted_at_once(cluster, by_network, machine, tmp_path):
    task = replace(by_network, film=Film(no_coherence=True))
    assert films.make(film.plan(task), cluster, Watch()).painted == 36
    assert task.output.read_bytes() == painted_here(task, machine, tmp_path / "here")


def survives(cluster, task, machine, folder, moments, seed):
    """Paint films while workers are killed, and stop and go on, too."""
    rng = random.Random(seed)
    here = painted_here(task, machine, folder / "here")
    for moment in range(moments):
        own = replace(task, output=folder / f"there {moment}" / task.output.name)
        plan = film.plan(own)

        def kill() -> None:
            time.sleep(rng.uniform(0, 1.5))
            found = [*cluster._client.run(os.getpid, on_error="ignore").values()]
            os.kill(rng.choice(found), signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        seen = []
        films.make(plan, cluster, Watch(seen.append, lambda seen=seen: len(seen) > 10))
        thread.join()
        films.make(plan, cluster, Watch())
        assert own.output.read_bytes() == here


def test_a_film_goes_on_after_a_killed_worker_and_a_stop(cluster, by_network, machine, tmp_path):
    survives(cluster, by_network, machine, tmp_path, 1, 1)


@pytest.mark.slow
def test_a_film_is_complete_whenever_a_worker_is_killed(cluster, by_network, machine, tmp_path):
    survives(cluster, by_network, machine, tmp_path, 20, 2)


def test_the_command_paints_a_film_on_a_cluster(cluster, clip, net, tmp_path, capsys):
    address = cluster._client.scheduler.address
    words = ["video", clip, "-m", net, "-o", tmp_path / "out.mkv", "--begin", 18, "--end", 22]
    words += ["--cluster", address, "--shared", "--threads", 1, "-g", -1]
    assert cli.main([*map(str, words)]) == 0
    assert "4 frames painted" in capsys.readouterr().out


def test_what_a_cluster_cannot_paint_is_refused(cluster, machine, by_network):
    far = client.Cluster(cluster._client, Place("tcp://127.0.0.1:1"), machine)
    for task, where, what in (
        (by_network, far, "--shared"),
        (replace(by_network, film=Film(passes=2)), cluster, "--passes"),
        (replace(by_network, extras=FilmExtras(no_frames=True)), cluster, "--no-frames"),
    ):
        with pytest.raises(UsageError, match=what):
            films.make(film.plan(task), where, Watch())
