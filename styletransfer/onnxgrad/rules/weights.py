"""The gradient of a convolution for its weights, as products of matrices.

For each tap of the kernel it is the product of dy with x shifted by the tap. With one row for each
channel, the positions of all images one after another in it, a shift is a slice of all rows; what
it brings in from the next row or image meets a zero of dy.

One such product has few rows where there are few channels. So that of x and dy is shifted which
has fewer of them, and its shifts along the last axis are stacked.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod

import numpy as np

from styletransfer.onnxgrad.rule import Site, fit
from styletransfer.onnxgrad.window import Axis, Window

Phase = tuple[int, ...]


def weight_gradient(site: Site, x: str, dy: str, window: Window, group: int) -> str:
    """Return Σ dy(k, p) · x(c, stride p + dilation t − before), (maps, channels / group, *t)."""
    images, maps, *counts = site.shape(dy)
    channels = site.shape(x)[1]
    axes = window.axes
    # By how many windows a tap is away from the first, and which of the steps between them it is.
    reaches = [axis.dilation * (axis.kernel - 1) // axis.stride for axis in axes]
    size = [count + reach for count, reach in zip(counts, reaches, strict=True)]
    steps = [prod(size[i + 1 :]) for i in range(len(size))]
    positions, reach = images * prod(size), int(np.dot(reaches, steps))

    spatial = range(2, len(axes) + 2)
    dy = fit(site, dy, [], [], (images, maps, *size))
    dy = _rows(site, dy, group)
    dy = site.slice(dy, [2], [0], [positions - reach])
    if window.single_steps and maps < channels:
        kept = fit(site, x, spatial, [-axis.before for axis in axes], (images, channels, *size))
        kept = _rows(site, kept, group)
        moved = fit(site, dy, [2], [-reach], (group, maps // group, positions + reach))
        products = _products(site, {(0,) * len(axes): moved}, kept, axes, [-n for n in steps])
        order = [0, 2, 3]
    else:
        whole = [n * axis.stride for n, axis in zip(size, axes, strict=True)]
        x = fit(site, x, spatial, [-axis.before for axis in axes], (images, channels, *whole))
        products = _products(site, _phases(site, x, axes, size, group), dy, axes, steps)
        order = [0, 3, 2]
    # The leading taps, groups, last taps, channels of what was moved, channels of the other.
    rank = len(axes)
    lead, last = list(range(rank - 1)), rank
    perm = [rank - 1 + n if n else rank - 1 for n in order]
    dw = site.op("Transpose", products, perm=[*perm, *lead, last])
    return site.reshape(dw, [maps, channels // group, *window.kernel])


def _rows(site: Site, name: str, group: int) -> str:
    """Give each channel a row of the positions of all images: (group, channels / group, all)."""
    images, channels, *size = site.shape(name)
    if images > 1:
        name = site.op("Transpose", name, perm=[1, 0, *range(2, len(size) + 2)])
    return site.reshape(name, [group, channels // group, images * prod(size)])


def _phases(
    site: Site, x: str, axes: Sequence[Axis], size: Sequence[int], group: int
) -> Mapping[Phase, str]:
    """Return the rows of the positions that steps of the window lead to from each first one."""
    strides = [axis.stride for axis in axes]
    images, channels = site.shape(x)[:2]
    rank = len(axes)
    if prod(strides) == 1:
        return {(0,) * rank: _rows(site, x, group)}
    split = [n for pair in zip(size, strides, strict=True) for n in pair]
    x = site.reshape(x, [images, channels, *split])
    inner, outer = [2 * i + 3 for i in range(rank)], [2 * i + 2 for i in range(rank)]
    x = site.op("Transpose", x, perm=[*inner, 1, 0, *outer])
    shape = [prod(strides), group, channels // group, images * prod(size)]
    x = site.reshape(x, shape)
    return {
        phase: site.reshape(site.slice(x, [0], [i], [i + 1]), shape[1:])
        for i, phase in enumerate(product(*map(range, strides)))
    }


def _products(
    site: Site,
    moved: Mapping[Phase, str],
    kept: str,
    axes: Sequence[Axis],
    steps: Sequence[int],
) -> str:
    """Return the products of all shifts, (*leading taps, group, last taps, moved, kept).

    A step of an axis is how far its next window is along a row; where it is negative, the first
    tap lies last.
    """
    taps = [[divmod(axis.dilation * t, axis.stride) for t in range(axis.kernel)] for axis in axes]
    shifts = [
        [windows * step - min(0, step * row[-1][0]) for windows, _ in row]
        for row, step in zip(taps, steps, strict=True)
    ]
    phases = [[phase for _, phase in row] for row in taps]
    group, channels, count = site.shape(kept)
    kept = site.op("Transpose", kept, perm=[0, 2, 1])
    stacks: dict[Phase, str] = {}
    rows = []
    for tap in product(*(range(axis.kernel) for axis in axes[:-1])):
        lead = tuple(phases[i][t] for i, t in enumerate(tap))
        if lead not in stacks:
            stacks[lead] = _stack(site, moved, lead, phases[-1], shifts[-1])
        first = sum(shifts[i][t] for i, t in enumerate(tap))
        part = site.slice(stacks[lead], [2], [first], [first + count])
        part = site.op("MatMul", part, kept)
        rows.append(site.reshape(part, [1, *site.shape(part)]))
    every = rows[0] if len(rows) == 1 else site.op("Concat", *rows, axis=0)
    width = axes[-1].kernel
    inner = site.shape(every)[2] // width
    kernel = [axis.kernel for axis in axes[:-1]]
    return site.reshape(every, [*kernel, group, width, inner, channels])


def _stack(
    site: Site,
    moved: Mapping[Phase, str],
    lead: Phase,
    phases: Sequence[int],
    shifts: Sequence[int],
) -> str:
    """Stack the shifts along the last axis."""
    length = site.shape(next(iter(moved.values())))[2] - max(shifts)
    parts = [
        site.slice(moved[*lead, phase], [2], [shift], [shift + length])
        for phase, shift in zip(phases, shifts, strict=True)
    ]
    return parts[0] if len(parts) == 1 else site.op("Concat", *parts, axis=1)
