import importlib
import pkgutil

import numpy as np
import pytest

from styletransfer import caffe, images
from styletransfer.errors import NetworkError
from tests.caffe.caffe_files import (
    CONVOLUTION,
    HEADER,
    VGG_V1,
    blob,
    convert_text,
    run,
    vgg_weights,
    weights_of_convolution,
    write_caffemodel,
)
from tests.conftest import CONFORMANCE, SHARED, golden

NETS = sorted(path.stem for path in CONFORMANCE.glob("*.prototxt"))
LOOSE = ("lrn", "power")  # these nets to 1e-4, the rest to 1e-5
ONE_SIZE = ("inner_product", "inner_product_v1")  # these take images of one size only
ANY_SIZE = ("height", "width")


def relative_error(actual, expected):
    assert actual.shape == expected.shape
    return np.abs(actual - expected).max() / np.abs(expected).max()


# --- against the real Caffe ----------------------------------------------------------------------


def test_conformance_data_is_complete():
    assert len(NETS) == 54


@pytest.mark.parametrize(
    ("name", "fixed"),
    [(name, True) for name in NETS] + [(name, False) for name in NETS if name not in ONE_SIZE],
)
def test_forward_pass_is_that_of_the_real_caffe(name, fixed):
    with np.load(CONFORMANCE / f"{name.removesuffix('_v1')}.npz") as data:
        expected = dict(data)
    model = caffe.convert(
        CONFORMANCE / f"{name}.prototxt",
        CONFORMANCE / f"{name}.caffemodel",
        None if fixed else (1, expected["x"].shape[1], *ANY_SIZE),
    )
    outputs = run(model, expected["x"])
    blobs = {key[5:]: value for key, value in expected.items() if key.startswith("blob/")}
    del blobs["data"]
    assert outputs.keys() == blobs.keys()
    tolerance = 1e-4 if name.startswith(LOOSE) else 1e-5
    for key, value in blobs.items():
        assert relative_error(outputs[key], value) < tolerance, key


@pytest.mark.parametrize("name", [name for name in NETS if name.endswith("_v1")])
def test_both_generations_give_the_same_graph(name):
    v1, v2 = (
        caffe.convert(CONFORMANCE / f"{stem}.prototxt", CONFORMANCE / f"{stem}.caffemodel")
        for stem in (name, name.removesuffix("_v1"))
    )
    assert v1.graph == v2.graph


@pytest.mark.golden
def test_googlenet_features_are_those_of_the_real_caffe():
    folder = SHARED / "models" / "googlenet"
    model = caffe.convert(
        folder / "deploy.prototxt", folder / "bvlc_googlenet.caffemodel", (1, 3, *ANY_SIZE)
    )
    expected = golden("googlenet_256_20")
    outputs = run(model, expected["content_in"][None])
    layers = [key[13:] for key in expected if key.startswith("content_feat/")]
    assert layers
    for layer in layers:
        features = outputs[layer].reshape(expected[f"content_feat/{layer}"].shape)
        assert relative_error(features, expected[f"content_feat/{layer}"]) < 2e-6


def vgg_by_hand(image):
    """Evaluate VGG_V1 in NumPy."""
    (weight, bias), (full, full_bias) = vgg_weights().values()
    padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    conv = np.einsum("nihwkl,oikl->nohw", windows, weight) + bias[:, None, None]
    conv = np.maximum(conv, 0)
    n, c, h, w = conv.shape
    pool = conv.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))
    fc6 = np.maximum(pool.reshape(n, -1) @ full.T + full_bias, 0)
    prob = np.exp(fc6) / np.exp(fc6).sum(axis=1, keepdims=True)
    return {"conv1_1": conv, "pool1": pool, "fc6": fc6, "prob": prob}


@pytest.mark.parametrize("v1", [True, False])
def test_network_in_the_form_of_the_published_vgg(tmp_path, v1):
    (tmp_path / "vgg.prototxt").write_text(VGG_V1)
    caffemodel = write_caffemodel(tmp_path / "vgg.caffemodel", vgg_weights(), v1=v1)
    image = np.random.default_rng(2).normal(size=(10, 3, 8, 6)).astype(np.float32)
    outputs = run(caffe.convert(tmp_path / "vgg.prototxt", caffemodel), image)
    expected = vgg_by_hand(image)
    assert outputs.keys() == expected.keys()
    for name, value in expected.items():
        assert relative_error(outputs[name], value) < 1e-5, name


@pytest.mark.parametrize(
    ("without", "input_shape", "reason"),
    [("fc6", (1, 3, 8, 6), "none for it"), (None, (1, 3, *ANY_SIZE), "one size")],
)
def test_network_is_cut_where_it_cannot_go_on(tmp_path, caplog, without, input_shape, reason):
    weights = {name: arrays for name, arrays in vgg_weights().items() if name != without}
    model = convert_text(tmp_path, VGG_V1, weights, input_shape)
    assert [output.name for output in model.graph.output] == ["conv1_1", "pool1"]
    assert "'fc6'" in caplog.text
    assert reason in caplog.text


# --- what does not fit together -------------------------------------------------------------------


def test_shapes_that_do_not_fit_together(tmp_path):
    pool = 'layer { name: "p" type: "Pooling" bottom: "data" top: "p" pooling_param { %s } }'
    join = 'layer { name: "x" type: "Eltwise" bottom: "data" bottom: "p" top: "x" }'
    with pytest.raises(NetworkError, match=r"\(1, 3, 8, 6\) and \(1, 3, 4, 3\), which do not fit"):
        convert_text(tmp_path, HEADER + pool % "kernel_size: 2 stride: 2" + join)


BAD_WEIGHTS = {
    "none": ({}, "weights for none of the layers c, …; the file has none at all"),
    "of other layers": ({"d": [np.ones(3)]}, "none of the layers c, …; the file has d"),
    "of another shape": (
        {"c": [np.ones((2, 4, 3, 3)), np.ones(2)]},
        r"'c' has weights of shape \(2, 4, 3, 3\), but its description asks for \(2, 3, 3, 3\)",
    ),
    "without bias": ({"c": [np.ones((2, 3, 3, 3))]}, "'c' has 1 weight blobs, .* asks for 2"),
    "not finite": ({"c": [np.full((2, 3, 3, 3), np.nan), np.ones(2)]}, "not finite numbers"),
}


@pytest.mark.parametrize(("weights", "message"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_weights_of_another_network(tmp_path, weights, message):
    with pytest.raises(NetworkError, match=message):
        convert_text(tmp_path, HEADER + CONVOLUTION, weights)


def test_weights_missing_in_the_middle(tmp_path):
    second = CONVOLUTION.replace('"c"', '"d"').replace('"data"', '"c"')
    with pytest.raises(NetworkError, match="'d' has weights, but not every layer before it has"):
        convert_text(
            tmp_path, HEADER + CONVOLUTION + second, {"d": weights_of_convolution(inputs=2)}
        )


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 8), "is not \\(batch, channels, height, width\\)"),
        ((1, 3, 0, 6), "sizes from 1 to 65536"),
        ((1, 3, 8, 1 << 20), "sizes from 1 to 65536"),
        ((1, "channels", 8, 6), "the number of channels"),
        ((1,) * 100_000, r"the input shape \(1, 1.{0,200} is not \(batch"),
    ],
)
def test_input_shape_that_cannot_be(tmp_path, shape, message):
    with pytest.raises(NetworkError, match=message):
        convert_text(tmp_path, HEADER + CONVOLUTION, {"c": weights_of_convolution()}, shape)


def test_shape_of_the_input_is_not_known(tmp_path):
    text = CONVOLUTION + 'layer { name: "i" type: "Input" top: "data" }'
    with pytest.raises(NetworkError, match="does not give its input a shape; pass input_shape"):
        convert_text(tmp_path, text, {"c": weights_of_convolution()})


def test_names_of_the_weights_that_are_quoted_are_bounded(tmp_path):
    weights = {"\x1b" * 100_000: weights_of_convolution()}
    with pytest.raises(NetworkError, match="weights for none of the layers c") as caught:
        convert_text(tmp_path, HEADER + CONVOLUTION, weights)
    assert len(str(caught.value)) < 1100 + 2 * len(str(tmp_path))
    assert "\x1b" not in str(caught.value)


def test_any_damage_to_a_file_is_a_clear_error(tmp_path):
    rng = np.random.default_rng(3)
    (tmp_path / "vgg.prototxt").write_text(VGG_V1)
    write_caffemodel(tmp_path / "vgg.caffemodel", vgg_weights())
    np.save(tmp_path / "mean.npy", np.ones((3, 4, 4)))
    (tmp_path / "mean.binaryproto").write_bytes(blob(np.ones((3, 4, 4))).SerializeToString())
    refused = 0
    for name, use in {
        "vgg.prototxt": lambda path: caffe.convert(path, tmp_path / "vgg.caffemodel"),
        "vgg.caffemodel": lambda path: caffe.convert(tmp_path / "vgg.prototxt", path),
        "mean.npy": caffe.read_mean,
        "mean.binaryproto": caffe.read_mean,
    }.items():
        content = (tmp_path / name).read_bytes()
        damaged = tmp_path / f"damaged-{name}"
        for _ in range(60):
            position = rng.integers(min(len(content), 400))
            changed = bytearray(content)
            changed[position] ^= 1 << rng.integers(8)
            damaged.write_bytes(changed)
            try:
                use(damaged)
            except NetworkError:
                refused += 1
    assert refused > 60  # the other changes leave valid files


def test_modules_are_not_hidden_by_functions_of_their_name():
    """What ``import styletransfer.caffe.x as m`` gives is the module."""
    for package in (caffe, images):
        for module in pkgutil.iter_modules(package.__path__):
            found = importlib.import_module(f"{package.__name__}.{module.name}")
            assert getattr(package, module.name) is found


# --- folders --------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deploy.prototxt").write_text(HEADER + CONVOLUTION)
    write_caffemodel(tmp_path / "net.caffemodel", {"c": weights_of_convolution()})
    return tmp_path


def test_folder_holds_a_network(folder):
    model, mean, input_size = caffe.load_folder(folder)
    assert mean is None
    assert input_size == 6
    image = np.ones((1, 3, 11, 13), np.float32)
    assert run(model, image)["c"].shape == (1, 2, 11, 13)
    np.save(folder / "mean.npy", np.array([1.0, 2.0, 3.0]))
    assert caffe.load_folder(folder)[1].tolist() == [1, 2, 3]


def test_folder_lacks_a_file_or_has_several(folder):
    (folder / "train.prototxt").write_text("")
    message = r"must hold one \.prototxt file; it has deploy\.prototxt, train\.prototxt"
    with pytest.raises(NetworkError, match=message):
        caffe.load_folder(folder)
    (folder / "train.prototxt").unlink()
    (folder / "net.caffemodel").unlink()
    with pytest.raises(NetworkError, match=r"must hold one \.caffemodel file; it has none"):
        caffe.load_folder(folder)
    with pytest.raises(NetworkError, match="is not a folder"):
        caffe.load_folder(folder / "nowhere")


def test_folder_whose_network_takes_no_colour_images(folder):
    text = (HEADER + CONVOLUTION).replace("dim: 3", "dim: 1")
    (folder / "deploy.prototxt").write_text(text)
    with pytest.raises(NetworkError, match=r"the shape \(1, 1, 8, 6\); style transfer needs"):
        caffe.load_folder(folder)
