"""Matrix square roots by products alone, as graph fragments: ONNX has no operator for them."""

import numpy as np

from styletransfer.onnxgrad import GraphBuilder


def trace_of_root(graph: GraphBuilder, matrix: str, iterations: int) -> str:
    """Append the trace of the square root of a symmetric, positive semidefinite matrix.

    Parameters
    ----------
    graph : GraphBuilder
        What the nodes are appended to.
    matrix : str
        The tensor, (C, C).
    iterations : int
        At least 2; each costs three products of matrices.

    Returns
    -------
    str
        The trace, (1,).

    Notes
    -----
    The coupled iteration Y ← Y T, Z ← T Z, T = (3 I − Z Y) / 2, from Y = A / ‖A‖ (Frobenius) and
    Z = I, converges to Y = A^½ and Z = A^−½ of the matrix divided by its norm: quadratically, once
    an eigenvalue is near 1. Until then an eigenvalue's root λ^½ is still about 1.5ᵏ λ after k
    iterations. So eigenvalues below about 2.25^−k of the norm count too little, never too much;
    and where the true gradient would grow without bound as λ falls to 0, this one stays bounded.

    References
    ----------
    Higham: Functions of Matrices (2008), section 6.3.
    """
    size = graph.shape(matrix)[0]
    dtype = graph.dtype(matrix)
    three_halves = graph.constant(1.5 * np.eye(size, dtype=dtype), "one and a half")
    square = graph.op("ReduceSumSquare", matrix, keepdims=1)
    norm = graph.op("Sqrt", square)
    y = graph.op("Div", matrix, norm)
    half = graph.constant(np.array(-0.5, dtype))
    # In the first iteration Z is I, in the last only the trace of Y T is wanted.
    z = step = graph.op("Add", three_halves, graph.op("Mul", y, half))
    y = graph.op("MatMul", y, step)
    for _ in range(iterations - 2):
        step = graph.op("Gemm", z, y, three_halves, alpha=-0.5)
        y = graph.op("MatMul", y, step)
        z = graph.op("MatMul", step, z)
    step = graph.op("Gemm", z, y, three_halves, alpha=-0.5)
    # All of these are polynomials of one symmetric matrix: tr(Y T) is the sum of Y ∘ T.
    total = graph.op("ReduceSum", graph.op("Mul", y, step), keepdims=1)
    scaled = graph.op("Mul", total, graph.op("Sqrt", norm))
    return graph.op("Reshape", scaled, graph.constant(np.array([1], np.int64)))


def trace(graph: GraphBuilder, matrix: str) -> str:
    """Append the trace of a square matrix, (1,)."""
    eye = graph.constant(np.eye(graph.shape(matrix)[0], dtype=graph.dtype(matrix)), "identity")
    diagonal = graph.op("ReduceSum", graph.op("Mul", matrix, eye), keepdims=1)
    return graph.op("Reshape", diagonal, graph.constant(np.array([1], np.int64)))
