"""Which parameters of a network make no difference to what it paints.

Instance norm takes the mean of each channel away, and with it whatever was added to all positions
of the channel before: the bias of a convolution, and the shift of the norm that ends a residual
block. Their gradients are exactly zero. Computed they would be rounding errors, which Adam, blind
to how large a gradient is, takes for directions.
"""

from collections.abc import Sequence

import onnx

from styletransfer.onnxgrad.reading import attributes

# What turns a number that is the same at all positions into such a number.
_SHIFTED = {"Conv", "InstanceNormalization"}  # whose third input is added to all positions
_CARRIERS = {"Add", "Identity", "Pad", "Resize", "Slice"}


def idle(network: Sequence[onnx.NodeProto], parameters: Sequence[str]) -> set[str]:
    """Return those parameters of a network that what it paints does not depend on.

    The nodes are those of the network alone, in topological order; a tensor of theirs that none of
    them reads is what it paints.
    """
    return {name for name in parameters if _is_idle(network, name)}


def _is_idle(network: Sequence[onnx.NodeProto], parameter: str) -> bool:
    """Follow what a bias adds to all positions until a norm takes it away, on every way."""
    moved = set()
    for node in network:
        if parameter in node.input:
            if node.op_type not in _SHIFTED or list(node.input).index(parameter) != 2:
                return False
            moved.add(node.output[0])
            continue
        if moved.isdisjoint(node.input):
            continue
        if node.op_type == "InstanceNormalization":
            continue
        values = attributes(node)
        padded = node.op_type == "Pad" and values.get("mode", "constant") == "constant"
        convolved = node.op_type == "Conv" and not any(values.get("pads", ()))
        if not convolved and (node.op_type not in _CARRIERS or padded):
            return False
        moved.add(node.output[0])
    read = {name for node in network for name in node.input}
    return moved <= read
