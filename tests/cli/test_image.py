"""The command: its messages, exit codes, display and results, on real weights."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import styletransfer
from styletransfer import cli, images, optim
from tests.caffe.caffe_files import CONVOLUTION, HEADER, convert_text, weights_of_convolution
from tests.cli.conftest import CONTENT, STYLE, style_py
from tests.conftest import GOLDEN_WEIGHTS, MODELS, ROOT, SHARED, golden
from tests.images.test_reading import png


def no_cuda():
    from styletransfer.runtime.devices import choose_device

    return choose_device(0)[1] is not None


def error_of(capsys, arguments, code):
    """Run style.py's command here, which fails; return its only line."""
    assert cli.main_style(list(map(str, arguments))) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["-m", "vgg17"], ["'vgg17'", "vgg16, vgg19, googlenet, caffenet", "folder"]),
        (["-i", "contents"], ["init", "'contents'", "content, mixed", "-1"]),
        (["-i", "inf"], ["init", "'inf'"]),
        (["-r", "heavy"], ["ratio", "'heavy'", "1e4"]),
        (["-r", "-3"], ["ratio", "'-3'", "not negative"]),
        (["-n", "0"], ["--num-iters", "'0'", "at least 1"]),
        (["-i", "1e9"], ["init", "'1e9'", "within 20 of 0"]),
        (["--history", "100000000"], ["history", "'100000000'", "from 1 to 1000"]),
        (["-n", "2.5"], ["--num-iters", "'2.5'", "a whole number"]),
        (["-l", "0"], ["length", "'0'", "above 0"]),
        (["-l", "nan"], ["length", "'nan'"]),
        (["--seed", "-1"], ["seed", "'-1'"]),
        (["--optimizer", "sgd"], ["optimizer", "'sgd'", "lbfgsb, lbfgs"]),
        (
            ["--style-layers", "conv1_1=much"],
            ["error: --style-layers is", "conv1_1=much", "a weight"],
        ),
        (["--style-loss", "wasserstein", "--gram", "hw"], ["gram", "wasserstein", "leave it out"]),
        (["-o", "x.bmp"], ["x.bmp", ".jpg", ".png", ".tif", ".webp"]),
        (["-o", "x"], ["x", "no extension", ".png"]),
    ],
)
def test_values_that_cannot_work(capsys, arguments, parts):
    line = error_of(capsys, ["-s", STYLE, "-c", CONTENT, *arguments], 2)
    assert [part for part in parts if part not in line] == []


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            ["--threads", "1000000"],
            ["threads is 1000000", f"from 1 to {os.cpu_count()}, the cores"],
        ),
        (["--content-mask", ""], ["--content-mask: the name is empty"]),
        (["-o", ""], ["-o/--output: the name is empty"]),
        (["--threads", "0"], ["--threads: '0' is not a number of at least 1"]),
        (["--threads", "many"], ["--threads: 'many' is not a number of at least 1"]),
        (["--save-every", "-1"], ["--save-every: '-1' is not a number of at least 1"]),
        (["-g", "x"], ["-g/--gpu-id", "'x'"]),
        (["--nonsense"], ["unrecognized arguments: --nonsense (--help lists the arguments)"]),
    ],
)
def test_arguments_that_cannot_be_parsed(tmp_path, short, arguments, parts):
    done = style_py(*short, *arguments, "-o", tmp_path / "x.png")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert [part for part in parts if part not in done.stderr] == []


def hostile_png():
    """A PNG that declares 60000 x 60000 pixels in a few bytes."""
    return png(60000, 60000, (b"IDAT", b""), (b"IEND", b""))


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("cut.jpg", CONTENT.read_bytes()[:5000], "cut.jpg"),
        ("text.png", b"not a picture at all", "text.png"),
        ("hostile.png", hostile_png(), "million"),
    ],
)
def test_pictures_that_cannot_be_read(capsys, tmp_path, name, content, part):
    path = tmp_path / name
    path.write_bytes(content)
    for arguments in (["-s", path, "-c", CONTENT], ["-s", STYLE, "-c", path]):
        line = error_of(capsys, arguments, 1)
        assert part in line
        assert str(path) in line


def test_pictures_that_are_not_there_are_usage(capsys, tmp_path):
    path = tmp_path / "nowhere.jpg"
    for arguments in (
        ["-s", path, "-c", CONTENT],
        ["-s", STYLE, "-c", path, CONTENT, "-o", tmp_path / "out"],
        ["--like", path],
    ):
        assert f"There is no picture {path}" in error_of(capsys, arguments, 2)
    assert not list(tmp_path.iterdir())


def test_unknown_layer(capsys, short):
    assert cli.main_style([*short, "--style-layers", "conv9_9"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "'conv9_9'" in line
    assert ", inception_3a/output, " in line
    assert "inception_3a/1x1" not in line  # of 80 layers those that end a block
    assert "did you mean" not in line


def test_output_folder_that_cannot_be_made(capsys, tmp_path, short):
    (tmp_path / "file").write_bytes(b"")
    output = tmp_path / "file" / "x.png"
    line = error_of(capsys, [*short, "-o", output], 2)  # before the network is even looked for
    assert str(output) in line
    assert f"{tmp_path / 'file'} is not a folder" in line


def test_a_ratio_beyond_float32(capsys, tmp_path, short):
    output = tmp_path / "x.png"
    assert cli.main_style([*short, "-r", "1e38", "-o", str(output)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: the loss of the first image, ")
    assert line.endswith("give a smaller --ratio, tv, or weights of layers")
    assert not output.exists()


def test_a_first_image_that_no_step_improves_is_written(capsys, monkeypatch, tmp_path, short):
    monkeypatch.setattr(optim.Lbfgs, "step", lambda *_: optim.Stop.NO_GRADIENT)
    output = tmp_path / "x.png"
    assert cli.main_style([*short, "--plot", "-o", str(output)]) == 0
    printed = capsys.readouterr()
    assert "warning: no step was better than the first image" in printed.err
    assert "0 iterations" in printed.out
    content = images.resize(images.load(CONTENT), (53, 80))
    np.testing.assert_allclose(images.load(output), content, atol=1 / 255)


def test_edges_and_total_variation(capsys, tmp_path, short):
    output = tmp_path / "x.png"
    assert cli.main_style([*short, "--edges", "-o", str(output)]) == 0
    told = re.search(
        r"^total variation ([\d.]+) -> ([\d.]+)$", capsys.readouterr().out, re.MULTILINE
    )
    result = images.load(output)
    content = images.resize(images.load(CONTENT), result.shape[:2])
    assert float(told[1]) == pytest.approx(images.total_variation(content), abs=0.01)
    assert float(told[2]) == pytest.approx(images.total_variation(result), rel=0.01)
    sheet = images.load(tmp_path / "x-edges.png")
    np.testing.assert_allclose(sheet, images.edge_sheet(content, result), atol=0.1)


@pytest.mark.parametrize("arguments", [["models"], ["presets"], ["models", "--help"]], ids=" ".join)
def test_a_reader_that_leaves_is_no_error(arguments):
    command = [sys.executable, "-m", "styletransfer", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # As usual into a pipe: what is printed is written at the end, whatever this process has set.
    environment = os.environ | {"PYTHONUNBUFFERED": ""}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_missing_arguments(capsys):
    assert "-c" in error_of(capsys, ["-s", STYLE], 2)
    assert "-s" in error_of(capsys, ["-c", CONTENT], 2)


def test_debug_shows_where(tmp_path):
    arguments = ["-s", tmp_path / "x.jpg", "-c", CONTENT]
    assert "Traceback" not in style_py(*arguments).stderr
    assert "Traceback" in style_py(*arguments, "--debug").stderr


def test_version(capsys):
    for run, name in ((cli.main, "styletransfer"), (cli.main_style, "style.py")):
        with pytest.raises(SystemExit) as stopped:
            run(["--version"])
        assert stopped.value.code == 0
        assert capsys.readouterr().out == f"{name} {styletransfer.__version__}\n"


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['style.py', '--help']; from styletransfer import cli\n"
        "try: cli.main_style()\n"
        "except SystemExit: print([m for m in ('numpy', 'onnx', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--num-iters" in done.stdout


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory, short):
    """A short run with the default device and optimiser, without a terminal."""
    output = tmp_path_factory.mktemp("plain") / "new folder" / "x.png"
    bound = [argument for argument in short if argument != "--any-size"]
    return style_py(*bound, "-n", 2, "-g", 0, "--optimizer", "lbfgsb", "-o", output), output


@pytest.mark.skipif(not no_cuda(), reason="this machine has a CUDA device")
def test_without_cuda_there_is_one_warning_and_no_noise(plain_run):
    done, _ = plain_run
    assert done.returncode == 0
    warning, why, size, *lines = done.stderr.splitlines()
    assert warning.startswith("warning: CUDA device 0 is not used, but the CPU: ")
    assert why.startswith("the result has 337 x 224 pixels, not 80 on its long side, so that ")
    assert size == "preparing 337 x 224 pixels on CPU"
    assert all(re.fullmatch(r"\d/2 \(.*, \d+ s left\) loss \S+", line) for line in lines)
    assert lines[-1].startswith("2/2 ")


def test_the_end_is_summed_up(plain_run):
    done, output = plain_run
    summary, saved = done.stdout.splitlines()
    assert re.fullmatch(
        r"2 iterations in \d+\.\d s, stopped because all 2 iterations are done;"
        r" loss \d\.\d+e\+\d+ -> \d\.\d+e\+\d+",
        summary,
    )
    assert saved == f"saved {output}"
    assert images.load(output).shape == (224, 337, 3)


def test_quiet(tmp_path, short):
    done = style_py(*short, "--quiet", "-o", tmp_path / "x.webp")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert Image.open(tmp_path / "x.webp").format == "WEBP"


def test_verbose_logs_each_iteration(capsys, tmp_path, short):
    assert cli.main_style([*short, "-n", "2", "-v", "-o", str(tmp_path / "x.jpg")]) == 0
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("iteration ")]
    assert [line.split(",")[0] for line in lines] == ["iteration 1", "iteration 2"]
    assert "style/conv1" in lines[0]


def test_bar_on_a_terminal(tmp_path, short):
    master, terminal = pty.openpty()
    command = [sys.executable, ROOT / "style.py", *short, "-n", 3, "-o", tmp_path / "x.jpg"]
    environment = os.environ | {"COLUMNS": "100", "TERM": "xterm"}
    with subprocess.Popen(
        list(map(str, command)), stderr=terminal, stdout=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(terminal)
        text = b""
        while select.select([master], [], [], 300)[0]:
            try:
                chunk = os.read(master, 4096)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            text += chunk
    os.close(master)
    assert process.returncode == 0
    shown = text.decode()
    assert "100%" in shown
    assert "3 of 3" in shown
    assert re.search(r"(it/s|s/it)", shown)
    assert "s left" in shown
    assert re.search(r"loss \d\.\d+e\+\d+", shown)


def test_the_commands_themselves_load_next_to_nothing():
    """Before what they load lazily Ctrl-C is the interpreter's own affair."""
    code = "import sys; before = set(sys.modules); import style, styletransfer.__main__\n"
    code += "print(sorted(m for m in set(sys.modules) - before if 'style' not in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_installed_results_go_into_the_current_folder(tmp_path, short):
    modules, here = tmp_path / "site-packages", tmp_path / "here"
    modules.mkdir()
    here.mkdir()
    shutil.copy(ROOT / "style.py", modules)
    done = subprocess.run(
        [sys.executable, "-m", "style", *short],
        capture_output=True,
        text=True,
        cwd=here,
        env=os.environ | {"PYTHONPATH": f"{modules}{os.pathsep}{ROOT}"},
    )
    assert done.returncode == 0, done.stderr
    (result,) = (here / "outputs").iterdir()
    assert done.stdout.splitlines()[-1] == f"saved {result}"
    assert {path.name for path in modules.iterdir()} <= {"style.py", "__pycache__"}


def test_default_names(tmp_path, monkeypatch, short):
    monkeypatch.chdir(tmp_path)
    model = short[short.index("-m") + 1]
    assert cli.main(["image", *short, "--quiet", "-r", "2e3", "-i", "mixed"]) == 0
    assert cli.main_style([*short, "--quiet"], outputs=tmp_path / "beside") == 0
    assert [p.name for p in (tmp_path / "outputs").iterdir()] == [
        f"cat-wave-{model}-mixed-2e3-1.jpg"
    ]
    assert [p.name for p in (tmp_path / "beside").iterdir()] == [
        f"cat-wave-{model}-content-1e4-1.jpg"
    ]


@pytest.mark.golden
@pytest.mark.parametrize(("name", "iterations"), [("googlenet", 20), ("vgg16", 20)])
def test_golden_run_through_the_command(tmp_path, name, iterations):
    models = MODELS
    if name in GOLDEN_WEIGHTS:
        models = tmp_path / "models"
        (models / name).mkdir(parents=True)
        weights = SHARED / "models" / name / f"{GOLDEN_WEIGHTS[name]}.caffemodel"
        (models / name / "bvlc_googlenet.caffemodel").symlink_to(weights)
    pictures = SHARED / "images"
    output = tmp_path / "x.png"
    done = style_py(
        *("-s", pictures / "style" / "starry_night.jpg"),
        *("-c", pictures / "content" / "nanjing.jpg"),
        *("-m", name, "-l", 256, "-n", iterations, "-g", -1, "-o", output, "--models", models),
    )
    assert done.returncode == 0, done.stderr
    expected = golden(f"{name}_256_{iterations}")["image_ubyte"]
    with Image.open(output) as picture:
        pixels = np.asarray(picture, np.float64)
    assert np.abs(pixels - expected).mean() < 1.5


def test_a_network_from_a_folder(capsys, tmp_path):
    second = CONVOLUTION.replace('"c"', '"d"').replace('"data"', '"c"')
    weights = {"c": weights_of_convolution(), "d": weights_of_convolution(inputs=2)}
    convert_text(tmp_path, HEADER + CONVOLUTION + second, weights)
    np.save(tmp_path / "mean.npy", np.array([104.0, 117.0, 123.0]))
    common = ["-s", STYLE, "-c", CONTENT, "-g", "-1", "-n", "1", "-l", "64", "-m", tmp_path]
    assert "--style-layers" in error_of(capsys, common, 2)
    output = tmp_path / "x.jpg"
    layers = ["--style-layers", "c=3", "d=1", "--content-layers", "d", "-o", output]
    assert cli.main_style([*map(str, common), *map(str, layers)]) == 0
    assert Image.open(output).size == (64, 43)


def test_text_from_outside_forges_no_line(capsys, tmp_path):
    name = tmp_path / "x\nsaved everything\x1b[2J.jpg"
    name.write_bytes(b"no picture")
    line = error_of(capsys, ["-s", STYLE, "-c", name], 1)
    assert r"x\nsaved everything\x1b[2J.jpg" in line


def test_a_name_that_the_terminal_cannot_print_ends_no_batch(tmp_path, short):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in (b"a\xff.jpg", b"b.jpg"):
        shutil.copy(CONTENT, os.path.join(os.fsencode(folder), name))
    arguments = ["-c", folder, "-o", tmp_path / "out"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict"}
    done = style_py(*short, *arguments, env=environment)
    # Those of the folder, and the one that stands in `short`.
    assert (done.returncode, done.stdout.count("saved ")) == (0, 3)
    assert r"a\xff-wave" in done.stdout
