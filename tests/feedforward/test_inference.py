"""Networks as files for everyone."""

import dataclasses
import zipfile

import numpy as np
import onnx
import onnxruntime
import pytest

from styletransfer.errors import StyleTransferError, UsageError
from styletransfer.feedforward import (
    Stylizer,
    architecture,
    checkpoints,
    configuration,
    inference,
    trained,
)
from styletransfer.feedforward.checkpoints import Checkpoint
from styletransfer.feedforward.trained import Trained


def _network(arch="pytorch", styles=1, width=3):
    of = architecture.architecture(arch, width, styles)
    weights = architecture.initial_parameters(of, 0)
    # As after a training: not dark throughout.
    weights[-1] = weights[-1] + np.float32(128 if arch != "tf" else 0)
    return of, weights


def _run(model, image, **inputs):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"image": image, **inputs})[0]


def _image(height, width, count=1):
    return np.random.default_rng(1).random((count, 3, height, width), np.float32)


@pytest.mark.parametrize("arch", ["pytorch", "tf"])
def test_networks_take_any_size_and_number(arch):
    of, weights = _network(arch)
    model = inference.network(of, weights, {"styletransfer.x": "y"})
    assert model.ir_version <= 10
    for shape in ((1, 3, 32, 48), (3, 3, 37, 50)):
        painted = _run(model, _image(*shape[2:], shape[0]))
        assert painted.shape == shape
        assert 0 <= painted.min() < painted.max() <= 1
    # One picture does not depend on the others, nor on being padded by itself.
    both = _image(37, 50, 2)
    alone = _run(model, both[1:])
    np.testing.assert_allclose(_run(model, both)[1:], alone, atol=1e-5)


@pytest.mark.parametrize("arch", ["pytorch", "tf"])
def test_networks_of_one_size_and_in_other_opsets_paint_the_same(arch):
    of, weights = _network(arch)
    image = _image(37, 50)
    expected = _run(inference.network(of, weights, {}), image)
    fixed = inference.network(of, weights, {}, size=(37, 50))
    shape = fixed.graph.input[0].type.tensor_type.shape
    assert [d.dim_value for d in shape.dim][2:] == [37, 50]
    np.testing.assert_allclose(_run(fixed, image), expected, atol=1e-5)
    for opset in range(11, 24):
        model = inference.network(of, weights, {}, opset=opset)
        assert model.opset_import[0].version == opset
        np.testing.assert_allclose(_run(model, image), expected, atol=1e-5)
    for opset in range(7, 11):
        model = inference.network(of, weights, {}, size=(37, 50), half=opset == 7, opset=opset)
        assert model.opset_import[0].version == opset
        assert model.ir_version <= 5
        tolerance = 1e-5 if opset > 7 else 5e-3
        np.testing.assert_allclose(_run(model, image), expected, atol=tolerance)


@pytest.mark.parametrize(
    ("opset", "size", "message"),
    [
        (10, None, r"in opset 10 .* any size: 11 is the lowest .*\(--size\) for 7 and more"),
        (6, None, "the opset is 6; give one from 11 to 23, or with a size"),
        (6, (32, 32), r"the opset is 6; .* \(--size\) from 7"),
        (24, (32, 32), "the opset is 24; give one from 11 to 23"),
    ],
)
def test_opsets_that_cannot_say_it(opset, size, message):
    of, weights = _network()
    with pytest.raises(UsageError, match=message):
        inference.network(of, weights, {}, size=size, opset=opset)


def test_the_size_of_a_network_of_one_is_lifted_or_told():
    of, weights = _network()
    stylizer = Stylizer(inference.network(of, weights, {}).SerializeToString())
    for opset in (7, 17):
        model = inference.network(of, weights, {}, size=(40, 60), opset=opset)
        lifted = Stylizer(model.SerializeToString())
        for image in (_image(90, 70), _image(33, 21)):
            picture = image[0].transpose(1, 2, 0)
            np.testing.assert_allclose(
                lifted.stylize(picture), stylizer.stylize(picture), atol=1e-5
            )
    # What its nodes pad is right for sides with the same rest alone.
    odd = Stylizer(inference.network(of, weights, {}, size=(37, 50)).SerializeToString())
    picture = _image(37, 50)[0].transpose(1, 2, 0)
    np.testing.assert_allclose(odd.stylize(picture), stylizer.stylize(picture), atol=1e-5)
    with pytest.raises(UsageError, match="paints pictures of 50 x 37 pixels alone, and this one"):
        odd.stylize(picture[:30])


def test_several_styles_in_old_opsets():
    of, weights = _network("multi", 3)
    row = np.array([0.2, 0.3, 0.5], np.float32)
    expected = _run(inference.network(of, weights, {}), _image(40, 36), style_weights=row)
    old = inference.network(of, weights, {"styletransfer.x": "y"}, opset=11)
    np.testing.assert_allclose(_run(old, _image(40, 36), style_weights=row), expected, atol=1e-5)
    assert (old.metadata_props[0].value, old.ir_version) == ("y", 6)


def test_weights_of_16_bits_halve_the_file():
    of, weights = _network(width=8)
    whole = inference.network(of, weights, {})
    half = inference.network(of, weights, {}, half=True)
    assert half.ByteSize() < 0.6 * whole.ByteSize()
    image = _image(32, 32)
    np.testing.assert_allclose(_run(half, image), _run(whole, image), atol=5e-3)


def test_several_styles_are_blended_by_their_weights():
    of, weights = _network("multi", 3)
    rng = np.random.default_rng(0)
    weights = [w + rng.normal(0, 0.2, w.shape).astype(np.float32) for w in weights]
    model = inference.network(of, weights, {})
    image = _image(32, 36, 2)
    rows = [_run(model, image, style_weights=row) for row in np.eye(3, dtype=np.float32)]
    assert rows[0].shape == image.shape
    assert np.abs(rows[0] - rows[1]).max() > 0.01
    # Each is the network of that style alone.
    first = [w[0] if w.ndim == 2 else w for w in weights]
    alone = inference.network(architecture.architecture("multi", 3), first, {})
    np.testing.assert_allclose(rows[0], _run(alone, image), atol=1e-4)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("kind", ["tf", "multi"])
def test_a_written_network_is_read_again(tmp_path, half, kind):
    styles = ["a.jpg", "b.jpg"] if kind == "multi" else ["a.jpg"]
    settings = configuration.read({"arch": kind, "width": 2, "style_image": styles})
    of = trained.architecture_of(settings)
    # Equal arrays, too: each is its own.
    weights = [np.ones_like(w) for w in architecture.initial_parameters(of, 0)]
    network = Trained(settings, weights, 12, {"content": 0.5})
    trained.save(tmp_path / "x.onnx", network, half=half)
    read = trained.read(tmp_path / "x.onnx")
    assert (read.settings, read.steps, read.losses) == (settings, 12, {"content": 0.5})
    for one, two in zip(read.weights, weights, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_network_of_a_checkpoint_is_read(tmp_path):
    settings = configuration.read({"arch": "pytorch", "width": 2, "style_image": "a.jpg"})
    weights = architecture.initial_parameters(trained.architecture_of(settings), 0)
    vector = np.concatenate([w.ravel() for w in weights])
    state = {"parameters": vector, "steps": np.array(3)}
    path = checkpoints.write(tmp_path, Checkpoint(state, trained.plain(settings), {}))
    read = trained.read(path)
    assert read.steps == 3
    np.testing.assert_array_equal(read.weights[0], weights[0])
    other = dataclasses.replace(settings, width=3)
    path = checkpoints.write(tmp_path, Checkpoint(state, trained.plain(other), {}))
    with pytest.raises(StyleTransferError, match="are not those of its network"):
        trained.read(path)


def test_what_is_no_network_of_ours_is_told(tmp_path):
    path = tmp_path / "x.onnx"
    with pytest.raises(StyleTransferError, match="cannot be read"):
        trained.read(path)
    path.write_bytes(b"none")
    with pytest.raises(StyleTransferError, match="no ONNX file"):
        trained.read(path)
    of, weights = _network()
    path.write_bytes(inference.network(of, weights, {}).SerializeToString())
    with pytest.raises(UsageError, match="no network that this program trained"):
        trained.read(path)


@pytest.mark.parametrize("how", ["letters", "member", "compressed", "order"])
def test_what_no_checkpoint_has_is_refused(tmp_path, how):
    settings = configuration.read({"arch": "pytorch", "width": 2, "style_image": "a.jpg"})
    path = checkpoints.write(
        tmp_path, Checkpoint({"steps": np.array(3)}, trained.plain(settings), {})
    )
    with np.load(path) as data:
        arrays = dict(data)
    facts = arrays["facts"]
    if how == "letters":  # str() of such raises SystemError, now or later
        arrays["facts"] = np.frombuffer(facts.tobytes()[:-4] + b"\xff" * 4, facts.dtype)[0:1]
        arrays["facts"] = arrays["facts"].reshape(())
    elif how == "order":
        arrays["facts"] = facts.astype(facts.dtype.newbyteorder(">"))
    (np.savez_compressed if how == "compressed" else np.savez)(path, **arrays)
    if how == "member":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("parameters", b"no array")
    with pytest.raises(StyleTransferError, match="is no checkpoint, or damaged"):
        trained.read(path)


@pytest.mark.parametrize("how", ["kind", "numbers", "text"])
def test_damaged_weights_are_told(tmp_path, how):
    settings = configuration.read({"arch": "pytorch", "width": 2, "style_image": "a.jpg"})
    weights = architecture.initial_parameters(trained.architecture_of(settings), 0)
    trained.save(tmp_path / "x.onnx", Trained(settings, weights, 3, {}))
    model = onnx.load(tmp_path / "x.onnx")
    name = architecture.parameters(trained.architecture_of(settings))[0].name
    (tensor,) = (t for t in model.graph.initializer if t.name == name)
    if how == "kind":
        tensor.data_type = 99
    elif how == "numbers":
        tensor.raw_data = tensor.raw_data[:-4]
    else:
        tensor.data_type = onnx.TensorProto.STRING
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(StyleTransferError, match=f"x.onnx is damaged in {name}: "):
        trained.read(tmp_path / "x.onnx")
