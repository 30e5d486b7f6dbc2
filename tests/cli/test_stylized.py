"""``-i stylized``: batches, sheets and recipes of runs that begin from what a network paints."""

import numpy as np
import pytest

from styletransfer import cli, images
from styletransfer.jobs import command
from tests.cli.conftest import CONTENT


@pytest.fixture
def run(short, published, capsys):
    for name in ("arbitrary_predict", "arbitrary_transform"):
        published(name)

    def run(*arguments):
        code = cli.main(["image", *short, *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_recipe_and_like(run, tmp_path):
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    assert run("-i", "stylized", "-o", first)[0] == 0
    assert images.read_parameters(first)["settings"]["init"] == "stylized"
    words = command.command(first)
    assert words[words.index("-i") + 1] == "stylized"
    assert run("--like", first, "-o", again)[0] == 0
    np.testing.assert_array_equal(images.load(again), images.load(first))


def test_a_sheet_of_first_images(run, tmp_path):
    code, _, _ = run("--sheet", "-i", "content,stylized", "-o", tmp_path / "sheet.png")
    assert code == 0
    sheet = images.load(tmp_path / "sheet.png")
    # Two pictures, one of which has the style's colours from the start.
    left, right = np.split(sheet[:, : sheet.shape[1] // 2 * 2], 2, axis=1)
    assert np.abs(left.mean((0, 1)) - right.mean((0, 1))).max() > 0.02


def test_a_batch_is_named_and_gone_on_with(run, tmp_path):
    flags = ("-c", CONTENT.with_name("coffee.jpg"), "-i", "stylized", "-o", f"{tmp_path}/")
    assert run(*flags)[0] == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"{n}-wave-googlenet-stylized-1e4-1.jpg" for n in ("cat", "coffee")]
    code, _, err = run(*flags)
    assert (code, err.count("is there already")) == (0, 2)
