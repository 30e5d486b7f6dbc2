"""Files of a user's: pictures, what is told in them, configurations and presets."""

import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from styletransfer import images
from styletransfer.feedforward import conffile, configuration, trained
from styletransfer.jobs import command, recipe
from styletransfer.settings import Settings, make, presets
from tests.fuzz.mutations import of_bytes, of_json, of_pictures
from tests.fuzz.reader import Reader

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


READERS = {
    "yaml": Reader(lambda folder: [YAML], of_bytes(_YAML_WORDS), _configured, (".yml",)),
    "toml": Reader(lambda folder: [TOML], of_bytes(_TOML_WORDS), _configured, (".toml",)),
    "preset": Reader(lambda folder: [PRESET], of_bytes(_TOML_WORDS), _preset, (".toml",)),
    "recipe": Reader(_recipes, _told, _followed, (".png",)),
    "picture": Reader(_pictures, of_pictures, images.load, (".png",), _LARGEST_PICTURE),
}
