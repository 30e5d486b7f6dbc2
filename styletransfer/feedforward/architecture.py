"""Networks that paint in one pass, as graphs made of a short text.

The text is that of Johnson's fast-neural-style: ``c9s1-32`` is a convolution 9×9 of stride 1 to 32
channels, ``d64`` one 3×3 of stride 2, ``R128x5`` are five residual blocks of two 3×3 each, ``u64``
doubles the size and convolves 3×3. Every convolution pads by reflection and is followed by
instance norm and ReLU; what trainers do differently is told apart by `Architecture`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod, sqrt
from typing import Literal, NamedTuple

import numpy as np

from styletransfer.errors import UsageError
from styletransfer.feedforward import superresolution
from styletransfer.feedforward.enlarging import enlarged
from styletransfer.onnxgrad import GraphBuilder

# What trainers subtract for VGG, RGB: its mean in the round numbers that were published with it.
VGG_MEAN = (123.68, 116.779, 103.939)


@dataclass(frozen=True)
class Architecture:
    """A network from pictures to pictures, RGB in 0..255.

    Attributes
    ----------
    text : str
        Its layers.
    epsilon : float
        Added to the variance by instance norm.
    affine : bool
        Whether convolutions have biases, and norms scales and shifts.
    residual_norms : bool
        Whether there are norms in residual blocks.
    enlargement : int
        How many times a nearest-neighbour resize enlarges in a ``u``; a convolution of half that
        as its stride follows.
    margin : int
        By how much the picture is padded by reflection before all else, and cropped after.
    mean : tuple of float
        Subtracted from the picture before all else.
    bounded : bool
        Whether the last convolution has a norm and 127.5 (tanh + 1) behind it, or nothing.
    styles : int
        How many scales and shifts each norm has to choose among.
    initial : {"normal", "uniform"}
        How weights begin: truncated normal of σ 0.1, or uniform as in PyTorch.
    residual : bool
        Whether the picture, enlarged by cubic interpolation, is added to what comes out.
    """

    text: str
    epsilon: float = 1e-5
    affine: bool = True
    residual_norms: bool = True
    enlargement: int = 2
    margin: int = 0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    bounded: bool = False
    styles: int = 1
    initial: Literal["normal", "uniform"] = "uniform"
    residual: bool = False

    @property
    def multiple(self) -> int:
        """What height and width must be multiples of."""
        return prod(c.stride for c in convolutions(self) if c.enlargement == 1)

    @property
    def times(self) -> int:
        """How many times as large as the picture the painting is."""
        enlarged = prod(c.enlargement // c.stride for c in convolutions(self) if c.enlargement > 1)
        return max(1, enlarged // self.multiple)


def _usual(width: int) -> str:
    """Return the network that all of the trainers have, with so many channels at the ends."""
    double, inner = 2 * width, 4 * width
    return f"c9s1-{width},d{double},d{inner},R{inner}x5,u{double},u{width},c9s1-3"


def _finer(width: int, doublings: int) -> str:
    """Return Johnson's network for super-resolution."""
    return f"c9s1-{width},R{width}x4,{f'u{width},' * doublings}c9s1-3"


ENLARGING = {"sr2": 1, "sr4": 2}
"""Architectures of super-resolution, and how many times each doubles the size."""

ARCHITECTURES: dict[str, tuple[Architecture, int]] = {
    "tf": (
        Architecture(
            "",
            epsilon=1e-9,
            affine=False,
            residual_norms=False,
            enlargement=4,
            margin=10,
            mean=VGG_MEAN,
            bounded=True,
            initial="normal",
        ),
        32,
    ),
    "pytorch": (Architecture(""), 32),
    "small": (Architecture(""), 16),
    "multi": (Architecture(""), 32),
    # Magenta's image_stylization, in its small size.
    "multistyle26": (Architecture("c9s1-32,d32,d32,R32x6,u8,u4,c9s1-3", bounded=True), 32),
    "sr2": (Architecture("", residual=True), 64),
    "sr4": (Architecture("", residual=True), 64),
}
"""What each name stands for, and its usual number of channels at the ends."""


def architecture(name: str, width: int | None = None, styles: int = 1) -> Architecture:
    """Return an architecture by its name, or that of a text with PyTorch's conventions.

    Raises
    ------
    UsageError
        If it is neither.
    """
    if name in ARCHITECTURES:
        kind, usual = ARCHITECTURES[name]
        width = width or usual
        usual_text = _finer(width, ENLARGING[name]) if name in ENLARGING else _usual(width)
        made = replace(kind, text=kind.text or usual_text, styles=styles)
    else:
        made = Architecture(name, styles=styles)
    convolutions(made)
    return made


@dataclass(frozen=True)
class Convolution:
    """One convolution of a network and what stands around it.

    Attributes
    ----------
    inputs, maps, kernel, stride : int
        Of the convolution itself.
    enlargement : int
        Of a resize before it.
    norm, relu : bool
        Whether they follow.
    begins, ends : bool
        Whether a residual block begins before it, or ends after it.
    """

    inputs: int
    maps: int
    kernel: int = 3
    stride: int = 1
    enlargement: int = 1
    norm: bool = True
    relu: bool = True
    begins: bool = False
    ends: bool = False


def convolutions(of: Architecture) -> list[Convolution]:
    """Return the convolutions of an architecture in forward order.

    Raises
    ------
    UsageError
        If its text cannot be read.
    """
    found: list[Convolution] = []
    channels = 3
    for word in of.text.split(","):
        found += _read(word.strip(), channels, of)
        channels = found[-1].maps
    if channels != 3:
        raise UsageError(f"the network {of.text!r} ends in {channels} channels; give it c9s1-3")
    found[-1] = replace(found[-1], norm=of.bounded, relu=False)
    return found


def _read(word: str, channels: int, of: Architecture) -> list[Convolution]:
    """Return the convolutions that one word of a text stands for."""
    if match := re.fullmatch(r"c(\d{1,2})s(\d)-(\d{1,4})", word):
        kernel, stride, maps = map(int, match.groups())
        if kernel % 2 and stride and maps:
            return [Convolution(channels, maps, kernel, stride)]
    if match := re.fullmatch(r"([du])([1-9]\d{0,3})", word):
        maps = int(match[2])
        if match[1] == "d":
            return [Convolution(channels, maps, stride=2)]
        factor = of.enlargement
        return [Convolution(channels, maps, stride=factor // 2, enlargement=factor)]
    if match := re.fullmatch(r"R(\d{1,4})(?:[x×]([1-9]\d?))?", word):
        if int(match[1]) != channels:
            raise UsageError(
                f"the residual block {word!r} has another number of channels than what comes"
                f" before it, {channels}"
            )
        norm = of.residual_norms
        first = Convolution(channels, channels, norm=norm, begins=True)
        return [first, replace(first, relu=False, begins=False, ends=True)] * int(match[2] or 1)
    names = ", ".join(ARCHITECTURES)
    raise UsageError(
        f"the network has the part {word!r}, which is none of c9s1-32, d64, R128x5, u64;"
        f" give such a text, or one of {names}"
    )


class Parameter(NamedTuple):
    """An array that a network learns."""

    name: str
    shape: tuple[int, ...]


def parameters(of: Architecture) -> list[Parameter]:
    """Return what an architecture learns, in forward order.

    For each convolution its weight, and with `affine` its bias and its norm's scale and shift,
    which with several styles have a row for each.
    """
    found = []
    for number, convolution in enumerate(convolutions(of)):
        maps, kernel = convolution.maps, convolution.kernel
        rows = (of.styles, maps) if of.styles > 1 else (maps,)
        shapes: dict[str, tuple[int, ...]] = {"weight": (maps, convolution.inputs, kernel, kernel)}
        if of.affine:
            shapes["bias"] = (maps,)
        if of.affine and convolution.norm:
            shapes |= {"scale": rows, "shift": rows}
        found += [Parameter(f"{number:02d}/{role}", shape) for role, shape in shapes.items()]
    return found


def is_of_style(name: str) -> bool:
    """Whether a parameter is one that each style has of its own: a norm's scale or shift."""
    return name.rpartition("/")[2] in ("scale", "shift")


def idle(of: Architecture) -> set[str]:
    """Return the names of the parameters that make no difference to what is painted.

    Instance norm takes the mean of each channel away, and with it whatever was added to all
    positions of the channel before: the bias of its convolution, and the shift of a norm that ends
    a residual block. Their gradients are exactly zero. Computed they would be rounding errors,
    which Adam, blind to how large a gradient is, takes for directions.
    """
    every = convolutions(of)
    names = set()
    for number, convolution in enumerate(every):
        if convolution.norm:
            names.add(f"{number:02d}/bias")
        if convolution.norm and convolution.ends and _is_levelled(every[number + 1 :]):
            names.add(f"{number:02d}/shift")
    return names


def _is_levelled(following: Sequence[Convolution]) -> bool:
    """Whether a constant added to all positions of a channel is taken away on every way."""
    for convolution in following:
        if convolution.ends:
            continue  # the constant goes around it
        if not convolution.norm:
            return False
        if not convolution.begins:
            return True
    return False


def initial_parameters(of: Architecture, seed: int) -> list[np.ndarray]:
    """Return the first values of what an architecture learns, float32."""
    random = np.random.default_rng(seed)
    values: list[np.ndarray] = []
    bound = 0.0
    for name, shape in parameters(of):
        role = name.rpartition("/")[2]
        if role == "weight":
            # PyTorch draws weights and biases from the same range.
            bound = 1 / sqrt(prod(shape[1:]))
        if role in ("scale", "shift"):
            value = np.full(shape, float(role == "scale"))
        elif of.initial == "uniform":
            value = random.uniform(-bound, bound, shape)
        else:
            value = 0.1 * _truncated_normal(random, shape)
        values.append(value.astype(np.float32))
    if of.affine and not of.bounded and not of.residual:
        # With a bias drawn as the others pictures begin nearly black, and Adam, whose steps are as
        # long as the learning rate, takes hundreds of them to bring a picture to light.
        values[-1] += np.array(VGG_MEAN, np.float32)
    return values


def _truncated_normal(random: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """Draw normal numbers, those beyond ±2 again."""
    values = random.standard_normal(shape)
    while (far := np.abs(values) > 2).any():
        values[far] = random.standard_normal(int(far.sum()))
    return values


def append(
    graph: GraphBuilder,
    of: Architecture,
    picture: str,
    names: Iterable[str],
    mixture: str | None = None,
) -> str:
    """Append a network to a graph.

    Parameters
    ----------
    graph : GraphBuilder
        The graph.
    of : Architecture
        The network.
    picture : str
        The tensor of pictures, (N, 3, H, W), RGB in 0..255; sides are multiples of `of.multiple`.
    names : iterable of str
        The tensors of what the network learns, shaped as `parameters` says.
    mixture : str, optional
        For several styles how much of each is in each picture, (N, styles).

    Returns
    -------
    str
        The tensor of what it paints, `of.times` as large, of the same range, not clipped.
    """
    following = iter(names)
    _, _, height, width = graph.shape(picture)
    x = picture
    if any(of.mean):
        mean = np.reshape(of.mean, (1, 3, 1, 1)).astype(graph.dtype(x))
        x = graph.op("Sub", x, graph.constant(mean, "mean"))
    x = _reflected(graph, x, of.margin)
    skip = ""
    for number, convolution in enumerate(convolutions(of)):
        with graph.scope(f"{number:02d}"):
            skip = x if convolution.begins else skip
            x = _convolution(graph, of, convolution, x, following, mixture)
            if convolution.ends:
                x = graph.op("Add", skip, x)
    if of.bounded:
        half = graph.scalar(127.5, x)
        x = graph.op("Mul", graph.op("Add", graph.op("Tanh", x), graph.scalar(1, x)), half)
    if of.residual:
        x = graph.op("Add", x, superresolution.enlarged(graph, picture, of.times))
    start, size = of.margin, (of.times * height, of.times * width)
    return graph.slice(x, (2, 3), (start, start), [start + n for n in size])


def _convolution(
    graph: GraphBuilder,
    of: Architecture,
    convolution: Convolution,
    x: str,
    names: Iterator[str],
    mixture: str | None,
) -> str:
    weight = next(names)
    bias = next(names) if of.affine else ""
    # A norm takes the bias away again.
    arrays = [weight, bias] if bias and not convolution.norm else [weight]
    if convolution.enlargement > 1:
        x = enlarged(graph, x, weight, convolution.enlargement)
    else:
        x = _reflected(graph, x, convolution.kernel // 2)
        kernel, steps = [convolution.kernel] * 2, [convolution.stride] * 2
        x = graph.op("Conv", x, *arrays, kernel_shape=kernel, strides=steps)
    if convolution.norm:
        rows = (next(names), next(names)) if of.affine else None
        x = _norm(graph, x, of.epsilon, rows, mixture)
    return graph.op("Relu", x) if convolution.relu else x


def _norm(
    graph: GraphBuilder, x: str, epsilon: float, rows: tuple[str, str] | None, mixture: str | None
) -> str:
    """Append instance norm, scaled and shifted by one pair of rows, or a mixture of several."""
    channels, dtype = graph.shape(x)[1], graph.dtype(x)
    plain = tuple(graph.constant(make(channels, dtype), "row") for make in _UNIT)
    if rows is None or mixture is None:
        scale, shift = rows or plain
        return graph.op("InstanceNormalization", x, scale, shift, epsilon=epsilon)
    x = graph.op("InstanceNormalization", x, *plain, epsilon=epsilon)
    for operator, row in zip(("Mul", "Add"), rows, strict=True):
        mixed = graph.op("MatMul", mixture, row)
        x = graph.op(operator, x, graph.reshape(mixed, (*graph.shape(mixed), 1, 1)))
    return x


_UNIT: tuple[Callable[[int, np.dtype], np.ndarray], ...] = (np.ones, np.zeros)


def _reflected(graph: GraphBuilder, x: str, margin: int) -> str:
    """Pad by reflection on all sides."""
    if not margin:
        return x
    widths = [0, 0, margin, margin]
    return graph.op("Pad", x, graph.integers(widths + widths, "pads"), mode="reflect")
