"""What is fuzzed: each reader with good files, made on the spot, and a way to change them."""

import functools
import importlib.util
import io
import itertools
import json
import random
import struct
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx
from PIL import Image, features

from styletransfer import arrayfile, caffe, images, optim
from styletransfer.caffe.schema import BlobProto, NetParameter
from styletransfer.errors import UsageError
from styletransfer.feedforward import architecture, checkpoints, conffile, configuration, trained
from styletransfer.feedforward import network as painting
from styletransfer.jobs import command, recipe
from styletransfer.networks import NETWORKS
from styletransfer.runtime.devices import Device
from styletransfer.settings import Settings, make, presets
from styletransfer.transfer import checkpoint
from styletransfer.transfer.inputs import Inputs
from styletransfer.transfer.stages import Stage
from styletransfer.video import manifest, source
from styletransfer.video.kept import Kept
from styletransfer.weights import cache, containers, failures, registry, sources
from tests.caffe.caffe_files import CONVOLUTION, HEADER, VGG_V1, blob, weights_of_convolution
from tests.caffe.caffe_files import write_caffemodel as write_layers
from tests.feedforward.networks import candy
from tests.fuzz import mutations
from tests.fuzz.mutations import of_bytes, of_json, of_pictures, of_protobuf, of_zip
from tests.weights.test_torchfile import dictionary, legacy_file, tensor
from tests.weights.weight_files import provenance_of, random_weights, write_hdf5

# One layer: 1792 numbers, so that what is changed is seldom one of them.
NETWORK = replace(
    NETWORKS["vgg16"],
    layers=NETWORKS["vgg16"].layers[:2],
    style_layers={"conv1_1": 1.0},
    content_layers={"conv1_1": 1.0},
)


@dataclass(frozen=True)
class Reader:
    """A reader of files.

    Attributes
    ----------
    good : callable
        Makes good files in a folder, and returns their contents.
    change : callable
        Changes one at random.
    read : callable
        Reads a path.
    suffixes : sequence of str
        What the path may end in.
    memory : int
        Bytes of address space that reading one may take more than the process has.
    """

    good: Callable[[Path], Sequence[bytes]]
    change: mutations.Mutation
    read: Callable[[Path], object]
    suffixes: Sequence[str] = (".bin",)
    memory: int = 1 << 30


# --- Caffe's files --------------------------------------------------------------------------------

PROTOTXTS = (HEADER + CONVOLUTION, VGG_V1)
_WORDS = b"layer layers { } < > [ ] : ; , # \" ' \\x dim: 1 type: Slice MAX true 1e99 nan".split(
    b" "
)


def _caffemodels(folder: Path) -> list[bytes]:
    layers = {"c": weights_of_convolution(), "d": [np.ones(3)]}
    return [write_layers(folder / "a", layers, v1).read_bytes() for v1 in (False, True)]


def _means(folder: Path) -> list[bytes]:
    image = np.arange(75, dtype=np.float32).reshape(1, 3, 5, 5)
    saved = io.BytesIO()
    np.save(saved, image[0])
    return [blob(image, legacy).SerializeToString() for legacy in (False, True)] + [
        saved.getvalue()
    ]


def _converted(path: Path) -> object:
    """Convert a prototxt with the weights beside it."""
    weights = path.parent / "weights.caffemodel"
    if not weights.exists():
        write_layers(weights, {"c": weights_of_convolution(), "conv1_1": weights_of_convolution()})
    return caffe.convert(path, weights)


# --- weights --------------------------------------------------------------------------------------


def _cached(folder: Path) -> list[bytes]:
    weights = random_weights(NETWORK)
    path = cache.write(NETWORK, weights, provenance_of(weights), folder)
    return [path.read_bytes()]


def _hdf5(folder: Path) -> list[bytes]:
    write_hdf5(folder / "a.h5", random_weights(NETWORK))
    return [(folder / "a.h5").read_bytes()]


def _torch(folder: Path) -> list[bytes]:
    content = dictionary(
        block1_conv1_W_q=tensor("ByteStorage", "1", 1728, (64, 3, 3, 3), (27, 9, 3, 1)),
        block1_conv1_W_table=tensor("FloatStorage", "2", 256, (256,), (1,)),
        block1_conv1_b=tensor("FloatStorage", "3", 64, (64,), (1,)),
    )
    floats = np.float32
    storages = {
        "1": np.zeros(1728, np.uint8),
        "2": np.zeros(256, floats),
        "3": np.zeros(64, floats),
    }
    return [legacy_file(content, storages)]


def _wheels(folder: Path) -> list[bytes]:
    found = []
    for packing in (0, 8, 12, 14):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", packing) as archive:
            archive.writestr("package/net.bin", b"weights" * 100)
            archive.writestr("package/other", b"")
        found.append(data.getvalue())
    return found


def _unpacked(path: Path) -> None:
    registry._extract(path, "package/net.bin", path.with_name("taken"), 10_000)


def _failures(folder: Path) -> list[bytes]:
    source = sources.SOURCES["vgg16"][0]
    return [json.dumps({str(source.origin): 1e9, "b": 2.0}).encode()]


def _failed(path: Path) -> object:
    path.replace(path.with_name(".failures.json"))
    return failures.lately(path.parent, sources.SOURCES["vgg16"])


# --- networks that paint --------------------------------------------------------------------------

_OPERATORS = (
    b"Conv ConvTranspose Pad Resize Upsample Relu Add Tile Expand Reshape Transpose Slice Loop If "
    b"Gather Constant ConstantOfShape Range Shape Concat Identity InstanceNormalization "
    b"BatchNormalization DequantizeLinear Unsqueeze Clip Cast MatMul Einsum AveragePool"
).split(b" ")


def _painters(folder: Path) -> list[bytes]:
    return [
        candy(width=2).SerializeToString(),
        candy(size=96, width=2, counted=True).SerializeToString(),
    ]


def _small() -> configuration.Configuration:
    return configuration.read({"arch": "pytorch", "width": 2, "style_image": "a.jpg"})


def _checkpoints(folder: Path) -> list[bytes]:
    settings = _small()
    weights = architecture.initial_parameters(trained.architecture_of(settings), 0)
    state = {"parameters": np.concatenate([w.ravel() for w in weights]), "steps": np.array(3)}
    facts = checkpoints.Checkpoint(state, trained.plain(settings), {"style": "x"})
    return [checkpoints.write(folder, facts).read_bytes()]


def _trained(folder: Path) -> list[bytes]:
    settings = _small()
    weights = architecture.initial_parameters(trained.architecture_of(settings), 0)
    trained.save(folder / "a.onnx", trained.Trained(settings, weights, 3, {"content": 1.0}))
    return [(folder / "a.onnx").read_bytes()]


# --- runs that go on ------------------------------------------------------------------------------

_SHAPE = (5, 7, 3)
_MEAN = np.array([104.0, 117.0, 123.0])
_GIVEN = Inputs(np.zeros(_SHAPE), (np.zeros(_SHAPE),), (), None, "content")
_STAGES = [Stage(5, 1.0, 1e4, 9, 1), Stage(7, 1.0, 1e4, 9, 1)]
_RUNS = [
    Settings(optimizer="lbfgs", history=2, style_layers={"a": 1.0}),
    Settings(optimizer="adam", average=0.9),
    Settings(),
]


def _about(settings: Settings) -> dict[str, Any]:
    network = cast(Any, SimpleNamespace(weights_digest="0"))
    return checkpoint.describe(settings, network, _GIVEN, Device())


def _unfinished(folder: Path) -> list[bytes]:
    found = []
    for settings in _RUNS:
        image = np.zeros((1, 3, *_STAGES[1].size(_SHAPE)), np.float32)
        bounds = images.bounds(_MEAN)
        state = optim.blank(settings.optimizer, image, bounds, **settings.optimizer_options)
        if state is not None:
            state.iteration, state.loss = 3, 1.5
        numbers = (12, 20, 9, 2.0, 1.5, 1.0, 0.5)
        point = checkpoint.Point(1, 3, None, None, *numbers, image, state)
        path = folder / "a.npz"
        checkpoint.Keeper(checkpoint.Checkpoints(path), _about(settings)).write(point)
        found.append(path.read_bytes())
    return found


def _changed_facts(rng: random.Random, data: bytes) -> bytes:
    """Change what a file of arrays says of itself, or one of its members, or its bytes."""
    if rng.random() < 0.5:
        return _CHANGED_MEMBERS(rng, data)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        path.write_bytes(data)
        facts, arrays = arrayfile.read(path, len(data))
        if rng.random() < 0.6:
            facts["point"] = of_json(rng, facts["point"])
        else:
            facts = of_json(rng, facts)
        arrayfile.write(path, arrays, facts)
        return path.read_bytes()


def _resumed(path: Path) -> object:
    for settings in _RUNS:
        try:
            return checkpoint.read(path, _about(settings), settings, _MEAN, _SHAPE, _STAGES)
        except UsageError as error:
            if settings is _RUNS[-1] or "optimizer was" not in str(error):
                raise
    return None


# --- films ----------------------------------------------------------------------------------------


def _manifests(folder: Path) -> list[bytes]:
    with manifest.Manifest(folder / "a.json", {"film": {"size": [4, 3]}, "depth": 8}) as made:
        made.add(manifest.Record(0, "0", 0, 1, "0" * 64, 1.5, 3, 2.0))
        made.add(manifest.Record(1, "1/25", 0, 1, None, error="it failed"))
    return [(folder / "a.json").read_bytes()]


def _lines(rng: random.Random, data: bytes) -> bytes:
    """Change a line of a manifest as JSON, or bytes."""
    lines = data.splitlines(keepends=True)
    if rng.random() < 0.3 or not lines:
        return of_bytes()(rng, data)
    place = rng.randrange(len(lines))
    lines[place] = json.dumps(of_json(rng, json.loads(lines[place]))).encode() + b"\n"
    return b"".join(lines)


def _continued(path: Path) -> object:
    manifest.read(path)
    with manifest.Manifest(path, {"film": {"size": [4, 3]}, "depth": 8}) as found:
        return found.records


def _states(folder: Path) -> list[bytes]:
    kept = Kept(folder)
    kept.save_state(3, {"image": np.zeros((2, 3, 3), np.float32), "count": np.array(4)})
    return [kept.state(3).read_bytes()]


def _remembered(path: Path) -> object:
    kept = Kept(path.parent)
    path.replace(kept.state(3))
    return kept.load_state(3)


def _films(folder: Path) -> list[bytes]:
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 256, (16, 24, 4), np.uint8)) for _ in range(3)]
    found = []
    for kind in ("GIF", "PNG", "WEBP"):
        data = io.BytesIO()
        frames[0].save(data, kind, save_all=True, append_images=frames[1:], duration=[40, 80, 40])
        found.append(data.getvalue())
    if importlib.util.find_spec("av") is None:
        return found
    from tests.video import clips

    codecs = {"a.mp4": "libx264", "b.mkv": "ffv1", "c.avi": "mpeg4", "d.webm": "libvpx-vp9"}
    for name, codec in codecs.items():
        clips.write(folder / name, clips.pan(3, 32, 16), codec=codec, options={})
        found.append((folder / name).read_bytes())
    return found


def _watched(path: Path) -> object:
    return sum(1 for _ in itertools.islice(source.read(source.probe(path)), 30))


# --- configurations, recipes ----------------------------------------------------------------------

YAML = b"""# as hzy46 has it
style_image: [img/a.jpg, "b.jpg"]
naming: "cubist"
content_weight: 1.0
style_weight: 220.0
content_layers:
  - "vgg_16/conv3/conv3_3"
style_layers: {conv1_2: 1, conv2_2: .5}
image_size: 256
batch_size: 4
arch: c9s1-32,d64,R64x2,u32,c9s1-3
zoom: 1.5
flip: yes
"""
TOML = b"""style_image = ["a.jpg"]
arch = "tf"
naming = 'x'
[style_layers]
conv1_2 = 1.0
"""
PRESET = b"""description = "fine"
model = "vgg19"
ratio = 1e4
n_iter = 50
length = 400
style_layers = {conv1_1 = 1, conv2_1 = 0.5}
[[stages]]
length = 200
n_iter = 10
"""
_YAML_WORDS = (
    b": - [ ] { } & * ! | > % @ ` ? !!python/object:os.system <<: *a &a !!binary ~ 0x".split(b" ")
)
_TOML_WORDS = b'= [ ] [[ ]] { } " \'\'\' """ # . , inf nan 1979-05-27T07:32:00Z 0x 1e999'.split(
    b" "
)


def _configured(path: Path) -> object:
    settings = configuration.read(conffile.read(path), str(path))
    return trained.architecture_of(settings)


def _preset(path: Path) -> object:
    return presets.override(presets.read(str(path)).values, {"scales": 2})


def _recipes(folder: Path) -> list[bytes]:
    files = {"content": [["content.png", "0" * 64]], "styles": [["a.png", "1" * 64]], "init": []}
    around = {"versions": recipe.versions(), "device": "the CPU", "threads": 1, "cores": 2}
    stored = {**around, "weights": "0", "iterations": 3, "reason": "iterations"}
    return [json.dumps({"settings": Settings().plain(), "files": files, **stored}).encode()]


def _told(rng: random.Random, data: bytes) -> bytes:
    """Return a picture that says something of itself that no run says."""
    stored = json.loads(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        stored = of_json(rng, stored)
    exif = None
    try:
        text = json.dumps({"styletransfer": stored})
    except (RecursionError, ValueError):
        text = "{"
    if rng.random() < 0.1:
        text = of_bytes()(rng, text.encode("ascii"))[:60_000].decode("latin-1")
    kind = rng.choice(("PNG", "PNG", "TIFF", "JPEG"))
    result = io.BytesIO()
    picture = Image.new("RGB", (2, 2))
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_text("styletransfer", text.replace("\0", " "))
        picture.save(result, "PNG", pnginfo=info)
    elif kind == "TIFF":
        picture.save(result, "TIFF", tiffinfo={270: text})
    else:
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + text.encode("utf-8", "replace")[:60_000]
        picture.save(result, "JPEG", exif=exif)
    found = result.getvalue()
    return of_pictures(rng, found) if rng.random() < 0.1 else found


def _followed(path: Path) -> object:
    command.command(path)
    found = recipe.read(path, {"content", "styles"} if path.stat().st_size % 2 else ())
    return presets.override(found.values, {}), make(Settings, found.values)


# --- pictures -------------------------------------------------------------------------------------


_LARGEST_PICTURE = 9 << 28  # of 120 million pixels, which a few bytes can declare


def _pictures(folder: Path) -> list[bytes]:
    rng = np.random.default_rng(0)
    rgba = Image.fromarray(rng.integers(0, 256, (9, 13, 4), np.uint8))
    exif = Image.Exif()
    exif[0x112] = 6
    profile = images.profiles.srgb()
    found: list[bytes] = []

    def add(mode: str, kind: str, **options: Any) -> None:
        data = io.BytesIO()
        rgba.convert(mode).save(data, kind, **options)
        found.append(data.getvalue())

    add("RGB", "PNG", icc_profile=profile)
    add("RGBA", "PNG", exif=exif)
    add("P", "PNG", transparency=3)
    add("1", "PNG")
    add("RGB", "JPEG", exif=exif, icc_profile=profile)
    add("CMYK", "JPEG", progressive=True)
    add("P", "GIF", transparency=3)
    add("RGB", "GIF", save_all=True, append_images=[rgba.convert("RGB").rotate(90)])
    add("RGBA", "WEBP", lossless=True)
    add("RGB", "WEBP", exif=exif)
    add("RGB", "BMP")
    add("P", "BMP")
    for packing in ("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg"):
        add("RGB", "TIFF", compression=packing)
    add("1", "TIFF", compression="group4")
    deep = io.BytesIO()
    Image.fromarray(rng.integers(0, 65536, (9, 13), np.uint16)).save(deep, "TIFF")
    found.append(deep.getvalue())
    if features.check("avif"):
        add("RGB", "AVIF")
    return found


_SIZES = [struct.pack(">I", size) for size in (0, 1, 10_000, 1 << 31)]
_OPCODES = (
    *(b"cos\nsystem\n", b"h\x01", b"q\x01", b"r\xff\xff\xff\x1f"),
    *(b"(", b"t", b"R", b"Q", b"s", b"u", b"}", b"]", b"0", b".", b"b"),
)
_ARRAY_WORDS = [b"descr", b"'|O'", b"(99999999,)"]
_CHANGED_MEMBERS = of_zip(of_bytes(_ARRAY_WORDS))
_AXES = [b"\x0a" + bytes([n]) + b"\x01" * n for n in (9, 100)]

READERS = {
    "caffemodel": Reader(
        _caffemodels, of_protobuf(NetParameter.DESCRIPTOR, _AXES), caffe.read_caffemodel
    ),
    "prototxt": Reader(
        lambda folder: [text.encode() for text in PROTOTXTS], of_bytes(_WORDS), _converted
    ),
    "mean": Reader(
        _means, of_protobuf(BlobProto.DESCRIPTOR, _AXES), caffe.read_mean, (".npy", ".binaryproto")
    ),
    "cached": Reader(
        _cached, of_protobuf(onnx.ModelProto.DESCRIPTOR), lambda path: cache.read(path, NETWORK)
    ),
    "onnx": Reader(
        _cached,
        of_protobuf(onnx.ModelProto.DESCRIPTOR, _OPERATORS),
        lambda path: containers.read("onnx", path, NETWORK),
    ),
    "hdf5": Reader(_hdf5, of_bytes(_SIZES), lambda path: containers.read("hdf5", path, NETWORK)),
    "torch": Reader(
        _torch,
        of_bytes(_OPCODES),
        lambda path: containers.read("codebook", path, NETWORK),
    ),
    "wheel": Reader(_wheels, of_zip(of_bytes()), _unpacked),
    "failures": Reader(_failures, of_bytes(), _failed),
    "checkpoint": Reader(_checkpoints, of_zip(of_bytes(_ARRAY_WORDS)), trained.read, (".npz",)),
    "resumed": Reader(_unfinished, _changed_facts, _resumed, (".npz",)),
    "manifest": Reader(_manifests, _lines, _continued, (".json",)),
    "kept": Reader(_states, of_zip(of_bytes(_ARRAY_WORDS)), _remembered, (".npz",)),
    "film": Reader(_films, of_pictures, _watched, (".gif", ".mkv", ".mp4")),
    "trained": Reader(_trained, of_protobuf(onnx.ModelProto.DESCRIPTOR), trained.read),
    "painter": Reader(
        _painters, of_protobuf(onnx.ModelProto.DESCRIPTOR, _OPERATORS), painting.read
    ),
    "yaml": Reader(lambda folder: [YAML], of_bytes(_YAML_WORDS), _configured, (".yml",)),
    "toml": Reader(lambda folder: [TOML], of_bytes(_TOML_WORDS), _configured, (".toml",)),
    "preset": Reader(lambda folder: [PRESET], of_bytes(_TOML_WORDS), _preset, (".toml",)),
    "recipe": Reader(_recipes, _told, _followed, (".png",)),
    "picture": Reader(_pictures, of_pictures, images.load, (".png",), _LARGEST_PICTURE),
}


@functools.cache
def good(name: str, folder: Path) -> tuple[bytes, ...]:
    """Return the good files of a reader."""
    return tuple(READERS[name].good(folder))
