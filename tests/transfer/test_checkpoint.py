"""A run that was interrupted goes on as if it had not been; what belongs to another is refused."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from styletransfer import Checkpoints, StyleTransferError, UsageError, arrayfile
from styletransfer.optim import Lbfgs, Stop
from styletransfer.transfer import checkpoint as checkpoints
from tests.transfer.conftest import CONTENT, NIGHT, WAVE

MASK = np.linspace(0, 1, 48) * np.ones((32, 1))
ONE_SCALE = {"length": 48, "any_size": True, "ratio": 2e4, "init": "content", "n_iter": 4}
STAGES = {**ONE_SCALE, "length": 72, "n_iter": 4, "stages": [{"length": 0.7}, {}]}

RUNS = {
    "lbfgs": {**ONE_SCALE, "optimizer": "lbfgs", "history": 2},
    "adam": {**ONE_SCALE, "optimizer": "adam", "average": 0.9},
    "noise": {**ONE_SCALE, "optimizer": "lbfgs", "init": "-1", "seed": 3},
    "two styles with masks": {
        **ONE_SCALE,
        "optimizer": "lbfgs",
        "img_style": [WAVE, NIGHT],
        "style_masks": [MASK, 1 - MASK],
        "content_mask": MASK,
    },
    "colours": {**STAGES, "optimizer": "lbfgs", "preserve_colors": "luminance"},
    "adam in stages": {**STAGES, "optimizer": "adam", "average": 0.9, "decay": 0.95},
    "scales": {**ONE_SCALE, "length": 140, "optimizer": "lbfgs", "scales": 2, "tv": 1.0},
}


def made(transfer, **options):
    """Return the result of a run and how it ended, but for the time that it took."""
    transfer.transfer_style(**{"img_style": WAVE, "img_content": CONTENT} | options)
    return transfer.get_generated(), replace(transfer.summary, seconds=0)


def assert_same(run, other):
    np.testing.assert_array_equal(run[0], other[0])
    assert run[1] == other[1]


@pytest.mark.parametrize("name", RUNS)
def test_interrupted_after_any_iteration(transfer, tmp_path, name):
    """The picture is the same to the bit, and so are the counts and losses."""
    options, file = RUNS[name], tmp_path / "x.npz"
    kept = []

    def keep(step):
        if step.iteration > 1:  # the file is of the iteration before
            kept.append(shutil.copy(file, tmp_path / f"{step.iteration - 1}.npz"))

    whole = made(transfer, checkpoint=Checkpoints(file, every=1), progress=keep, **options)
    assert len(kept) == options["n_iter"] - 1
    for path in [*kept, file]:
        assert_same(made(transfer, checkpoint=Checkpoints(path, resume=True), **options), whole)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lbfgs", "adam in stages"])
def test_stopped_before_any_evaluation(transfer, tmp_path, name):
    """Also in the middle of a line search, and of a stage's first image."""
    options, file = RUNS[name], tmp_path / "x.npz"
    asked = 0

    def count():
        nonlocal asked
        asked += 1
        return asked > stop_at

    stop_at = 10_000
    whole = made(transfer, stopped=count, **options)
    for stop_at in range(asked):  # noqa: B007
        asked = 0
        _, end = made(transfer, checkpoint=Checkpoints(file), stopped=count, **options)
        assert end.stop is Stop.INTERRUPTED
        assert_same(made(transfer, checkpoint=Checkpoints(file, resume=True), **options), whole)
        file.unlink()


def test_what_ended_a_stage_is_kept(transfer, tmp_path, monkeypatch):
    """A stage that ended by itself takes no further step when the run goes on."""
    step, file = Lbfgs.step, tmp_path / "x.npz"

    def stops_soon(self, function, state):
        found = step(self, function, state)
        return Stop.NO_PROGRESS if state.shape[2] < 36 else found

    monkeypatch.setattr(Lbfgs, "step", stops_soon)
    whole = made(transfer, **RUNS["colours"])
    assert whole[1].stop is Stop.NO_PROGRESS
    for last in range(1, whole[1].iterations):
        steps = []
        listening = {"progress": steps.append, "stopped": lambda n=last, s=steps: len(s) == n}
        made(transfer, checkpoint=Checkpoints(file), **listening, **RUNS["colours"])
        again = made(transfer, checkpoint=Checkpoints(file, resume=True), **RUNS["colours"])
        assert_same(again, whole)


def interrupted(transfer, file, after=2, **options):
    """Leave a checkpoint of a run; return its options."""
    steps = []
    options = {**ONE_SCALE, "optimizer": "lbfgs", **options}
    listening = {"progress": steps.append, "stopped": lambda: len(steps) == after}
    made(transfer, checkpoint=Checkpoints(file), **listening, **options)
    return options


def test_scipy_begins_anew_from_the_image_and_says_so(transfer, tmp_path, caplog):
    file = tmp_path / "x.npz"
    options = interrupted(transfer, file, optimizer="lbfgsb")
    losses = []
    with caplog.at_level("INFO", "styletransfer"):
        _, end = made(
            transfer,
            checkpoint=Checkpoints(file, resume=True),
            progress=lambda step: losses.append((step.iteration, step.loss)),
            **options,
        )
    assert [number for number, _ in losses] == [3, 4]
    assert end.last_loss < arrayfile.read_facts(file)["point"]["loss"]
    assert "going on after iteration 2 of 4" in caplog.text
    assert "lbfgsb (SciPy's) begins anew there" in caplog.text
    assert end.restarted


def test_limits_may_change(transfer, tmp_path):
    file = tmp_path / "x.npz"
    whole = made(transfer, **{**RUNS["lbfgs"], "n_iter": 5})
    made(transfer, checkpoint=Checkpoints(file), time=1e-3, **RUNS["lbfgs"])
    assert transfer.summary.stop is Stop.TIME
    options = {**RUNS["lbfgs"], "n_iter": 5, "time": 1e3}
    image, end = made(transfer, checkpoint=Checkpoints(file, resume=True), **options)
    np.testing.assert_array_equal(image, whole[0])
    assert end.iterations == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ratio": 3e4}, r"ratio was 20000.0 and is 30000.0"),
        ({"optimizer": "adam"}, "optimizer was lbfgs and is adam"),
        ({"length": 50}, "length was 48.0 and is 50.0"),
        ({"history": 3}, "history was None and is 3"),
        ({"style_layers": ["conv1/7x7_s2"]}, "style_layers was None and is"),
        ({"seed": 3}, "seed was None and is 3"),
        ({"img_style": NIGHT}, "style: was another"),
        ({"img_style": [WAVE, NIGHT]}, "style: there were 1 and are 2"),
        ({"img_content": CONTENT[::-1]}, "content: was another"),
        ({"content_mask": MASK}, "content mask: there were 0 and are 1"),
        ({"init": CONTENT[:, ::-1]}, "first image: there were 0 and are 1"),
    ],
)
def test_another_run_is_refused(transfer, tmp_path, change, message):
    file = tmp_path / "x.npz"
    options = interrupted(transfer, file, 1)
    before = file.read_bytes()
    with pytest.raises(UsageError, match=f"cannot go on from {file}: {message}") as caught:
        made(transfer, **{**options, **change}, checkpoint=Checkpoints(file, resume=True))
    assert "put that back, or leave resume (--resume) out to begin anew" in str(caught.value)
    assert file.read_bytes() == before


def test_other_weights_are_refused(transfer, tmp_path, monkeypatch):
    file = tmp_path / "x.npz"
    options = interrupted(transfer, file, 1)
    other = replace(transfer.network)
    other.__dict__["weights_digest"] = "0"
    monkeypatch.setattr(transfer, "network", other)
    monkeypatch.setattr("styletransfer.transfer.facade._changed", lambda network, _: network)
    with pytest.raises(UsageError, match="the network had other weights"):
        made(transfer, **options, checkpoint=Checkpoints(file, resume=True))


def test_without_a_file_the_run_begins(transfer, tmp_path, caplog):
    file = tmp_path / "x.npz"
    with caplog.at_level("INFO", "styletransfer"):
        _, end = made(transfer, checkpoint=Checkpoints(file, resume=True), **RUNS["lbfgs"])
    assert end.iterations == 4
    assert f"there is no checkpoint {file}: the run begins at its first iteration" in caplog.text


def test_one_that_is_left_unread_is_told(transfer, tmp_path, caplog):
    file = tmp_path / "x.npz"
    options = interrupted(transfer, file, 1)
    made(transfer, checkpoint=Checkpoints(file), **options)
    assert f"{file} is there: this run begins anew" in caplog.text


def test_a_full_disk_ends_no_run(transfer, tmp_path, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    whole = made(transfer, **RUNS["lbfgs"])
    monkeypatch.setattr(arrayfile, "write", full)
    run = made(transfer, checkpoint=Checkpoints(tmp_path / "x.npz", every=1), **RUNS["lbfgs"])
    assert_same(run, whole)
    assert caplog.text.count("cannot be written: No space left on device") == 1


def test_other_circumstances_are_told(transfer, tmp_path, monkeypatch, caplog):
    file = tmp_path / "x.npz"
    options = interrupted(transfer, file, 1)
    monkeypatch.setattr(checkpoints.runtime, "version", lambda: "9.9")
    made(transfer, checkpoint=Checkpoints(file, resume=True), **options)
    assert "the picture may differ a little: onnxruntime 1." in caplog.text
    assert "-> 9.9" in caplog.text


def test_an_interrupt_in_the_middle_of_a_step_leaves_the_last(transfer, tmp_path, monkeypatch):
    """The state may be half of one step and half of the next."""
    step, file, calls = Lbfgs.step, tmp_path / "x.npz", []

    def breaks_off(self, function, state):
        calls.append(0)
        found = step(self, function, state)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return found

    whole = made(transfer, **RUNS["lbfgs"])
    with monkeypatch.context() as patch:
        patch.setattr(Lbfgs, "step", breaks_off)
        with pytest.raises(KeyboardInterrupt):
            made(transfer, checkpoint=Checkpoints(file, every=2), **RUNS["lbfgs"])
    assert arrayfile.read_facts(file)["point"]["iteration"] == 2
    run = made(transfer, checkpoint=Checkpoints(file, resume=True), **RUNS["lbfgs"])
    assert_same(run, whole)


@pytest.mark.parametrize(
    ("path", "every", "message"),
    [
        ("x.png", None, "whose name ends in .npz"),
        (".", None, "it is a folder"),
        (3, None, "cannot be a checkpoint"),
        ("x.npz", 0, "every is 0"),
        ("x.npz", "2", "every is 2"),
    ],
)
def test_what_cannot_be_one(path, every, message):
    with pytest.raises(UsageError, match=message):
        Checkpoints(path, every)


# --- files that this program has not made ---------------------------------------------------------


def changed(file, arrays=(), point=(), **facts):
    """Write a checkpoint again, with other arrays or facts."""
    said, stored = arrayfile.read(file, 1 << 30)
    said |= facts
    said["point"] |= dict(point)
    stored |= dict(arrays)
    arrayfile.write(file, {k: v for k, v in stored.items() if v is not None}, said)


@pytest.fixture(scope="module")
def one(transfer, tmp_path_factory):
    """A good checkpoint, and what it is of."""
    file = tmp_path_factory.mktemp("one") / "x.npz"
    return file, interrupted(transfer, file)


NAN = np.full((1, 3, 32, 48), np.nan, np.float32)


@pytest.mark.parametrize(
    "change",
    [
        {"arrays": {"image": NAN}},
        {"arrays": {"image": NAN[:, :, 1:]}},
        {"arrays": {"image": np.zeros((1, 3, 32, 48))}},
        {"arrays": {"image": None}},
        {"arrays": {"state/order": np.array([0, 0])}},
        {"arrays": {"state/order": np.array([-1])}},
        {"arrays": {"state/order": np.array([[0]])}},
        {"arrays": {"state/order": np.array([np.inf])}},
        {"arrays": {"state/order": np.array(["a"])}},
        {"arrays": {"state/shape": np.array([1, 3, 48, 32])}},
        {"arrays": {"state/iteration": np.array(0)}},
        {"arrays": {"state/vectors": np.zeros((2, 3), np.float32)}},
        {"arrays": {"state/vectors": None}},
        {"arrays": {"other": np.zeros(3)}},
        {"arrays": {"other": np.zeros(1 << 24)}},
        {"point": {"stage": 1}},
        {"point": {"stage": -1}},
        {"point": {"done": 0}},
        {"point": {"done": 10}},
        {"point": {"loss": "1"}},
        {"point": {"iteration": True}},
        {"point": {"ended": "never"}},
        {"format": 1},
        {"settings": 3},
        {"point": []},
    ],
)
def test_a_changed_file_is_refused(transfer, one, tmp_path, change):
    file, options = one
    file = shutil.copy(file, tmp_path / "x.npz")
    if change.get("point") == []:
        said, stored = arrayfile.read(file, 1 << 30)
        arrayfile.write(file, stored, {**said, "point": 3})
    else:
        changed(file, **change)
    with pytest.raises(StyleTransferError, match="is no checkpoint, or damaged"):
        made(transfer, checkpoint=Checkpoints(file, resume=True), **options)


def test_any_damaged_byte_is_found(transfer, one, tmp_path):
    """Whether it is refused or does not matter, what is made is the same picture."""
    good, options = one
    data = good.read_bytes()
    whole = made(transfer, **options)
    rng = np.random.default_rng(0)
    file, refused = tmp_path / "x.npz", 0
    for place in rng.integers(0, len(data), 40):
        other = bytearray(data)
        other[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(other)
        try:
            run = made(transfer, checkpoint=Checkpoints(file, resume=True), **options)
        except StyleTransferError:
            refused += 1
        else:
            assert_same(run, whole)
    assert refused > 35
