"""Presets: the built-in ones, and files that anyone may have written."""

import pytest

from styletransfer import UsageError, cli
from styletransfer.settings import Settings, presets


def test_the_default_is_the_original():
    assert presets.names()[0] == "caffe"
    assert presets.override(presets.read("caffe").values, {}) == Settings()


def test_all_are_listed_with_a_line_each(capsys):
    assert cli.main(["presets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == presets.names()
    assert set(presets.names()) == {
        *("caffe", "demo", "tensorflow", "neural-style", "quality", "fast"),
    }
    for line, name in zip(lines, presets.names(), strict=True):
        assert line.endswith(presets.read(name).description)
        assert presets.read(name).description


def test_the_tutorial_s_numbers():
    made = presets.override(presets.read("tensorflow").values, {})
    assert made.content_layers == {"conv5_2": 1e4}
    assert made.style_layers == {f"conv{i}_1": 1e-2 / 5 for i in range(1, 6)}
    assert made.optimizer_options == {"step": 0.02, "betas": (0.99, 0.999), "epsilon": 0.1}


LOSSES = {"style_loss": "wasserstein", "reduction": "mean"}


def test_flags_come_first():
    values = presets.read("tensorflow").values
    assert presets.override(values, {"n_iter": "3"}).n_iter == 3
    assert presets.override(values, {"optimizer": "lbfgs"}).optimizer_options == {}
    assert presets.override(values, {}).gram == "hw"
    other = presets.override(values, {"style_loss": "wasserstein"})
    assert (other.gram, other.ratio) == (None, Settings(**LOSSES).ratio)
    known = presets.read("neural-style").values
    same = presets.override(known, {"reduction": presets.override(known, {}).reduction})
    assert same.ratio == presets.override(known, {}).ratio != same.usual_ratio
    with pytest.raises(UsageError, match=r"gram is no parameter of the style_loss .* wasserstein"):
        presets.override(values, {"style_loss": "wasserstein", "gram": "hw"})
    demo = presets.read("demo").values
    assert presets.override(demo, {"scales": "2"}).stages == ()
    with pytest.raises(UsageError, match="optimizer is 'sgd'"):
        presets.override(values, {"optimizer": "sgd"})


def test_a_file_of_one_s_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('description = "mine"\nn_iter = 7\nstyle_layers = ["conv1_1", "conv2_1=3"]\n')
    made = presets.override(presets.read(str(path)).values, {})
    assert made.n_iter == 7
    assert made.style_layers == {"conv1_1": 0.5, "conv2_1": 3.0}


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"n_iters = 3", "no parameter 'n_iters'; there are model, init, ratio, n_iter"),
        (b"n_iter = 0", "n_iter is 0"),
        (b"n_iter =", "is no TOML file"),
        (b"\xff\xfe", "is no TOML file"),
        (b"x = " + b"[" * 5000 + b"]" * 5000, "is no TOML file"),
        (b"#" * 100_000, "more than 65536 bytes"),
        (b"description = 3", "description is a text"),
        (b"[stages]\nlength = 1", "tables of length, ratio and n_iter"),
    ],
)
def test_files_that_are_none(tmp_path, content, part):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as raised:
        presets.read(str(path))
    assert part in str(raised.value)
    assert str(path) in str(raised.value)


def test_unknown_presets():
    with pytest.raises(UsageError, match=r"no preset 'nice'; choose one of caffe, demo, fast"):
        presets.read("nice")
    with pytest.raises(UsageError, match=r"no preset nowhere.toml"):
        presets.read("nowhere.toml")
