"""``styletransfer train`` and ``styletransfer export``."""

import signal
import subprocess
import sys
import time

import onnxruntime
import pytest

from styletransfer import cli, images
from tests.feedforward.pictures import picture

pytest_plugins = ["tests.feedforward.trainings"]


@pytest.fixture
def arguments(tmp_path, loss_network, photographs):
    """The arguments of a training that takes a second."""
    images.save(tmp_path / "style.png", picture(9, (48, 40)))
    conf = tmp_path / "small.yml"
    conf.write_text(
        f"style_image: {tmp_path / 'style.png'}\nnaming: small\nmodel_path: {tmp_path / 'models'}\n"
        f"loss_model: {loss_network}\nimage_size: 32\nbatch_size: 2\nepoch: 4\nwidth: 2\n"
        "style_layers:\n  - vgg_16/conv1/conv1_2\n  - vgg_16/conv4/conv4_3\n"
    )
    return ["-c", str(conf), "--dataset", str(photographs), "-g", "-1", "--threads", "1"]


def test_a_network_is_trained_and_exported(capsys, tmp_path, arguments):
    assert cli.main(["train", *arguments, "--set", "preview_every=5"]) == 0
    told = capsys.readouterr().err
    network = tmp_path / "models" / "small" / "small.onnx"
    assert "step: 10,  total Loss " in told
    assert f"saved {network} after 12 steps" in told  # 4 epochs of 6 pictures
    assert told.count("broken.jpg") == 1
    assert cli.main(["train", *arguments, "--set", "steps=14", "--resume"]) == 0
    told = capsys.readouterr().err
    assert "step 12" in told
    assert "after 14 steps" in told
    small = tmp_path / "half.onnx"
    options = ["--fp16", "--size", "40x56", "--opset", "17", "-o", str(small)]
    assert cli.main(["export", str(network), *options]) == 0
    session = onnxruntime.InferenceSession(small)
    assert session.get_inputs()[0].shape == ["N", 3, 40, 56]
    assert cli.main(["export", str(network), "-o", str(network)]) == 2


def test_several_styles_may_be_given_one_by_one(capsys, tmp_path, arguments):
    images.save(tmp_path / "red.png", picture(3, (40, 48)))
    styles = ["-s", str(tmp_path / "style.png"), "-s", str(tmp_path / "red.png")]
    flags = ["--set", "arch=multi", "--set", "steps=1"]
    assert cli.main(["train", *arguments, *styles, *flags]) == 0
    network = tmp_path / "models" / "small" / "small.onnx"
    weights = onnxruntime.InferenceSession(network).get_inputs()[1]
    assert weights.shape == [2]


def test_a_style_is_added_to_a_base(capsys, tmp_path, arguments, loss_network):
    assert cli.main(["train", *arguments, "--set", "steps=1"]) == 0
    network = tmp_path / "models" / "small" / "small.onnx"
    rest = arguments[2:]
    images.save(tmp_path / "red.png", picture(3, (40, 48)))
    keys = [f"model_path={tmp_path}", "steps=2", "image_size=32", f"loss_model={loss_network}"]
    sets = [part for key in keys for part in ("--set", key)]
    style = ["-s", str(tmp_path / "red.png")]
    assert cli.main(["train", "--base", str(network), *style, *rest, *sets]) == 0
    made = tmp_path / "red" / "red.onnx"
    told = capsys.readouterr().err
    assert f"saved {made} after 2 steps" in told
    assert "its new style is 1: stylize -m FILE --style 1" in told
    photo = ["-c", str(tmp_path / "style.png"), "-o", str(tmp_path / "out.png")]
    assert cli.main(["stylize", *photo, "-m", str(made), "--style", "1", "-g", "-1"]) == 0
    assert images.load(tmp_path / "out.png").shape == (48, 40, 3)
    assert (
        cli.main(["train", "--base", str(network), "--all", "--restart", *style, *rest, *sets]) == 0
    )
    assert "new style" not in capsys.readouterr().err
    assert cli.main(["train", "--base", str(network), *arguments, "--set", "arch=tf"]) == 2
    assert "arch is that of the base" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("further", "code", "told"),
    [
        (["--dataset", "none"], 2, "there is no folder none"),
        (["--set", "style_weigth=5"], 2, "did you mean style_weight?"),
        (["--set", "image_size=big"], 2, "image_size is 'big'"),
        (["--set", "arch=resnet"], 2, "'resnet'"),
        (["--set", "style_layers=conv9_9"], 1, "no layer 'conv9_9'"),
        (["--resume"], 2, "no checkpoint in"),
        (["--resume", "--restart"], 2, "exclude each other"),
        (["--all"], 2, "learns goes with a base"),
        (["-c", "none.yml"], 2, "there is no configuration none.yml"),
        (["-s", "none.jpg"], 1, "no picture none.jpg"),
        (["-s", __file__], 1, "no picture that can be read"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(capsys, arguments, further, code, told):
    assert cli.main(["train", *arguments, *further]) == code
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


def test_tensorboard_is_written_or_asked_for(capsys, tmp_path, arguments, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert cli.main(["train", *arguments, "--tensorboard"]) == 2
    assert "pip install tensorboardX" in capsys.readouterr().err
    monkeypatch.undo()
    pytest.importorskip("tensorboardX")
    keys = ["--set", "steps=25", "--set", "preview_every=25", "--set", "stability=1"]
    assert cli.main(["train", *arguments, *keys, "--tensorboard"]) == 0
    (events,) = (tmp_path / "models" / "small").glob("events.out.tfevents.*")
    data = events.read_bytes()
    for tag in (
        *(f"losses/{name}_loss" for name in ("content", "style", "regularizer")),
        *(f"weighted_losses/weighted_{x}_loss" for x in ("content", "style", "regularizer")),
        *("losses/stability_loss", "weighted_losses/weighted_stability_loss"),
        *("total_loss", "style_losses/conv4_3", "generated", "origin"),
    ):
        assert tag.encode() in data


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint(capsys, tmp_path, arguments, number):
    command = [sys.executable, "-m", "styletransfer", "train", *arguments, "--set", "steps=100000"]
    losses = tmp_path / "models" / "small" / "losses.csv"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not (losses.exists() and "\n2," in losses.read_text()):
            time.sleep(0.02)
        process.send_signal(number)
        told = process.communicate()[1]
    assert process.returncode == 128 + number
    assert "the same command goes on from there" in told
    steps = int(told.split("stopped after step ")[1].split()[0])
    assert cli.main(["train", *arguments, "--set", f"steps={steps + 1}", "--resume"]) == 0
    assert f"after {steps + 1} steps" in capsys.readouterr().err
