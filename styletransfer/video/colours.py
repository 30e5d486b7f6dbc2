"""Colours of films as RGB and back: matrix, range and depth, by the numbers of ITU-T H.273."""

from typing import Any

import numpy as np

from styletransfer.video import extra
from styletransfer.video.facts import Colour, Source

UNSPECIFIED = 2
BT709 = 1
BT601 = 6
LIMITED, _FULL = 1, 2  # of FFmpeg's AVColorRange
# How swscale calls the matrices.
_SWSCALE = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
# The primaries and transfers that go with a matrix.
_PRIMARIES = {1: 1, 4: 4, 5: 5, 6: 6, 7: 7, 9: 9}
_TRANSFERS = {1: 1, 4: 4, 5: 6, 6: 6, 7: 7, 9: 14}
# Bicubic, full chroma in and out, accurate rounding, the same on every processor: without them
# the conversion is up to two levels of 255 off.
QUALITY = 0x4 | 0x2000 | 0x4000 | 0x40000 | 0x80000


def kinds(image: Any) -> tuple[bool, bool]:
    """Whether an image has more than 8 bits a channel, and whether it has transparency."""
    parts = image.format.components
    alpha = any(part.is_alpha for part in parts) or image.format.name == "pal8"
    return any(part.bits > 8 for part in parts), alpha


def facts(image: Any) -> Colour:
    """Return how an image is coded; what it does not say is what players take it for."""
    name = image.format.name
    full = int(image.color_range) == _FULL or name.startswith("yuvj") or is_rgb(image)
    matrix = int(image.colorspace)
    if matrix == UNSPECIFIED or matrix not in {*_SWSCALE, 0}:
        matrix = BT709 if image.height >= 720 or is_rgb(image) else BT601
    return Colour(matrix, int(image.color_primaries), int(image.color_trc), full, name)


def is_rgb(image: Any) -> bool:
    """Whether an image has no luma."""
    return image.format.is_rgb or image.format.name == "pal8"


def to_rgb(image: Any, source: Source) -> tuple[np.ndarray, np.ndarray | None]:
    """Return an image's colours and opacity as it is seen: turned, of the source's size."""
    width, height = source.width, source.height
    if source.rotation % 180:
        width, height = height, width
    deep = source.depth == 16
    name = {False: "rgb24", True: "rgb48le"}[deep]
    if source.alpha:
        name = {False: "rgba", True: "rgba64le"}[deep]
    coded = facts(image)
    converted = image.reformat(
        width=width,
        height=height,
        format=name,
        interpolation=QUALITY,
        src_colorspace=_SWSCALE.get(coded.matrix),
        src_color_range=_FULL if coded.full else LIMITED,
        dst_color_range=_FULL,
    )
    pixels = np.rot90(converted.to_ndarray(), source.rotation // 90)
    rgb = pixels[:, :, :3]
    if deep:
        rgb = _stretched(rgb, image, coded)
    return np.ascontiguousarray(rgb), (
        np.ascontiguousarray(pixels[:, :, 3]) if source.alpha else None
    )


def _stretched(rgb: np.ndarray, image: Any, coded: Colour) -> np.ndarray:
    """Bring what swscale makes white to 65535: it shifts bits, so that white falls short."""
    bits = max(part.bits for part in image.format.components)
    white = 65280 if not coded.full else (2**bits - 1) << (16 - bits)
    if white >= 65535 or is_rgb(image):
        return rgb
    stretched = np.rint(rgb * np.float32(65535 / white))
    return np.minimum(stretched, 65535).astype(np.uint16)


def to_small_bgr(image: Any, side: int) -> np.ndarray:
    """Return an image as it is coded, its sides at most so long, in BGR, uint8: to compare."""
    width, height = small(image.width, image.height, side)
    reduced = image.reformat(width=width, height=height, format="bgr24", interpolation="AREA")
    array: np.ndarray = reduced.to_ndarray()
    return array


def small(width: int, height: int, side: int) -> tuple[int, int]:
    """Return the width and height of a picture whose longer side is made so long at most."""
    scale = min(1, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def for_output(source: Source | None, height: int) -> Colour:
    """Return how a film is coded that is made of a source: as that, if it has luma, else BT.709."""
    coded = source.colour if source else Colour()
    matrix = {10: 9}.get(coded.matrix, coded.matrix)
    if source is None or source.kind != "container" or matrix not in _SWSCALE:
        return Colour()
    if height >= 720 and matrix in (5, 6) and coded.primaries == UNSPECIFIED:
        return Colour()
    primaries = coded.primaries if coded.primaries != UNSPECIFIED else _PRIMARIES[matrix]
    transfer = coded.transfer if coded.transfer != UNSPECIFIED else _TRANSFERS[matrix]
    return Colour(matrix, primaries, transfer)


def to_sixteen(values: np.ndarray) -> np.ndarray:
    """Return float in [0, 1], uint8 or uint16 as uint16."""
    if values.dtype == np.uint16:
        return values
    if values.dtype == np.uint8:
        return values.astype(np.uint16) * 257
    return np.rint(np.clip(values, 0, 1) * 65535).astype(np.uint16)


def to_eight(values: np.ndarray) -> np.ndarray:
    """Return uint16 as uint8."""
    # 65535 / 255 is 257; halves do not occur.
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_yuv420p(pixels: np.ndarray, matrix: int) -> Any:
    """Return RGB, uint16, as an image of limited range with halved chroma."""
    # swscale shifts bits where it should divide: its white is 65280.
    scaled = np.rint(pixels * np.float32(65280 / 65535)).astype(np.uint16)
    image = extra.av().VideoFrame.from_ndarray(np.ascontiguousarray(scaled), "rgb48le")
    return image.reformat(
        format="yuv420p",
        interpolation=QUALITY,
        src_color_range=_FULL,
        dst_color_range=LIMITED,
        dst_colorspace=_SWSCALE[matrix],
    )
