"""The training pictures: openly licensed Debian packages, decoded once and kept as one flat file.

`prepare` makes the file; `Pictures` reads it back and cuts augmented crops from it. Pictures are
split into training and held-back ones by a digest of their path, so that the split never depends
on order.
"""

import hashlib
import json
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

PACKAGES = (
    "gnome-backgrounds",
    "lomiri-wallpapers-16.04",
    "lomiri-wallpapers-20.04",
    "mate-backgrounds",
    "palapeli-data",
    "plasma-workspace-wallpapers",
    "tuxpaint-stamps-default",
    "ukui-wallpapers",
)
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
LONGEST = (
    1536  # pictures are stored at most this large; crops are taken at 1 to 4 times that reduction
)
SHORTEST = 140  # smaller pictures cannot give a crop
STYLISED = 0.3  # share of the training crops that come from repainted pictures, once there are some
DETAIL = 6.0  # grey-level standard deviation below which a crop says too little to learn from


def download(folder: Path) -> Path:
    """Fetch and unpack the packages with apt and dpkg; return the folder of the trees."""
    debs, trees = folder / "debs", folder / "root"
    debs.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        tree = trees / package
        if tree.is_dir():
            continue
        subprocess.run(["apt-get", "download", package], cwd=debs, check=True)
        (deb,) = debs.glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", deb, tree], check=True)
    return trees


def find(trees: Path) -> list[Path]:
    """List the pictures, only the largest where a package ships one picture in many sizes."""
    largest: dict[tuple[Path, str], Path] = {}
    for path in sorted(trees.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or path.is_symlink() or not path.is_file():
            continue
        if path.stem == "screenshot":  # a small copy of a wallpaper of KDE's
            continue
        sized = path.stem.replace("x", "").isdigit()  # KDE: contents/images/1920x1080.png
        key = (path.parent, "" if sized else path.stem)
        if key not in largest or path.stat().st_size > largest[key].stat().st_size:
            largest[key] = path
    return sorted(largest.values())


def is_held_back(name: str) -> bool:
    """Tell whether the picture of this path is kept for evaluation: 1 in 12, by digest.

    None of KDE's wallpapers is, since some come in a light and a dark version.
    """
    if name.startswith("plasma"):
        return False
    return hashlib.sha256(name.encode()).digest()[0] % 12 == 0


def prepare(trees: Path, target: Path, seed: int = 0) -> None:
    """Decode all pictures under `trees` into `target`/pictures.bin (uint8 RGB) and pictures.json.

    Clip art has a transparent ground: it is laid over a random part of a photograph of the same
    half of the split, so that the crops have no empty areas.
    """
    generator = np.random.default_rng(seed)
    grounds: dict[bool, list[np.ndarray]] = {True: [], False: []}
    index, offset = [], 0
    target.mkdir(parents=True, exist_ok=True)
    paths = sorted(
        find(trees), key=lambda path: "tuxpaint" in path.as_posix()
    )  # grounds come first
    with open(target / "pictures.bin", "wb") as store:
        for path in paths:
            name = path.relative_to(trees).as_posix()
            held = is_held_back(name)
            pixels = _decode(path, grounds[held], generator)
            if min(pixels.shape[:2]) < SHORTEST:
                continue
            if "tuxpaint" not in name:
                grounds[held].append(pixels)
            store.write(pixels.tobytes())
            index.append({"name": name, "held": held, "offset": offset, "shape": pixels.shape})
            offset += pixels.size
    (target / "pictures.json").write_text(json.dumps(index, indent=1))


def _decode(path: Path, grounds: list[np.ndarray], generator: np.random.Generator) -> np.ndarray:
    with Image.open(path) as image:
        clear = "A" in image.getbands() or "transparency" in image.info
        image = image.convert("RGBA" if clear else "RGB")
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    if not clear:
        return np.asarray(image)
    if grounds:
        ground = Image.fromarray(grounds[generator.integers(len(grounds))])
        scale = max(
            image.width / ground.width, image.height / ground.height, generator.uniform(0.3, 1)
        )
        ground = ground.resize(
            [
                max(image.width, round(ground.width * scale)),
                max(image.height, round(ground.height * scale)),
            ]
        )
        x = generator.integers(ground.width - image.width + 1)
        y = generator.integers(ground.height - image.height + 1)
        ground = ground.crop((x, y, x + image.width, y + image.height))
    else:
        ground = Image.new(
            "RGB", image.size, tuple(int(v) for v in generator.integers(256, size=3))
        )
    ground.paste(image, mask=image.getchannel("A"))
    return np.asarray(ground)


class Pictures:
    """The stored pictures of one half of the split, memory-mapped, and a seeded source of crops.

    Where there are repainted pictures (see stylise.py), a share of training crops is from those.
    """

    def __init__(self, folder: Path, held: bool, seed: int, stylised: bool = True) -> None:
        self._folder = folder
        self._generator = np.random.default_rng(seed)
        self._with_stylised = stylised and not held
        self._pictures = _stored(folder / "pictures", held)
        # A large photograph holds more to see than a small drawing.
        weights = np.array([np.sqrt(p.shape[0] * p.shape[1]) for p in self._pictures])
        self._odds = weights / weights.sum()
        self.refresh()

    def refresh(self) -> None:
        """Look for repainted pictures again."""
        present = self._with_stylised and (self._folder / "stylised.json").exists()
        self._stylised = _stored(self._folder / "stylised", held=False) if present else []

    def crop(self, side: int, plain: bool = False) -> np.ndarray:
        """Cut one crop, (side, side, 3) float32 RGB in 0..255, augmented unless `plain`."""
        generator = self._generator
        if self._stylised and generator.random() < STYLISED:
            picture = self._stylised[generator.integers(len(self._stylised))]
            return _cut(picture, side, generator)
        for _ in range(8):
            picture = self._pictures[generator.choice(len(self._pictures), p=self._odds)]
            pixels = _cut(picture, side, generator)
            if pixels.mean(axis=2).std() > DETAIL:
                break
        return pixels if plain else augment(pixels, generator)


def _stored(stem: Path, held: bool) -> list[np.ndarray]:
    store = np.memmap(stem.with_suffix(".bin"), np.uint8, "r")
    pictures = []
    for entry in json.loads(stem.with_suffix(".json").read_text()):
        if entry["held"] == held:
            stop = entry["offset"] + int(np.prod(entry["shape"]))
            pictures.append(store[entry["offset"] : stop].reshape(entry["shape"]))
    return pictures


def _cut(picture: np.ndarray, side: int, generator: np.random.Generator) -> np.ndarray:
    """Cut a random square of 0.8 to 4 times the side, as far as it is there, and scale it."""
    scale = min(np.exp(generator.uniform(np.log(0.8), np.log(4.0))), min(picture.shape[:2]) / side)
    window = int(side * scale)
    y = generator.integers(picture.shape[0] - window + 1)
    x = generator.integers(picture.shape[1] - window + 1)
    image = Image.fromarray(picture[y : y + window, x : x + window])
    image = image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2)
    return np.asarray(image, np.float32)


def augment(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Flip, turn, and change the colours, the contrast and the noise of a crop at random.

    The noise matters: style transfer shows the network what an optimiser makes.
    """
    if generator.random() < 0.5:
        pixels = pixels[:, ::-1]
    if generator.random() < 0.25:
        pixels = np.rot90(pixels, generator.integers(1, 4))
    if generator.random() < 0.2:
        pixels = pixels[:, :, generator.permutation(3)]
    if generator.random() < 0.05:
        pixels = 255 - pixels
    if generator.random() < 0.7:
        grey = pixels.mean(axis=2, keepdims=True)
        pixels = grey + (pixels - grey) * generator.uniform(0.3, 2.0)
        pixels = (pixels - 128) * generator.uniform(0.6, 1.6) + 128 + generator.uniform(-40, 40)
        pixels = pixels + generator.normal(0, 12, size=3)
    if generator.random() < 0.25:
        pixels = pixels + _noise(pixels.shape, generator)
    return np.clip(pixels, 0, 255).astype(np.float32)


def _noise(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Pink noise, in colour, of a random strength of up to 40 grey levels."""
    white = generator.normal(size=shape)
    exponent = generator.choice([0.5, 1.0, 1.5])
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None])
    frequency[0, 0] = 1 / shape[0]
    spectrum = np.fft.rfft2(white, axes=(0, 1)) / frequency[:, :, None] ** exponent
    pink = np.fft.irfft2(spectrum, s=shape[:2], axes=(0, 1))
    return pink / pink.std() * 40 * generator.random() ** 2
