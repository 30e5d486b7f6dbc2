"""Pictures made smaller, of which networks learn to paint the larger ones, and enlarged again."""

import numpy as np

from styletransfer.onnxgrad import GraphBuilder


def reduced(graph: GraphBuilder, picture: str, times: int) -> str:
    """Append what makes a picture so many times smaller, its sides being multiples of that.

    It is blurred as Johnson's trainer blurs for a factor of 2, by a Gaussian of σ = 1; for others
    in proportion, so that nothing is left of what the small picture cannot hold.
    """
    if times == 1:
        return picture
    channels = graph.shape(picture)[1]
    # Three small pixels wide, 3 σ to each side of the middle of one.
    place = (np.arange(3 * times) + 0.5) / times - 1.5
    line = np.exp(-2 * place**2)
    kernel = np.outer(line, line) / line.sum() ** 2
    weight = np.broadcast_to(kernel, (channels, 1, *kernel.shape)).astype(graph.dtype(picture))
    pads = graph.integers([0, 0, times, times] * 2, "pads")
    padded = graph.op("Pad", picture, pads, mode="reflect")
    return graph.op(
        "Conv", padded, graph.constant(weight, "blur"), group=channels, strides=[times] * 2
    )


def enlarged(graph: GraphBuilder, picture: str, times: int) -> str:
    """Append what enlarges a picture by cubic convolution, as most programs do."""
    if times == 1:
        return picture
    scales = graph.constant(np.array([1, 1, times, times], np.float32), "scales")
    return graph.op("Resize", picture, "", scales, mode="cubic", cubic_coeff_a=-0.5)
