"""Files that this program makes and goes on from, and networks that paint: theirs are alike."""

import importlib.util
import io
import itertools
import json
import random
import tempfile
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import numpy as np
import onnx
from PIL import Image

from styletransfer import arrayfile, images, optim
from styletransfer.errors import FilmError, UsageError
from styletransfer.feedforward import architecture, checkpoints, configuration, trained
from styletransfer.feedforward import network as painting
from styletransfer.runtime.devices import Device
from styletransfer.settings import Settings
from styletransfer.transfer import checkpoint
from styletransfer.transfer.inputs import Inputs
from styletransfer.transfer.stages import Stage
from styletransfer.video import answers, containers, manifest, source
from styletransfer.video.facts import Source
from styletransfer.video.kept import Kept
from tests.feedforward.networks import candy
from tests.fuzz.mutations import of_bytes, of_json, of_pictures, of_protobuf, of_zip
from tests.fuzz.reader import OPERATORS, Reader

# --- networks that paint --------------------------------------------------------------------------


def _painters(folder: Path) -> list[bytes]:
    return [
        candy(width=2).SerializeToString(),
        candy(size=96, width=2, counted=True).SerializeToString(),
    ]


def _small() -> configuration.Configuration:
    return configuration.read({"arch": "pytorch", "width": 2, "style_image": "a.jpg"})


def _checkpoints(folder: Path) -> list[bytes]:
    settings = _small()
    weights = architecture.initial_parameters(trained.architecture_of(settings), 0)
    state = {"parameters": np.concatenate([w.ravel() for w in weights]), "steps": np.array(3)}
    facts = checkpoints.Checkpoint(state, trained.plain(settings), {"style": "x"})
    return [checkpoints.write(folder, facts).read_bytes()]


def _trained(folder: Path) -> list[bytes]:
    settings = _small()
    weights = architecture.initial_parameters(trained.architecture_of(settings), 0)
    trained.save(folder / "a.onnx", trained.Trained(settings, weights, 3, {"content": 1.0}))
    return [(folder / "a.onnx").read_bytes()]


# --- runs that go on ------------------------------------------------------------------------------

_SHAPE = (5, 7, 3)
_MEAN = np.array([104.0, 117.0, 123.0])
_GIVEN = Inputs(np.zeros(_SHAPE), (np.zeros(_SHAPE),), (), None, "content")
_STAGES = [Stage(5, 1.0, 1e4, 9, 1), Stage(7, 1.0, 1e4, 9, 1)]
_RUNS = [
    Settings(optimizer="lbfgs", history=2, style_layers={"a": 1.0}),
    Settings(optimizer="adam", average=0.9),
    Settings(),
]


def _about(settings: Settings) -> dict[str, Any]:
    network = cast(Any, SimpleNamespace(weights_digest="0"))
    return checkpoint.describe(settings, network, _GIVEN, Device())


def _unfinished(folder: Path) -> list[bytes]:
    found = []
    for settings in _RUNS:
        image = np.zeros((1, 3, *_STAGES[1].size(_SHAPE)), np.float32)
        bounds = images.bounds(_MEAN)
        state = optim.blank(settings.optimizer, image, bounds, **settings.optimizer_options)
        if state is not None:
            state.iteration, state.loss = 3, 1.5
        numbers = (12, 20, 9, 2.0, 1.5, 1.0, 0.5)
        point = checkpoint.Point(1, 3, None, None, *numbers, image, state)
        path = folder / "a.npz"
        checkpoint.Keeper(checkpoint.Checkpoints(path), _about(settings)).write(point)
        found.append(path.read_bytes())
    return found


def _changed_facts(rng: random.Random, data: bytes) -> bytes:
    """Change what a file of arrays says of itself, or one of its members, or its bytes."""
    if rng.random() < 0.5:
        return _CHANGED_MEMBERS(rng, data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        path.write_bytes(data)
        facts, arrays = arrayfile.read(path, len(data))
        if rng.random() < 0.6:
            facts["point"] = of_json(rng, facts["point"])
        else:
            facts = of_json(rng, facts)
        arrayfile.write(path, arrays, facts)
        return path.read_bytes()


def _resumed(path: Path) -> object:
    for settings in _RUNS:
        try:
            return checkpoint.read(path, _about(settings), settings, _MEAN, _SHAPE, _STAGES)
        except UsageError as error:
            if settings is _RUNS[-1] or "optimizer was" not in str(error):
                raise
    return None


# --- films ----------------------------------------------------------------------------------------


def _manifests(folder: Path) -> list[bytes]:
    with manifest.Manifest(folder / "a.json", {"film": {"size": [4, 3]}, "depth": 8}) as made:
        made.add(manifest.Record(0, "0", 0, 1, "0" * 64, 1.5, 3, 2.0))
        made.add(manifest.Record(1, "1/25", 0, 1, None, error="it failed"))
    return [(folder / "a.json").read_bytes()]


def _lines(rng: random.Random, data: bytes) -> bytes:
    """Change a line of several as JSON, or bytes."""
    lines = data.splitlines(keepends=True)
    if rng.random() < 0.3 or not lines:
        return of_bytes()(rng, data)
    place = rng.randrange(len(lines))
    lines[place] = json.dumps(of_json(rng, json.loads(lines[place]))).encode() + b"\n"
    return b"".join(lines)


def _continued(path: Path) -> object:
    manifest.read(path)
    with manifest.Manifest(path, {"film": {"size": [4, 3]}, "depth": 8}) as found:
        return found.records


def _states(folder: Path) -> list[bytes]:
    kept = Kept(folder)
    kept.save_state(3, {"image": np.zeros((2, 3, 3), np.float32), "count": np.array(4)})
    return [kept.state(3).read_bytes()]


def _remembered(path: Path) -> object:
    kept = Kept(path.parent)
    path.replace(kept.state(3))
    return kept.load_state(3)


def _films(folder: Path) -> list[bytes]:
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 256, (16, 24, 4), np.uint8)) for _ in range(3)]
    found = []
    for kind in ("GIF", "PNG", "WEBP"):
        data = io.BytesIO()
        frames[0].save(data, kind, save_all=True, append_images=frames[1:], duration=[40, 80, 40])
        found.append(data.getvalue())
    if importlib.util.find_spec("av") is None:
        return found
    from tests.video import clips

    codecs = {"a.mp4": "libx264", "b.mkv": "ffv1", "c.avi": "mpeg4", "d.webm": "libvpx-vp9"}
    for name, codec in codecs.items():
        clips.write(folder / name, clips.pan(3, 32, 16), codec=codec, options={})
        found.append((folder / name).read_bytes())
    return found


def _watched(path: Path) -> object:
    # In this process: to start another one for each would take longer than the reading.
    with mock.patch.object(source, "apart", containers):
        return sum(1 for _ in itertools.islice(source.read(source.probe(path)), 30))


def _answers(folder: Path) -> list[bytes]:
    rate = Fraction(25)
    film = Source(folder, "container", "mov", 24, 16, 3, rate, 1 / rate, 3 / rate, end=3 / rate)
    frame = {"number": 1, "time": [1, 25], "duration": [1, 25], "shape": [16, 16]}
    told = [{"end": answers.of_source(film)}, frame, {"end": ["audio track 1 (aac)"]}]
    return [json.dumps(one).encode() + b"\n" for one in told]


def _understood(path: Path) -> object:
    try:
        told = answers.line(path.read_bytes())
        if "number" in told:
            return answers.shown(told, None), answers.shape(told, 16)
        if isinstance(told.get("end"), list):
            return answers.phrases(told["end"])
        return answers.source(path, told.get("end"))
    except answers.NonsenseError as error:
        raise FilmError(str(error)) from None


_ARRAY_WORDS = [b"descr", b"'|O'", b"(99999999,)"]
_CHANGED_MEMBERS = of_zip(of_bytes(_ARRAY_WORDS))

READERS = {
    "checkpoint": Reader(_checkpoints, of_zip(of_bytes(_ARRAY_WORDS)), trained.read, (".npz",)),
    "resumed": Reader(_unfinished, _changed_facts, _resumed, (".npz",)),
    "manifest": Reader(_manifests, _lines, _continued, (".json",)),
    "kept": Reader(_states, of_zip(of_bytes(_ARRAY_WORDS)), _remembered, (".npz",)),
    "film": Reader(_films, of_pictures, _watched, (".gif", ".mkv", ".mp4")),
    "answers": Reader(_answers, _lines, _understood, (".json",)),
    "trained": Reader(_trained, of_protobuf(onnx.ModelProto.DESCRIPTOR), trained.read),
    "painter": Reader(_painters, of_protobuf(onnx.ModelProto.DESCRIPTOR, OPERATORS), painting.read),
}
