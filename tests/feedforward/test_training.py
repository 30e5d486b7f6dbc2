"""A training as a whole: it goes on, it goes back, it ends with a network."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime
import pytest

from styletransfer import images, locks
from styletransfer.errors import ImageError, StyleTransferError, UsageError
from styletransfer.feedforward import checkpoints, dataset, trained
from styletransfer.feedforward.trainer import Trainer
from styletransfer.feedforward.training import ANEW, REQUIRED, train

pytest_plugins = ["tests.feedforward.trainings"]

KEPT_EVERY = "styletransfer.feedforward.training._KEPT_EVERY"

# Runs a training that its argument describes, and says after which step it is.
_CHILD = """
import json, sys
from pathlib import Path
from styletransfer.feedforward import configuration
from styletransfer.feedforward.training import Training, train
values, folder = json.loads(sys.argv[1])
training = Training(configuration.read(values), Path(folder), gpu_id=-1, threads=1)
train(training, lambda step: print(step.iteration, flush=True))
"""


def _state(place):
    return checkpoints.read(place / "fast-style-model.ckpt-done.npz").state


def _assert_equal(state, expected):
    assert sorted(state) == sorted(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)


def _rows(place):
    with (place / "losses.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_training_leaves_what_it_should(training):
    steps = []
    task = training({"checkpoint_every": 2, "checkpoints_kept": 2, "preview_every": 3})
    result = train(task, steps.append)
    assert (result.steps, result.wanted) == (6, 6)
    place = task.place
    assert sorted(path.name for path in place.glob("*.npz")) == [
        "fast-style-model.ckpt-4.npz",
        "fast-style-model.ckpt-6.npz",
        "fast-style-model.ckpt-done.npz",
    ]
    assert result.network == place / "small.onnx"
    assert (place / "target_style_small.jpg").exists()
    previews = sorted(path.name for path in (place / "previews").iterdir())
    assert previews == ["step-000003.jpg", "step-000006.jpg"]
    assert images.load(place / "previews" / previews[0]).shape == (64, 64, 3)
    rows = _rows(place)
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [step.iteration for step in steps] == [1, 2, 3, 4, 5, 6]
    assert float(rows[2]["loss"]) == steps[2].loss
    assert float(rows[2]["style/conv3_3"]) == steps[2].terms["style/conv3_3"]
    _assert_equal(_state(place), checkpoints.read(place / "fast-style-model.ckpt-6.npz").state)


@pytest.mark.parametrize("keys", [{}, {"style_weight": "auto", "stability": 20, "shift": 20}])
def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(training, keys):
    whole = training({**keys, "naming": "whole"})
    train(whole)
    parts = training({**keys, "naming": "parts"})
    counted = []
    result = train(parts, counted.append, lambda: len(counted) == 3)
    assert (result.steps, result.wanted) == (3, 6)
    result = train(parts, counted.append)
    assert [step.iteration for step in counted] == [1, 2, 3, 4, 5, 6]
    _assert_equal(_state(parts.place), _state(whole.place))
    losses = [[row["loss"] for row in _rows(task.place)] for task in (whole, parts)]
    assert losses[0] == losses[1]
    # The time of both runs.
    seconds = [float(row["seconds"]) for row in _rows(parts.place)]
    assert seconds == sorted(seconds)


def _killed(values, photographs, steps, delay):
    """Start a training in another process and kill it after so many steps and seconds."""
    arguments = [sys.executable, "-c", _CHILD, json.dumps([values, str(photographs)])]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) >= steps:
                time.sleep(delay)
                os.kill(process.pid, signal.SIGKILL)
                break
    return process.returncode


def _goes_on_after_a_kill(training, small_keys, photographs, wanted, moments):
    keys = {"steps": wanted, "checkpoint_every": 3, "style_weight": "auto"}
    whole = training(keys | {"naming": "whole"})
    train(whole)
    for i, (steps, delay) in enumerate(moments):
        keys["naming"] = f"killed{i}"
        task = training(keys)
        code = _killed(small_keys | keys, photographs, steps, delay)
        assert code == -signal.SIGKILL
        begun = []
        train(task, begun.append)
        assert 0 <= begun[0].begun < wanted
        _assert_equal(_state(task.place), _state(whole.place))
        assert [row["loss"] for row in _rows(task.place)] == [
            row["loss"] for row in _rows(whole.place)
        ]


@pytest.mark.parametrize("moment", [(4, 0.003), (11, 0.0)])
def test_a_training_that_was_killed_goes_on_bit_for_bit(training, small_keys, photographs, moment):
    _goes_on_after_a_kill(training, small_keys, photographs, 15, [moment])


@pytest.mark.slow
def test_a_training_that_was_killed_anywhere_goes_on_bit_for_bit(training, small_keys, photographs):
    chance = np.random.default_rng()  # other moments each time
    moments = [(int(chance.integers(1, 36)), chance.random() * 0.02) for _ in range(20)]
    _goes_on_after_a_kill(training, small_keys, photographs, 40, moments)


def test_a_checkpoint_of_another_configuration_is_refused(training, tmp_path):
    train(training())
    with pytest.raises(UsageError, match="width was 2 and is 3"):
        train(training({"width": 3}))
    images.save(tmp_path / "other.png", np.full((40, 40, 3), 0.5, np.float32))
    with pytest.raises(UsageError, match="the style was another picture"):
        train(training({"style_image": str(tmp_path / "other.png")}))
    assert train(training({"width": 3}, resume=ANEW)).steps == 6
    with pytest.raises(UsageError, match="no checkpoint in"):
        train(training({"naming": "new"}, resume=REQUIRED))


def test_a_loss_network_of_other_weights_is_refused(training, loss_network, tmp_path):
    folder = tmp_path / "small"
    shutil.copytree(loss_network, folder)
    train(training({"loss_model": str(folder), "steps": 3}))
    weights = folder / "net.caffemodel"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1  # a bit of a number
    weights.write_bytes(data)
    with pytest.raises(UsageError, match=r"the weights of .*small had sha256 \w+, now"):
        train(training({"loss_model": str(folder)}))


def test_weights_of_losses_may_change_on_the_way(training, caplog):
    train(training({"steps": 3}))
    told = []
    keys = {"style_weight": 50.0, "learning_rate": 5e-4, "style_layers": {"conv2_2": 2.0}}
    train(training(keys), told.append)
    assert [step.iteration for step in told] == [4, 5, 6]
    assert {step.learning_rate for step in told} == {5e-4}
    terms = told[0].terms
    expected = terms["content"] + 50 * 2 * terms["style/conv2_2"]
    assert told[0].loss == pytest.approx(expected)
    place = training().place
    assert [row["step"] for row in _rows(place)] == ["4", "5", "6"]
    assert len((place / "losses-until-3.csv").read_text().splitlines()) == 4


def test_a_checkpoint_of_before_a_key_was_thought_of_is_gone_on_from(training):
    task = training({"steps": 3, "flip": False})
    train(task)
    (path,) = task.place.glob("*-3.npz")
    checkpoint = checkpoints.read(path)
    configuration = {k: v for k, v in checkpoint.configuration.items() if k != "flip"}
    checkpoints.clear(task.place)
    checkpoints.write(task.place, dataclasses.replace(checkpoint, configuration=configuration))
    told = []
    train(training({"flip": False}), told.append)
    assert told[0].begun == 3


def test_two_trainings_do_not_write_to_one_folder(training):
    task = training()
    task.place.mkdir(parents=True)
    with (
        locks.locked(task.place / ".lock"),
        pytest.raises(UsageError, match="another training writes to"),
    ):
        train(task)


def test_a_state_that_does_not_fit_is_told(training):
    task = training()
    style = np.zeros((32, 32, 3), np.uint8)
    trainer = Trainer(trained.plain(task.settings), style)
    state = trainer.state()
    with pytest.raises(UsageError, match="no parameters that fits"):
        trainer.restore(state | {"parameters": state["parameters"][1:]})
    with pytest.raises(UsageError, match="no steps that fits"):
        trainer.restore({name: array for name, array in state.items() if name != "steps"})


def test_other_pictures_are_told_of(training, tmp_path, caplog):
    train(training({"steps": 3}))
    images.save(tmp_path / "few" / "0.png", images.load(tmp_path / "style.png"))
    train(dataclasses.replace(training(), folder=tmp_path / "few"))
    assert "are others than before" in caplog.text


def test_a_damaged_checkpoint_is_passed_over(training, caplog):
    task = training({"checkpoint_every": 2})
    train(task)
    for name in ("6", "done"):
        (task.place / f"fast-style-model.ckpt-{name}.npz").write_bytes(b"PK\x03\x04 cut short")
    told = []
    train(task, told.append)
    assert told[0].begun == 4
    assert "ckpt-6.npz is no checkpoint" in caplog.text


def test_a_checkpoint_is_never_unpickled(tmp_path):
    path = tmp_path / "fast-style-model.ckpt-1.npz"
    np.savez(path, facts=np.array([{"a": 1}], dtype=object), steps=np.array(1))
    with pytest.raises(StyleTransferError, match="is no checkpoint"):
        checkpoints.read(path)


class _Failing:
    """Makes some steps of trainers fail: their losses are no numbers, as after a step too large."""

    def __init__(self, monkeypatch, fails):
        original = Trainer.step

        def step(trainer, batch):
            values = original(trainer, batch)
            if fails(trainer):
                trainer._sessions["step"].bind(
                    {"parameters": np.full_like(trainer._vector, np.nan)}
                )
                values["loss"] = float("nan")
            return values

        monkeypatch.setattr(Trainer, "step", step)


def test_a_loss_that_is_no_number_is_gone_back_from(training, monkeypatch, caplog):
    monkeypatch.setattr(KEPT_EVERY, 2)
    _Failing(monkeypatch, lambda t: t.steps == 6 and t.learning_rate > 6e-4)
    told = []
    task = training({"steps": 8})
    train(task, told.append)
    # The state after step 4 was good: step 5 began at it and was well.
    assert [step.iteration for step in told] == [1, 2, 3, 4, 5, 5, 6, 7, 8]
    assert [step.learning_rate for step in told][5:] == [5e-4] * 4
    assert "step 6: the loss is no number; back to step 4, learning rate 0.0005" in caplog.text
    assert [int(row["step"]) for row in _rows(task.place)] == list(range(1, 9))
    assert float(_state(task.place)["learning_rate"]) == 5e-4


def test_a_failure_leaves_no_checkpoint_of_what_led_to_it(training, monkeypatch):
    monkeypatch.setattr(KEPT_EVERY, 2)
    _Failing(monkeypatch, lambda t: t.steps == 6)
    task = training({"steps": 8, "checkpoint_every": 5, "checkpoints_kept": 9})
    with pytest.raises(StyleTransferError):
        train(task)
    # That of step 5 had bad weights in it, for all that is known.
    assert [path.name for path in task.place.glob("*.npz")] == ["fast-style-model.ckpt-4.npz"]
    assert float(checkpoints.newest(task.place)[1].state["learning_rate"]) == 1.25e-4


def test_what_ends_a_training_costs_no_step(training, monkeypatch):
    original = dataset.Dataset.batch
    gone = [True]

    def batch(data, step):
        if step == 4 and gone[0]:
            raise StyleTransferError("none of the pictures of the dataset can be read")
        return original(data, step)

    monkeypatch.setattr(dataset.Dataset, "batch", batch)
    task = training()
    with pytest.raises(StyleTransferError, match="none of the pictures"):
        train(task)
    gone[0] = False
    told = []
    train(task, told.append)
    assert [step.iteration for step in told] == [5, 6]


def test_a_black_picture_is_gone_back_from(training, monkeypatch, caplog):
    monkeypatch.setattr(KEPT_EVERY, 2)
    original = Trainer.paint

    def paint(trainer, batch):
        painted = original(trainer, batch)
        black = trainer.steps == 6 and trainer.learning_rate > 6e-4
        return np.zeros_like(painted) if black else painted + 128

    monkeypatch.setattr(Trainer, "paint", paint)
    train(training({"steps": 8}))
    assert "step 6: what it paints is of one colour; back to step 4" in caplog.text


def test_a_training_that_fails_again_and_again_leaves_its_last_good_network(training, monkeypatch):
    monkeypatch.setattr(KEPT_EVERY, 2)
    _Failing(monkeypatch, lambda t: t.steps == 6)
    task = training({"steps": 8})
    with pytest.raises(StyleTransferError, match="for the 4th time; the network of step 4"):
        train(task)
    network = trained.read(task.network)
    assert network.steps == 4
    assert all(np.isfinite(array).all() for array in network.weights)


def test_the_network_paints_as_the_trainer_does(training):
    task = training({"arch": "tf", "steps": 2})
    train(task)
    batch = dataset.Dataset(dataset.find(task.folder), task.settings).batch(5)
    trainer = Trainer(
        trained.plain(task.settings),
        batch[0],
        trained.read(task.network).weights,
        gpu_id=-1,
    )
    session = onnxruntime.InferenceSession(task.network)
    planes = batch.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    (painted,) = session.run(None, {"image": planes})
    expected = np.clip(trainer.paint(batch) / 255, 0, 1).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(painted, expected, atol=1e-4)
    # Any size: what is missing to a multiple of 4 is padded, and cropped.
    odd = np.random.default_rng(0).random((1, 3, 41, 50), np.float32)
    assert session.run(None, {"image": odd})[0].shape == (1, 3, 41, 50)
    model = onnx.load(task.network)
    onnx.checker.check_model(model, full_check=True)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["styletransfer.arch"] == "tf"
    assert json.loads(facts["styletransfer.configuration"])["steps"] == 2
    assert facts["styletransfer.weights_sha256"] == trained.digest(trainer.weights)
    assert facts["Image.NominalPixelRange"] == "Normalized_0_1"


@pytest.mark.parametrize(
    ("keys", "error", "told"),
    [
        ({"style_image": None}, UsageError, "there is no style_image"),
        ({"style_image": __file__}, ImageError, "no picture that can be read"),
        ({"style_image": "none.jpg"}, ImageError, "no picture none.jpg"),
        ({"style_layers": ["conv9_9"]}, StyleTransferError, "no layer 'conv9_9'"),
        ({"arch": "resnet"}, UsageError, "'resnet'"),
    ],
)
def test_what_cannot_be_trained_is_told(training, keys, error, told):
    with pytest.raises(error, match=told):
        train(training(keys))
