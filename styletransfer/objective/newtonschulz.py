"""Matrix square roots by products alone, as graph fragments: ONNX has no operator for them."""

import math

import numpy as np

from styletransfer.onnxgrad import GraphBuilder

ITERATIONS = 11
SMALLEST = 1e-3
"""The least root of an eigenvalue, as a part of the greatest, that is to come out right."""


def trace_of_root(graph: GraphBuilder, matrix: str) -> str:
    """Append the trace, (1,), of the root of a symmetric, positive semidefinite matrix, not all 0.

    Notes
    -----
    The coupled iteration Y ← Y T, Z ← T Z, T = ½ s (3 I − s² Z Y), from Y = A / ‖A‖ (Frobenius)
    and Z = I, converges to Y = A^½ and Z = A^−½ of the matrix divided by its norm. With s = 1 it is
    Newton's and Schulz's. An eigenvalue λ far below 1 then takes its time: its part of Y begins at
    λ and grows 1.5 times an iteration towards λ^½. With s = √(3 / (1 + l + l²)) it is up to 2.6
    times, where l is the least of λ^½ that still counts, and l ← ½ s l (3 − s² l²) follows it.

    Eleven iterations from l = 0.001 leave 10⁻⁷ of the trace of a matrix whose eigenvalues are above
    10⁻⁶ of its norm; those below count too little, never too much, and make up for 4·10⁻⁴ of the
    trace with the covariances of VGG. Where the true gradient would grow without bound as λ falls
    to 0, this one stays bounded, and it is that of the value, to rounding.

    References
    ----------
    Higham: Functions of Matrices (2008), section 6.3.
    Chen, Chow: A stable scaling of Newton-Schulz for improving the sign function computation of a
    Hermitian matrix (2014), for s.
    """
    dtype = graph.dtype(matrix)
    identity = graph.constant(np.eye(graph.shape(matrix)[0], dtype=dtype), "identity")
    norm = graph.op("Sqrt", graph.op("ReduceSumSquare", matrix, keepdims=1))
    y = graph.op("Div", matrix, norm)
    z = identity
    least = SMALLEST
    for iteration in range(ITERATIONS):
        scale = math.sqrt(3 / (1 + least + least**2))
        least *= scale * (3 - (scale * least) ** 2) / 2
        step = graph.op("Gemm", z, y, identity, alpha=-(scale**3) / 2, beta=1.5 * scale)
        if iteration < ITERATIONS - 1:
            y = graph.op("MatMul", y, step)
            z = graph.op("MatMul", step, z) if iteration else step
    # All of these are polynomials of one symmetric matrix: tr(Y T) is the sum of Y ∘ T.
    total = graph.op("ReduceSum", graph.op("Mul", y, step), keepdims=1)
    scaled = graph.op("Mul", total, graph.op("Sqrt", norm))
    return graph.reshape(scaled, (1,))


def trace(graph: GraphBuilder, matrix: str) -> str:
    """Append the trace, (1,), of a square matrix."""
    identity = np.eye(graph.shape(matrix)[0], dtype=graph.dtype(matrix))
    diagonal = graph.op("Mul", matrix, graph.constant(identity, "identity"))
    total = graph.op("ReduceSum", diagonal, keepdims=1)
    return graph.reshape(total, (1,))
