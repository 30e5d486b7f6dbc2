"""The geometry of a window that slides over an image: of convolutions and of pools."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import onnx

from styletransfer.errors import GradientError
from styletransfer.onnxgrad.reading import attributes, describe


@dataclass(frozen=True)
class Axis:
    """A window along one axis: its taps, the steps it moves by, the gaps in it, the padding."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    @property
    def extent(self) -> int:
        """How far the window reaches, gaps included."""
        return self.dilation * (self.kernel - 1) + 1

    def count(self, length: int, ceil: bool = False) -> int:
        """Return how many windows an input has; with `ceil` the last may reach past its padding."""
        span = length + self.before + self.after - self.extent
        return (-(-span // self.stride) if ceil else span // self.stride) + 1

    def length(self, count: int) -> int:
        """Return the length of the input that so many windows cover exactly."""
        return (count - 1) * self.stride + self.extent - self.before - self.after

    def elements(self, length: int, count: int, padding: bool) -> np.ndarray:
        """Return how many elements each window holds; those of the padding are among them or not.

        What a window holds past the padding never counts.
        """
        starts = np.arange(count) * self.stride - self.before
        taps = starts[:, None] + np.arange(self.kernel) * self.dilation
        before, after = (self.before, self.after) if padding else (0, 0)
        counts: np.ndarray = ((taps >= -before) & (taps < length + after)).sum(axis=1)
        return counts

    def tiles(self, count: int) -> bool:
        """Whether each of so many windows begins where the one before it ends."""
        return self.dilation == 1 and (self.kernel == self.stride or count == 1)

    def mirrored(self) -> "Axis":
        """Return the window of the gradient of one that moves by single steps."""
        edge = self.extent - 1
        return replace(self, before=edge - self.before, after=edge - self.after)

    def trimmed(self, length: int) -> "Axis":
        """Return the window with no last one, by ceil, that would begin in the end padding.

        ONNX Runtime, like Caffe, drops such a window, which onnx's shape inference counts. Less
        padding drops it for both. It is below 0 where the window would begin past the padding.
        """
        count = self.count(length)
        rest = length - self.length(count)
        idle = rest and count * self.stride >= length + self.before
        return replace(self, after=self.after - rest) if idle else self


@dataclass(frozen=True)
class Window:
    """A sliding window, an `Axis` for each axis of space; `ceil` as in `Axis.count`."""

    axes: tuple[Axis, ...]
    ceil: bool = False

    @classmethod
    def of(cls, node: onnx.NodeProto, kernel: Sequence[int] | None = None) -> "Window | None":
        """Return a node's window; None where its padding depends on the input (auto_pad).

        The kernel of a convolution is told by its weights, and must be given.
        """
        values = attributes(node)
        if values.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
            return None
        kernel = list(values.get("kernel_shape", ()) if kernel is None else kernel)
        rank = len(kernel)
        strides, dilations = (values.get(n, [1] * rank) for n in ("strides", "dilations"))
        pads = values.get("pads", [0] * 2 * rank)
        rows = kernel, strides, dilations, pads[:rank], pads[rank:]
        if {len(row) for row in rows} != {rank} or min(*kernel, *strides, *dilations, 1) < 1:
            raise GradientError(
                f"The {describe(node)} has no possible window: kernel {kernel}, strides {strides}, "
                f"dilations {dilations}, pads {pads}."
            )
        axes = tuple(Axis(*row) for row in zip(*rows, strict=True))
        return cls(axes, bool(values.get("ceil_mode", 0)))

    @property
    def kernel(self) -> tuple[int, ...]:
        """The number of taps along each axis."""
        return tuple(axis.kernel for axis in self.axes)

    @property
    def pads(self) -> list[int]:
        """The padding as ONNX has it: before each axis, then after each."""
        return [axis.before for axis in self.axes] + [axis.after for axis in self.axes]

    @property
    def single_steps(self) -> bool:
        """Whether it moves by single steps."""
        return all(axis.stride == 1 for axis in self.axes)

    @property
    def dense(self) -> bool:
        """Whether it has no gaps."""
        return all(axis.dilation == 1 for axis in self.axes)

    @property
    def attributes(self) -> dict[str, Any]:
        """The window as a node's attributes, but for ceil; steps of 1 are the default."""
        steps = {
            "strides": [axis.stride for axis in self.axes],
            "dilations": [axis.dilation for axis in self.axes],
        }
        chosen = {name: step for name, step in steps.items() if prod(step) != 1}
        return {"kernel_shape": list(self.kernel), "pads": self.pads, **chosen}

    def elements(self, size: Sequence[int], outputs: Sequence[int], padding: bool) -> np.ndarray:
        """Return how many elements each window holds, (1, 1, *outputs); see `Axis.elements`."""
        counts = np.ones((1, 1))
        for axis, length, count in zip(self.axes, size, outputs, strict=True):
            counts = counts[..., None] * axis.elements(length, count, padding)
        return counts

    def tiles(self, outputs: Sequence[int]) -> bool:
        """Whether each window begins where the one before it ends."""
        return all(axis.tiles(n) for axis, n in zip(self.axes, outputs, strict=True))

    def mirrored(self) -> "Window":
        """Return the window of the gradient of one that moves by single steps."""
        return replace(self, axes=tuple(axis.mirrored() for axis in self.axes))
