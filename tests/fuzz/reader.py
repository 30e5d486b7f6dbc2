"""What is fuzzed of a kind of file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import mutations

OPERATORS = (
    b"Conv ConvTranspose Pad Resize Upsample Relu Add Tile Expand Reshape Transpose Slice Loop If "
    b"Gather Constant ConstantOfShape Range Shape Concat Identity InstanceNormalization "
    b"BatchNormalization DequantizeLinear Unsqueeze Clip Cast MatMul Einsum AveragePool"
).split(b" ")
"""What nodes of ONNX files are called now and then."""


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
