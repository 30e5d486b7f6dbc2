"""A nearest-neighbour enlargement and a convolution as one convolution of the small map.

Where each element has become a block of equal ones, a window of 3×3 sees 2×2 different elements at
most. So each of the 2×2 places of a block has a kernel of 2×2, whose taps are sums of those of the
3×3; together they take four ninths of the products, and nothing is enlarged but the result.
"""

import numpy as np

from styletransfer.onnxgrad import GraphBuilder

TAPS, PLACES = 3, 2


def enlarged(graph: GraphBuilder, x: str, weight: str, factor: int) -> str:
    """Append a convolution of a map enlarged by a factor, by steps of half of it, padded by 1.

    Padding by reflection of the enlarged map is the repetition of the small one's edge. The result
    is twice as large as the map.
    """
    x = graph.op("Pad", x, graph.integers([0, 0, 1, 1] * 2, "pads"), mode="edge")
    y = graph.op("Conv", x, _kernels(graph, weight, factor), kernel_shape=[PLACES] * 2)
    # In parts first: so the cotangents of the slices are joined, not padded to full size and added.
    lengths = graph.integers([graph.shape(weight)[0]] * PLACES**2, "lengths")
    parts = graph.ops("Split", y, lengths, outputs=PLACES**2, axis=1)
    places = [
        _all_but_one(graph, part, place)
        for part, place in zip(parts, np.ndindex(PLACES, PLACES), strict=True)
    ]
    joined = graph.op("Concat", *places, axis=1)
    return graph.op("DepthToSpace", joined, blocksize=PLACES)


def _all_but_one(graph: GraphBuilder, part: str, place: tuple[int, ...]) -> str:
    """Leave out the last row (column) of a part, for the second place the first.

    The bounds hold for any size, so that the same nodes are right in a network of any.
    """
    ends = [-1 if first == 0 else np.iinfo(np.int32).max for first in place]
    bounds = (graph.integers(b, "bounds") for b in (place, ends, (2, 3)))
    return graph.op("Slice", part, *bounds)


def _kernels(graph: GraphBuilder, weight: str, factor: int) -> str:
    """Append the kernels of all places, (4 maps, channels, 2, 2)."""
    maps, channels, *_ = graph.shape(weight)
    steps = np.arange(PLACES) * (factor // PLACES)
    # Which of two neighbours each tap of each place sees; the first of place 0 lies before it.
    seen = (steps[:, None] + np.arange(TAPS) - 1) // factor + [[1], [0]]
    line = np.eye(PLACES)[seen]  # (place, tap of 3, tap of 2)
    sums = np.einsum("atp,buq->tuabpq", line, line).reshape(TAPS**2, PLACES**4)
    matrix = graph.constant(sums.astype(graph.dtype(weight)), "sums of taps")
    taps = graph.op("MatMul", graph.reshape(weight, (maps * channels, TAPS**2)), matrix)
    taps = graph.reshape(taps, (maps, channels, PLACES**2, PLACES**2))
    taps = graph.op("Transpose", taps, perm=[2, 0, 1, 3])
    return graph.reshape(taps, (PLACES**2 * maps, channels, PLACES, PLACES))
