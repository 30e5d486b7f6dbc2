"""One more style for a trained network."""

import hashlib

import numpy as np
import onnx
import pytest

from styletransfer import images
from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.feedforward import base, checkpoints, configuration, inference, trained
from styletransfer.feedforward.architecture import parameters
from styletransfer.feedforward.trained import Trained
from styletransfer.feedforward.trainer import Trainer
from styletransfer.feedforward.training import Training, train
from tests.feedforward.conftest import run
from tests.feedforward.pictures import picture

pytest_plugins = ["tests.feedforward.trainings"]


@pytest.fixture
def make(small_keys, photographs, tmp_path):
    """Return a function that makes a small training with a base."""

    def training(of, keys=None, **options) -> Training:
        values = {k: v for k, v in small_keys.items() if k not in ("arch", "width")}
        values |= {"base": str(of), "naming": "more", "style_weight": "auto"}
        settings = configuration.read(values | (keys or {}))
        return Training(settings, photographs, gpu_id=-1, threads=1, **options)

    return training


@pytest.fixture
def own(training, tmp_path):
    """Return a function that trains a small network, which can be a base."""

    def path(keys):
        for i in range(2):
            images.save(tmp_path / f"{i}.png", picture(i, (40, 40)))
        result = train(training({"steps": 2, "naming": "own", "licence": "CC0-1.0"} | keys))
        return result.network

    return path


@pytest.fixture
def two(own, tmp_path):
    """A network of two styles."""
    styles = [str(tmp_path / f"{i}.png") for i in range(2)]
    return own({"arch": "multi", "style_image": styles})


def _paint(path, pictures, shares):
    return run(path.read_bytes(), image=pictures, style_weights=np.float32(shares))


def test_one_style_is_added_and_the_old_ones_stay(make, two):
    result = train(make(two, {"learning_rate": 0.1}))
    assert (result.steps, result.style) == (6, 2)
    before, after = trained.read(two), trained.read(result.network)
    entries = parameters(before.network)
    for entry, old, new in zip(entries, before.weights, after.weights, strict=True):
        if not entry.name.endswith(("scale", "shift")):
            np.testing.assert_array_equal(new, old, err_msg=entry.name)
            continue
        np.testing.assert_array_equal(new[:2], old, err_msg=entry.name)
        moved = np.abs(new[2] - old.mean(axis=0)).max()
        # The shift of a norm that ends a residual block makes no difference.
        assert moved > 0.01 or (entry.name.endswith("shift") and moved < 1e-6)
    # Two pictures, sides of no multiple of anything.
    pictures = np.random.default_rng(1).random((2, 3, 41, 38), np.float32)
    for i in range(2):
        old = _paint(two, pictures, np.eye(2)[i])
        np.testing.assert_array_equal(_paint(result.network, pictures, np.eye(3)[i]), old)
    new = _paint(result.network, pictures, np.eye(3)[2])
    assert new.shape == pictures.shape
    assert np.abs(new - _paint(two, pictures, [0.5, 0.5])).max() > 0.001


def test_steps_lower_the_loss_and_move_the_new_style_alone(make, two):
    settings = make(two, {"learning_rate": 0.1, "tv_weight": 0}).settings
    training = Trainer(trained.plain(settings), (255 * picture(9, (48, 40))).astype(np.uint8))
    assert training.network.styles == 3
    batch = (255 * np.stack([picture(i, (32, 32)) for i in range(2)])).astype(np.uint8)
    terms, gradients = training.evaluate(batch)
    assert terms["loss"] == pytest.approx(5)  # 1 for each layer of content and style
    for entry, gradient in zip(parameters(training.network), gradients, strict=True):
        new = gradient[2] if gradient.ndim == 2 else np.zeros(1)
        assert np.array_equal(np.abs(gradient).sum(), np.abs(new).sum()), entry.name
    assert any(gradient.any() for gradient in gradients)
    for _ in range(20):
        training.step(batch)
    assert training.evaluate(batch)[0]["loss"] < 4.95


def test_the_file_tells_of_its_base(make, two):
    path = train(make(two, {"licence": "CC-BY-4.0"})).network
    facts = {p.key: p.value for p in onnx.load(path).metadata_props}
    assert facts["styletransfer.arch"] == "multi"
    assert facts["styletransfer.styles"] == "3"
    assert facts["styletransfer.licence"] == "CC0-1.0; CC-BY-4.0"
    digest = hashlib.sha256(two.read_bytes()).hexdigest()
    assert facts["styletransfer.base_sha256"] == digest
    assert trained.read(path).base == digest
    place = path.parent
    assert trained.read(place / "fast-style-model.ckpt-done.npz").base == digest
    # A network made so can be a base again.
    third = trained.read(train(make(path, {"naming": "third", "steps": 1})).network)
    assert third.network.styles == 4
    assert third.settings.licence == "CC0-1.0; CC-BY-4.0"
    assert base.settled(third.settings, base.load(str(path), None)) == third.settings


def test_a_network_of_one_style_gets_a_second(make, own):
    one = own({})
    result = train(make(one, {"steps": 1}))
    assert result.style == 1
    pictures = np.random.default_rng(1).random((1, 3, 40, 40), np.float32)
    old = run(one.read_bytes(), image=pictures)
    np.testing.assert_allclose(_paint(result.network, pictures, [1, 0]), old, atol=1e-5)


@pytest.mark.parametrize("arch", ["multi", "tf"])
def test_all_of_a_copy_can_learn(make, own, two, arch):
    path = two if arch == "multi" else own({"arch": arch, "naming": "tf"})
    result = train(make(path, {"learns": "all", "steps": 2}))
    assert result.style is None
    before, after = trained.read(path), trained.read(result.network)
    assert after.network.styles == 1
    assert after.settings.learning_rate == 1e-3
    moved = np.abs(after.weights[0] - before.weights[0])
    assert 0 < moved.max() < 2.1e-3  # it began there, and took two steps of Adam's


def test_it_goes_on_bit_for_bit_and_knows_its_base(make, two):
    whole = make(two, {"naming": "whole"})
    train(whole)
    parts, told = make(two, {"naming": "parts"}), []
    train(parts, told.append, lambda: len(told) == 3)
    train(parts, told.append)
    assert [step.iteration for step in told] == [1, 2, 3, 4, 5, 6]
    name = "fast-style-model.ckpt-done.npz"
    states = [checkpoints.read(task.place / name).state for task in (whole, parts)]
    for key, array in states[0].items():
        np.testing.assert_array_equal(states[1][key], array, err_msg=key)
    moved = two.with_name("moved.onnx")
    moved.write_bytes(two.read_bytes())
    assert train(make(moved, {"naming": "parts", "steps": 7})).steps == 7
    other = trained.read(two)
    trained.save(two, Trained(other.settings, other.weights, 3, {}))
    with pytest.raises(UsageError, match="the base was another network"):
        train(make(two, {"naming": "parts", "steps": 8}))


def test_the_published_network_is_ours(published):
    """Its 26 styles paint as before, and a 27th begins as their mean."""
    data = published("multistyle26")
    settings = configuration.read({"base": "multistyle26", "style_image": "a/Red sun.jpg"})
    assert settings.naming == "Red_sun"
    found = base.load("multistyle26", None)
    settings = base.settled(settings, found)
    assert settings.styles == 27
    assert settings.licence.startswith("Apache-2.0")
    weights = base.first_weights(settings, found)
    learnt = sum(w[26].size for w in weights if w.ndim == 2)
    assert learnt == 990
    model = inference.network(trained.architecture_of(settings), weights, {})
    image = np.random.default_rng(0).random((1, 3, 64, 72), np.float32)
    for style in (0, 7, 25):
        paintings = [
            run(m, image=image, style_weights=np.eye(count, dtype=np.float32)[style])
            for m, count in ((data, 26), (model, 27))
        ]
        np.testing.assert_allclose(*paintings, atol=0.1 / 255)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"base": "multistyle26", "arch": "small"}, "arch is that of the base; leave out one"),
        ({"base": "multistyle26", "width": 8}, "width is that of the base; leave out one"),
        ({"learns": "all"}, "learns goes with a base"),
        ({"styles": 3}, "styles goes with a base"),
        ({"base": "multistyle26", "learns": "much"}, "one of style, all"),
    ],
)
def test_keys_that_do_not_go_together(values, reason):
    with pytest.raises(UsageError) as caught:
        configuration.read(values)
    assert reason in str(caught.value)


def test_defaults_suit_a_base_and_what_is_given_goes_before_them():
    settings = configuration.read({"base": "x.onnx", "image_size": 64})
    assert (settings.learning_rate, settings.image_size, settings.crop) == (0.01, 64, "random")
    assert configuration.read(trained.plain(settings)) == settings
    assert configuration.read({"base": "x.onnx", "epoch": 3}).steps is None


def test_bases_that_cannot_be(make, own, tmp_path):
    with pytest.raises(UsageError, match=r"the base 'none.onnx' is neither multistyle26 nor"):
        train(make("none.onnx"))
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(StyleTransferError, match=r"cannot be a base: .*is no ONNX file of ours"):
        train(make(tmp_path / "text.onnx"))
    info = onnx.helper.make_tensor_value_info("x", 1, [1])
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [info], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "other.onnx")
    with pytest.raises(UsageError, match="is no network that this program trained"):
        train(make(tmp_path / "other.onnx"))
    plain = own({"arch": "tf", "naming": "plain"})
    with pytest.raises(UsageError, match="no scales and shifts that a style could learn"):
        train(make(plain))
    style = str(tmp_path / "style.png")
    with pytest.raises(UsageError, match="there are 2 styles; give with a base one"):
        train(make("multistyle26", {"style_image": [style, style]}))
