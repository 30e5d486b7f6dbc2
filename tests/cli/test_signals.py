"""Signals: the best picture is saved, and the exit code says which signal it was."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from styletransfer import images
from tests.cli.conftest import CONTENT, STYLE
from tests.conftest import ROOT
from tests.feedforward.networks import candy


def heed_signals() -> None:
    """Undo, in a child, that a shell has what it runs in the background ignore SIGINT."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def signalled(arguments, numbers, preexec=heed_signals):
    """Run style.py; send it signals after its second iteration, and return how it ended."""
    command = [sys.executable, ROOT / "style.py", *arguments]
    with subprocess.Popen(
        list(map(str, command)),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=preexec,
    ) as process:
        for line in process.stderr:
            if line.startswith("iteration 2"):
                for number in numbers:
                    process.send_signal(number)
                    time.sleep(0.1)
                break
        out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        ((signal.SIGINT,), 130),
        ((signal.SIGINT, signal.SIGINT, signal.SIGTERM), 130),
        ((signal.SIGTERM,), 143),
        ((signal.SIGHUP,), 129),
    ],
)
def test_a_signal_saves_the_best_image(tmp_path, short, numbers, code):
    output = tmp_path / "x.png"
    ended, out, err = signalled([*short, "-n", 500, "-v", "-o", output], numbers)
    # A later signal may come when all is saved, and the handlers are those of before.
    late = [-number for number in numbers[1:]]
    assert ended in [code, *late]
    assert "Traceback" not in err
    assert "stopped because interrupted" in out
    assert images.load(output).shape == (53, 80, 3)
    assert images.read_parameters(output)["reason"] == "interrupted"
    assert list(tmp_path.iterdir()) == [output]


def test_what_nohup_ignores_stays_ignored(tmp_path, short):
    def ignore() -> None:
        heed_signals()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    output = tmp_path / "x.png"
    ended, out, _ = signalled([*short, "-n", 4, "-v", "-o", output], [signal.SIGHUP], ignore)
    assert (ended, "all 4 iterations are done" in out) == (0, True)


def test_signals_while_the_picture_is_saved_lose_nothing(tmp_path, short):
    code = (
        "import signal, sys, styletransfer.images as images\n"
        "save = images.save_somewhere\n"
        "def slow(*arguments):\n"
        "    for number in (2, 2, 15): signal.raise_signal(number)\n"
        "    return save(*arguments)\n"
        "images.save_somewhere = slow\n"
        "from styletransfer.cli import main_style; sys.exit(main_style())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *short, "-o", str(tmp_path / "x.png")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": ROOT},
        preexec_fn=heed_signals,
    )
    assert done.returncode == 130
    assert done.stdout.splitlines()[-1] == f"saved {tmp_path / 'x.png'}"
    assert images.read_parameters(tmp_path / "x.png")["reason"] == "iterations"


def test_interrupt_before_there_is_an_image(tmp_path):
    code = "import styletransfer.images as i, signal; i.load = lambda p: signal.raise_signal(2)"
    code += "; import sys; from styletransfer.cli import main_style; sys.exit(main_style())"
    command = [sys.executable, "-c", code, "-s", str(STYLE), "-c", str(CONTENT)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": ROOT},
        preexec_fn=heed_signals,
    )
    assert done.returncode == 130
    assert done.stderr == "interrupted\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["image", "stylize"])
def test_an_interrupted_batch_says_how_to_go_on(tmp_path, short, command):
    shutil.copy(CONTENT, tmp_path / "dog.jpg")
    # The signal comes while the second picture is read.
    code = (
        "import sys, signal, styletransfer.jobs.pictures as p\n"
        "from styletransfer import cli\n"
        "whole = p.read\n"
        "def read(task, known):\n"
        "    if 'dog' in str(task.content): signal.raise_signal(2)\n"
        "    return whole(task, known)\n"
        "p.read = read\n"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    net = tmp_path / "sweet.onnx"
    net.write_bytes(candy(64).SerializeToString())
    pictures = ["-c", CONTENT, tmp_path / "dog.jpg", "-o", f"{tmp_path / 'out'}/"]
    # The flags of `short` but for its one picture.
    rest = [*short[:2], *short[4:]] if command == "image" else ["-m", net, "-l", 64]
    done = subprocess.run(
        [sys.executable, "-c", code, command, *map(str, [*rest, *pictures])],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": ROOT},
        preexec_fn=heed_signals,
    )
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "interrupted"
    assert done.stdout.splitlines()[-1] == (
        "1 of 2 pictures made, 1 not begun; the same command goes on with the rest"
    )


@pytest.mark.parametrize("module", ["numpy", "onnx", "argparse", "styletransfer.cli.parser"])
@pytest.mark.parametrize(
    "command", ["import style as command", "from styletransfer import __main__ as command"]
)
def test_interrupt_while_modules_load(tmp_path, short, module, command):
    code = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {module!r}: raise KeyboardInterrupt\n"
        f"sys.meta_path.insert(0, Finder()); {command}; sys.exit(command.main())"
    )
    image = ["image"] if "main" in command else []
    done = subprocess.run(
        [sys.executable, "-c", code, *image, *short],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": ROOT},
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
